"""Decode the `logprobs` of a choice into tokens with probabilities, and encode them again."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from ..types.tokens import Alternative, Token

PROBABILITY_DIGITS = 6  # significant digits, so that a recorded probability is read unchanged
MAX_LOGPROB = 0.001  # rounding errors of a server are slightly above 0
MIN_LOGPROB = -9999.0  # OpenAI's value for a very unlikely token
MAX_BYTE = 255


def parse_tokens(logprobs: Any) -> list[Token]:
    """Return the tokens in the `logprobs` of a choice; items without a token are left out."""
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    items = content if isinstance(content, list) else []
    return [token for token in map(_parse_token, items) if token is not None]


def _parse_token(item: Any) -> Token | None:
    content = _parse_content(item)
    if content is None:
        return None
    alternatives = item.get("top_logprobs")
    parsed = map(_parse_alternative, alternatives if isinstance(alternatives, list) else ())
    known = sorted(filter(None, parsed), key=lambda each: -each.probability)
    return Token(_to_text(content), _parse_logprob(item), content, tuple(known))


def _parse_alternative(item: Any) -> Alternative | None:
    content = _parse_content(item)
    probability = None if content is None else _parse_logprob(item)
    if content is None or probability is None:
        return None
    return Alternative(_to_text(content), probability, content)


def _parse_content(item: Any) -> bytes | None:
    """Return the bytes of a token; None if the item has none.

    The text of a token that is a part of a character has U+FFFD or is empty, so its bytes count.
    """
    if not isinstance(item, dict):
        return None
    codes = item.get("bytes")
    if isinstance(codes, list) and codes and all(map(_is_byte, codes)):
        return bytes(codes)
    text = item.get("token")
    return text.encode(errors="replace") if isinstance(text, str) else None


def _is_byte(code: Any) -> bool:
    return type(code) is int and 0 <= code <= MAX_BYTE


def _to_text(content: bytes) -> str:
    return content.decode(errors="backslashreplace")


def _parse_logprob(item: Any) -> float | None:
    """Return the probability of a token; None if the logarithm is missing or not valid."""
    logprob = item.get("logprob")
    if isinstance(logprob, bool) or not isinstance(logprob, int | float):
        return None
    if not logprob <= MAX_LOGPROB:  # also NaN
        return None
    return float(f"{math.exp(min(logprob, 0.0)):.{PROBABILITY_DIGITS}g}")


# --- recorded form


def record_tokens(tokens: Iterable[Token]) -> list[Any]:
    """Return tokens as JSON: [text, probability, alternatives] for each.

    The text of a token that is a part of a character is a list of its bytes.
    """
    return [
        [
            _record_content(token.content),
            token.probability,
            [[_record_content(each.content), each.probability] for each in token.alternatives],
        ]
        for token in tokens
    ]


def _record_content(content: bytes) -> str | list[int]:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return list(content)


def format_logprobs(recorded: Sequence[Any]) -> dict[str, Any]:
    """Return the `logprobs` of a choice in OpenAI's format for recorded tokens.

    Raises:
        ValueError, TypeError: The recorded tokens are not valid.
    """
    content = []
    for text, probability, alternatives in recorded:
        top = [_format_item(each_text, each) for each_text, each in alternatives]
        content.append({**_format_item(text, probability), "top_logprobs": top})
    return {"content": content}


def _format_item(recorded: Any, probability: Any) -> dict[str, Any]:
    content = recorded.encode(errors="replace") if isinstance(recorded, str) else bytes(recorded)
    return {
        "token": _to_text(content),
        "bytes": list(content),
        "logprob": None if probability is None else _to_logprob(probability),
    }


def _to_logprob(probability: float) -> float:
    return math.log(probability) if probability > 0 else MIN_LOGPROB
