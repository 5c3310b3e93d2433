"""The HTTP connections of one client: shared by its threads, and never with a forked child."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from socket import SHUT_RDWR, socket
from threading import Event, Lock
from typing import Any
from weakref import WeakSet

import httpx

from .. import forks


class HttpPool(forks.InChild):
    """One httpx client and its sockets; `make` makes it, in a forked child once more.

    A child that read a socket of its parent would get the parent's answers. It closes its copies:
    what it still reads from the parent's replies then fails, and the parent's own sockets close
    as soon as the parent closes them.
    """

    def __init__(self, make: Callable[[], httpx.Client]) -> None:
        self._make = make
        self._client: httpx.Client | None = make()
        self._sockets: WeakSet[socket] = WeakSet()
        self._lock = Lock()
        self._ended = Event()
        self._closed = False
        forks.register(self)

    def in_child(self) -> None:
        """Close the copies of the parent's sockets, and forget the parent's client."""
        for each in list(self._sockets):
            with suppress(OSError):
                each.close()
        ended, self._ended = self._ended.is_set(), Event()
        if ended:
            self._ended.set()
        self._client = None
        self._sockets = WeakSet()
        self._lock = Lock()

    @property
    def client(self) -> httpx.Client:
        """The client of this process."""
        if self._client is None:
            with self._lock:
                if self._client is None:
                    self._client = self._make()
                if self._closed:
                    self._client.close()
        return self._client

    def close(self) -> None:
        """Close all connections."""
        self._closed = True
        if self._client is not None:
            self._client.close()

    def hang_up(self) -> None:
        """Shut down all sockets, which wakes the threads that read from them."""
        with self._lock:
            self._ended.set()
            for each in self._sockets:
                _shut_down(each)

    @property
    def has_hung_up(self) -> bool:
        """Whether nothing more may be sent."""
        return self._ended.is_set()

    def wait(self, seconds: float) -> None:
        """Wait, at the longest until hung up."""
        self._ended.wait(seconds)

    def note_socket(self, _event: str, info: Mapping[str, Any]) -> None:
        """Keep the socket of a connection that has just been made (httpx's trace)."""
        made = info.get("return_value")
        if made is None or not hasattr(made, "get_extra_info"):
            return
        found = made.get_extra_info("socket")
        with self._lock:
            if isinstance(found, socket):
                self._sockets.add(found)
                if self._ended.is_set():
                    _shut_down(found)


class OwnTransport(forks.InChild, httpx.BaseTransport):
    """A transport that each process makes for itself by `make`; replies pass through untouched."""

    def __init__(self, make: Callable[[], httpx.BaseTransport]) -> None:
        self._make = make
        self._inner: httpx.BaseTransport | None = make()
        forks.register(self)

    def in_child(self) -> None:
        """Forget the parent's transport."""
        self._inner = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request by this process's transport."""
        if self._inner is None:
            self._inner = self._make()
        return self._inner.handle_request(request)

    def close(self) -> None:
        """Close the connections of this process."""
        if self._inner is not None:
            self._inner.close()


def _shut_down(each: socket) -> None:
    with suppress(OSError):  # it is not connected any more
        socket.shutdown(each, SHUT_RDWR)  # not SSLSocket's, which the reading thread would notice
