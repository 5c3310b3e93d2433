"""What to send for embeddings and native tasks, and how to read the replies."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..errors import ServerError
from ..values.results import RawResult
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


# --- batches


def batch_body(bodies: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the JSON body that puts chat requests into the queue: each knows its place."""
    left_out = {"model", "stream"}
    return {
        "requests": [
            {
                **{name: value for name, value in body.items() if name not in left_out},
                "external_reference": str(place),
            }
            for place, body in enumerate(bodies)
        ]
    }


def batch_id(reply: Any) -> str:
    """Return the id under which a batch is in the queue."""
    result = unwrapped(reply)
    found = result.get("request_id") if isinstance(result, dict) else None
    if not isinstance(found, str) or not found:
        raise ServerError("The reply names no batch in the queue")
    return found


def batch_replies(reply: Any) -> dict[int, Any] | None:
    """Return the replies of a batch by their places; None while it is in the queue.

    They come in any order. A refused one is a reply with its error.
    """
    result = unwrapped(reply)
    responses = result.get("responses") if isinstance(result, dict) else None
    if not isinstance(responses, list):
        return None
    return {place: one for one in responses if (place := _place(one)) is not None}


def _place(response: Any) -> int | None:
    if not isinstance(response, dict):
        return None
    named = response.get("external_reference")
    place = str(response.get("id") if named is None else named)
    return int(place) if place.isdecimal() else None


def batch_answer(response: Mapping[str, Any]) -> Any:
    """Return the answer in a reply, which may be nested once more."""
    result = response.get("result")
    if (
        isinstance(result, dict)
        and set(result) & {"success", "result"}
        and "choices" not in result
    ):
        return unwrapped({"success": True, "result": None, **result})
    return result


# --- native tasks


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
