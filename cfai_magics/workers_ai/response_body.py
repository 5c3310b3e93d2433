"""Read and decompress the body of a response within limits of size and time."""

import time
import zlib
from collections.abc import Callable, Iterator
from math import inf

import httpx

from ..errors import APITimeoutError, CfaiError, ResponseTooLargeError, WorkersAIError
from .httpx_errors import call_httpx

MAX_RESPONSE_BYTES = 64 * 2**20  # decompressed
MAX_ERROR_BYTES = 2**20  # of an error response; the rest is not read
PIECE_BYTES = 2**20  # decompressed at once, at most
CHECKS_PER_IDLE = 100  # checking progress for every frame would be slower
ACCEPT_ENCODING = "gzip, deflate"  # the encodings that _Inflater decompresses
WINDOWS = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}


class ResponseTimeouts:
    """Timeouts of one response; only the time spent waiting for the server counts.

    `idle` is the limit in seconds without progress, `whole` that of the whole response; None
    means no limit. `waited` is the time so far, `soon` when progress should be checked next, and
    `end` when the timeout is reached.
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
        """Restart the idle timeout, because a part of the answer was received."""
        self._since = self.waited
        self.soon = self._since + self._idle / CHECKS_PER_IDLE
        self.end = min(self._since + self._idle, self._whole)

    def shorten(self, idle: float) -> None:
        """Reduce the idle timeout to at most so many seconds."""
        if idle < self._idle:
            self._idle = idle
            self.progress()

    def error(self) -> APITimeoutError:
        """Return the error to raise once `waited` is past `end`."""
        if self.waited > self._whole:
            return APITimeoutError(f"The reply did not end within {self._whole:,.0f} s")
        return APITimeoutError(f"Nothing of the answer came for {self._idle:,.0f} s")


def get_read_timeout(response: httpx.Response) -> float | None:
    """Return the read timeout of the request in seconds; None if it has none."""
    timeouts = response.request.extensions.get("timeout", {})
    seconds = timeouts.get("read")
    return seconds if isinstance(seconds, float | int) else None


def iter_body(
    response: httpx.Response,
    timeouts: ResponseTimeouts,
    limit: int = MAX_RESPONSE_BYTES,
    on_error: Callable[[CfaiError], None] | None = None,
) -> Iterator[bytes]:
    """Yield the decompressed body of a response as it is received.

    Raises ResponseTooLargeError for more than `limit` bytes, APITimeoutError if `timeouts` or
    the request's timeout ends, and WorkersAIError for an encoding that was not requested. With
    `on_error`, such an error is passed to it and ends the body.
    """
    size, clock = 0, time.monotonic
    failure: BaseException | None = None
    start_time = clock()
    try:
        for chunk in _iter_decoded(response, limit):
            timeouts.waited += clock() - start_time
            if timeouts.waited > timeouts.end:
                failure = timeouts.error()
                break
            size += len(chunk)
            if size > limit:
                failure = _too_large(limit)
                break
            yield chunk
            start_time = clock()
    except GeneratorExit:
        raise
    except BaseException as error:  # noqa: BLE001 - raised again without the frames of httpx
        failure = error
    if failure is not None:
        _raise_mapped(failure, on_error)


def _raise_mapped(failure: BaseException, on_error: Callable[[CfaiError], None] | None) -> None:
    """Raise the exception as `call_httpx` does, or pass the CfaiError to `on_error`."""

    def raise_failure() -> None:
        raise failure

    try:
        call_httpx(raise_failure)
    except CfaiError as error:
        if on_error is None:
            raise
        on_error(error)


def read_body(response: httpx.Response, limit: int = MAX_RESPONSE_BYTES) -> bytes:
    """Return the whole body of a response and release its connection; raises as `chunks`."""
    seconds = get_read_timeout(response)
    try:
        return b"".join(iter_body(response, ResponseTimeouts(seconds, seconds), limit))
    finally:
        call_httpx(response.close)


def read_error_body(response: httpx.Response) -> bytes:
    """Return the first MAX_ERROR_BYTES of an error response and close it."""
    if not _is_readable(response):
        call_httpx(response.close)
        return b""  # the error then only has the status
    seconds = get_read_timeout(response)
    body = bytearray()
    try:
        for chunk in iter_body(response, ResponseTimeouts(seconds, seconds)):
            body += chunk
            if len(body) > MAX_ERROR_BYTES:
                break
    finally:
        call_httpx(response.close)
    return bytes(body[:MAX_ERROR_BYTES])


def _content_codings(response: httpx.Response) -> list[str]:
    """Return the content codings of a response, without "identity"."""
    values = response.headers.get("content-encoding", "").lower().split(",")
    return [name for value in values if (name := value.strip()) not in ("", "identity")]


def _is_readable(response: httpx.Response) -> bool:
    codings = _content_codings(response)
    return not codings or (len(codings) == 1 and codings[0] in WINDOWS)


def _iter_decoded(response: httpx.Response, limit: int) -> Iterator[bytes]:
    if response.is_stream_consumed:  # the transport has already read the body
        return iter((response.content,))
    if not _is_readable(response):
        name = ", ".join(_content_codings(response))[:40]
        raise WorkersAIError(  # not ServerError: a retry would run and bill the model again
            f"The reply is compressed as {name!r}, which was not asked for",
            "Check the server and the proxy that %cfai status names.",
        )
    codings = _content_codings(response)
    raw = response.iter_raw()
    return _iter_inflated(raw, WINDOWS[codings[0]], limit) if codings else raw


def _iter_inflated(compressed: Iterator[bytes], window: int, limit: int) -> Iterator[bytes]:
    """Decompress in chunks of limited size: a gzip bomb grows a thousand times."""
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
                self._inner = zlib.decompressobj(-zlib.MAX_WBITS)  # deflate without zlib header
                self._begun = True
                continue
            self._begun = True
            chunk = self._inner.unconsumed_tail
            if piece:
                yield piece


def _too_large(limit: int) -> ResponseTooLargeError:
    return ResponseTooLargeError(f"The reply has more than {limit // 2**20} MB")
