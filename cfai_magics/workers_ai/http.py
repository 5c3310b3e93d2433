"""Send HTTP requests, with connection pooling, retries, rate limits and response limits."""

import json
import logging
import os
import re
import time
import zlib
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from copy import copy
from ipaddress import IPv6Address, ip_address
from math import inf
from random import random
from socket import SHUT_RDWR, socket
from threading import Event, Lock, current_thread, local, main_thread
from typing import Any, Self, TypeVar
from weakref import WeakSet

import httpx

from .. import forks, runtime
from ..arguments import check_fields
from ..errors import (
    APIConnectionError,
    APITimeoutError,
    CfaiError,
    InvalidOptionError,
    RateLimitError,
    ResponseFormatError,
    ResponseTooLargeError,
    WorkersAIError,
)
from ..i18n import _
from ..pricing.limits import RateDelay
from ..secret import Secret, Unpicklable, call_without_traceback, note_raise_location
from ..texts import shorten
from .error_mapping import error_from_body, error_from_response, is_page, page_error
from .retry import OnRetry, backoff, is_retryable

# An invalid host name is a UnicodeError.
HTTPX_ERRORS = (
    *(httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, httpx.CookieConflict),
    UnicodeError,
)
MAX_RESPONSE_BYTES = 64 * 2**20  # decompressed
MAX_ERROR_BYTES = 2**20  # read from an error response; the rest is ignored
PIECE_BYTES = 2**20  # maximum decompressed size of a chunk
CHECKS_PER_IDLE = 100  # checks for progress per idle timeout; checking every frame is slower
ACCEPT_ENCODING = "gzip, deflate"  # the encodings that _Inflater supports
WINDOWS = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
JSON_PADDING = b"\xef\xbb\xbf \t\r\n"  # may precede a JSON value: a byte order mark, spaces
MAX_EXCERPT_BYTES, MAX_EXCERPT_CHARS = 512, 80  # of a response that is not understood
CONNECT_TIMEOUT = 10.0  # s
NO_TOKEN = Secret("")  # for a server without authentication; no header is sent
NOTIFY_AFTER = 2.0  # s of retrying, after which `on_retry` is called
MAX_CONNECTIONS = 100
MAX_ENTRY_CHARS = 60  # of NO_PROXY in an error message
# The part of an account ID that is masked: all but the last four characters.
MASKED_ID_PATTERN = re.compile(r"\b[0-9a-f]{28}(?=[0-9a-f]{4}\b)", re.IGNORECASE)

FieldNames = dict[str, dict[str, str]]  # by model: new names of request fields; "" for none
ObserveHeaders = Callable[[Mapping[str, str]], None]
AcquireSlot = Callable[[str], RateDelay | None]  # takes a model name; called before each attempt
ResultT = TypeVar("ResultT")


class _LogState(local):
    """Whether this thread is sending one of our requests."""

    is_sending = False


_log_state = _LogState()


def _filter_log_record(record: logging.LogRecord) -> bool:
    """Drop httpx's log record of our request, because its URL contains the account ID.

    If the logger's level is DEBUG, the record is kept and the account ID is masked.
    """
    if not _log_state.is_sending:
        return True
    record.msg, record.args = MASKED_ID_PATTERN.sub("…", record.getMessage()), ()
    return logging.getLogger(record.name).isEnabledFor(logging.DEBUG)


logging.getLogger("httpx").addFilter(_filter_log_record)


def map_httpx_error(error: Exception) -> CfaiError:
    """Return the CfaiError for an httpx exception."""
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return APIConnectionError(_("Connecting to the server timed out"))
    if isinstance(error, httpx.TimeoutException):
        return APITimeoutError(_("The server did not answer in time"))
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol | UnicodeError):
        return InvalidOptionError(
            _("The server address is not a valid URL"),
            _("Check the address that %cfai status shows, or CLOUDFLARE_API_BASE_URL."),
        )
    if isinstance(error, httpx.ProxyError):
        return APIConnectionError(_("The proxy refused the connection"))
    if isinstance(error, httpx.ConnectError):
        return APIConnectionError(_("The server could not be reached"))
    return APIConnectionError(_("The connection was lost"))


def call_constructor(make: Callable[[], ResultT]) -> ResultT:
    """Call an httpx constructor.

    The error leaves out the message from httpx, because a proxy URL may contain a password.

    Raises:
        InvalidOptionError: The proxy or certificates set in the environment are not valid.
    """
    try:
        return call_without_traceback(make)
    except ImportError:
        mapped_error = InvalidOptionError(
            _("A package for the SOCKS proxy is missing"),
            _("Install httpx[socks], or unset ALL_PROXY."),
        )
    except (ValueError, OSError, httpx.InvalidURL):
        entry = _find_invalid_no_proxy_entry()
        mapped_error = (
            InvalidOptionError(
                _("NO_PROXY has an entry that is not valid: {entry}").format(entry=entry),
                _("Remove it, or use an address such as ::1, without brackets or a range."),
            )
            if entry
            else InvalidOptionError(
                _("The proxy or the certificates set in the environment are not valid"),
                _("Check {variables}.").format(
                    variables="HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE"
                ),
            )
        )
    raise mapped_error from None


def _find_invalid_no_proxy_entry() -> str:
    """Return the first entry of NO_PROXY that httpx rejects, or "" if there is none."""
    for entry in os.environ.get("no_proxy", os.environ.get("NO_PROXY", "")).split(","):
        host = entry.strip()
        if not host or "://" in host:
            continue
        try:
            is_ipv6 = isinstance(ip_address(host.partition("/")[0]), IPv6Address)
        except ValueError:
            is_ipv6 = False
        try:
            httpx.URL(f"all://[{host}]" if is_ipv6 else f"all://*{host}")
        except httpx.InvalidURL:
            return shorten(host, MAX_ENTRY_CHARS)
    return ""


def call_httpx(call: Callable[[], ResultT]) -> ResultT:
    """Call an httpx function and map its exceptions to those of this package.

    Interrupts and bugs are raised without the httpx frames, because their local variables contain
    the header with the token.
    """
    try:
        return call()
    except BaseException as error:  # noqa: BLE001 - raised again without the httpx frames
        failure = error
    raise map_failure(failure) from None


def map_failure(failure: BaseException) -> BaseException:
    """Return the exception to raise for a failed httpx call, without the httpx frames."""
    raised_at = failure.__traceback__
    failure.__traceback__ = failure.__context__ = failure.__cause__ = None
    if isinstance(failure, HTTPX_ERRORS):
        return map_httpx_error(failure)
    note_raise_location(failure, raised_at)
    return failure


class HttpPool(forks.ChildForkHook):
    """One httpx client and its sockets; `make` creates the client in each process.

    A forked child that read from a parent's socket would receive the parent's answers. The child
    therefore closes its copies of the sockets, and any unfinished response fails in the child.
    The connections stay open in the parent.
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
        """The httpx client for this process."""
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
        """Shut down all sockets, which interrupts the threads that are reading from them."""
        with self._lock:
            self._aborted.set()
            for open_socket in self._sockets:
                _shut_down(open_socket)

    @property
    def is_aborted(self) -> bool:
        """Whether `abort` was called, after which no more requests can be sent."""
        return self._aborted.is_set()

    def wait(self, seconds: float) -> None:
        """Wait for a number of seconds, or until `abort` is called."""
        self._aborted.wait(seconds)

    def add_socket(self, _event: str, info: Mapping[str, Any]) -> None:
        """Store the socket of a new connection; httpx calls this as its trace extension."""
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
    """A transport that uses `make` to create a separate inner transport in each process."""

    def __init__(self, make: Callable[[], httpx.BaseTransport]) -> None:
        self._create_transport = make
        self._inner: httpx.BaseTransport | None = make()
        forks.register(self)

    def after_fork_in_child(self) -> None:
        """Drop the parent's transport."""
        self._inner = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request with the transport for this process."""
        if self._inner is None:
            self._inner = self._create_transport()
        return self._inner.handle_request(request)

    def close(self) -> None:
        """Close the connections in this process."""
        if self._inner is not None:
            self._inner.close()


def _shut_down(open_socket: socket) -> None:
    with suppress(OSError):  # the socket may no longer be connected
        # SSLSocket.shutdown would change the TLS state that the reading thread still uses.
        socket.shutdown(open_socket, SHUT_RDWR)


class ResponseTimeouts:
    """Timeouts for one response; only the time spent waiting for the server counts.

    `idle` is the maximum time without progress, and `whole` is the maximum time for the whole
    response, both in seconds. None means no limit. `waited` is the waiting time so far. Progress
    should be checked once `waited` reaches `soon`. The response times out once `waited` is past
    `end`.
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
        """Restart the idle timeout after part of the answer was received."""
        self._since = self.waited
        self.soon = self._since + self._idle / CHECKS_PER_IDLE
        self.end = min(self._since + self._idle, self._whole)

    def shorten(self, idle: float) -> None:
        """Reduce the idle timeout to at most `idle` seconds."""
        if idle < self._idle:
            self._idle = idle
            self.progress()

    def error(self) -> APITimeoutError:
        """Return the error to raise once `waited` is past `end`."""
        if self.waited > self._whole:
            message = _("The response was not complete after {seconds:,.0f} s")
            return APITimeoutError(message.format(seconds=self._whole))
        message = _("No part of the answer was received for {seconds:,.0f} s")
        return APITimeoutError(message.format(seconds=self._idle))


def get_read_timeout(response: httpx.Response) -> float | None:
    """Return the request's read timeout in seconds; None if it has none."""
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

    If `on_error` is given, an error is passed to it instead of being raised, and the iteration
    ends.

    Args:
        response: The response, with its body unread.
        timeouts: The timeouts for the response.
        limit: Maximum size of the decompressed body, in bytes.
        on_error: Function that receives a CfaiError.

    Raises:
        ResponseTooLargeError: The body is larger than `limit`.
        APITimeoutError: A timeout in `timeouts` or the timeout of the request has passed.
        WorkersAIError: The body has an encoding that was not requested, or reading it failed.
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
    except BaseException as error:  # noqa: BLE001 - raised again without the httpx frames
        failure = error
    if failure is not None:
        _end_body(failure, on_error)


def _end_body(failure: BaseException, on_error: Callable[[CfaiError], None] | None) -> None:
    """Raise the mapped exception, or pass it to `on_error` if it is a CfaiError."""
    error = map_failure(failure)
    if on_error is None or not isinstance(error, CfaiError):
        raise error from None
    on_error(error)


def read_body(response: httpx.Response, limit: int = MAX_RESPONSE_BYTES) -> bytes:
    """Return the whole body of a response and release its connection.

    Raises the same errors as `iter_body`.
    """
    seconds = get_read_timeout(response)
    try:
        return b"".join(iter_body(response, ResponseTimeouts(seconds, seconds), limit))
    finally:
        call_httpx(response.close)


def read_error_body(response: httpx.Response) -> bytes:
    """Return up to MAX_ERROR_BYTES of an error response and close the response."""
    if not _is_readable(response):
        call_httpx(response.close)
        return b""  # the error then has only a status
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
    if not response.headers.get("content-encoding"):
        return response.iter_raw()
    codings = _content_codings(response)
    if not codings:
        return response.iter_raw()
    if len(codings) > 1 or codings[0] not in WINDOWS:
        name = ", ".join(codings)[:40]
        raise WorkersAIError(  # not ServerError: a retry would run and bill the model again
            _("The response uses the encoding {name!r}, which was not requested").format(
                name=name
            ),
            _("Check the server and proxy settings shown by %cfai status."),
        )
    return _iter_inflated(response.iter_raw(), WINDOWS[codings[0]], limit)


def _iter_inflated(compressed: Iterator[bytes], window: int, limit: int) -> Iterator[bytes]:
    """Yield decompressed chunks of limited size, as a gzip bomb expands a thousandfold."""
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
                    raise httpx.DecodingError("invalid compressed data") from None
                self._inner = zlib.decompressobj(-zlib.MAX_WBITS)  # deflate without a zlib header
                self._begun = True
                continue
            self._begun = True
            chunk = self._inner.unconsumed_tail
            if piece:
                yield piece


def _too_large(limit: int) -> ResponseTooLargeError:
    return ResponseTooLargeError(
        _("The response is larger than {size} MB").format(size=limit // 2**20)
    )


class _BearerAuth(Unpicklable, httpx.Auth):
    """Bearer authentication whose token is not shown in any repr, traceback or response."""

    def __init__(self, token: Secret) -> None:
        self._read_token = token.reader

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {self._read_token()}"
        response = yield request
        # The response keeps its request: replace it with a copy that lacks the token.
        response.request = httpx.Request(
            request.method, request.url, extensions=request.extensions
        )

    def __repr__(self) -> str:
        return "<an API token>"


class HTTPConnection(Unpicklable):
    """One connection pool with one token or NO_TOKEN.

    Its methods raise only errors defined in this package.
    """

    def __init__(
        self,
        token: Secret,
        timeout: float,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = runtime.sleep,
    ) -> None:
        from .. import __version__

        if transport is None and not runtime.HAS_SOCKETS:
            from .fetch import FetchTransport

            transport = FetchTransport()
        self._sleep = sleep
        self._extensions: Mapping[str, Any] = {}
        self.field_names: FieldNames = {}
        self.is_cloudflare = True  # whether Cloudflare's error codes have their meaning
        self.acquire_slot: AcquireSlot = lambda _model: None  # no request is delayed
        self.observe_headers: ObserveHeaders | None = None  # called with those of each response

        def client() -> httpx.Client:
            return httpx.Client(
                auth=_BearerAuth(token) if token else None,
                headers={
                    "User-Agent": f"cfai-magics/{__version__}",
                    "Accept-Encoding": ACCEPT_ENCODING,
                },
                timeout=httpx.Timeout(timeout, connect=CONNECT_TIMEOUT),
                transport=transport,
                limits=httpx.Limits(
                    max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS
                ),
                follow_redirects=False,  # so that the token is never sent to another host
            )

        self._pool = HttpPool(lambda: call_constructor(client))

    def with_extensions(self, extensions: Mapping[str, Any]) -> Self:
        """Return a copy with the same pool that sends these httpx request extensions."""
        connection = copy(self)
        connection._extensions = extensions  # noqa: SLF001 - our own
        return connection

    def with_slot(self, slot: RateDelay) -> Self:
        """Return a copy with the same pool that uses this slot for its first attempt."""
        connection, slots = copy(self), [slot]
        acquire_slot = self.acquire_slot
        connection.acquire_slot = lambda model: slots.pop() if slots else acquire_slot(model)
        return connection

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    def abort(self) -> None:
        """Interrupt the requests in all threads and refuse new ones.

        The sockets are shut down, because closing a socket does not wake a thread that is reading
        from it.
        """
        self._pool.abort()

    def _wait(self, seconds: float) -> None:
        """Wait before the next attempt; `abort` ends the wait, except on the main thread."""
        if current_thread() is main_thread():
            self._sleep(seconds)  # a keyboard interrupt ends the sleep, even on Windows
        else:
            self._pool.wait(seconds)

    def send(
        self, method: str, url: str, model: str = "", **request_kwargs: Any
    ) -> httpx.Response:
        """Send a request once and return the response with its body unread.

        `request_kwargs` are httpx arguments such as the body. If the response has an error
        status, the matching error is raised, and its `model` is set to `model`.
        """
        if self._pool.is_aborted:
            raise APIConnectionError(_("The connection was closed"))
        request_kwargs["extensions"] = {**self._extensions, "trace": self._pool.add_socket}
        client = self._pool.client
        _log_state.is_sending = True
        try:
            response = call_httpx(
                lambda: client.send(
                    client.build_request(method, url, **request_kwargs), stream=True
                )
            )
        finally:
            _log_state.is_sending = False
        if self.observe_headers is not None:
            self.observe_headers(response.headers)
        if response.is_success:
            return response
        error = error_from_response(
            response.status_code,
            response.headers,
            read_error_body(response),
            is_cloudflare=self.is_cloudflare,
        )
        error.model = model
        raise error

    def request_json(
        self,
        method: str,
        url: str,
        model: str = "",
        on_retry: OnRetry | None = None,
        *,
        has_own_errors: bool = False,
        **request_kwargs: Any,
    ) -> tuple[Any, httpx.Headers]:
        """Send a request with retries and return the JSON and headers of the response.

        If the response contains an error, the error is raised, whatever its status. If
        `has_own_errors` is True, errors with a success status are returned, for the caller to
        read.
        """

        def send() -> tuple[Any, httpx.Headers]:
            response = self.send(method, url, model, **request_kwargs)
            with reporting_bill(response.headers):
                content = read_body(response)
                if has_own_errors:
                    return parse_json(response, content), response.headers
                return self.parse_reply(response, content, model), response.headers

        return self.with_retries(send, on_retry, model)

    def parse_reply(self, response: httpx.Response, content: bytes, model: str = "") -> Any:
        """Return the JSON value of a response, or raise the error that it contains.

        Raises the same errors as `parse_json`.
        """
        reply = parse_json(response, content)
        error = error_from_body(reply, response.headers, is_cloudflare=self.is_cloudflare)
        if error is not None:
            error.model = model
            raise error
        return reply

    def with_retries(
        self,
        send: Callable[[], ResultT],
        on_retry: OnRetry | None = None,
        model: str = "",
        slot: RateDelay | None = None,
    ) -> ResultT:
        """Call `send` until it succeeds or raises an error that is not retryable.

        If `model` is given, each attempt first waits for its slot from the rate limiter. `slot`
        is the slot for the first attempt, if the caller already has it.
        """
        start_time = time.monotonic()
        if slot is None and model:
            slot = self.acquire_slot(model)
        if slot is not None and slot.seconds > 0:
            self._wait_for_slot(slot, on_retry)
        try:
            return send()
        except CfaiError as error:
            if self._pool.is_aborted or not is_retryable(error, 1):
                raise
            first_error = error
        return self._retry(send, first_error, start_time, on_retry, model)

    def _retry(
        self,
        send: Callable[[], ResultT],
        first_error: CfaiError,
        start_time: float,
        on_retry: OnRetry | None,
        model: str,
    ) -> ResultT:
        """Call `send` again after a first attempt that failed with `first_error`."""
        from tenacity import RetryCallState, Retrying

        errors = [first_error]

        def get_error(state: RetryCallState) -> Any:
            return state.outcome.exception() if state.outcome else None

        def send_again() -> ResultT:
            if errors:
                raise errors.pop()
            slot = self.acquire_slot(model) if model else None
            if slot is not None and slot.seconds > 0:
                self._wait_for_slot(slot, on_retry)
            return send()

        def should_retry(state: RetryCallState) -> bool:
            can_retry = is_retryable(get_error(state), state.attempt_number)
            return can_retry and not self._pool.is_aborted

        def notify(state: RetryCallState) -> None:
            wait = state.next_action.sleep if state.next_action else 0.0
            if on_retry and time.monotonic() - start_time + wait > NOTIFY_AFTER:
                on_retry(get_error(state), wait, state.attempt_number + 1)

        return Retrying(
            retry=should_retry,
            wait=lambda state: backoff(get_error(state), state.attempt_number, random),
            before_sleep=notify,
            sleep=self._wait,
            reraise=True,
        )(send_again)

    def _wait_for_slot(self, slot: RateDelay, on_retry: OnRetry | None) -> None:
        if on_retry and slot.seconds > NOTIFY_AFTER:
            on_retry(RateLimitError(slot.cause), slot.seconds, 1)
        self._wait(slot.seconds)


@contextmanager
def reporting_bill(headers: Mapping[str, str]) -> Iterator[None]:
    """Add the neurons in the header of a response to an error that its content raises."""
    try:
        yield
    except CfaiError as error:
        from .frame_decoder import parse_usage

        usage = parse_usage(None, headers)
        error.usage = None if usage.neurons is None else usage
        raise


def json_kwargs(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return httpx arguments for sending a value as JSON; a lone surrogate becomes "?".

    Raises:
        InvalidOptionError: The value contains NaN, infinity or another value that is not JSON.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        check_fields(value, _("The request"))
        raise
    content = text.encode(errors="replace")
    return {"content": content, "headers": {"Content-Type": "application/json"}}


def content_kwargs(payload: Mapping[str, Any] | bytes, content_type: str | None) -> dict[str, Any]:
    """Return httpx arguments for sending JSON, or bytes with a content type."""
    if isinstance(payload, bytes):
        headers = {"Content-Type": content_type} if content_type else {}
        return {"content": payload, "headers": headers}
    return json_kwargs(payload)


def parse_json(response: httpx.Response, content: bytes) -> Any:
    """Return the JSON value of a response.

    Raises:
        BadRequestError: The content is a web page.
        ResponseFormatError: The content is not JSON.
    """
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        pass
    raise_if_page(response, content)
    raise format_error(content)


def parse_object(content: bytes) -> dict[str, Any] | None:
    """Return the JSON object in a response of any type; None for other content.

    Some servers send JSON with the type of text or of bytes.
    """
    if not content.lstrip(JSON_PADDING).startswith(b"{"):
        return None
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def raise_if_page(response: httpx.Response, content: bytes) -> None:
    """Raise BadRequestError if the content of a response is a web page."""
    if is_page(response.headers, content):
        hint = _("Check CLOUDFLARE_API_BASE_URL and the proxy settings: is /v1 missing?")
        raise page_error(response.status_code, response.headers, content, hint)


def format_error(content: bytes) -> ResponseFormatError:
    """Return the error for a response in an unknown format, with the start of its content."""
    excerpt = " ".join(content[:MAX_EXCERPT_BYTES].decode("utf-8", "replace").split())
    if not excerpt:
        return ResponseFormatError(_("The response is empty"))
    return ResponseFormatError(
        _("The response is not understood: {start}").format(start=excerpt[:MAX_EXCERPT_CHARS])
    )
