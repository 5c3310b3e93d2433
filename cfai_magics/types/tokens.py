"""Types for the tokens of an answer with their probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Alternative:
    r"""A token that the model could have chosen at one position.

    Attributes:
        text: The token's text. For a token that is only a part of a character, it has the bytes
            as escapes, such as "\xf0\x9f".
        probability: The probability, from 0 to 1.
        content: The token's bytes in UTF-8.
    """

    text: str
    probability: float
    content: bytes


@dataclass(frozen=True, slots=True)
class Token:
    """One token of an answer.

    Attributes:
        text: The token's text, as in Alternative.
        probability: The probability of this token, from 0 to 1; None if the server did not
            report it.
        content: The token's bytes in UTF-8.
        alternatives: The most likely tokens at this position, the most likely one first. They
            contain this token if it is one of them.
    """

    text: str
    probability: float | None
    content: bytes
    alternatives: tuple[Alternative, ...] = ()


class Tokens(tuple[Token, ...]):
    """A tuple of the tokens of an answer, in order. It is empty without `--probs`."""

    __slots__ = ()

    def df(self) -> Any:
        """Return a pandas DataFrame with one row per alternative of each token.

        Its columns are position (of the token, from 0), token (its text), probability (of the
        token), rank (of the alternative, from 1), alternative (its text) and
        alternative_probability. A token without alternatives has one row with None or NaN in the
        last three columns.

        Raises:
            SetupError: pandas is not installed.
        """
        from .results import to_data_frame

        rows = [row for position, token in enumerate(self) for row in _rows(position, token)]
        columns = ("position", "token", "probability")
        return to_data_frame(rows, (*columns, "rank", "alternative", "alternative_probability"))


def _rows(position: int, token: Token) -> Sequence[tuple[Any, ...]]:
    start = (position, token.text, token.probability)
    ranked = enumerate(token.alternatives, 1)
    rows = [(*start, rank, each.text, each.probability) for rank, each in ranked]
    return rows or [(*start, None, None, None)]


def select_tokens(tokens: Sequence[Token], text: str) -> Tokens:
    """Return the tokens of a text, without those of reasoning, stop sequences and markers.

    If the tokens do not contain the text, all of them are returned.
    """
    received = b"".join(token.content for token in tokens)
    wanted = text.encode(errors="replace")
    start = 0 if received.startswith(wanted) else received.rfind(wanted)
    if start < 0:
        return Tokens(tokens)
    selected, position = [], 0
    for token in tokens:
        end = position + len(token.content)
        if position < start + len(wanted) and end > start:
            selected.append(token)
        position = end
    return Tokens(selected)
