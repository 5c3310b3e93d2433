"""Send HTTP requests with retries, backoff and rate limits, and map their errors."""

import json
import time
from collections.abc import Callable, Generator, Mapping
from copy import copy
from random import random
from threading import current_thread, main_thread
from typing import Any, Self, TypeVar

import httpx
from tenacity import RetryCallState, Retrying

from ..errors import (
    APIConnectionError,
    InvalidOptionError,
    RateLimitError,
)
from ..pricing.rate_limits import RateDelay
from ..secret import Secret, Unpicklable
from .connection_pool import HttpPool
from .error_mapping import error_from_response
from .httpx_errors import call_constructor, call_httpx
from .response_body import ACCEPT_ENCODING, read_body, read_error_body
from .retry import OnRetry, backoff, is_retryable

CONNECT_TIMEOUT = 10.0  # s
NO_TOKEN = Secret("")  # for a server without authentication: no header is sent
NOTIFY_AFTER = 2.0  # s of retrying, after which `on_retry` is called

MAX_CONNECTIONS = 100

AcquireSlot = Callable[[str], RateDelay | None]  # takes a model name, called before each attempt
ResultT = TypeVar("ResultT")


def no_rate_limit(_model: str) -> None:
    """Return None: no request is delayed."""


class _BearerAuth(Unpicklable, httpx.Auth):
    """Authorization header with a token that no repr, traceback or response shows."""

    def __init__(self, token: Secret) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {self._token.reveal()}"
        response = yield request
        # A response keeps its request: replace it by one without the token, with its timeout.
        response.request = httpx.Request(
            request.method, request.url, extensions=request.extensions
        )

    def __repr__(self) -> str:
        return "<an API token>"


class HTTPConnection(Unpicklable):
    """One connection pool with one token, or NO_TOKEN; it raises only errors of this package."""

    def __init__(
        self,
        token: Secret,
        timeout: float,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        from .. import __version__

        self._sleep = sleep
        self._extensions: Mapping[str, Any] = {}
        self.acquire_slot: AcquireSlot = no_rate_limit

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

    @property
    def _http(self) -> httpx.Client:
        return self._pool.client

    def with_extensions(self, extensions: Mapping[str, Any]) -> Self:
        """Return a copy on the same pool that sends these httpx request extensions."""
        connection = copy(self)
        connection._extensions = extensions  # noqa: SLF001 - our own
        return connection

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    def abort(self) -> None:
        """Interrupt the requests of all threads and refuse new ones.

        Closing a socket does not wake a thread that reads from it; shutting it down does.
        """
        self._pool.abort()

    def _should_retry(self, state: RetryCallState) -> bool:
        can_retry = is_retryable(_last_error(state), state.attempt_number)
        return can_retry and not self._pool.is_aborted

    def _wait(self, seconds: float) -> None:
        """Wait before the next attempt; `abort` ends the wait, except on the main thread."""
        if current_thread() is main_thread():
            self._sleep(seconds)  # a keyboard interrupt ends it, also on Windows
        else:
            self._pool.wait(seconds)

    def send(
        self, method: str, url: str, model: str = "", **request_kwargs: Any
    ) -> httpx.Response:
        """Send a request once and return the response with its body unread, or raise its error.

        `request_kwargs` are httpx arguments such as the body; `model` is set on the errors.
        """
        if self._pool.is_aborted:
            raise APIConnectionError("The connection was hung up")
        request_kwargs["extensions"] = {**self._extensions, "trace": self._pool.add_socket}
        http = self._http
        response = call_httpx(
            lambda: http.send(http.build_request(method, url, **request_kwargs), stream=True)
        )
        if response.is_success:
            return response
        error = error_from_response(
            response.status_code, response.headers, read_error_body(response)
        )
        error.model = model
        raise error

    def request_json(
        self,
        method: str,
        url: str,
        model: str = "",
        on_retry: OnRetry | None = None,
        **request_kwargs: Any,
    ) -> tuple[Any, httpx.Headers]:
        """Send a request with retries; return the JSON and the headers of the response."""
        response = self.with_retries(
            lambda: self.send(method, url, model, **request_kwargs), on_retry, model
        )
        return read_json(response), response.headers

    def with_retries(
        self,
        send: Callable[[], ResultT],
        on_retry: OnRetry | None = None,
        model: str = "",
        slot: RateDelay | None = None,
    ) -> ResultT:
        """Call `send` until it succeeds or raises an error that is not retryable.

        With a `model`, each attempt first waits for its slot of the rate limiter. `slot` is that
        of the first attempt if the caller has it already.
        """
        start_time = time.monotonic()
        slots = [] if slot is None else [slot]

        def send_in_slot() -> ResultT:
            self._wait_for_slot(slots.pop() if slots else self._acquire(model), on_retry)
            return send()

        def notify(state: RetryCallState) -> None:
            wait = state.next_action.sleep if state.next_action else 0.0
            if on_retry and time.monotonic() - start_time + wait > NOTIFY_AFTER:
                on_retry(_last_error(state), wait, state.attempt_number + 1)

        return Retrying(
            retry=self._should_retry,
            wait=lambda state: backoff(_last_error(state), state.attempt_number, random),
            before_sleep=notify,
            sleep=self._wait,
            reraise=True,
        )(send_in_slot)

    def _acquire(self, model: str) -> RateDelay | None:
        return self.acquire_slot(model) if model else None

    def _wait_for_slot(self, delay: RateDelay | None, on_retry: OnRetry | None) -> None:
        if delay is None or not delay.seconds:
            return
        if on_retry and delay.seconds > NOTIFY_AFTER:
            on_retry(RateLimitError(delay.cause), delay.seconds, 1)
        self._wait(delay.seconds)


def _last_error(state: RetryCallState) -> Any:
    return state.outcome.exception() if state.outcome else None


def json_kwargs(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return httpx arguments that send this JSON; a lone surrogate becomes "?".

    Raises InvalidOptionError for NaN and infinity, which are not valid JSON.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:
        raise InvalidOptionError("NaN and infinity are no numbers that can be sent") from None
    content = text.encode(errors="replace")
    return {"content": content, "headers": {"Content-Type": "application/json"}}


def content_kwargs(payload: Mapping[str, Any] | bytes, content_type: str | None) -> dict[str, Any]:
    """Return httpx arguments that send JSON, or bytes with a content type."""
    if isinstance(payload, bytes):
        headers = {"Content-Type": content_type} if content_type else {}
        return {"content": payload, "headers": headers}
    return json_kwargs(payload)


def read_json(response: httpx.Response) -> Any:
    """Return the JSON of a response; raises a WorkersAIError if it is not valid JSON."""
    content = read_body(response)
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise error_from_response(response.status_code, response.headers, content) from None
