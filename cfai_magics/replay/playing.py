"""Plays a recorded answer as the bytes that a server would have sent, in its rhythm or at once."""

import json
import struct
from base64 import b64decode
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from .record import Reply

PER_FLOAT = 4  # bytes
DIGITS = 9  # with so many, a 32-bit float is told from every other


class Piece(NamedTuple):
    """Some bytes, and the milliseconds after the request at which they came."""

    ms: float
    content: bytes


class Played(NamedTuple):
    """One reply: its headers, and its pieces in their order."""

    headers: Mapping[str, str]
    pieces: Iterator[Piece]


def played(reply: Reply, *, streamed: bool) -> Played:
    """Return a recorded reply in the form in which it is asked for now."""
    headers = {} if reply.get("neurons") is None else {"cf-ai-neurons": str(reply["neurons"])}
    if "base64" in reply:
        content = b64decode(reply["base64"], validate=True)
        return Played({**headers, "content-type": reply["type"]}, _whole(reply, content))
    if "stream" in reply and streamed:
        return Played({"content-type": "text/event-stream"}, _events(reply["stream"], reply["ms"]))
    body = json.dumps(_body(reply)).encode()
    return Played({**headers, "content-type": "application/json"}, _whole(reply, body))


def playable(replies: Iterable[Reply]) -> bool:
    """Whether replies can be played to their end, in either form."""
    try:
        for reply in replies:
            for streamed in (True, False):
                deque(played(reply, streamed=streamed).pieces, maxlen=0)
    except (ValueError, KeyError, TypeError, AttributeError, struct.error):
        return False
    return True


def _whole(reply: Reply, content: bytes) -> Iterator[Piece]:
    yield Piece(reply["ms"], content)


def _events(told: Mapping[str, Any], ms: float) -> Iterator[Piece]:
    pieces = [
        *((at, 0, {"reasoning_content": text}) for at, text in told["thought"]),
        *((at, 1, {"content": text}) for at, text in told["text"]),
    ]
    for at, _, delta in sorted(pieces, key=lambda piece: piece[:2]):
        yield Piece(at, _event({"choices": [{"index": 0, "delta": delta}]}))
    calls = [{"index": place, **call} for place, call in enumerate(_calls(told))]
    end = {"index": 0, "delta": {"tool_calls": calls} if calls else {}, **_finish(told)}
    yield Piece(ms, _event({"choices": [end]}))
    yield Piece(ms, _event({"choices": [], "usage": told["usage"]}))
    yield Piece(ms, b"data: [DONE]\n\n")


def _event(frame: Mapping[str, Any]) -> bytes:
    return f"data: {json.dumps(frame)}\n\n".encode()


def _finish(told: Mapping[str, Any]) -> dict[str, Any]:
    return {} if told["finish"] == "unknown" else {"finish_reason": told["finish"]}


def _calls(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "id": call["id"],
            "type": "function",
            "function": {"name": call["name"], "arguments": call["arguments"]},
        }
        for call in told["tool_calls"]
    ]


def _body(reply: Reply) -> Any:
    if "json" in reply:
        return reply["json"]
    if "vectors" in reply:
        data = [
            {"index": place, "embedding": _unpacked(vector)}
            for place, vector in enumerate(reply["vectors"])
        ]
        return {"data": data, **({"usage": reply["usage"]} if reply.get("usage") else {})}
    return _completion(reply["stream"])


def _unpacked(vector: str) -> list[float]:
    content = b64decode(vector, validate=True)
    numbers = struct.unpack(f"<{len(content) // PER_FLOAT}f", content)
    return [float(f"{number:.{DIGITS}g}") for number in numbers]


def _completion(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return a streamed answer as one that was not."""
    thought, text = ("".join(text for _, text in told[name]) for name in ("thought", "text"))
    message = {
        "role": "assistant",
        "content": text,
        **({"reasoning_content": thought} if thought else {}),
        **({"tool_calls": _calls(told)} if told["tool_calls"] else {}),
    }
    choice = {"index": 0, "message": message, **_finish(told)}
    return {"object": "chat.completion", "choices": [choice], "usage": told["usage"]}
