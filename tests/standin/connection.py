"""HTTP/1.1 connection of one client: read requests, write responses, detect disconnects."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from http import HTTPStatus

from .log import Log
from .received import Received, parsed_headers, received
from .reply import HangUp, Piece, Reply, plain

MAX_HEAD_BYTES = 2**16
Answer = Callable[[Received], Awaitable[Reply]]


class Reader(asyncio.StreamReader):
    """Stream reader that reports immediately when the client closes the connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(limit=MAX_HEAD_BYTES, loop=loop)
        self.on_end: Callable[[], object] = bool

    def feed_eof(self) -> None:
        """Forward the end of the stream and call `on_end`."""
        super().feed_eof()
        self.on_end()

    def set_exception(self, exc: Exception) -> None:
        """Forward the exception and call `on_end`."""
        super().set_exception(exc)
        self.on_end()


class Connection:
    """Answer the requests of one client in order until either side closes."""

    def __init__(
        self, reader: Reader, writer: asyncio.StreamWriter, answer: Answer, log: Log
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._answer = answer
        self._log = log
        self._answering = False
        self._left = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> asyncio.Task[None]:
        """Start the task that serves this connection."""
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._reader.on_end = self._client_left
        return self._task

    def _client_left(self) -> None:
        """Cancel the task if the client disconnected during an answer."""
        if self._answering and not self._left and self._task is not None:
            self._left = True
            self._task.cancel()

    async def _run(self) -> None:
        try:
            while await self._serve_one():
                pass
        except asyncio.CancelledError:
            self._writer.transport.abort()  # The client disconnected, or the server stops.
        except (ConnectionError, asyncio.IncompleteReadError, HangUp):
            pass
        except Exception as error:  # noqa: BLE001 - as in _reply
            self._log.crashes.append(error)
        finally:
            if self._left:
                self._log.left()
            self._writer.close()

    async def _serve_one(self) -> bool:
        """Answer one request; return True if the connection stays open."""
        request = await self._read()
        self._answering = True
        if self._reader.at_eof():
            self._client_left()
        reply = await self._reply(request)
        keep_alive = request.headers.get("connection", "").lower() != "close"
        await self._write(reply, keep_alive=keep_alive)
        return keep_alive

    async def _reply(self, request: Received) -> Reply:
        """Return the answer; an exception of the stand-in is logged and sent to the client."""
        try:
            return await self._answer(request)
        except HangUp:
            raise
        except Exception as error:  # noqa: BLE001 - the test must fail with any exception
            self._log.crashes.append(error)
            return plain({"error": f"the stand-in failed: {error!r}"}, 500)

    async def _read(self) -> Received:
        """Read the head and body of one request."""
        head = (await self._reader.readuntil(b"\r\n\r\n"))[:-4]
        headers = parsed_headers(head.decode("latin-1").split("\r\n")[1:])
        if headers.get("expect", "").lower() == "100-continue":
            self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return received(head, await self._read_chunks())
        return received(
            head, await self._reader.readexactly(int(headers.get("content-length", 0)))
        )

    async def _read_chunks(self) -> bytes:
        """Read a chunked body."""
        chunks = []
        while size := int((await self._reader.readuntil(b"\r\n")).partition(b";")[0], 16):
            chunks.append((await self._reader.readexactly(size + 2))[:-2])
        while await self._reader.readuntil(b"\r\n") != b"\r\n":
            pass
        return b"".join(chunks)

    async def _write(self, reply: Reply, *, keep_alive: bool) -> None:
        if isinstance(reply.body, bytes):
            length = {"content-length": str(len(reply.body))}
            self._writer.write(head_of(reply, length, keep_alive=keep_alive) + reply.body)
            self._answering = False
        else:
            self._writer.write(
                head_of(reply, {"transfer-encoding": "chunked"}, keep_alive=keep_alive)
            )
            async with contextlib.aclosing(reply.body) as pieces:
                await self._write_pieces(pieces)
        await self._writer.drain()

    async def _write_pieces(self, pieces: AsyncGenerator[Piece, None]) -> None:
        """Send each piece as one chunk; the last one includes the end of the body."""
        async for piece in pieces:
            self._writer.write(chunk(piece.data) + (END if piece.last else b""))
            if piece.last:
                self._answering = False
            await self._writer.drain()
        if self._answering:
            self._writer.write(END)
            self._answering = False


END = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """Return the data as one chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def phrase(status: int) -> str:
    """Return the reason phrase of a status, also for Cloudflare's own, such as 524."""
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else "<none>"


def head_of(reply: Reply, framing: dict[str, str], *, keep_alive: bool) -> bytes:
    """Return the status line and headers of a response."""
    headers = {
        "content-type": reply.content_type,
        **framing,
        "connection": "keep-alive" if keep_alive else "close",
        "server": "cloudflare",
        "cf-ray": f"{secrets.token_hex(8)}-FRA",
        **reply.headers,
    }
    first = f"HTTP/1.1 {reply.status} {phrase(reply.status)}"
    lines = [first, *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
