"""Some threads that do one thing after the other, for one reader who may stop them at once."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Generic, Self, TypeVar

LOOK_UP = 0.1  # s between two looks for an interrupt, which Windows gives to no waiting thread
PATIENCE = 5.0  # s that a thread which was stopped may take to end

Thing = TypeVar("Thing")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Failed:
    """What a thread raised, for the reader to raise."""

    error: BaseException


class Crew(Generic[Thing, Result]):
    """The results of `work` on each thing, as they come, by `size` threads.

    Use it in a `with` block: when it is left, no thread begins another thing, `stop` is called to
    end what they wait for, and they have ended. `idle` is called now and then while none comes.
    """

    def __init__(
        self,
        size: int,
        things: Iterable[Thing],
        work: Callable[[Thing], Result],
        stop: Callable[[], None],
        idle: Callable[[], None] = lambda: None,
    ) -> None:
        self._things = deque(things)
        self._work = work
        self._stop = stop
        self._idle = idle
        self._left = len(self._things)
        self._results: SimpleQueue[Result | Failed] = SimpleQueue()
        count = min(size, self._left)
        self._threads = [Thread(target=self._run, name="cfai", daemon=True) for _ in range(count)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._things.clear()
        if self._left:
            self._stop()
        for thread in self._threads:
            if thread.ident is not None:  # started
                thread.join(PATIENCE)

    def __iter__(self) -> Iterator[Result]:
        for thread in self._threads:  # here an interrupt reaches `__exit__`, not in `__enter__`
            thread.start()
        while self._left:
            try:
                result = self._results.get(timeout=LOOK_UP)
            except Empty:
                self._idle()
                continue
            self._left -= 1
            if isinstance(result, Failed):
                raise result.error
            yield result

    def _run(self) -> None:
        while True:
            try:
                thing = self._things.popleft()
            except IndexError:
                return
            try:
                self._results.put(self._work(thing))
            except BaseException as error:  # noqa: BLE001 - the reader raises it
                self._things.clear()  # no thread begins another
                self._results.put(Failed(error))
