"""Encode events as bytes of a stream, and split the bytes."""

import re
from collections.abc import Mapping
from typing import Any

from .reply import dumped

DONE = b"data: [DONE]\n\n"
COMMENT = b": keep-alive\n\n"
# Unknown events, fields and values without a part of an answer.
JUNK = (
    b'event: ping\ndata: {"type":"ping"}\n\n',
    b"id: 7\nretry: 100\n\n",
    b"data: {}\n\n",
    b"data: null\n\n",
    b"data: not json\n\n",
    b'data: {"choices":null}\n\n',
    b'data: {"choices":[{"delta":null}]}\n\n',
    b'data: {"tool_calls":[],"p":"abdefgh"}\n\n',
    b"data:\n\n",
    b"unknown\n\n",
)
BYTES_OF_A_LONG_CHARACTER = re.compile(rb"[\xc2-\xf4](?=[\x80-\xbf])")


def frame(data: Mapping[str, Any]) -> bytes:
    """Return one event."""
    return b"data: " + dumped(data) + b"\n\n"


def with_crlf(frame: bytes) -> bytes:
    """Return a frame with CR LF line ends."""
    return frame.replace(b"\n", b"\r\n")


def cut_inside_characters(frame: bytes) -> list[bytes]:
    """Split a frame after the first byte of each multi-byte character."""
    ends = [match.end() for match in BYTES_OF_A_LONG_CHARACTER.finditer(frame)]
    starts = [0, *ends]
    return [frame[start:end] for start, end in zip(starts, [*ends, len(frame)], strict=True)]
