"""Let the page stop what a kernel in the browser waits for.

JupyterLite handles messages to a kernel one after the other, so a comm message would wait until
the cell has ended (jupyterlite#459). Messages of a BroadcastChannel arrive while Python waits.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol
from uuid import uuid4

# Parts of Pyodide. This module is only imported there.
import js
from pyodide.ffi import can_run_sync, create_proxy, run_sync

READY, STOP = "ready", "stop"  # messages of the page: it has a Stop button; the user pressed it
LINGER = 0.3  # seconds before the page hides its button, because another request may follow


class StoppableRequest(Protocol):
    """Something that Python waits for."""

    def stop(self) -> None:
        """End it, as Ctrl-C does on a desktop."""

    def remove_deadline(self) -> None:
        """Let it take as long as it needs."""


class _StopChannel:
    """The channel on which a page asks to stop the requests in progress."""

    def __init__(self, notify: Callable[[bool], None]) -> None:
        self.name = f"cfai-magics:stop:{uuid4()}"
        self.has_button = False
        self._notify = notify
        self._requests: list[StoppableRequest] = []
        self._is_active = False  # what the page was told
        self._timer: asyncio.TimerHandle | None = None
        self._channel = js.BroadcastChannel.new(self.name)
        self._listener = create_proxy(self._on_message)
        self._channel.addEventListener("message", self._listener)

    def add(self, request: StoppableRequest) -> None:
        self._requests.append(request)
        if self._timer is not None:
            self._timer.cancel()
        if not self._is_active:
            self._tell(is_active=True)

    def remove(self, request: StoppableRequest) -> None:
        if request in self._requests:
            self._requests.remove(request)
            if not self._requests:
                loop = asyncio.get_event_loop()
                self._timer = loop.call_later(LINGER, lambda: self._tell(is_active=False))

    def close(self) -> None:
        self._channel.close()
        self._listener.destroy()

    def _tell(self, *, is_active: bool) -> None:
        self._is_active = is_active
        self._notify(is_active)

    def _on_message(self, event: Any) -> None:
        if event.data == READY:
            self.has_button = True
            for request in self._requests:
                request.remove_deadline()
        elif event.data == STOP:
            for request in tuple(self._requests):
                request.stop()


_channel: _StopChannel | None = None


def open_channel(notify: Callable[[bool], None]) -> str | None:
    """Open the BroadcastChannel of this kernel, and return its name, or None without JSPI.

    `notify` is called with True when a request starts, and with False after the last one.
    """
    global _channel  # noqa: PLW0603 - a kernel has one channel
    close_channel()
    if not (can_run_sync() and hasattr(js, "BroadcastChannel")):
        return None
    _channel = _StopChannel(notify)
    return _channel.name


def close_channel() -> None:
    """Close the channel of this kernel."""
    global _channel  # noqa: PLW0603 - a kernel has one channel
    if _channel is not None:
        _channel.close()
        _channel = None


def has_stop_button() -> bool:
    """Return whether the page shows a Stop button while a request is in progress."""
    return _channel is not None and _channel.has_button


def add_request(request: StoppableRequest) -> None:
    """Let the page stop a request, too."""
    if _channel is not None:
        _channel.add(request)


def remove_request(request: StoppableRequest) -> None:
    """Forget a request that has ended."""
    if _channel is not None:
        _channel.remove(request)


class _Pause:
    """A wait that ends after a number of seconds, or when the user presses Stop."""

    def __init__(self, seconds: float) -> None:
        loop = asyncio.get_event_loop()
        self.is_stopped: asyncio.Future[bool] = loop.create_future()
        self._timer = loop.call_later(seconds, lambda: self._end(is_stopped=False))

    def stop(self) -> None:
        self._timer.cancel()
        self._end(is_stopped=True)

    def remove_deadline(self) -> None:
        """Do nothing: the wait ends by itself."""

    def _end(self, *, is_stopped: bool) -> None:
        if not self.is_stopped.done():
            self.is_stopped.set_result(is_stopped)


def sleep(seconds: float) -> None:
    """Wait a number of seconds.

    Raises:
        KeyboardInterrupt: The user pressed Stop.
    """
    if not can_run_sync():
        time.sleep(seconds)
        return
    pause = _Pause(seconds)
    add_request(pause)
    try:
        is_stopped = run_sync(pause.is_stopped)
    finally:
        remove_request(pause)
    if is_stopped:
        raise KeyboardInterrupt
