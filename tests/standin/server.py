"""The stand-in: a server on loopback with its own thread."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Self

from .accounts import Accounts, Owner, Plan
from .catalogue import Catalogue, Model
from .connection import Connection, Reader
from .exchange import Cloud
from .ledger import Call, Clock, Ledger
from .log import Log
from .received import Received
from .reply import Reply
from .routes import BASE, answer
from .script import Script
from .switches import Switches

HOST = "127.0.0.1"
BACKLOG = 1024


class Standin:
    """A Cloudflare server for tests; a context manager. `clock` sets days and minutes, not speed.

    An exception of the stand-in is raised when the block ends, so that the test fails.
    """

    def __init__(
        self,
        *,
        plan: Plan = "free",
        switches: Switches | None = None,
        clock: Clock = time.time,
        port: int = 0,
        models: Iterable[Model] = (),
    ) -> None:
        self._cloud = Cloud(
            accounts=Accounts(plan),
            catalogue=Catalogue(tuple(models)),
            ledger=Ledger(clock, plan),
            log=Log(),
            clock=clock,
            script=Script(switches or Switches()),
        )
        self._socket = socket.create_server((HOST, port), backlog=BACKLOG)
        self.port: int = self._socket.getsockname()[1]
        self._started = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name="standin", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        if self._cloud.log.crashes:
            raise self._cloud.log.crashes[0]

    def __repr__(self) -> str:
        return f"<Standin {self.base_url}>"

    def close(self) -> None:
        """Close all connections and end the thread; later calls do nothing."""
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
        self._socket.close()

    @property
    def base_url(self) -> str:
        """The value for CLOUDFLARE_API_BASE_URL."""
        return f"http://{HOST}:{self.port}{BASE}"

    @property
    def account_id(self) -> str:
        """The id of the account."""
        return self._cloud.accounts.account_id

    @property
    def token(self) -> str:
        """A user token with all permissions."""
        return self._cloud.accounts.token

    @property
    def account_token(self) -> str:
        """An account token with all permissions."""
        return self._cloud.accounts.account_token

    @property
    def read_only_token(self) -> str:
        """A user token that can list models, but not run them or read analytics."""
        return self._cloud.accounts.read_only_token

    def issue_token(
        self,
        permissions: Iterable[str],
        owner: Owner = "user",
        status: str = "active",
        text: str = "",
    ) -> str:
        """Create a token with some of `accounts.EVERYTHING`; an empty `text` becomes random."""
        return self._cloud.accounts.issue(permissions, owner, status, text)

    def environ(self) -> dict[str, str]:
        """Return the environment variables that connect a client."""
        return {
            "CLOUDFLARE_ACCOUNT_ID": self.account_id,
            "CLOUDFLARE_API_TOKEN": self.token,
            "CLOUDFLARE_API_BASE_URL": self.base_url,
        }

    @property
    def switches(self) -> Switches:
        """The current switches; setting them restarts their lists."""
        return self._cloud.script.switches

    @switches.setter
    def switches(self, switches: Switches) -> None:
        self._cloud.script = Script(switches)

    def switch(self, **changes: Any) -> None:
        """Change some switches; the others keep their values."""
        self.switches = replace(self.switches, **changes)

    @property
    def requests(self) -> tuple[Received, ...]:
        """All requests since the last clear, in order of arrival."""
        return self._cloud.log.requests

    @property
    def open_connections(self) -> int:
        """Number of open client connections."""
        return len(self._connections)

    @property
    def disconnects(self) -> int:
        """Number of clients that disconnected before the end of their answer."""
        return self._cloud.log.disconnects

    def clear(self) -> None:
        """Remove all requests and disconnects; billed calls stay."""
        self._cloud.log.clear()

    def wait_for(self, happened: Callable[["Standin"], bool], timeout: float = 10.0) -> bool:
        """Wait until `happened` returns True; return False after the timeout."""
        return self._cloud.log.wait_for(lambda: happened(self), timeout)

    @property
    def billed(self) -> float:
        """The billed neurons of this UTC day."""
        return self._cloud.ledger.billed()

    @property
    def calls(self) -> list[Call]:
        """All billed calls of all days, in order."""
        return [entry.call for entry in self._cloud.ledger.entries]

    def spend(self, neurons: float, model: str = "@cf/google/gemma-4-26b-a4b-it") -> None:
        """Bill neurons as if another program had used the account."""
        self._cloud.ledger.book(Call(model, 0, 0, neurons))

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        """Serve until `close` is called, then close all connections."""
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = await self._loop.create_server(self._protocol, sock=self._socket, backlog=BACKLOG)
        self._started.set()
        await self._stop.wait()
        server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await asyncio.sleep(0)  # The transports close in the next iteration of the loop.

    def _protocol(self) -> asyncio.StreamReaderProtocol:
        loop = asyncio.get_running_loop()
        return asyncio.StreamReaderProtocol(Reader(loop), self._connected, loop=loop)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not isinstance(reader, Reader):
            raise TypeError(reader)
        # asyncio sets this only on its own sockets; without it, pieces wait for an ACK.
        connected: socket.socket = writer.get_extra_info("socket")
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = Connection(reader, writer, self._answer, self._cloud.log).start()
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _answer(self, received: Received) -> Reply:
        return await answer(self._cloud, received)
