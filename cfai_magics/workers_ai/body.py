"""Reads the body of a reply within limits of size and time, whatever a server sends."""

import time
import zlib
from collections.abc import Iterator
from math import inf

import httpx

from ..errors import ReplyTooLarge, RequestTimeout, WorkersAIError
from .transport import in_httpx, relayed

MAX_REPLY_BYTES = 64 * 2**20  # uncompressed
MAX_ERROR_BYTES = 2**20  # of a refusal: what comes after that says nothing more
PIECE_BYTES = 2**20  # the most that is uncompressed at once
LOOKS_PER_IDLE = 100  # so exactly is progress noted: doing so for every piece takes longer
ACCEPT_ENCODING = "gzip, deflate"  # what is uncompressed here, piece by piece
WINDOWS = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}


class Patience:
    """How long one reply is waited for; only time spent waiting for the server counts.

    `idle` are the seconds without progress, `whole` those for all of it; None has no end.
    `waited` is what was spent so far; at `soon` a look is worth its time.
    """

    def __init__(self, idle: float | None, whole: float | None) -> None:
        self._idle = inf if idle is None else idle
        self._whole = inf if whole is None else whole
        self._since = 0.0
        self.waited = 0.0
        self.soon = 0.0
        self.end = 0.0
        self.progress()

    def progress(self) -> None:
        """Note that something of use has come."""
        self._since = self.waited
        self.soon = self._since + self._idle / LOOKS_PER_IDLE
        self.end = min(self._since + self._idle, self._whole)

    def shorten(self, idle: float) -> None:
        """Wait from now on at most so many seconds for what may still come."""
        if idle < self._idle:
            self._idle = idle
            self.progress()

    def error(self) -> RequestTimeout:
        """Return what it is raised with, once `waited` is past `end`."""
        if self.waited > self._whole:
            return RequestTimeout(f"The reply did not end within {self._whole:,.0f} s")
        return RequestTimeout(f"Nothing of the answer came for {self._idle:,.0f} s")


def seconds_per_piece(response: httpx.Response) -> float | None:
    """Return the timeout under which the request was sent."""
    timeouts = response.request.extensions.get("timeout", {})
    seconds = timeouts.get("read")
    return seconds if isinstance(seconds, float | int) else None


def chunks(
    response: httpx.Response, patience: Patience, limit: int = MAX_REPLY_BYTES
) -> Iterator[bytes]:
    """Yield a reply's body as it comes, uncompressed.

    Raises ReplyTooLarge for more bytes than `limit`, RequestTimeout where `patience` or the
    request's timeout ends, and WorkersAIError for a compression that was not asked for.
    """
    size, clock = 0, time.monotonic
    begun = clock()
    for chunk in relayed(_decoded(response, limit)):
        patience.waited += clock() - begun
        if patience.waited > patience.end:
            raise patience.error()
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        yield chunk
        begun = clock()


def whole(response: httpx.Response, limit: int = MAX_REPLY_BYTES) -> bytes:
    """Return a reply's whole body, and give the connection back; it raises as `chunks`."""
    seconds = seconds_per_piece(response)
    try:
        return b"".join(chunks(response, Patience(seconds, seconds), limit))
    finally:
        in_httpx(response.close)


def beginning(response: httpx.Response) -> bytes:
    """Return the first part of a refusal's body, and close the reply."""
    if not _is_readable(response):
        in_httpx(response.close)
        return b""  # its status has to say all
    seconds = seconds_per_piece(response)
    found = bytearray()
    try:
        for chunk in chunks(response, Patience(seconds, seconds)):
            found += chunk
            if len(found) > MAX_ERROR_BYTES:
                break
    finally:
        in_httpx(response.close)
    return bytes(found[:MAX_ERROR_BYTES])


def _codings(response: httpx.Response) -> list[str]:
    """Return how a reply is compressed."""
    named = response.headers.get("content-encoding", "").lower().split(",")
    return [name for each in named if (name := each.strip()) not in ("", "identity")]


def _is_readable(response: httpx.Response) -> bool:
    codings = _codings(response)
    return not codings or (len(codings) == 1 and codings[0] in WINDOWS)


def _decoded(response: httpx.Response, limit: int) -> Iterator[bytes]:
    if response.is_stream_consumed:  # a transport that had it whole
        return iter((response.content,))
    if not _is_readable(response):
        name = ", ".join(_codings(response))[:40]
        raise WorkersAIError(  # no ServerError: asked again, the model would work again
            f"The reply is compressed as {name!r}, which was not asked for",
            "Check the server and the proxy that %cfai status names.",
        )
    codings = _codings(response)
    raw = response.iter_raw()
    return _inflated(raw, WINDOWS[codings[0]], limit) if codings else raw


def _inflated(compressed: Iterator[bytes], window: int, limit: int) -> Iterator[bytes]:
    """Uncompress in pieces of bounded size: a gzip bomb grows a thousand times."""
    inflater, size = _Inflater(window), 0
    for chunk in compressed:
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        yield from inflater.pieces(chunk)


class _Inflater:
    def __init__(self, window: int) -> None:
        self._window = window
        self._begun = False
        self._inner = zlib.decompressobj(window)

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        while chunk and not self._inner.eof:
            try:
                piece = self._inner.decompress(chunk, PIECE_BYTES)
            except zlib.error:
                if self._begun or self._window != zlib.MAX_WBITS:
                    raise httpx.DecodingError("not compressed as it says") from None
                self._inner = zlib.decompressobj(-zlib.MAX_WBITS)  # deflate without its header
                self._begun = True
                continue
            self._begun = True
            chunk = self._inner.unconsumed_tail
            if piece:
                yield piece


def _too_large(limit: int) -> ReplyTooLarge:
    return ReplyTooLarge(f"The reply has more than {limit // 2**20} MB")
