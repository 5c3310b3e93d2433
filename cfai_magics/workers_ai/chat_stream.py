"""One chat call while its answer comes in."""

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import chain, islice
from typing import Any, Self

import httpx

from ..errors import CfaiError, ConnectionFailed, CutStream, WorkersAIError
from ..values import Delta, Request, Text, Usage
from .connection import json_of
from .envelope import refusal_in
from .gateway import from_cache, told_by
from .sse import MESSAGE, Event, events
from .transport import our_errors
from .usage import header_neurons
from .wire import Reader, is_empty, unwrapped

Begun = tuple[list[Delta], Iterator[Delta]]
Send = Callable[[Mapping[str, Any]], httpx.Response]  # takes changes of the body
Tried = Callable[[Callable[[], Begun]], Begun]

END = b"[DONE]"
RAW_DECODE = json.JSONDecoder().raw_decode


class ChatStream:
    """The deltas of one call, in a `with` block or closed by hand; sending waits for the first.

    Iterating raises the errors of the call; what had arrived as text stands in their `text`. A
    stream that stops before its end raises CutStream. `via` names what lies between.
    """

    def __init__(self, send: Send, tried: Tried, request: Request, via: str = "") -> None:
        self._send = send
        self._tried = tried
        self._request = request
        self._via = via
        self._response: httpx.Response | None = None
        self._arriving = False
        self._reader = Reader()
        self._texts: list[str] = []
        self.body: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, in the middle of the answer too."""
        if self._response is not None:
            self._response.close()

    @property
    def usage(self) -> Usage:
        """What the call used so far, as far as it was told."""
        return self._reader.usage

    @property
    def request_id(self) -> str | None:
        """Cloudflare's id of the call, for its support."""
        return self._headers.get("cf-ai-req-id") or self._headers.get("cf-ray")

    @property
    def via(self) -> str:
        """What lies between: "gateway NAME" with its cache's part in it, or another server."""
        return self._via + told_by(self._headers) if self._via else ""

    @property
    def _headers(self) -> Mapping[str, str]:
        return self._response.headers if self._response is not None else {}

    def __iter__(self) -> Iterator[Delta]:
        try:
            first, others = self._tried(self._begun)
            self._arriving = True
            for delta in chain(first, others):
                if isinstance(delta, Text):
                    self._texts.append(delta.text)
                yield delta
        except CfaiError as error:
            error.text = "".join(self._texts)
            error.model = self._request.model
            raise
        finally:
            self.close()

    def _begun(self) -> Begun:
        """Send, and wait for the first delta: up to here a refusal may be tried again."""
        self.close()
        self._reader = Reader()
        deltas = self._deltas()
        return list(islice(deltas, 1)), deltas

    def _deltas(self) -> Iterator[Delta]:
        response = self._response = self._send({})
        if from_cache(response.headers):
            self._reader.is_copy()
        if _is_json(response):
            yield from self._whole(response)
        else:
            yield from self._streamed(response)

    def _whole(self, response: httpx.Response) -> Iterator[Delta]:
        answer = self._told(response)
        if self._request.stream and is_empty(answer):
            answer = self._told(self._asked_again())
        yield from self._reader.read(answer)
        yield from self._end()

    def _told(self, response: httpx.Response) -> Any:
        """Return the answer that a reply's JSON holds, or raise what it refuses with."""
        self.body = json_of(response)
        _raise_refusal(self.body)
        return unwrapped(self.body)

    def _asked_again(self) -> httpx.Response:
        """Ask without streaming: some models answer a stream request with an empty result."""
        self.close()
        response = self._response = self._send({"stream": False})
        return response

    def _end(self) -> Iterator[Delta]:
        return self._reader.end(header_neurons(self._headers))

    def _streamed(self, response: httpx.Response) -> Iterator[Delta]:
        read = self._reader.read
        arriving = self._events(response)
        for name, data in arriving:
            if data == END:
                yield from self._end()
                with suppress(CfaiError):  # the answer is whole
                    deque(arriving, maxlen=0)  # read to its end, a connection serves again
                return
            frame = frame_in(data)
            if frame is not None:
                _raise_refusal(frame, name)
                yield from read(frame)
        yield from self._reader.held()
        raise CutStream("The answer broke off")

    def _events(self, response: httpx.Response) -> Iterator[Event]:
        try:
            with our_errors():
                yield from events(response.iter_bytes())
        except ConnectionFailed as error:
            if self._arriving:
                raise CutStream(f"The answer broke off: {error.cause}") from None
            raise


def _is_json(response: httpx.Response) -> bool:
    return "application/json" in response.headers.get("content-type", "")


def frame_in(data: bytes) -> Any:
    """Return a frame's JSON; None for anything that is no JSON object."""
    text = data.decode("utf-8", "replace")
    if not text.startswith("{"):
        text = text.lstrip()
        if not text.startswith("{"):
            return None
    try:
        return RAW_DECODE(text)[0]  # loads spends a third more on looking at both ends
    except (ValueError, RecursionError):
        return None


def _raise_refusal(frame: Any, named: str = MESSAGE) -> None:
    if not isinstance(frame, dict) or ("choices" in frame and not frame.get("error")):
        return
    error: WorkersAIError | None = refusal_in(frame)
    if error is None and named == "error":
        error = refusal_in({"error": frame.get("message") or frame})
    if error is not None:
        raise error
