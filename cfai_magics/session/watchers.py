"""Owns who is told when something of a session changes, and the calls that run just now."""

import logging
import threading
import time
from collections.abc import Callable
from itertools import count
from typing import Protocol

from .. import forks
from ..errors import CfaiError
from ..values import Running

PAUSE = 0.25  # s between two tellings while an answer comes
EVERY = 1.0  # s between two looks at what others have changed
PATIENCE = 2.0  # s that a callback which still runs may take to end

Callback = Callable[[], None]
Unwatch = Callable[[], None]
_log = logging.getLogger(__name__)


class Attached(Protocol):
    """What watches a session as long as that lives: closed with it."""

    def close(self) -> None:
        """Free everything."""


class Watchers(forks.InChild):
    """Tells all who watch that something has changed; they look for themselves at what.

    They are told on the thread that changed it. `look` returns another value whenever others,
    such as other kernels, have changed something; it is asked once a second, on a thread that is
    there only while somebody watches. What a watcher raises is logged and hurts nobody. In a
    forked child no callback of the parent is called.
    """

    def __init__(
        self, look: Callable[[], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._look = look
        self._clock = clock
        self._lock = threading.Lock()
        self._numbers = count()
        self._callbacks: dict[int, Callback] = {}
        self._running: dict[int, Running] = {}
        self._next = 0.0
        self._stop: threading.Event | None = None
        self._threads: list[threading.Thread] = []
        forks.register(self)

    def in_child(self) -> None:
        """Begin without the parent's callbacks, calls and thread."""
        self._lock = threading.Lock()
        self._callbacks = {}
        self._running = {}
        self._stop = None
        self._threads = []

    def add(self, callback: Callback) -> Unwatch:
        """Tell the callback from here on; call what is returned to end that."""
        with self._lock:
            number = next(self._numbers)
            self._callbacks[number] = callback
            if self._stop is None:
                self._stop = threading.Event()
                follow = (self._stop, self._seen())  # what others change from now on is told
                thread = threading.Thread(
                    target=self._follow, args=follow, name="cfai-watch", daemon=True
                )
                self._threads = [each for each in self._threads if each.is_alive()]
                self._threads.append(thread)
                thread.start()
        return lambda: self._remove(number)

    def _remove(self, number: int) -> None:
        with self._lock:
            self._callbacks.pop(number, None)
            if not self._callbacks and self._stop is not None:
                self._stop.set()
                self._stop = None

    def close(self) -> None:
        """Stop telling, and wait for the thread: a later look would open the ledger again."""
        for number in list(self._callbacks):
            self._remove(number)
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(PATIENCE)

    def tell(self) -> None:
        """Tell all who watch."""
        for callback in tuple(self._callbacks.values()):
            try:
                callback()
            except Exception:  # noqa: BLE001 - whatever it is, the call goes on
                _log.exception("What watches this session failed")

    def _follow(self, stop: threading.Event, seen: object) -> None:
        while not stop.wait(EVERY):
            now = self._seen()
            if now != seen:
                seen = now
                self.tell()

    def _seen(self) -> object:
        try:
            return self._look()
        except CfaiError:  # the file can't be read now; whoever uses it says so
            return None

    # --- calls

    @property
    def running(self) -> tuple[Running, ...]:
        """The calls that run just now, with what each has used so far."""
        with self._lock:
            return tuple(self._running.values())

    def begun(self, number: int, model: str) -> None:
        """Note that a call runs from now on."""
        self._note(number, Running(model))

    def progress(self, number: int, running: Callable[[], Running]) -> None:
        """Note how far a call is, unless the watchers were only just told."""
        if self._callbacks and self._clock() >= self._next:
            self._next = self._clock() + PAUSE
            self._note(number, running())

    def _note(self, number: int, running: Running) -> None:
        with self._lock:
            self._running[number] = running
        self.tell()

    def ended(self, number: int) -> None:
        """Note that a call has ended and stands in the ledger."""
        with self._lock:
            self._running.pop(number, None)
        self.tell()
