"""Cuts a byte stream into server-sent events, by the rules of the WHATWG."""

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

LINE_END = re.compile(rb"\r\n|\n|\r")


class Event(NamedTuple):
    """One event: its name ("message" where none was given) and its data, still undecoded."""

    name: str
    data: bytes


def events(chunks: Iterable[bytes]) -> Iterator[Event]:
    """Yield the events of a stream, however its bytes are cut into chunks.

    Splitting bytes, not text, leaves characters cut in two alone, and the line separators that
    JSON may hold. What follows the last empty line is no event.
    """
    name = ""
    data: list[bytes] = []
    for line in _lines(chunks):
        if not line:
            if data:
                yield Event(name or "message", data[0] if len(data) == 1 else b"\n".join(data))
            name, data = "", []
        elif line.startswith(b"data:"):
            data.append(line[6:] if line[5:6] == b" " else line[5:])
        elif line.startswith(b"event:"):
            name = line[6:].strip().decode("utf-8", "replace")
        elif line == b"data":
            data.append(b"")


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield whole lines, ended by CR LF, LF or CR."""
    rest = b""
    begun = False
    for chunk in chunks:
        rest += chunk
        if not begun:
            if codecs.BOM_UTF8.startswith(rest):  # too short to tell a byte order mark
                continue
            rest, begun = rest.removeprefix(codecs.BOM_UTF8), True
        # A CR at the end may be the first half of CR LF: it waits for the next chunk.
        held = b"\r" if rest.endswith(b"\r") else b""
        whole = rest[: len(rest) - len(held)]
        lines = LINE_END.split(whole) if b"\r" in whole else whole.split(b"\n")
        rest = lines.pop() + held
        yield from lines
    yield from LINE_END.split(rest)[:-1]
