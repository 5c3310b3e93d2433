"""What came over the wire for one call, and what of it is worth keeping."""

import json
import struct
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import httpx

from ..values import Finish, Text, Thought, ToolCall, Usage
from ..workers_ai.chat_stream import END, finishes, frame_in
from ..workers_ai.sse import events
from ..workers_ai.usage import header_neurons, usage_of
from ..workers_ai.wire import Reader, is_empty, unwrapped
from .record import Reply

OF_THE_MOMENT = ("id", "created", "system_fingerprint")  # other each time, and of no use


@dataclass(slots=True)
class Heard:
    """One reply while it comes: its head, the request's body, and its chunks with their times."""

    sent: bytes
    headers: Mapping[str, str]
    chunks: list[tuple[float, bytes]] = field(default_factory=list)
    ended: float = 0.0  # s after the request was sent

    @property
    def limit(self) -> Any:
        """The most tokens that the request as it was sent let the answer have."""
        try:
            body = json.loads(self.sent)
            return body.get("max_completion_tokens", body.get("max_tokens"))
        except (ValueError, AttributeError):
            return None


class Take:
    """The replies of one call as they come; `kept()` is what to keep of a call that went well."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._heard: list[Heard] = []

    def begin(self, sent: bytes, headers: Mapping[str, str]) -> Heard:
        """Hear one more reply: to a further part of the call, or to another try."""
        heard = Heard(sent, headers)
        self._heard.append(heard)
        return heard

    @property
    def limit(self) -> Any:
        """The most tokens that the answer was allowed, as it was sent."""
        return self._heard[-1].limit if self._heard else None

    def kept(self) -> "Kept | None":
        """Return the replies in the form of a recording; None where nothing was heard."""
        found = [kept for kept in map(_kept, self._heard) if kept is not None]
        if not found:
            return None
        usage = Usage()
        for kept in found:
            usage += kept.usage
        return Kept([each for kept in found for each in kept.replies], usage, found[-1].finish)


@dataclass(frozen=True, slots=True)
class Kept:
    """What to keep: replies, the usage of all of them as it was told, and why they ended."""

    replies: list[Reply]
    usage: Usage
    finish: str


def _kept(heard: Heard) -> Kept | None:
    """Return one reply as it is kept; None for an empty one, after which is asked again."""
    kind = heard.headers.get("content-type", "")
    if "text/event-stream" in kind:
        return _streamed(heard)
    content = b"".join(_decoded(heard, []))
    if "json" in kind:
        return _json(heard, json.loads(content))
    reply = {"base64": b64encode(content).decode(), "type": kind}
    return Kept([_timed(reply, heard)], usage_of(None, heard.headers), "stop")


def _timed(reply: dict[str, Any], heard: Heard) -> Reply:
    neurons = header_neurons(heard.headers)
    told = {} if neurons is None else {"neurons": neurons}
    return {"ms": round(heard.ended * 1000), **told, **reply}


def _json(heard: Heard, body: Any) -> Kept | None:
    answer = unwrapped(body)
    if is_empty(answer):
        return None
    told = answer.get("usage") if isinstance(answer, dict) else None
    usage = usage_of(told, heard.headers)
    return Kept([_timed(_body(body), heard)], usage, _finish(answer))


def _finish(answer: Any) -> str:
    reader = Reader()
    deltas = [*reader.read(answer), *reader.end()]
    return next((delta.reason for delta in deltas if isinstance(delta, Finish)), "unknown")


def _body(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        return {"json": body}
    plain = {name: value for name, value in body.items() if name not in OF_THE_MOMENT}
    packed = [_packed(item) for item in body.get("data") or []] if _holds_vectors(body) else []
    return {"vectors": packed, "usage": body.get("usage")} if packed else {"json": plain}


def _holds_vectors(body: Mapping[str, Any]) -> bool:
    data = body.get("data")
    return isinstance(data, list) and all(
        isinstance(item, dict) and isinstance(item.get("embedding"), list) for item in data
    )


def _packed(item: Mapping[str, Any]) -> str:
    """Return a vector as 32-bit floats, as models reckon: a fifth of its JSON."""
    numbers = [float(number) for number in item["embedding"]]
    return b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def _decoded(heard: Heard, now: list[float]) -> Iterator[bytes]:
    """Yield the bytes without their compression; `now` holds the time of the last chunk."""

    def raw() -> Iterator[bytes]:
        for seconds, chunk in heard.chunks:
            now[:] = [seconds]
            yield chunk

    headers = {n: v for n, v in heard.headers.items() if n.lower() == "content-encoding"}
    yield from httpx.Response(200, headers=headers, content=raw()).iter_bytes()


def _streamed(heard: Heard) -> Kept:
    reader, now = Reader(), [0.0]
    said: dict[type, list[list[Any]]] = {Thought: [], Text: []}
    calls: list[dict[str, str]] = []
    finish = "unknown"
    deltas = (reader.read(frame) for frame in _frames(reader, _decoded(heard, now)))
    end = (reader.end(header_neurons(heard.headers)) for _ in range(1))
    for delta in chain.from_iterable(chain(deltas, end)):
        if isinstance(delta, Text | Thought):
            _add(said[type(delta)], round(now[0] * 1000), delta.text)
        elif isinstance(delta, ToolCall):
            call = {"id": delta.id, "name": delta.name, "arguments": delta.arguments}
            calls.append(call)
        elif isinstance(delta, Finish):
            finish = delta.reason
    stream = {"thought": said[Thought], "text": said[Text], "tool_calls": calls}
    told = {"finish": finish, "usage": _told(reader.usage)}
    reply = {"ms": round(heard.ended * 1000), "stream": {**stream, **told}}
    return Kept([reply], reader.usage, finish)


def _frames(reader: Reader, chunks: Iterator[bytes]) -> Iterator[Any]:
    for _, data, ended in events(chunks, rest=True):
        frame = frame_in(data)
        if frame is None:
            if data.strip() == END:
                return
        elif ended or reader.finished or finishes(frame):
            yield frame


def _add(pieces: list[list[Any]], ms: int, text: str) -> None:
    """Add a piece of text; what came in the same millisecond is one piece."""
    if pieces and pieces[-1][0] == ms:
        pieces[-1][1] += text
    else:
        pieces.append([ms, text])


def _told(usage: Usage) -> dict[str, Any]:
    """Return a usage object as Workers AI sends it."""
    told: dict[str, Any] = {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
    }
    if usage.cached_tokens:
        told["prompt_tokens_details"] = {"cached_tokens": usage.cached_tokens}
    return told | ({} if usage.neurons is None else {"neurons": usage.neurons})
