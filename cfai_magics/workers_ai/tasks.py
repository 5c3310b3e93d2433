"""What to send for embeddings and native tasks, and how to read the replies."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..errors import ServerError
from ..results import RawResult
from .usage import usage_of
from .wire import unwrapped

BATCH = 100  # texts a request, the most that Workers AI takes


def batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the texts in the batches to send."""
    for start in range(0, len(texts), BATCH):
        yield texts[start : start + BATCH]


def embeddings_body(model: str, texts: Sequence[str]) -> dict[str, Any]:
    """Return the JSON body for one batch."""
    return {"model": model, "input": list(texts)}


def vectors(reply: Any, count: int) -> list[tuple[float, ...]]:
    """Return the vectors of a reply in the order of the texts; ServerError when they don't fit."""
    items = reply.get("data") if isinstance(reply, dict) else None
    try:
        placed = {item.get("index", place): item for place, item in enumerate(items or [])}
        return [tuple(map(float, placed[place]["embedding"])) for place in range(count)]
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        raise ServerError(
            f"The reply does not hold one vector for each of {count} texts"
        ) from None


def run_path(model: str) -> str:
    """Return the path of a native task: the model's name stands in it raw."""
    return f"/ai/run/{model}"


def multipart(payload: Mapping[str, Any] | bytes, files: Any) -> dict[str, Any]:
    """Return what httpx takes to send fields and files as a form; nothing without files."""
    if files is None:
        return {}
    fields = payload if isinstance(payload, Mapping) else {}
    return {"files": {**{name: (None, str(value)) for name, value in fields.items()}, **files}}


def json_result(reply: Any, content_type: str, headers: Mapping[str, str]) -> RawResult:
    """Return what a native task answered as JSON, without Cloudflare's envelope."""
    result = unwrapped(reply)
    told = result.get("usage") if isinstance(result, dict) else None
    usage = usage_of(told, headers)
    return RawResult(result=result, content_type=content_type, usage=usage)


def bytes_result(content: bytes, content_type: str, headers: Mapping[str, str]) -> RawResult:
    """Return what a native task answered as bytes: an image, or sound."""
    usage = usage_of(None, headers)
    return RawResult(content=content, content_type=content_type, usage=usage)
