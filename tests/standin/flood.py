"""Endless or compressed responses, as a broken or hostile server sends them."""

import asyncio
import itertools
import zlib
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .reply import Piece, Reply
from .sse import COMMENT, frame

PIECE = 2**16  # bytes
SECONDS_BETWEEN_DRIPS = 0.02


@dataclass(frozen=True, slots=True)
class Flood:
    """Headers of a response, its endless pieces, and the seconds between them."""

    content_type: str
    pieces: Iterable[bytes]
    headers: Mapping[str, str]
    pause: float = 0.0


def text(content: str) -> bytes:
    """Return an event with a text delta."""
    return frame({"choices": [{"index": 0, "delta": {"content": content}}]})


def arguments(content: str) -> bytes:
    """Return an event with a tool call delta."""
    call = {"index": 0, "id": "call_1", "function": {"name": "add", "arguments": content}}
    return frame({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]})


def bomb(wbits: int) -> Iterator[bytes]:
    """Yield endless spaces, compressed about 1000:1."""
    packer = zlib.compressobj(9, wbits=wbits)
    spaces = b" " * 2**24
    for _ in itertools.count():
        yield packer.compress(spaces) + packer.flush(zlib.Z_SYNC_FLUSH)


def flood(kind: str) -> Flood:
    """Return the flood with this name. Raises KeyError if it is unknown."""
    spaces = itertools.repeat(b" " * PIECE)
    json, stream = "application/json", "text/event-stream"
    gzip = {"content-encoding": "gzip"}
    kinds: Mapping[str, Any] = {
        "spaces": lambda: Flood(json, spaces, {}),
        "drips": lambda: Flood(json, itertools.repeat(b" "), {}, SECONDS_BETWEEN_DRIPS),
        "gzip": lambda: Flood(json, bomb(zlib.MAX_WBITS | 16), gzip),
        "gzip stream": lambda: Flood(stream, bomb(zlib.MAX_WBITS | 16), gzip),
        "deflate": lambda: Flood(json, bomb(zlib.MAX_WBITS), {"content-encoding": "deflate"}),
        "gzip twice": lambda: Flood(json, bomb(31), {"content-encoding": "gzip, gzip"}),
        "brotli": lambda: Flood(json, spaces, {"content-encoding": "br"}),
        "one event": lambda: Flood(stream, itertools.chain([b"data: {"], spaces), {}),
        "lines of one event": lambda: Flood(stream, itertools.repeat(b"data: x\n" * 8192), {}),
        "comment": lambda: Flood(stream, itertools.repeat(COMMENT), {}, SECONDS_BETWEEN_DRIPS),
        "pings": lambda: Flood(
            stream, itertools.repeat(frame({"type": "ping"})), {}, SECONDS_BETWEEN_DRIPS
        ),
        "empty frames": lambda: Flood(
            stream, itertools.repeat(text("")), {}, SECONDS_BETWEEN_DRIPS
        ),
        "text": lambda: Flood(stream, itertools.repeat(text("word ")), {}),
        "long texts": lambda: Flood(stream, itertools.repeat(text("word " * 1000)), {}),
        "arguments": lambda: Flood(stream, itertools.repeat(arguments('{"a":')), {}),
        "page": lambda: Flood("text/html", itertools.repeat(b"<title" * 10_000), {}),
        "bytes": lambda: Flood("image/png", spaces, {}),
    }
    result: Flood = kinds[kind]()
    return result


def reply(kind: str, status: int) -> Reply:
    """Return the flood as the response to any request."""
    found = flood(kind)
    return Reply(poured(found), status, found.content_type, found.headers)


async def poured(found: Flood) -> AsyncGenerator[Piece, None]:
    """Yield the pieces until the client leaves."""
    for piece in found.pieces:
        yield Piece(piece)
        await asyncio.sleep(found.pause)
