"""One chat call while its answer comes in."""

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Self

import httpx

from ..errors import (
    CfaiError,
    ConnectionFailed,
    CutStream,
    WorkersAIError,
)
from ..neurons.pricing import answers, most_tokens
from ..neurons.tokens import CHARACTERS_PER_TOKEN
from ..values import Delta, Request, Text, Usage
from .body import MAX_REPLY_BYTES, Patience, chunks, seconds_per_piece
from .connection import json_of
from .envelope import refusal_in
from .gateway import from_cache, told_by
from .sse import MESSAGE, events
from .transport import in_httpx
from .usage import header_neurons
from .wire import Reader, is_empty, unwrapped

Begun = tuple[list[Delta], Iterator[Delta]]
Send = Callable[[Mapping[str, Any]], httpx.Response]  # takes changes of the body
Tried = Callable[[Callable[[], Begun]], Begun]

END = b"[DONE]"
UNKNOWN_TOKENS = 131_072  # where the request sets no limit: as many as the longest answers have
SPARE_FRAMES = 16  # without text: the role, the finish reason, the usage
SPARE_TOKENS = 64
LONG_TOKENS = 4  # times longer than usual are tokens of dashes or spaces: 64 characters
BYTES_PER_TOKEN = 4096  # of a frame with one token; real ones have about 500
SLOWEST_TOKEN = 1.0  # s, of a large model on a small machine
SECONDS_AFTER_FINISH = 5.0  # for the usage, which follows at once
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
        self._broken: CfaiError | None = None
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
            in_httpx(self._response.close)

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
        self._reader, self._broken = Reader(), None
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
        reader, allowance = self._reader, Allowance.of(self._request)
        read = reader.read
        patience = Patience(seconds_per_piece(response), allowance.seconds(response))
        arriving = events(self._until_broken(response, patience, allowance.bytes), rest=True)
        frames, enough = 0, allowance.characters
        for name, data, ended in arriving:
            frame = frame_in(data)
            if frame is None:
                if data.strip() == END:
                    reader.finished = True
                    break
                continue
            if not ended and not (reader.finished or finishes(frame)):
                break  # the piece of a frame may be JSON too
            _raise_refusal(frame, name)
            if patience.waited > patience.soon and is_of_answer(frame):
                patience.progress()
            yield from read(frame)
            frames += 1
            if reader.finished:
                patience.shorten(SECONDS_AFTER_FINISH)
            if reader.characters > enough:
                allowance.check(frames, reader.characters)
        if not reader.finished:
            yield from reader.held()
            raise self._cut()
        yield from self._end()
        patience.shorten(SECONDS_AFTER_FINISH)
        deque(arriving, maxlen=0)  # read to its end, a connection serves again

    def _until_broken(
        self, response: httpx.Response, patience: Patience, limit: int
    ) -> Iterator[bytes]:
        """Yield the chunks; an error ends them, and counts only where the answer is not whole."""
        try:
            yield from chunks(response, patience, limit)
        except CfaiError as error:
            self._broken = error

    def _cut(self) -> CfaiError:
        """Return why the stream stopped before its end."""
        if self._broken is None:
            return CutStream("The answer broke off")
        if self._arriving and isinstance(self._broken, ConnectionFailed):
            return CutStream(f"The answer broke off: {self._broken.cause}")
        return self._broken


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a stream may bring before it counts as one without an end: some times its max_tokens.

    `tokens` is the limit that was sent, for all answers; `characters` weigh as Latin ones.
    """

    tokens: int

    @classmethod
    def of(cls, request: Request) -> Self:
        """Return what the answers to a request may bring."""
        return cls((most_tokens(request) or UNKNOWN_TOKENS) * answers(request))

    @property
    def bytes(self) -> int:
        """The most bytes of all frames."""
        return MAX_REPLY_BYTES + BYTES_PER_TOKEN * self.tokens

    @property
    def characters(self) -> int:
        """How many need a closer look: four times what so many tokens usually have."""
        return 4 * (self.tokens + SPARE_TOKENS) * CHARACTERS_PER_TOKEN

    def seconds(self, response: httpx.Response) -> float | None:
        """Return how long all of a stream may take."""
        idle = seconds_per_piece(response)
        return idle and idle + self.tokens * SLOWEST_TOKEN

    def check(self, frames: int, characters: int) -> None:
        """Raise CutStream where a stream has brought more than any server sends within the limit.

        Tokens of many spaces or dashes are long, but come one a frame at most.
        """
        is_past = frames > self.tokens + SPARE_FRAMES
        if is_past or characters > LONG_TOKENS * self.characters:
            raise CutStream(
                f"The server went on far beyond the {self.tokens:,} tokens that it was asked for"
            )


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


def finishes(frame: Any) -> bool:
    """Whether a frame says why the answer ended."""
    probe = Reader()
    deque(probe.read(frame), maxlen=0)
    return probe.finished


def is_of_answer(frame: Any) -> bool:
    """Whether a frame is about the answer; a ping is not."""
    return bool(frame.get("choices")) or "response" in frame or "tool_calls" in frame


def _raise_refusal(frame: Any, named: str = MESSAGE) -> None:
    if not isinstance(frame, dict) or ("choices" in frame and not frame.get("error")):
        return
    error: WorkersAIError | None = refusal_in(frame)
    if error is None and named == "error":
        error = refusal_in({"error": frame.get("message") or frame})
    if error is not None:
        raise error
