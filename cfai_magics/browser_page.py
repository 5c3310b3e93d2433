"""The page of a kernel in the browser, which stops requests and keeps credentials.

JupyterLite handles messages to a kernel one after the other, so a comm message would wait until
the cell has ended (jupyterlite#459). Messages of a BroadcastChannel arrive while Python waits. Its
name is random, so that other pages of the same origin do not receive them.
"""

import asyncio
import time
from collections.abc import Callable
from math import inf
from typing import Any, Protocol
from uuid import uuid4

# Parts of Pyodide. This module is only imported there.
import js
from pyodide.ffi import can_run_sync, create_proxy, run_sync, to_js

LINGER = 0.3  # seconds before the page hides its Stop button, because another request may follow
READY_TIMEOUT = 2.0  # seconds to wait for the first message of the page, once per kernel


class StoppableRequest(Protocol):
    """Something that Python waits for."""

    def stop(self) -> None:
        """End it, as Ctrl-C does on a desktop."""

    def remove_deadline(self) -> None:
        """Let it take as long as it needs."""


class Page:
    """The page, over the BroadcastChannel of this kernel.

    Attributes:
        name: The name of the channel.
        is_ready: Whether the page has sent its first message.
        credentials: The text that the page keeps, or None.
        keeps_credentials: Whether the page keeps it after the tab is closed.
    """

    def __init__(self, notify: Callable[[bool], None]) -> None:
        self.name = f"cfai-magics:{uuid4()}"
        self.is_ready = False
        self.credentials: str | None = None
        self.keeps_credentials = False
        self._notify = notify
        self._deadline = inf  # of the first message
        self._requests: list[StoppableRequest] = []
        self._is_active = False
        self._timer: asyncio.TimerHandle | None = None
        self._channel = js.BroadcastChannel.new(self.name)
        self._listener = create_proxy(self._on_message)
        self._channel.addEventListener("message", self._listener)

    def wait(self) -> bool:
        """Wait for the first message of the page, and return whether it has arrived."""
        self._deadline = min(self._deadline, time.monotonic() + READY_TIMEOUT)
        while not self.is_ready and can_run_sync() and time.monotonic() < self._deadline:
            run_sync(asyncio.sleep(0.01))
        return self.is_ready

    def save_credentials(self, text: str | None, *, keep: bool) -> None:
        """Let the page keep a text until the tab is closed, or longer. None deletes it."""
        self.credentials, self.keeps_credentials = text, keep
        message = {"type": "save", "credentials": text, "keep": keep}
        self._channel.postMessage(to_js(message, dict_converter=js.Object.fromEntries))

    def add(self, request: StoppableRequest) -> None:
        """Let the page stop a request, too."""
        self._requests.append(request)
        if self._timer is not None:
            self._timer.cancel()
        if not self._is_active:
            self._notify_page(is_active=True)

    def remove(self, request: StoppableRequest) -> None:
        """Forget a request that has ended."""
        if request in self._requests:
            self._requests.remove(request)
            if not self._requests:
                loop = asyncio.get_event_loop()
                self._timer = loop.call_later(LINGER, lambda: self._notify_page(is_active=False))

    def close(self) -> None:
        """Receive no more messages."""
        self._channel.close()
        self._listener.destroy()

    def _notify_page(self, *, is_active: bool) -> None:
        self._is_active = is_active
        self._notify(is_active)

    def _on_message(self, event: Any) -> None:
        message = event.data
        if message.type == "ready":
            self.is_ready = True
            self.credentials = message.credentials or None
            self.keeps_credentials = bool(message.keep)
            for request in self._requests:
                request.remove_deadline()
        elif message.type == "stop":
            for request in tuple(self._requests):
                request.stop()


_page: Page | None = None


def open_page(notify: Callable[[bool], None]) -> str:
    """Open the BroadcastChannel of this kernel, and return its name.

    `notify` is called with True when a request starts, and with False after the last one.
    """
    global _page  # noqa: PLW0603 - a kernel has one page
    close_page()
    _page = Page(notify)
    return _page.name


def get_page() -> Page | None:
    """Return the page, or None if the extension is not loaded."""
    return _page


def close_page() -> None:
    """Close the channel of this kernel."""
    global _page  # noqa: PLW0603 - a kernel has one page
    if _page is not None:
        _page.close()
        _page = None


def has_stop_button() -> bool:
    """Return whether the page shows a Stop button while a request is in progress."""
    return _page is not None and _page.is_ready and bool(can_run_sync())


def add_request(request: StoppableRequest) -> None:
    """Let the page stop a request, too."""
    if _page is not None:
        _page.add(request)


def remove_request(request: StoppableRequest) -> None:
    """Forget a request that has ended."""
    if _page is not None:
        _page.remove(request)


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
