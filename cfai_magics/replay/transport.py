"""The seam: one transport that listens to the network, and one that plays in its place."""

import json
import time
from collections.abc import Callable, Iterator

import httpx

from ..workers_ai.http_pool import OwnTransport
from ..workers_ai.transport import set_up
from .heard import Heard, Take
from .look import TAKE
from .playing import Piece, played
from .record import Record

Sleep = Callable[[float], None]


class ListeningTransport(httpx.BaseTransport):
    """Passes requests on, and lets the Take in a request's extensions hear the reply."""

    def __init__(self, inner: httpx.BaseTransport | None = None) -> None:
        self._inner = inner or OwnTransport(_Direct)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; a reply that succeeds is heard while it is read."""
        take = request.extensions.get(TAKE)
        started = take.clock() if isinstance(take, Take) else 0.0
        response = self._inner.handle_request(request)
        if isinstance(take, Take) and response.is_success:
            heard = take.begin(_json_content(request), response.headers)
            response.stream = _Listening(response.stream, heard, take, started)
        return response

    def close(self) -> None:
        """Close what the requests are passed on to."""
        self._inner.close()


class _Listening(httpx.SyncByteStream):
    """A reply's bytes, heard on their way."""

    def __init__(self, inner: object, heard: Heard, take: Take, started: float) -> None:
        assert isinstance(inner, httpx.SyncByteStream)  # noqa: S101 - ours are synchronous
        self._inner = inner
        self._heard = heard
        self._clock = take.clock
        self._started = started

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._inner:
            self._heard.ended = self._clock() - self._started
            self._heard.chunks.append((self._heard.ended, chunk))
            yield chunk

    def close(self) -> None:
        self._inner.close()


class _Direct(httpx.BaseTransport):
    """The network as httpx itself goes there: by the proxies that the environment names."""

    def __init__(self) -> None:
        self._client = set_up(lambda: httpx.Client(follow_redirects=False))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        reply = self._client.send(request, stream=True, auth=None)
        return httpx.Response(
            reply.status_code,
            headers=reply.headers,
            stream=reply.stream,
            extensions=reply.extensions,
        )

    def close(self) -> None:
        self._client.close()


class ReplayTransport(httpx.BaseTransport):
    """Answers the requests of one call from its recording, one reply after the other."""

    def __init__(self, record: Record, sleep: Sleep | None = time.sleep) -> None:
        self._replies = iter(record.replies)
        self._sleep = sleep

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Return the next reply of the recording; nothing is sent anywhere."""
        reply = next(self._replies, None)
        if reply is None:
            raise httpx.RemoteProtocolError("the recording holds no further reply")
        headers, pieces = played(reply, streamed=_wants_stream(request))
        return httpx.Response(200, headers=headers, stream=_Playing(pieces, self._sleep))


def _wants_stream(request: httpx.Request) -> bool:
    return json.loads(_json_content(request)).get("stream") is True


def _json_content(request: httpx.Request) -> bytes:
    """Return a request's JSON; that of a form or a sound file is nobody's business here."""
    is_json = request.headers.get("content-type", "") == "application/json"
    return request.content if is_json else b"{}"


class _Playing(httpx.SyncByteStream):
    """A recorded reply's bytes, in the rhythm in which they came; at once without `sleep`."""

    def __init__(self, pieces: Iterator[Piece], sleep: Sleep | None) -> None:
        self._pieces = pieces
        self._sleep = sleep

    def __iter__(self) -> Iterator[bytes]:
        passed = 0.0
        for ms, content in self._pieces:
            if self._sleep and ms > passed:
                self._sleep((ms - passed) / 1000)
                passed = ms
            yield content
