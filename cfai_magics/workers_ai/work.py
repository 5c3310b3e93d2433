"""How much work a native task is, as its request and its reply tell."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..units import DEFAULT_SIDE, Work

DEFAULT_STEPS = 4
TEXT_FIELDS = ("text", "prompt", "input_text", "query", "messages", "contexts", "content")
STEP_FIELDS = ("steps", "num_steps")
DEFAULT_TOKENS = 256  # of the older models, which the native tasks serve


def work_of(payload: Mapping[str, Any] | bytes, reply: Any = None) -> Work:
    """Return the work; the length of sound is known from some replies only."""
    fields = payload if isinstance(payload, Mapping) else {}
    width, height = (_whole(fields.get(side)) or DEFAULT_SIDE for side in ("width", "height"))
    steps = [_whole(fields.get(name)) for name in STEP_FIELDS]
    return Work(
        pixels=width * height,
        steps=next((count for count in steps if count), DEFAULT_STEPS),
        seconds=_seconds(reply),
        characters=len(text_of(fields)),
    )


def text_of(payload: Mapping[str, Any] | bytes) -> str:
    """Return all the text of a request that is billed by its tokens or characters."""
    fields = payload if isinstance(payload, Mapping) else {}
    return "".join(text for name in TEXT_FIELDS for text in _texts(fields.get(name)))


def tokens_asked(payload: Mapping[str, Any] | bytes) -> int:
    """Return the most tokens of an answer; where the request says none, the default there."""
    fields = payload if isinstance(payload, Mapping) else {}
    return _whole(fields.get("max_tokens")) or DEFAULT_TOKENS


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (text for name in TEXT_FIELDS for text in _texts(value.get(name)))
    elif isinstance(value, list | tuple):
        yield from (text for item in value for text in _texts(item))


def _seconds(reply: Any) -> float:
    told = reply.get("transcription_info") if isinstance(reply, Mapping) else None
    duration = told.get("duration") if isinstance(told, Mapping) else None
    return float(duration) if isinstance(duration, int | float) else 0.0


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
