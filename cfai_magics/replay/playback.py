"""Capture responses as they arrive, and play back recorded responses."""

import json
import struct
from base64 import b64decode, b64encode
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from math import inf, isfinite
from threading import Event, current_thread, main_thread
from typing import Any, NamedTuple

import httpx

from .. import runtime
from ..errors import ServerError
from ..i18n import _
from ..types.messages import FinishDelta, ReasoningDelta, TextDelta, TokensDelta, ToolCall
from ..types.tokens import Token
from ..types.usage import Usage
from ..workers_ai.chat_stream import (
    DONE,
    EVENTS_TYPE,
    UNREADABLE,
    has_events,
    has_finish_reason,
    iter_frames,
)
from ..workers_ai.client import WorkersAI
from ..workers_ai.endpoints import parse_embeddings
from ..workers_ai.frame_decoder import (
    FrameDecoder,
    is_empty_answer,
    parse_header_neurons,
    parse_usage,
    unwrap_envelope,
)
from ..workers_ai.http import PerProcessTransport, call_constructor, parse_object
from ..workers_ai.sse import iter_events
from .interaction import CAPTURE_EXTENSION, Interaction, RecordedResponse

BYTES_PER_FLOAT = 4
FLOAT_DIGITS = 9  # enough to restore any 32-bit float exactly
# Fields that are different for each call and are not needed for playback.
VOLATILE_FIELDS = (
    "id",
    "created",
    "system_fingerprint",
)
Sleep = Callable[[float], None]


class TimedChunk(NamedTuple):
    """A chunk of a response body, and its arrival time in milliseconds after the request."""

    ms: float
    content: bytes


class PlaybackResponse(NamedTuple):
    """The headers and timed chunks of an HTTP response to play back."""

    headers: Mapping[str, str]
    chunks: Iterator[TimedChunk]


def to_http(response: RecordedResponse, *, is_streaming: bool) -> PlaybackResponse:
    """Convert a recorded response to an HTTP response.

    If `is_streaming` is true, a recorded stream becomes a stream of server-sent events.
    Otherwise, it becomes a single JSON object.
    """
    headers = (
        {} if response.get("neurons") is None else {"cf-ai-neurons": str(response["neurons"])}
    )
    if "base64" in response:
        content = b64decode(response["base64"], validate=True)
        return PlaybackResponse(
            {**headers, "content-type": response["type"]}, _single_chunk(response, content)
        )
    if "stream" in response and is_streaming:
        return PlaybackResponse(
            {"content-type": EVENTS_TYPE},
            _stream_chunks(response["stream"], response["ms"]),
        )
    body = json.dumps(_response_body(response)).encode()
    return PlaybackResponse(
        {**headers, "content-type": "application/json"}, _single_chunk(response, body)
    )


def is_playable(responses: Iterable[RecordedResponse]) -> bool:
    """Return whether all responses can be played back, both with and without streaming."""
    try:
        for response in responses:
            for is_streaming in (True, False):
                deque(to_http(response, is_streaming=is_streaming).chunks, maxlen=0)
    except (ValueError, KeyError, TypeError, AttributeError, struct.error):
        return False
    return True


def _single_chunk(response: RecordedResponse, content: bytes) -> Iterator[TimedChunk]:
    yield TimedChunk(response["ms"], content)


def _stream_chunks(stream: Mapping[str, Any], ms: float) -> Iterator[TimedChunk]:
    deltas = [
        *((at, 0, {"reasoning_content": text}) for at, text in stream["thought"]),
        *((at, 1, {"content": text}) for at, text in stream["text"]),
    ]
    for at, _order, delta in sorted(deltas, key=lambda piece: piece[:2]):
        yield TimedChunk(at, _sse_event({"choices": [{"index": 0, "delta": delta}]}))
    tool_calls = [{"index": index, **call} for index, call in enumerate(_tool_calls(stream))]
    final_choice = {
        "index": 0,
        "delta": {"tool_calls": tool_calls} if tool_calls else {},
        **_logprobs(stream),
        **_finish_frame(stream),
    }
    yield TimedChunk(ms, _sse_event({"choices": [final_choice]}))
    yield TimedChunk(ms, _sse_event({"choices": [], "usage": stream["usage"]}))
    yield TimedChunk(ms, b"data: [DONE]\n\n")


def _sse_event(frame: Mapping[str, Any]) -> bytes:
    return f"data: {json.dumps(frame)}\n\n".encode()


def _finish_frame(stream: Mapping[str, Any]) -> dict[str, Any]:
    return {} if stream["finish"] == "unknown" else {"finish_reason": stream["finish"]}


def _logprobs(stream: Mapping[str, Any]) -> dict[str, Any]:
    """Return the field of a choice with the probabilities of all tokens, if recorded."""
    if "tokens" not in stream:
        return {}
    from ..workers_ai.logprobs import format_logprobs

    return {"logprobs": format_logprobs(stream["tokens"])}


def _tool_calls(stream: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "id": call["id"],
            "type": "function",
            "function": {"name": call["name"], "arguments": call["arguments"]},
        }
        for call in stream["tool_calls"]
    ]


def _response_body(response: RecordedResponse) -> Any:
    if "json" in response:
        return response["json"]
    if "vectors" in response:
        data = [
            {"index": index, "embedding": _unpack_vector(vector)}
            for index, vector in enumerate(response["vectors"])
        ]
        return {"data": data, **({"usage": response["usage"]} if response.get("usage") else {})}
    return _to_completion(response["stream"])


def _unpack_vector(vector: str) -> list[float]:
    content = b64decode(vector, validate=True)
    numbers = struct.unpack(f"<{len(content) // BYTES_PER_FLOAT}f", content)
    if not all(map(isfinite, numbers)):
        raise ValueError(vector)
    return [float(f"{number:.{FLOAT_DIGITS}g}") for number in numbers]


def _to_completion(stream: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a streamed answer to a chat completion object."""
    reasoning, text = ("".join(text for _, text in stream[name]) for name in ("thought", "text"))
    message = {
        "role": "assistant",
        "content": text,
        **({"reasoning_content": reasoning} if reasoning else {}),
        **({"tool_calls": _tool_calls(stream)} if stream["tool_calls"] else {}),
    }
    choice = {"index": 0, "message": message, **_logprobs(stream), **_finish_frame(stream)}
    return {"object": "chat.completion", "choices": [choice], "usage": stream["usage"]}


@dataclass(slots=True)
class CapturedResponse:
    """A response that is being captured.

    Attributes:
        request_body: The body of the request as sent.
        headers: The response headers.
        chunks: The chunks received, as (seconds since the request, chunk) pairs.
        elapsed: The time in seconds from the request to the last chunk.
    """

    request_body: bytes
    headers: Mapping[str, str]
    chunks: list[tuple[float, bytes]] = field(default_factory=list)
    elapsed: float = 0.0

    @property
    def max_tokens(self) -> Any:
        """The max_tokens value of the request as sent, or None if it is not set."""
        try:
            body = json.loads(self.request_body)
            return body.get("max_completion_tokens", body.get("max_tokens"))
        except (ValueError, AttributeError):
            return None


class Capture:
    """Collects the responses of one call. `to_captured_call` converts them to recorded form."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._responses: list[CapturedResponse] = []

    def start_response(self, request_body: bytes, headers: Mapping[str, str]) -> CapturedResponse:
        """Return a new CapturedResponse for the next response of the call.

        A call has several responses if it is sent in batches or retried.
        """
        captured = CapturedResponse(request_body, headers)
        self._responses.append(captured)
        return captured

    @property
    def max_tokens(self) -> Any:
        """The max_tokens value of the last request as sent, or None if it is not set."""
        return self._responses[-1].max_tokens if self._responses else None

    def to_captured_call(self) -> "CapturedCall | None":
        """Convert the responses to recorded form. Return None if all responses are empty."""
        calls = [call for call in map(_to_captured_call, self._responses) if call is not None]
        if not calls:
            return None
        usage = Usage()
        for call in calls:
            usage += call.usage
        return CapturedCall(
            [response for call in calls for response in call.responses],
            usage,
            calls[-1].finish_reason,
        )


@dataclass(frozen=True, slots=True)
class CapturedCall:
    """The responses of a call in recorded form, their total usage, and the finish reason."""

    responses: list[RecordedResponse]
    usage: Usage
    finish_reason: str


def _to_captured_call(captured: CapturedResponse) -> CapturedCall | None:
    """Convert one response to recorded form.

    Return None for an empty response, because the client sends the request again.
    """
    content_type = captured.headers.get("content-type", "")
    chunks = _decompress(captured, [])
    is_typed = EVENTS_TYPE in content_type
    content = next(chunks, b"") if is_typed else b"".join(chunks)
    if has_events(content, is_typed=is_typed):
        return _captured_stream(captured)
    content += b"".join(chunks)
    body = parse_object(content)
    if body is not None or "json" in content_type:
        return _captured_json(captured, json.loads(content) if body is None else body)
    response = {"base64": b64encode(content).decode(), "type": content_type}
    return CapturedCall(
        [_with_timing(response, captured)], parse_usage(None, captured.headers), "stop"
    )


def _with_timing(response: dict[str, Any], captured: CapturedResponse) -> RecordedResponse:
    neurons = parse_header_neurons(captured.headers)
    neurons_field = {} if neurons is None else {"neurons": neurons}
    return {"ms": round(captured.elapsed * 1000), **neurons_field, **response}


def _captured_json(captured: CapturedResponse, body: Any) -> CapturedCall | None:
    answer = unwrap_envelope(body)
    if is_empty_answer(answer):
        return None
    raw_usage = answer.get("usage") if isinstance(answer, dict) else None
    usage = parse_usage(raw_usage, captured.headers)
    return CapturedCall(
        [_with_timing(_recorded_body(body), captured)], usage, _finish_reason(answer)
    )


def _finish_reason(answer: Any) -> str:
    decoder = FrameDecoder()
    deltas = [*decoder.decode(answer), *decoder.finish()]
    return next((delta.reason for delta in deltas if isinstance(delta, FinishDelta)), "unknown")


def _recorded_body(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        return {"json": body}
    plain = {name: value for name, value in body.items() if name not in VOLATILE_FIELDS}
    packed = [_pack_vector(vector) for vector in _vectors(body)]
    return {"vectors": packed, "usage": body.get("usage")} if packed else {"json": plain}


def _vectors(body: Mapping[str, Any]) -> list[tuple[float, ...]]:
    """Return the vectors in a response, in the order of the texts; [] if it has none."""
    data = body.get("data")
    is_list_of_vectors = isinstance(data, list) and all(
        isinstance(item, dict) and isinstance(item.get("embedding"), list) for item in data
    )
    if not is_list_of_vectors:
        return []
    try:
        return parse_embeddings(body, len(data or []))
    except ServerError:  # the call fails, so the response is not recorded
        return []


def _pack_vector(vector: Sequence[float]) -> str:
    """Pack a vector as Base64-encoded 32-bit floats.

    This matches the precision of the models and takes one fifth as much space as JSON numbers.
    """
    return b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _decompress(captured: CapturedResponse, last_seconds: list[float]) -> Iterator[bytes]:
    """Yield the decompressed body. Keep the latest chunk's arrival time in `last_seconds`."""

    def iter_raw() -> Iterator[bytes]:
        for seconds, chunk in captured.chunks:
            last_seconds[:] = [seconds]
            yield chunk

    headers = {
        name: value
        for name, value in captured.headers.items()
        if name.lower() == "content-encoding"
    }
    yield from httpx.Response(200, headers=headers, content=iter_raw()).iter_bytes()


def _captured_stream(captured: CapturedResponse) -> CapturedCall:
    decoder, last_seconds = FrameDecoder(), [0.0]
    texts: dict[type, list[list[Any]]] = {ReasoningDelta: [], TextDelta: []}
    tool_calls: list[dict[str, str]] = []
    tokens: list[Token] = []
    finish_reason = "unknown"
    deltas = (
        decoder.decode(frame)
        for frame in _iter_frames(decoder, _decompress(captured, last_seconds))
    )
    final_deltas = (decoder.finish(parse_header_neurons(captured.headers)) for _ in range(1))
    for delta in chain.from_iterable(chain(deltas, final_deltas)):
        if isinstance(delta, TextDelta | ReasoningDelta):
            _append_text(texts[type(delta)], round(last_seconds[0] * 1000), delta.text)
        elif isinstance(delta, ToolCall):
            call = {"id": delta.id, "name": delta.name, "arguments": delta.arguments}
            tool_calls.append(call)
        elif isinstance(delta, FinishDelta):
            finish_reason = delta.reason
        elif isinstance(delta, TokensDelta):
            tokens += delta.tokens
    stream = {"thought": texts[ReasoningDelta], "text": texts[TextDelta], "tool_calls": tool_calls}
    outcome = {"finish": finish_reason, "usage": _usage_to_wire(decoder.usage)}
    response = {
        "ms": round(captured.elapsed * 1000),
        "stream": {**stream, **outcome, **_record_tokens(tokens)},
    }
    return CapturedCall([response], decoder.usage, finish_reason)


def _record_tokens(tokens: Sequence[Token]) -> dict[str, Any]:
    if not tokens:
        return {}
    from ..workers_ai.logprobs import record_tokens

    return {"tokens": record_tokens(tokens)}


def _iter_frames(reader: FrameDecoder, chunks: Iterator[bytes]) -> Iterator[Any]:
    for _name, frame, ended in iter_frames(iter_events(chunks, rest=True)):
        if frame is DONE:
            return
        if frame is not UNREADABLE and (ended or reader.finished or has_finish_reason(frame)):
            yield frame


def _append_text(chunks: list[list[Any]], ms: int, text: str) -> None:
    """Append text, merging chunks that arrived in the same millisecond."""
    if chunks and chunks[-1][0] == ms:
        chunks[-1][1] += text
    else:
        chunks.append([ms, text])


def _usage_to_wire(usage: Usage) -> dict[str, Any]:
    """Convert usage to a JSON object in the format that Workers AI uses."""
    data: dict[str, Any] = {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
    }
    if usage.cached_tokens:
        data["prompt_tokens_details"] = {"cached_tokens": usage.cached_tokens}
    return data | ({} if usage.neurons is None else {"neurons": usage.neurons})


class RecordingTransport(httpx.BaseTransport):
    """A transport that forwards requests and captures their responses.

    The Capture that collects the responses is passed in the request extensions.
    """

    def __init__(self, inner: httpx.BaseTransport | None = None) -> None:
        self._inner = inner or create_default_transport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request. A successful response is captured while it is read."""
        capture = request.extensions.get(CAPTURE_EXTENSION)
        start_time = capture.clock() if isinstance(capture, Capture) else 0.0
        response = self._inner.handle_request(request)
        if isinstance(capture, Capture) and response.is_success:
            captured = capture.start_response(_json_body(request), response.headers)
            response.stream = _CapturingStream(response.stream, captured, capture, start_time)
        return response

    def close(self) -> None:
        """Close the inner transport."""
        self._inner.close()


class _CapturingStream(httpx.SyncByteStream):
    """A response stream that captures each chunk as it is read."""

    def __init__(
        self, stream: object, captured: CapturedResponse, capture: Capture, start_time: float
    ) -> None:
        assert isinstance(stream, httpx.SyncByteStream)  # noqa: S101 - always synchronous
        self._stream = stream
        self._captured = captured
        self._clock = capture.clock
        self._start_time = start_time

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            self._captured.elapsed = self._clock() - self._start_time
            self._captured.chunks.append((self._captured.elapsed, chunk))
            yield chunk

    def close(self) -> None:
        self._stream.close()


def create_default_transport() -> httpx.BaseTransport:
    """Return a transport for requests to any address: in a browser, its fetch."""
    if runtime.HAS_SOCKETS:
        return PerProcessTransport(DefaultTransport)
    from ..workers_ai.fetch import FetchTransport

    return FetchTransport()


class DefaultTransport(httpx.BaseTransport):
    """A transport with httpx's defaults, including the proxies set in the environment."""

    def __init__(self) -> None:
        self._client = call_constructor(lambda: httpx.Client(follow_redirects=False))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request."""
        response = self._client.send(request, stream=True, auth=None)
        return httpx.Response(
            response.status_code,
            headers=response.headers,
            stream=response.stream,
            extensions=response.extensions,
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


class PlaybackTransport(httpx.BaseTransport):
    """A transport that answers the requests of one call with its recorded responses."""

    def __init__(self, interaction: Interaction, sleep: Sleep | None = runtime.sleep) -> None:
        self._responses = iter(interaction.responses)
        self._sleep = sleep

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Return the next recorded response, without network access."""
        response = next(self._responses, None)
        if response is None:
            raise httpx.RemoteProtocolError(_("the recording has no more responses"))
        headers, chunks = to_http(response, is_streaming=_is_stream_request(request))
        return httpx.Response(200, headers=headers, stream=_PlaybackStream(chunks, self._sleep))


def _is_stream_request(request: httpx.Request) -> bool:
    return json.loads(_json_body(request)).get("stream") is True


def _json_body(request: httpx.Request) -> bytes:
    """Return a request's JSON body, or an empty object for forms and binary data."""
    is_json = request.headers.get("content-type", "") == "application/json"
    return request.content if is_json else b"{}"


class _PlaybackStream(httpx.SyncByteStream):
    """A stream that plays back a recorded response with its original timing.

    If `sleep` is None, there are no delays.
    """

    def __init__(self, chunks: Iterator[TimedChunk], sleep: Sleep | None) -> None:
        self._chunks = chunks
        self._sleep = sleep

    def __iter__(self) -> Iterator[bytes]:
        elapsed_ms = 0.0
        for ms, content in self._chunks:
            if self._sleep and ms > elapsed_ms:
                self._sleep((ms - elapsed_ms) / 1000)
                elapsed_ms = ms
            yield content


class PlaybackClient(WorkersAI):
    """A client that plays back one interaction without an account or network access."""

    def __init__(self, interaction: Interaction, *, instant: bool) -> None:
        self._abort_event = Event()
        transport = PlaybackTransport(interaction, None if instant else self._sleep)
        address = "http://recorded"
        super().__init__("0" * 32, "recorded", base_url=address, timeout=inf, transport=transport)

    def abort(self) -> None:
        """Abort playback in other threads."""
        self._abort_event.set()
        super().abort()

    def _sleep(self, seconds: float) -> None:
        """Wait for the given time, unless playback is aborted.

        Raises:
            httpx.ReadError: `abort` was called, and this is not the main thread.
        """
        if current_thread() is main_thread():
            runtime.sleep(seconds)  # Ctrl-C interrupts it, even on Windows
        elif self._abort_event.wait(seconds):
            raise httpx.ReadError("playback was aborted")
