"""Notify callbacks when a session changes, and track its active calls."""

import logging
import threading
import time
from collections.abc import Callable
from itertools import count
from typing import Protocol

from .. import forks
from ..errors import CfaiError
from ..types.usage import ActiveCall

MIN_INTERVAL = 0.25  # s between two progress notifications of calls
POLL_SECONDS = 1.0  # s between two checks for changes by other kernels
JOIN_TIMEOUT = 2.0  # s to wait for a callback that still runs

Callback = Callable[[], None]
Unwatch = Callable[[], None]
_log = logging.getLogger(__name__)


class Resource(Protocol):
    """An object attached to a session and closed together with it, such as a panel."""

    def close(self) -> None:
        """Release all resources."""


class Observers(forks.ChildForkHook):
    """The callbacks and active calls of one session; callbacks read the changed state themselves.

    Callbacks run on the thread that made the change; `is_watched` is True while there are any.
    `poll_version` returns a different value after another kernel has changed something. A thread
    calls it once per second while there are callbacks. Exceptions of a callback are logged and do
    not reach the caller. A forked child does not call the callbacks of its parent.
    """

    def __init__(
        self, poll_version: Callable[[], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._poll_version = poll_version
        self._clock = clock
        self._lock = threading.Lock()
        self._ids = count()
        self._callbacks: dict[int, Callback] = {}
        self.is_watched = False  # an attribute: it is read for each delta of an answer
        self._active_calls: dict[int, ActiveCall] = {}
        self._next_notification = 0.0
        self._stop: threading.Event | None = None
        self._threads: list[threading.Thread] = []
        forks.register(self)

    def after_fork_in_child(self) -> None:
        """Drop the parent's callbacks, calls and thread."""
        self._lock = threading.Lock()
        self._callbacks = {}
        self.is_watched = False
        self._active_calls = {}
        self._stop = None
        self._threads = []

    def add(self, callback: Callback) -> Unwatch:
        """Register a callback and return a function that removes it."""
        with self._lock:
            callback_id = next(self._ids)
            self._callbacks[callback_id] = callback
            self.is_watched = True
            if self._stop is None:
                self._stop = threading.Event()
                # changes by other kernels from now on are reported
                poll_args = (
                    self._stop,
                    self._current_version(),
                )
                thread = threading.Thread(
                    target=self._poll, args=poll_args, name="cfai-watch", daemon=True
                )
                self._threads = [old for old in self._threads if old.is_alive()]
                self._threads.append(thread)
                thread.start()
        return lambda: self._remove(callback_id)

    def _remove(self, callback_id: int) -> None:
        with self._lock:
            self._callbacks.pop(callback_id, None)
            self.is_watched = bool(self._callbacks)
            if not self.is_watched:
                self._active_calls.clear()
            if not self.is_watched and self._stop is not None:
                self._stop.set()
                self._stop = None

    def close(self) -> None:
        """Remove all callbacks and join the thread: a later poll would reopen the ledger."""
        for callback_id in list(self._callbacks):
            self._remove(callback_id)
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(JOIN_TIMEOUT)

    def notify(self) -> None:
        """Call all callbacks."""
        for callback in tuple(self._callbacks.values()):
            try:
                callback()
            except Exception:  # noqa: BLE001 - a callback must not stop the call
                _log.exception("A callback of this session failed")

    def _poll(self, stop: threading.Event, last_version: object) -> None:
        while not stop.wait(POLL_SECONDS):
            version = self._current_version()
            if version != last_version:
                last_version = version
                self.notify()

    def _current_version(self) -> object:
        try:
            return self._poll_version()
        except CfaiError:  # an unreadable file is reported by the code that uses it
            return None

    # --- calls

    @property
    def active_calls(self) -> tuple[ActiveCall, ...]:
        """The calls in progress, with their usage so far; empty without callbacks."""
        with self._lock:
            return tuple(self._active_calls.values())

    def call_started(self, call_id: int, model: str) -> None:
        """Add a call in progress and notify."""
        self._update_call(call_id, ActiveCall(model))

    def call_progress(self, call_id: int, get_active_call: Callable[[], ActiveCall]) -> None:
        """Update a call's progress and notify, at most once per MIN_INTERVAL."""
        if self.is_watched and self._clock() >= self._next_notification:
            self._next_notification = self._clock() + MIN_INTERVAL
            self._update_call(call_id, get_active_call())

    def _update_call(self, call_id: int, active_call: ActiveCall) -> None:
        with self._lock:
            self._active_calls[call_id] = active_call
        self.notify()

    def call_finished(self, call_id: int) -> None:
        """Remove a call that is settled in the ledger, and notify."""
        with self._lock:
            self._active_calls.pop(call_id, None)
        self.notify()
