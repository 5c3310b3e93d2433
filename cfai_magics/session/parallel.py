"""Several calls at once: each a plain stream on a thread, their deltas told to one reader."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Protocol, Self

from ..errors import AllowanceUsedUp, CfaiError
from ..render.formats import next_try
from ..route.route import OnRetry
from ..values import Answer, Delta
from .answer_stream import AnswerStream

MOST_AT_ONCE = 8
LOOK_UP = 0.1  # s between two looks for an interrupt, which Windows gives to no waiting thread
PATIENCE = 2.0  # s that a thread which was hung up may take to end


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why nothing is coming of a call yet."""

    line: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A call that has ended: with its whole answer, or with what had arrived and the error."""

    answer: Answer
    error: CfaiError | None = None


Event = Delta | Waiting | Ended
Begin = Callable[[int, OnRetry], AnswerStream]


class Client(Protocol):
    """What the calls share, and nobody else."""

    def hang_up(self) -> None:
        """End at once what other threads wait for."""

    def close(self) -> None:
        """Close the connections."""


class Parallel:
    """The events of `count` calls as they come, each with the number of its call.

    `begin(number, on_retry)` gives a call's stream, which the ledger settles however it ends;
    `reserve` reserves for all of them, before the first is sent. Use it in a `with` block, which
    when it is left stops all that still runs; `answers` then has what arrived, `seconds` the
    time that all took together, and `unsent` the numbers of those that were not begun.
    """

    def __init__(
        self, count: int, begin: Begin, reserve: Callable[[], None], client: Client
    ) -> None:
        self._reserve = reserve
        self._client = client
        self._events: SimpleQueue[tuple[int, Event | BaseException]] = SimpleQueue()
        self._streams = [begin(number, self._teller(number)) for number in range(count)]
        self._waiting = deque(range(count))
        self._threads: list[Thread] = []
        self._whole: dict[int, Answer] = {}
        self._started = time.monotonic()
        self.seconds = 0.0
        self.unsent: frozenset[int] = frozenset()
        self._used_up: AllowanceUsedUp | None = None  # then no other need be sent

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def answers(self) -> tuple[Answer, ...]:
        """What has arrived of each answer."""
        streams = enumerate(self._streams)
        return tuple(self._whole.get(at) or stream.answer for at, stream in streams)

    def __iter__(self) -> Iterator[tuple[int, Event]]:
        self._reserve()
        self._started = time.monotonic()
        for _ in range(min(MOST_AT_ONCE, len(self._streams))):
            thread = Thread(target=self._work, name="cfai", daemon=True)
            self._threads.append(thread)
            thread.start()
        running = len(self._streams)
        while running:
            number, event = self._next()
            if isinstance(event, BaseException):
                raise event
            if isinstance(event, Ended):
                self._whole[number] = event.answer
                running -= 1
            yield number, event

    def _next(self) -> tuple[int, Event | BaseException]:
        while True:
            try:
                return self._events.get(timeout=LOOK_UP)
            except Empty:
                continue

    def close(self) -> None:
        """Stop all calls at once and book what had arrived; those not yet begun cost nothing."""
        self.seconds = time.monotonic() - self._started
        self.unsent = frozenset(self._waiting)
        self._waiting.clear()
        for stream in self._streams:
            stream.interrupt()
        self._client.hang_up()
        deadline = time.monotonic() + PATIENCE
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        for stream in self._streams:
            stream.close()
        self._client.close()

    # --- on the threads

    def _teller(self, number: int) -> OnRetry:
        def tell(error: CfaiError, pause: float, next_number: int) -> None:
            self._events.put((number, Waiting(next_try(error, pause, next_number))))

        return tell

    def _work(self) -> None:
        """Make one call after the other, until none waits."""
        while True:
            try:
                number = self._waiting.popleft()
            except IndexError:
                return
            self._events.put((number, self._call(number)))

    def _call(self, number: int) -> Ended | BaseException:
        stream = self._streams[number]
        if self._used_up:
            stream.close()
            return Ended(stream.answer, self._used_up)
        try:
            for delta in stream:
                self._events.put((number, delta))
        except CfaiError as error:
            if isinstance(error, AllowanceUsedUp):
                self._used_up = error
            return Ended(stream.answer, error)
        except BaseException as bug:  # noqa: BLE001 - the reader raises it
            return bug
        return Ended(stream.answer)
