"""Sends requests and waits for their replies: one pool, tried again where that is worth it."""

import json
import time
from collections.abc import Callable, Generator, Mapping
from copy import copy
from random import random
from threading import current_thread, main_thread
from typing import Any, Self, TypeVar

import httpx
from tenacity import RetryCallState, Retrying

from ..errors import BadOption, CfaiError, ConnectionFailed, RateLimited
from ..secret import Secret, Unpickled
from . import body
from .envelope import refusal
from .http_pool import HttpPool
from .pacing import Wait
from .retry import is_worth_another, seconds_before
from .transport import in_httpx, set_up

CONNECT_TIMEOUT = 10.0  # s
NO_TOKEN = Secret("")  # for a server that asks for no key: no header is sent
TELL_AFTER = 2.0  # s of trying: from then on the user is told

MOST = 100  # connections at once

OnRetry = Callable[[CfaiError, float, int], None]
Turn = Callable[[str], Wait | None]  # of a request to a model, taken before each try
Sent = TypeVar("Sent")


def no_turn(_model: str) -> None:
    """Let every request go at once."""


class _Bearer(Unpickled, httpx.Auth):
    """Puts the token into the request's header, and into nothing that prints."""

    def __init__(self, token: Secret) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {self._token.reveal()}"
        response = yield request
        # A reply keeps its request: without the header, but with the timeout of its body.
        response.request = httpx.Request(
            request.method, request.url, extensions=request.extensions
        )

    def __repr__(self) -> str:
        return "<an API token>"


class Connection(Unpickled):
    """One connection pool with one token, or NO_TOKEN. It raises our errors and no other."""

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
        self.turn: Turn = no_turn

        def client() -> httpx.Client:
            return httpx.Client(
                auth=_Bearer(token) if token else None,
                headers={
                    "User-Agent": f"cfai-magics/{__version__}",
                    "Accept-Encoding": body.ACCEPT_ENCODING,
                },
                timeout=httpx.Timeout(timeout, connect=CONNECT_TIMEOUT),
                transport=transport,
                limits=httpx.Limits(max_connections=MOST, max_keepalive_connections=MOST),
                follow_redirects=False,  # so that the token never travels to another host
            )

        self._pool = HttpPool(lambda: set_up(client))

    @property
    def _http(self) -> httpx.Client:
        return self._pool.client

    def bearing(self, extensions: Mapping[str, Any]) -> Self:
        """Return the same connections, with what each request then bears for the transport."""
        made = copy(self)
        made._extensions = extensions  # noqa: SLF001 - our own
        return made

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    def hang_up(self) -> None:
        """End at once what other threads wait for, and let nothing more be sent.

        Closing a socket does not wake a thread that reads from it; shutting it down does.
        """
        self._pool.hang_up()

    def _is_worth_another(self, state: RetryCallState) -> bool:
        worth_it = is_worth_another(_failure(state), state.attempt_number)
        return worth_it and not self._pool.has_hung_up

    def _pause(self, seconds: float) -> None:
        """Wait before another try; on other threads than the main one, until hung up."""
        if current_thread() is main_thread():
            self._sleep(seconds)  # which an interrupt ends, on Windows too
        else:
            self._pool.wait(seconds)

    def send(self, method: str, url: str, model: str = "", **sent: Any) -> httpx.Response:
        """Send once; return the reply with its body unread, or raise what it refuses with.

        `sent` is what httpx takes as the body; `model` is named in the errors.
        """
        if self._pool.has_hung_up:
            raise ConnectionFailed("The connection was hung up")
        sent["extensions"] = {**self._extensions, "trace": self._pool.note_socket}
        http = self._http
        response = in_httpx(
            lambda: http.send(http.build_request(method, url, **sent), stream=True)
        )
        if response.is_success:
            return response
        error = refusal(response.status_code, response.headers, body.beginning(response))
        error.model = model
        raise error

    def ask(
        self,
        method: str,
        url: str,
        model: str = "",
        on_retry: OnRetry | None = None,
        **sent: Any,
    ) -> tuple[Any, httpx.Headers]:
        """Send, again where that is worth it; return the reply's JSON and headers."""
        response = self.tried(lambda: self.send(method, url, model, **sent), on_retry, model)
        return json_of(response), response.headers

    def tried(
        self, send: Callable[[], Sent], on_retry: OnRetry | None = None, model: str = ""
    ) -> Sent:
        """Call `send` until it succeeds, or raises what is not worth another try.

        Each try waits for its turn first, where a model is named.
        """
        begun = time.monotonic()

        def in_turn() -> Sent:
            self._await_turn(model, on_retry)
            return send()

        def tell(state: RetryCallState) -> None:
            wait = state.next_action.sleep if state.next_action else 0.0
            if on_retry and time.monotonic() - begun + wait > TELL_AFTER:
                on_retry(_failure(state), wait, state.attempt_number + 1)

        return Retrying(
            retry=self._is_worth_another,
            wait=lambda state: seconds_before(_failure(state), state.attempt_number, random),
            before_sleep=tell,
            sleep=self._pause,
            reraise=True,
        )(in_turn)

    def _await_turn(self, model: str, on_retry: OnRetry | None) -> None:
        wait = self.turn(model) if model else None
        if wait is None:
            return
        if on_retry and wait.seconds > TELL_AFTER:
            on_retry(RateLimited(wait.cause), wait.seconds, 1)
        self._pause(wait.seconds)


def _failure(state: RetryCallState) -> Any:
    return state.outcome.exception() if state.outcome else None


def json_content(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return what httpx takes to send this JSON; half a surrogate pair becomes "?".

    Raises BadOption for NaN and infinity, which JSON does not know.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:
        raise BadOption("NaN and infinity are no numbers that can be sent") from None
    content = text.encode(errors="replace")
    return {"content": content, "headers": {"Content-Type": "application/json"}}


def content(payload: Mapping[str, Any] | bytes, content_type: str | None) -> dict[str, Any]:
    """Return what httpx takes to send JSON, or bytes of a type."""
    if isinstance(payload, bytes):
        headers = {"Content-Type": content_type} if content_type else {}
        return {"content": payload, "headers": headers}
    return json_content(payload)


def json_of(response: httpx.Response) -> Any:
    """Return a reply's JSON; raises an error when it is none."""
    content = body.whole(response)
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise refusal(response.status_code, response.headers, content) from None
