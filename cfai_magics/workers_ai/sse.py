"""Cuts a byte stream into server-sent events, by the rules of the WHATWG."""

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

LINE_END = re.compile(rb"\r\n|\n|\r")
DATA, END = b"data: ", b"\n\n"
MESSAGE = "message"


class Event(NamedTuple):
    """One event: its name ("message" where none was given) and its data, still undecoded."""

    name: str
    data: bytes


def events(chunks: Iterable[bytes]) -> Iterator[Event]:
    """Yield the events of a stream, however its bytes are cut into chunks.

    Splitting bytes, not text, leaves characters cut in two alone, and the line separators that
    JSON may hold. What follows the last empty line is no event.
    """
    lines, block = _Lines(), _Block()
    between_events = False
    for chunk in chunks:
        # Nearly every chunk is one whole event: not taking it apart saves a tenth of all the time.
        if between_events and _is_one_event(chunk):
            yield Event(MESSAGE, chunk[len(DATA) : -len(END)])
            continue
        yield from block.events(lines.completed_by(chunk))
        between_events = not (lines.rest or block.begun)
    yield from block.events(lines.left())


def _is_one_event(chunk: bytes) -> bool:
    return (
        chunk.startswith(DATA)
        and chunk.find(b"\n") == len(chunk) - len(END)
        and chunk.endswith(END)
        and b"\r" not in chunk
    )


class _Lines:
    """Puts chunks together into whole lines; CR LF, LF or CR end a line. `rest` has not ended."""

    def __init__(self) -> None:
        self.rest = b""
        self._begun = False

    def completed_by(self, chunk: bytes) -> list[bytes]:
        """Return the lines that end in this chunk."""
        rest = self.rest + chunk
        if not self._begun:
            if codecs.BOM_UTF8.startswith(rest):  # too short to tell a byte order mark
                self.rest = rest
                return []
            rest, self._begun = rest.removeprefix(codecs.BOM_UTF8), True
        # A CR at the end may be the first half of CR LF: it waits for the next chunk.
        held = b"\r" if rest.endswith(b"\r") else b""
        whole = rest[: len(rest) - len(held)]
        lines = LINE_END.split(whole) if b"\r" in whole else whole.split(b"\n")
        self.rest = lines.pop() + held
        return lines

    def left(self) -> list[bytes]:
        """Return the lines that the end of the stream ends."""
        return LINE_END.split(self.rest)[:-1]


class _Block:
    """Gathers the lines of one event up to the empty line that ends it."""

    def __init__(self) -> None:
        self._name = ""
        self._data: list[bytes] = []

    @property
    def begun(self) -> bool:
        """Whether a line of the next event has come."""
        return bool(self._data or self._name)

    def events(self, lines: Iterable[bytes]) -> Iterator[Event]:
        """Yield the events that these lines end."""
        for line in lines:
            if line:
                self._take(line)
                continue
            if self._data:
                yield Event(self._name or MESSAGE, b"\n".join(self._data))
            self._name, self._data = "", []

    def _take(self, line: bytes) -> None:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
        elif field == b"event":
            self._name = value.decode("utf-8", "replace")
