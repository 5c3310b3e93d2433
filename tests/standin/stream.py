"""Send the events of a stream at a given speed, with the errors set by switches."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import chain, cycle
from typing import NamedTuple
from uuid import uuid4

from . import sse
from .chunks import Event
from .errors import Fault, body
from .ledger import Tab
from .reply import HangUp, Piece
from .switches import Switches

# Frames between yields to the event loop, so that it serves other clients.
FRAMES_BETWEEN_REST = 16


class Frame(NamedTuple):
    """An event as bytes, with the number of tokens it carries."""

    data: bytes
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Pace:
    """Schedule of the tokens; it is absolute, so that delays do not accumulate."""

    start: float
    tokens_per_second: float

    async def wait(self, sent: int) -> None:
        """Wait until the token after `sent` tokens is due."""
        if self.tokens_per_second:
            due = self.start + sent / self.tokens_per_second
            delay = due - asyncio.get_running_loop().time()
            if delay > 0:
                await asyncio.sleep(delay)


async def streamed(
    events: Iterable[Event], switches: Switches, call: AbstractContextManager[Tab], total: int
) -> AsyncGenerator[Piece, None]:
    """Yield the pieces of a streamed body; the call is billed before the last piece."""
    with call as tab:
        await asyncio.sleep(switches.delay_before_first)
        pace = Pace(asyncio.get_running_loop().time(), switches.tokens_per_second)
        for number, (frame, last) in enumerate(with_last(frames(events, switches))):
            check_drop(switches, tab)
            if frame.tokens:
                await pace.wait(tab.completion)
            tab.completion += frame.tokens
            if last:
                settle(switches, tab, total)
            for piece in pieces(frame.data, switches, last=last):
                yield piece
                if switches.split_utf8:
                    await asyncio.sleep(0)
            if number % FRAMES_BETWEEN_REST == 0:
                await asyncio.sleep(0)


async def verbatim(
    switches: Switches, call: AbstractContextManager[Tab], total: int
) -> AsyncGenerator[Piece, None]:
    """Yield the pieces of `raw_stream`, then end the body or close the connection."""
    with call as tab:
        tab.completion = total
        tab.settle()
        for piece in switches.raw_stream or ():
            yield Piece(piece.encode(errors="surrogateescape"))
            await asyncio.sleep(0)
        if switches.raw_stream_breaks:
            raise HangUp


def settle(switches: Switches, tab: Tab, total: int) -> None:
    """Bill the complete call, or the sent tokens if it ends with an error."""
    if switches.error_in_stream_after is None:
        tab.completion = total
    tab.settle()


def check_drop(switches: Switches, tab: Tab) -> None:
    """Close the connection if a switch says so."""
    limit = switches.drop_connection_after
    if limit is not None and tab.completion >= limit:
        raise HangUp


def frames(events: Iterable[Event], switches: Switches) -> Iterator[Frame]:
    """Yield all frames: events, comments and junk between them, and [DONE]."""
    cut = cut_by_error(events, switches)
    wordings = (Frame(sse.frame(event.data), event.tokens) for event in cut)
    ends = switches.done and switches.error_in_stream_after is None
    end = [Frame(sse.DONE)] if ends else []
    result = strew(chain(wordings, end), switches)
    if not switches.crlf:
        return result
    return (Frame(sse.with_crlf(frame.data), frame.tokens) for frame in result)


def cut_by_error(events: Iterable[Event], switches: Switches) -> Iterator[Event]:
    """Yield events up to the token set by the switches, then the error."""
    limit, sent = switches.error_in_stream_after, 0
    for event in events:
        if limit is not None and sent + event.tokens > limit:
            break
        sent += event.tokens
        yield event
    if limit is not None:
        yield Event(body(switches.error or Fault(), str(uuid4())))


def strew(frames: Iterable[Frame], switches: Switches) -> Iterator[Frame]:
    """Yield comments and junk before each frame, if the switches enable them."""
    junk = cycle(sse.JUNK)
    for frame in frames:
        if switches.comments:
            yield Frame(sse.COMMENT)
        if switches.junk_frames:
            yield Frame(next(junk))
        yield frame


def with_last(frames: Iterator[Frame]) -> Iterator[tuple[Frame, bool]]:
    """Yield each frame with True if it is the last one."""
    waiting = next(frames, None)
    while waiting is not None:
        frame, waiting = waiting, next(frames, None)
        yield frame, waiting is None


def pieces(data: bytes, switches: Switches, *, last: bool) -> list[Piece]:
    """Return a frame as one piece, or split inside its characters."""
    cut = sse.cut_inside_characters(data) if switches.split_utf8 else [data]
    return [*(Piece(one) for one in cut[:-1]), Piece(cut[-1], last)]
