"""Cuts a byte stream into server-sent events, by the rules of the WHATWG."""

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..errors import ReplyTooLarge

LINE_END = re.compile(rb"\r\n|\n|\r")
DATA, END = b"data: ", b"\n\n"
MESSAGE = "message"
MAX_EVENT_BYTES = 64 * 2**20
LINE_BYTES = 64  # what keeping a line takes beside its bytes


class Event(NamedTuple):
    """One event: its name ("message" where none was given) and its data, still undecoded.

    It is not `ended` if the stream stopped before the empty line that ends an event.
    """

    name: str
    data: bytes
    ended: bool = True


def events(
    chunks: Iterable[bytes], *, rest: bool = False, limit: int = MAX_EVENT_BYTES
) -> Iterator[Event]:
    """Yield the events of a stream, however its bytes are cut into chunks.

    Splitting bytes, not text, leaves characters cut in two alone, and the line separators that
    JSON may hold. What follows the last empty line is no event by the standard: it is yielded
    only with `rest`. Raises ReplyTooLarge for an event of more bytes than `limit`.
    """
    lines, block = _Lines(), _Block()
    between_events = False
    for chunk in chunks:
        # Nearly every chunk is one whole event: not taking it apart saves a tenth of all the time.
        if between_events and _is_one_event(chunk):
            yield Event(MESSAGE, chunk[len(DATA) : -len(END)])
            continue
        yield from block.events(lines.completed_by(chunk))
        between_events = not (lines.size or block.size)
        if lines.size + block.size > limit:
            raise ReplyTooLarge(f"One event of the stream has more than {limit // 2**20} MB")
    yield from block.events(lines.left())
    if rest:
        yield from block.unended(lines.rest())


def _is_one_event(chunk: bytes) -> bool:
    return (
        chunk.startswith(DATA)
        and chunk.find(b"\n") == len(chunk) - len(END)
        and chunk.endswith(END)
        and b"\r" not in chunk
    )


class _Lines:
    """Puts chunks together into whole lines; CR LF, LF or CR end a line.

    `size` are the bytes of a line that has not ended; they are joined once, when it ends.
    """

    def __init__(self) -> None:
        self.size = 0
        self._parts: list[bytes] = []
        self._begun = False

    def completed_by(self, chunk: bytes) -> list[bytes]:
        """Return the lines that end in this chunk."""
        if self._goes_on(chunk):
            self._keep(chunk)
            return []
        rest = self._taken() + chunk
        if not self._begun:
            if codecs.BOM_UTF8.startswith(rest):  # too short to tell a byte order mark
                self._keep(rest)
                return []
            rest, self._begun = rest.removeprefix(codecs.BOM_UTF8), True
        # A CR at the end may be the first half of CR LF: it waits for the next chunk.
        held = b"\r" if rest.endswith(b"\r") else b""
        whole = rest[: len(rest) - len(held)]
        lines = LINE_END.split(whole) if b"\r" in whole else whole.split(b"\n")
        self._keep(lines.pop() + held)
        return lines

    def _goes_on(self, chunk: bytes) -> bool:
        """Whether the line that has not ended does not end in this chunk either."""
        if not self._begun or b"\n" in chunk or b"\r" in chunk:
            return False
        return not (self._parts and self._parts[-1].endswith(b"\r"))

    def _keep(self, part: bytes) -> None:
        if part:
            self._parts.append(part)
            self.size += len(part)

    def _taken(self) -> bytes:
        kept = b"".join(self._parts)
        self._parts, self.size = [], 0
        return kept

    def left(self) -> list[bytes]:
        """Return the lines that the end of the stream ends."""
        *lines, last = LINE_END.split(self._taken())
        self._keep(last)
        return lines

    def rest(self) -> bytes:
        """Return the line that the end of the stream cuts off, after `left`."""
        return self._taken()


class _Block:
    """Gathers the lines of one event up to the empty line that ends it; `size` are its bytes."""

    def __init__(self) -> None:
        self.size = 0
        self._name = ""
        self._data: list[bytes] = []

    def events(self, lines: Iterable[bytes]) -> Iterator[Event]:
        """Yield the events that these lines end."""
        for line in lines:
            if line:
                self._take(line)
                continue
            if self._data:
                yield Event(self._name or MESSAGE, b"\n".join(self._data))
            self._name, self._data, self.size = "", [], 0

    def unended(self, line: bytes) -> Iterator[Event]:
        """Yield what came of an event whose empty line never came, `line` as its last one."""
        if line:
            self._take(line)
        if self._data:
            yield Event(self._name or MESSAGE, b"\n".join(self._data), ended=False)

    def _take(self, line: bytes) -> None:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
            self.size += len(value) + LINE_BYTES
        elif field == b"event":
            self._name = value.decode("utf-8", "replace")
            self.size += len(value) + LINE_BYTES
