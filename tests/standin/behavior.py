"""What tests can change: switches, and the faults that they add to responses.

A response to a stream is sent at a given speed, with errors, junk, split characters or a broken
connection. Floods are endless or compressed responses of a broken or hostile server. All of these
are invented, except for the errors: those are recorded (see `errors`).
"""

import asyncio
import itertools
import re
import zlib
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

from .dialects import DIALECTS, Dialect, Event, Padding, ThoughtField
from .errors import Fault, Piece, Reply, dump_json, error_body

if TYPE_CHECKING:
    from .state import OpenCall

Answer = str | Sequence[str] | Callable[[str], str]

DONE = b"data: [DONE]\n\n"
COMMENT = b": keep-alive\n\n"
# Unknown events, fields and values without a part of an answer.
JUNK = (
    b'event: ping\ndata: {"type":"ping"}\n\n',
    b"id: 7\nretry: 100\n\n",
    b"data: {}\n\n",
    b"data: null\n\n",
    b"data: not json\n\n",
    b'data: {"choices":null}\n\n',
    b'data: {"choices":[{"delta":null}]}\n\n',
    b'data: {"tool_calls":[],"p":"abdefgh"}\n\n',
    b"data:\n\n",
    b"unknown\n\n",
)
BYTES_OF_A_LONG_CHARACTER = re.compile(rb"[\xc2-\xf4](?=[\x80-\xbf])")
# Frames between yields to the event loop, so that it serves other clients.
FRAMES_BETWEEN_REST = 16
FLOOD_PIECE = 2**16  # bytes
SECONDS_BETWEEN_DRIPS = 0.02


class HangUp(Exception):
    """Raised to close the connection in the middle of an answer."""


@dataclass(frozen=True, slots=True)
class Switches:
    """How requests are answered; immutable. None means: as in the recording of the dialect.

    `answer`: a text, texts used in turn, or (in this process) a function of the last user message;
        the default quotes the start of that message, or matches the requested JSON schema.
    `thought`: reasoning, sent unless the request disables it.
    `tool_calls`: objects `{"name", "arguments"}`, sent if the request has tools, `tool_steps`
        times in a conversation.
    `logprobs`: return them if the request has the field.
    `finish_reason`: replaces the real one; "" omits it.
    `dialect`: a name of `DIALECTS`; "" is the dialect that was recorded on the route.
    `raw_stream`: pieces of the body that replace a streamed answer, until the request has tool
        results; with `raw_stream_breaks` the connection is closed after it.
    `canned`: a complete response to all requests whose path contains `error_path`.
    `flood`: name of an endless response (see `make_flood`) for all requests whose path contains
        `error_path`; its status is `flood_status`.
    `json_for_stream`, `empty_json_for_stream`: answer a streaming request with JSON.
    `error`: answers all requests, or the first `errors_before_success`, or those whose path
        contains `error_path`. `error_in_stream_after`: it is sent after N tokens of the stream.
    `delay_before_headers`, `delay_before_first`: seconds before the headers, and between them and
        the first event. `tokens_per_second`: 0 is as fast as possible.
    `busy`: no capacity. `retired`: additional retired models. `batch_polls`: polls before a batch
        is done. `analytics_lag`: age in seconds at which calls appear in GraphQL.
    `gateways`: names of the AI Gateways. `gateway_caches`: they cache answers.
        `gateway_calls`: spend limit, in calls per metadata value.
    """

    answer: Answer | None = None
    thought: str = ""
    thought_field: ThoughtField | None = None
    tool_calls: Sequence[Mapping[str, Any]] = ()
    tool_steps: int = 1
    finish_reason: str | None = None
    cached_tokens: int = 0
    dialect: str = ""
    omit_neurons_header: bool = False
    omit_neurons_body: bool | None = None
    omit_usage: bool | None = None
    logprobs: bool = True
    embeddings_usage: bool = False
    final_native_event: bool | None = None
    padding: Padding | None = None
    done: bool = True
    raw_stream: Sequence[str] | None = None
    raw_stream_breaks: bool = False
    canned: Reply | None = None
    flood: str = ""
    flood_status: int = 200
    json_for_stream: bool = False
    empty_json_for_stream: bool = False
    error: Fault | None = None
    errors_before_success: int | None = None
    error_path: str = ""
    error_in_stream_after: int | None = None
    retry_after: str | None = None
    drop_connection_after: int | None = None
    delay_before_headers: float = 0.0
    delay_before_first: float = 0.0
    tokens_per_second: float = 0.0
    split_utf8: bool = False
    crlf: bool = False
    comments: bool = False
    junk_frames: bool = False
    busy: bool = False
    retired: Sequence[str] = ()
    batch_polls: int = 1
    daily_neurons: float = 10_000
    calls_per_minute: int | None = None
    analytics_lag: float = 0.0
    gateways: Sequence[str] = ("default",)
    gateway_caches: bool = False
    gateway_calls: int | None = None

    def __post_init__(self) -> None:
        if self.dialect and self.dialect not in DIALECTS:
            message = f"dialect {self.dialect!r}: there are {', '.join(DIALECTS)}"
            raise ValueError(message)

    def adapt_dialect(self, name: str) -> Dialect:
        """Return the dialect with this name, with the changes of these switches."""
        dialect = DIALECTS[name]
        if self.omit_neurons_body is not None:
            dialect = replace(dialect, neurons=not self.omit_neurons_body)
        if self.omit_usage is not None:
            usage = "none" if self.omit_usage else dialect.usage_if_any
            dialect = replace(dialect, usage=usage)
        names = ("padding", "thought_field", "final_native_event")
        changes = {name: getattr(self, name) for name in names}
        return replace(
            dialect, **{name: value for name, value in changes.items() if value is not None}
        )

    def with_json(self, changes: Mapping[str, Any]) -> "Switches":
        """Return changed switches. Raises TypeError or ValueError for invalid changes."""
        unknown = set(changes) - {field.name for field in fields(self)}
        if unknown:
            message = f"no such switch: {', '.join(sorted(unknown))}"
            raise TypeError(message)
        return replace(self, **{name: _from_json(name, value) for name, value in changes.items()})

    def as_json(self) -> dict[str, Any]:
        """Return the switches as JSON; an answer function or a response becomes its repr."""
        return {field.name: _to_json(getattr(self, field.name)) for field in fields(self)}


def _from_json(name: str, value: Any) -> Any:
    """Return the value of one switch; an error may be a code or an object with Fault's fields."""
    if name == "error" and isinstance(value, int):
        return Fault.of(value)
    if name == "error" and isinstance(value, Mapping):
        return Fault(**value)
    if name == "canned" and isinstance(value, Mapping):
        return Reply(**{**value, "body": value["body"].encode()})
    return tuple(value) if isinstance(value, list) else value


def _to_json(value: Any) -> Any:
    """Return the value of one switch as JSON."""
    if isinstance(value, Fault):
        return asdict(value)
    return repr(value) if callable(value) or isinstance(value, Reply) else value


class Script:
    """One setting of the switches; a new setting starts its lists from the beginning."""

    def __init__(self, switches: Switches) -> None:
        self.switches = switches
        self._turns = itertools.count()
        self._errors_left = switches.errors_before_success

    def next_answer(self, prompt: str, default: str) -> str:
        """Return the answer of a model to this prompt."""
        answer = self.switches.answer
        if answer is None:
            return default
        if isinstance(answer, str):
            return answer
        if callable(answer):
            return answer(prompt)
        return answer[next(self._turns) % len(answer)]

    def next_fault(self, path: str) -> Fault | None:
        """Return the error for this request, or None."""
        switches = self.switches
        if switches.error_in_stream_after is not None or switches.error_path not in path:
            return None
        if switches.errors_before_success is None:
            return switches.error
        if not self._errors_left:
            return None
        self._errors_left -= 1
        return switches.error or Fault()


class Frame(NamedTuple):
    """An event as bytes, with the number of tokens it carries."""

    data: bytes
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Pace:
    """Schedule of the tokens; it is absolute, so that delays do not accumulate."""

    start: float
    tokens_per_second: float

    async def wait(self, sent: int) -> None:
        """Wait until the token after `sent` tokens is due."""
        if self.tokens_per_second:
            due = self.start + sent / self.tokens_per_second
            delay = due - asyncio.get_running_loop().time()
            if delay > 0:
                await asyncio.sleep(delay)


async def stream_events(
    events: Iterable[Event],
    switches: Switches,
    call: "AbstractContextManager[OpenCall]",
    total: int,
) -> AsyncGenerator[Piece, None]:
    """Yield the pieces of a streamed body; the call is billed before the last piece."""
    with call as billed:
        await asyncio.sleep(switches.delay_before_first)
        pace = Pace(asyncio.get_running_loop().time(), switches.tokens_per_second)
        for number, (frame, last) in enumerate(_with_last(_frames(events, switches))):
            limit = switches.drop_connection_after
            if limit is not None and billed.completion >= limit:
                raise HangUp
            if frame.tokens:
                await pace.wait(billed.completion)
            billed.completion += frame.tokens
            if last:
                if switches.error_in_stream_after is None:
                    billed.completion = total
                billed.settle()
            for piece in _pieces(frame.data, switches, last=last):
                yield piece
                if switches.split_utf8:
                    await asyncio.sleep(0)
            if number % FRAMES_BETWEEN_REST == 0:
                await asyncio.sleep(0)


async def stream_raw(
    switches: Switches, call: "AbstractContextManager[OpenCall]", total: int
) -> AsyncGenerator[Piece, None]:
    """Yield the pieces of `raw_stream`, then end the body or close the connection."""
    with call as billed:
        billed.completion = total
        billed.settle()
        for piece in switches.raw_stream or ():
            yield Piece(piece.encode(errors="surrogateescape"))
            await asyncio.sleep(0)
        if switches.raw_stream_breaks:
            raise HangUp


def encode_event(data: Mapping[str, Any], name: str = "") -> bytes:
    """Return one event as bytes."""
    prefix = f"event: {name}\n".encode() if name else b""
    return prefix + b"data: " + dump_json(data) + b"\n\n"


def _frames(events: Iterable[Event], switches: Switches) -> Iterator[Frame]:
    """Yield all frames: events, comments and junk between them, and [DONE]."""
    ends = switches.done and switches.error_in_stream_after is None
    frames: Iterable[Frame] = itertools.chain(
        (
            Frame(encode_event(*event[::2]), event.tokens)
            for event in _until_error(events, switches)
        ),
        [Frame(DONE)] if ends else [],
    )
    for frame in _with_junk(frames, switches):
        yield Frame(frame.data.replace(b"\n", b"\r\n"), frame.tokens) if switches.crlf else frame


def _until_error(events: Iterable[Event], switches: Switches) -> Iterator[Event]:
    """Yield events up to the token set by the switches, then the error."""
    limit, sent = switches.error_in_stream_after, 0
    for event in events:
        if limit is not None and sent + event.tokens > limit:
            break
        sent += event.tokens
        yield event
    if limit is not None:
        yield Event(error_body(switches.error or Fault(), str(uuid4())))


def _with_junk(frames: Iterable[Frame], switches: Switches) -> Iterator[Frame]:
    """Yield comments and junk before each frame, if the switches enable them."""
    junk = itertools.cycle(JUNK)
    for frame in frames:
        if switches.comments:
            yield Frame(COMMENT)
        if switches.junk_frames:
            yield Frame(next(junk))
        yield frame


def _with_last(frames: Iterator[Frame]) -> Iterator[tuple[Frame, bool]]:
    """Yield each frame with True if it is the last one."""
    waiting = next(frames, None)
    while waiting is not None:
        frame, waiting = waiting, next(frames, None)
        yield frame, waiting is None


def _pieces(data: bytes, switches: Switches, *, last: bool) -> Iterator[Piece]:
    """Yield a frame as one piece, or split after the first byte of each multi-byte character."""
    start = 0
    if switches.split_utf8:
        for match in BYTES_OF_A_LONG_CHARACTER.finditer(data):
            yield Piece(data[start : match.end()])
            start = match.end()
    yield Piece(data[start:], last)


@dataclass(frozen=True, slots=True)
class Flood:
    """Content type of a response, its endless pieces, its encoding, and seconds between pieces."""

    content_type: str
    pieces: Iterable[bytes]
    encoding: str = ""
    pause: float = 0.0


def flood_reply(kind: str, status: int) -> Reply:
    """Return the flood with this name as the response to any request."""
    flood = make_flood(kind)
    headers = {"content-encoding": flood.encoding} if flood.encoding else {}
    return Reply(_pour(flood), status, flood.content_type, headers)


def make_flood(kind: str) -> Flood:
    """Return the flood with this name. Raises KeyError if it is unknown."""
    repeat, drips = itertools.repeat, SECONDS_BETWEEN_DRIPS
    spaces = repeat(b" " * FLOOD_PIECE)
    json, stream = "application/json", "text/event-stream"
    floods: Mapping[str, Callable[[], Flood]] = {
        "spaces": lambda: Flood(json, spaces),
        "drips": lambda: Flood(json, repeat(b" "), pause=drips),
        "gzip": lambda: Flood(json, _zip_bomb(zlib.MAX_WBITS | 16), "gzip"),
        "gzip stream": lambda: Flood(stream, _zip_bomb(zlib.MAX_WBITS | 16), "gzip"),
        "deflate": lambda: Flood(json, _zip_bomb(zlib.MAX_WBITS), "deflate"),
        "gzip twice": lambda: Flood(json, _zip_bomb(zlib.MAX_WBITS | 16), "gzip, gzip"),
        "brotli": lambda: Flood(json, spaces, "br"),
        "one event": lambda: Flood(stream, itertools.chain([b"data: {"], spaces)),
        "lines of one event": lambda: Flood(stream, repeat(b"data: x\n" * 8192)),
        "comment": lambda: Flood(stream, repeat(COMMENT), pause=drips),
        "pings": lambda: Flood(stream, repeat(encode_event({"type": "ping"})), pause=drips),
        "empty frames": lambda: Flood(stream, repeat(_text_event("")), pause=drips),
        "text": lambda: Flood(stream, repeat(_text_event("word "))),
        "long texts": lambda: Flood(stream, repeat(_text_event("word " * 1000))),
        "arguments": lambda: Flood(stream, repeat(_arguments_event('{"a":'))),
        "page": lambda: Flood("text/html", repeat(b"<title" * 10_000)),
        "bytes": lambda: Flood("image/png", spaces),
    }
    return floods[kind]()


def _text_event(content: str) -> bytes:
    return encode_event({"choices": [{"index": 0, "delta": {"content": content}}]})


def _arguments_event(content: str) -> bytes:
    call = {"index": 0, "id": "call_1", "function": {"name": "add", "arguments": content}}
    return encode_event({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]})


def _zip_bomb(wbits: int) -> Iterator[bytes]:
    """Yield endless spaces, compressed about 1000:1."""
    packer = zlib.compressobj(9, wbits=wbits)
    spaces = b" " * 2**24
    while True:
        yield packer.compress(spaces) + packer.flush(zlib.Z_SYNC_FLUSH)


async def _pour(flood: Flood) -> AsyncGenerator[Piece, None]:
    """Yield the pieces until the client leaves."""
    for data in flood.pieces:
        yield Piece(data)
        await asyncio.sleep(flood.pause)
