"""Notify callbacks when a session changes, and track the session's active calls."""

import logging
import threading
import time
from collections.abc import Callable
from itertools import count
from typing import Protocol

from .. import forks, runtime
from ..errors import CfaiError
from ..types.usage import ActiveCall

MIN_INTERVAL = 0.25  # seconds between progress notifications
POLL_SECONDS = 1.0  # seconds between checks for changes by other kernels
JOIN_TIMEOUT = 2.0  # seconds to wait for a callback that is still running

Callback = Callable[[], None]
Unwatch = Callable[[], None]
_log = logging.getLogger(__name__)


class Resource(Protocol):
    """An object, such as a panel, that is attached to a session and closed with the session."""

    def close(self) -> None:
        """Close the object."""


class Observers(forks.ChildForkHook):
    """The callbacks and active calls of one session.

    Callbacks take no arguments and read the changed state themselves. They run on the thread
    that made the change. Exceptions raised by a callback are logged and do not reach the caller.
    `is_watched` is True while at least one callback is registered.

    `poll_version` returns a different value after another kernel makes a change. While callbacks
    are registered, a background thread calls `poll_version` once per second. If the value has
    changed, that thread runs the callbacks. A forked child does not run its parent's callbacks.
    Without threads, changes by other kernels are not noticed.
    """

    def __init__(
        self, poll_version: Callable[[], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._poll_version = poll_version
        self._clock = clock
        self._lock = threading.Lock()
        self._ids = count()
        self._callbacks: dict[int, Callback] = {}
        self.is_watched = False  # a plain attribute, because it is read for each answer delta
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
        """Register a callback, and return a function that removes the callback."""
        with self._lock:
            callback_id = next(self._ids)
            self._callbacks[callback_id] = callback
            self.is_watched = True
            if self._stop is None and runtime.HAS_THREADS:
                self._stop = threading.Event()
                # report changes that other kernels make from now on
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
        """Remove all callbacks, and wait for the polling thread to end.

        Otherwise, a later poll would reopen the ledger.
        """
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
        except CfaiError:  # an unreadable file is reported by the code that needs the file
            return None

    # --- calls

    @property
    def active_calls(self) -> tuple[ActiveCall, ...]:
        """The calls in progress, with their usage so far. Empty if no callback is registered."""
        with self._lock:
            return tuple(self._active_calls.values())

    def call_started(self, call_id: int, model: str) -> None:
        """Add a call in progress, and notify the callbacks."""
        self._update_call(call_id, ActiveCall(model))

    def call_progress(self, call_id: int, get_active_call: Callable[[], ActiveCall]) -> None:
        """Update a call's progress and notify the callbacks.

        Updates within MIN_INTERVAL seconds of the previous update are skipped.
        """
        if self.is_watched and self._clock() >= self._next_notification:
            self._next_notification = self._clock() + MIN_INTERVAL
            self._update_call(call_id, get_active_call())

    def _update_call(self, call_id: int, active_call: ActiveCall) -> None:
        with self._lock:
            self._active_calls[call_id] = active_call
        self.notify()

    def call_finished(self, call_id: int) -> None:
        """Remove a call that has been settled in the ledger, and notify the callbacks."""
        with self._lock:
            self._active_calls.pop(call_id, None)
        self.notify()
