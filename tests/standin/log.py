"""What happened here: requests in order, clients that left, and bugs of the stand-in itself."""

import threading
from collections.abc import Callable

from .received import Received


class Log:
    """Written by the server's thread, read and waited for by any."""

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
        """How many clients went away before their answer's end."""
        with self._changed:
            return self._disconnects

    def arrived(self, request: Received) -> None:
        """Note a request."""
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()

    def left(self) -> None:
        """Note a client that did not wait for the end."""
        with self._changed:
            self._disconnects += 1
            self._changed.notify_all()

    def clear(self) -> None:
        """Forget requests and departures."""
        with self._changed:
            self._requests.clear()
            self._disconnects = 0

    def wait_for(self, happened: Callable[[], bool], timeout: float) -> bool:
        """Wait until something of this log is so; False where time runs out first."""
        with self._changed:
            return self._changed.wait_for(happened, timeout)
