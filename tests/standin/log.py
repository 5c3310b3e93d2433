"""Log of requests, client disconnects and exceptions of the stand-in."""

import threading
from collections.abc import Callable

from .received import Received


class Log:
    """Written by the server thread; other threads read it and wait for changes."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._requests: list[Received] = []
        self._disconnects = 0
        self.crashes: list[Exception] = []

    @property
    def requests(self) -> tuple[Received, ...]:
        """All requests since the last clear, in order of arrival."""
        with self._changed:
            return tuple(self._requests)

    @property
    def disconnects(self) -> int:
        """Number of clients that disconnected before the end of their answer."""
        with self._changed:
            return self._disconnects

    def arrived(self, request: Received) -> None:
        """Add a request."""
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()

    def left(self) -> None:
        """Count a client that disconnected before the end."""
        with self._changed:
            self._disconnects += 1
            self._changed.notify_all()

    def clear(self) -> None:
        """Remove all requests and disconnects."""
        with self._changed:
            self._requests.clear()
            self._disconnects = 0

    def wait_for(self, happened: Callable[[], bool], timeout: float) -> bool:
        """Wait until `happened` returns True; return False after the timeout."""
        with self._changed:
            return self._changed.wait_for(happened, timeout)
