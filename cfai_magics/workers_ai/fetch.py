"""Send requests with the browser's `fetch`, because Pyodide has no sockets.

With JavaScript Promise Integration (JSPI), Python waits for each part of an answer. Browsers
without JSPI receive the whole answer at once, by a synchronous XMLHttpRequest. It follows
redirects, but browsers do not send the key to another origin.
"""

from collections.abc import Iterator
from math import inf
from typing import Any

import httpx

# Parts of Pyodide. This module is only imported there.
import js
from pyodide.ffi import JsException, can_run_sync, run_sync, to_js

from ..browser_page import add_request, has_stop_button, remove_request
from ..errors import APITimeoutError, InvalidOptionError
from ..i18n import _
from .endpoints import is_cloudflare_url

# Seconds for a whole response, if the page has no Stop button.
DEADLINE = 60.0
# Headers that browsers set themselves, and do not let programs set.
BROWSER_HEADERS = {"accept-encoding", "connection", "content-length", "host", "user-agent"}
# Browsers return the decompressed body.
ENCODING_HEADERS = {"content-encoding", "content-length", "transfer-encoding"}
REDIRECT_STATUS = 302  # of a redirect that `fetch` hides
# Why a request was aborted: the message of `AbortSignal.reason`.
TIMED_OUT, AT_DEADLINE, STOPPED, CLOSED = "timed out", "at deadline", "stopped", "closed"


def is_streaming() -> bool:
    """Return whether the parts of an answer are available as they arrive."""
    return bool(can_run_sync())


class FetchTransport(httpx.BaseTransport):
    """A transport that sends each request with `fetch`, and never follows a redirect.

    Attributes:
        deadline: The maximum number of seconds for a whole response, or None for no limit.
    """

    def __init__(self, deadline: float | None = DEADLINE) -> None:
        self.deadline = deadline
        self._exchanges: set[_Exchange] = set()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request.

        Raises:
            InvalidOptionError: The request is for Cloudflare, which browsers can't reach.
            APITimeoutError: The deadline has passed.
            KeyboardInterrupt: The user pressed Stop.
            httpx.TransportError: The request failed.
        """
        if is_cloudflare_url(str(request.url)):
            raise InvalidOptionError(
                _("A browser can't reach Cloudflare's API, which allows no requests of web pages"),
                _("Use a class server: {command}").format(command="%cfai login --class URL"),
            )
        body = request.read()
        timeout = request.extensions.get("timeout", {}).get("read")
        if not is_streaming():
            return _send_without_streaming(request, body, timeout, self.deadline)
        exchange = _Exchange(timeout, None if has_stop_button() else self.deadline)
        self._exchanges.add(exchange)
        add_request(exchange)
        try:
            response = exchange.send(request, body)
        except BaseException:
            self._end(exchange)
            raise
        if response.type == "opaqueredirect":
            self._end(exchange)
            return httpx.Response(REDIRECT_STATUS)
        return httpx.Response(
            response.status,
            headers=_readable_headers((pair[0], pair[1]) for pair in response.headers),
            stream=_ResponseStream(response.body, exchange, lambda: self._end(exchange)),
        )

    def _end(self, exchange: "_Exchange") -> None:
        self._exchanges.discard(exchange)
        exchange.abort(CLOSED)
        remove_request(exchange)

    def close(self) -> None:
        """Close the connections of unfinished responses."""
        for exchange in list(self._exchanges):
            self._end(exchange)


class _Exchange:
    """One request and its response, which end at a timeout, at the deadline or by `abort`."""

    def __init__(self, timeout: float | None, deadline: float | None) -> None:
        controller = js.AbortController.new()
        self._signal = controller.signal
        self._abort = controller.abort.bind(controller)
        self._timeout = timeout
        self._deadline = deadline
        self._deadline_timer = self._start_timer(deadline, AT_DEADLINE)

    def _start_timer(self, seconds: float | None, reason: str) -> Any:
        """Abort after a number of seconds. The timer runs in JavaScript, while Python waits."""
        if seconds is None or seconds == inf:
            return None
        return js.setTimeout(self._abort, _to_ms(seconds), js.Error.new(reason))

    def abort(self, reason: str) -> None:
        """End the request. A later abort has no effect."""
        self.remove_deadline()
        self._abort(js.Error.new(reason))

    def stop(self) -> None:
        """End the request, because the user pressed Stop."""
        self.abort(STOPPED)

    def remove_deadline(self) -> None:
        """Let the response take as long as it needs."""
        js.clearTimeout(self._deadline_timer)

    def send(self, request: httpx.Request, body: bytes) -> Any:
        """Send the request, and return the JavaScript response with its body unread."""
        options = {
            "method": request.method,
            "headers": _sent_headers(request),
            "body": body or None,
            "redirect": "manual",  # so that the key is never sent to another host
            "credentials": "omit",
            "cache": "no-store",
            "signal": self._signal,
        }
        js_options = to_js(options, dict_converter=js.Object.fromEntries)
        return self.wait(js.fetch(str(request.url), js_options), httpx.ConnectError)

    def wait(self, promise: Any, failure: type[httpx.TransportError]) -> Any:
        """Return the value of a promise. If it is rejected, raise `failure` or the reason."""
        timer = self._start_timer(self._timeout, TIMED_OUT)
        try:
            return run_sync(promise)
        except JsException:
            reason = self._signal.reason.message if self._signal.aborted else ""
        finally:
            js.clearTimeout(timer)
        if reason == STOPPED:
            raise KeyboardInterrupt
        if reason == AT_DEADLINE:
            raise _deadline_error(self._deadline or 0.0)
        if reason == TIMED_OUT:
            raise httpx.ReadTimeout(TIMED_OUT)
        raise failure(reason or "fetch failed")


class _ResponseStream(httpx.SyncByteStream):
    """The body of a response, read part by part."""

    def __init__(self, body: Any, exchange: _Exchange, end: Any) -> None:
        self._body = body
        self._exchange = exchange
        self._end = end

    def __iter__(self) -> Iterator[bytes]:
        if self._body is None:
            return
        reader = self._body.getReader()
        while True:
            part = self._exchange.wait(reader.read(), httpx.ReadError)
            if part.done:
                return
            yield part.value.to_bytes()

    def close(self) -> None:
        """Cancel the reader, which closes the connection of an unfinished response."""
        self._end()


def _to_ms(seconds: float) -> int:
    return round(seconds * 1000)


def _deadline_error(deadline: float) -> APITimeoutError:
    return APITimeoutError(
        _(
            "The answer was stopped after {seconds:,.0f} s, because a browser can't interrupt a "
            "running cell"
        ).format(seconds=deadline),
        _("Lower --max-tokens, or choose a faster model with -m."),
    )


def _sent_headers(request: httpx.Request) -> dict[str, str]:
    return {name: value for name, value in request.headers.items() if name not in BROWSER_HEADERS}


def _readable_headers(pairs: Any) -> list[tuple[str, str]]:
    return [(name, value) for name, value in pairs if name.lower() not in ENCODING_HEADERS]


def _send_without_streaming(
    request: httpx.Request, body: bytes, timeout: float | None, deadline: float | None
) -> httpx.Response:
    """Send a request with a synchronous XMLHttpRequest, and return its whole response."""
    xhr = js.XMLHttpRequest.new()
    xhr.open(request.method, str(request.url), False)  # noqa: FBT003 - not asynchronous
    xhr.responseType = "arraybuffer"
    limits = (inf if timeout is None else timeout, inf if deadline is None else deadline)
    if min(limits) < inf:
        xhr.timeout = _to_ms(min(limits))
    for name, value in _sent_headers(request).items():
        xhr.setRequestHeader(name, value)
    try:
        xhr.send(to_js(body) if body else None)
    except JsException as error:
        if error.name != "TimeoutError":
            raise httpx.ConnectError(error.name) from None
        if limits[1] <= limits[0]:
            raise _deadline_error(limits[1]) from None
        raise httpx.ReadTimeout(TIMED_OUT) from None
    lines = (line.partition(":") for line in xhr.getAllResponseHeaders().splitlines())
    headers = _readable_headers((name, value.strip()) for name, _colon, value in lines)
    return httpx.Response(xhr.status, headers=headers, content=xhr.response.to_bytes())
