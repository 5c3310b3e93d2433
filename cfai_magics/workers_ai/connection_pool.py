"""Pool the HTTP connections of one client: shared by its threads, replaced after a fork."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from socket import SHUT_RDWR, socket
from threading import Event, Lock
from typing import Any
from weakref import WeakSet

import httpx

from .. import forks


class HttpPool(forks.ChildForkHook):
    """One httpx client and its sockets; `make` creates the client, and again in a forked child.

    A child that read a socket of its parent would receive the parent's answers. So the child
    closes its copies of the sockets. Responses that it was still reading then fail, and the
    parent's sockets are closed as soon as the parent closes them.
    """

    def __init__(self, make: Callable[[], httpx.Client]) -> None:
        self._create_client = make
        self._client: httpx.Client | None = make()
        self._sockets: WeakSet[socket] = WeakSet()
        self._lock = Lock()
        self._aborted = Event()
        self._closed = False
        forks.register(self)

    def after_fork_in_child(self) -> None:
        """Close the copies of the parent's sockets and drop the parent's client."""
        for open_socket in list(self._sockets):
            with suppress(OSError):
                open_socket.close()
        was_ended, self._aborted = self._aborted.is_set(), Event()
        if was_ended:
            self._aborted.set()
        self._client = None
        self._sockets = WeakSet()
        self._lock = Lock()

    @property
    def client(self) -> httpx.Client:
        """The client of this process."""
        if self._client is None:
            with self._lock:
                if self._client is None:
                    self._client = self._create_client()
                if self._closed:
                    self._client.close()
        return self._client

    def close(self) -> None:
        """Close all connections."""
        self._closed = True
        if self._client is not None:
            self._client.close()

    def abort(self) -> None:
        """Shut down all sockets, which interrupts the threads that read from them."""
        with self._lock:
            self._aborted.set()
            for open_socket in self._sockets:
                _shut_down(open_socket)

    @property
    def is_aborted(self) -> bool:
        """Whether `abort` was called: no more requests can be sent."""
        return self._aborted.is_set()

    def wait(self, seconds: float) -> None:
        """Wait for so many seconds, or until `abort` is called."""
        self._aborted.wait(seconds)

    def add_socket(self, _event: str, info: Mapping[str, Any]) -> None:
        """Remember the socket of a new connection; httpx calls this as its trace extension."""
        connection = info.get("return_value")
        if connection is None or not hasattr(connection, "get_extra_info"):
            return
        new_socket = connection.get_extra_info("socket")
        with self._lock:
            if isinstance(new_socket, socket):
                self._sockets.add(new_socket)
                if self._aborted.is_set():
                    _shut_down(new_socket)


class PerProcessTransport(forks.ChildForkHook, httpx.BaseTransport):
    """A transport that creates a new inner transport with `make` in each forked process."""

    def __init__(self, make: Callable[[], httpx.BaseTransport]) -> None:
        self._create_transport = make
        self._inner: httpx.BaseTransport | None = make()
        forks.register(self)

    def after_fork_in_child(self) -> None:
        """Drop the parent's transport."""
        self._inner = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request with the transport of this process."""
        if self._inner is None:
            self._inner = self._create_transport()
        return self._inner.handle_request(request)

    def close(self) -> None:
        """Close the connections of this process."""
        if self._inner is not None:
            self._inner.close()


def _shut_down(open_socket: socket) -> None:
    with suppress(OSError):  # it is no longer connected
        # Not SSLSocket.shutdown, which would change the TLS state under the reading thread.
        socket.shutdown(open_socket, SHUT_RDWR)
