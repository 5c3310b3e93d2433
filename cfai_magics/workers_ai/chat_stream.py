"""Stream one chat completion and build an Answer from its deltas."""

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from itertools import chain, islice
from typing import Any, NamedTuple, Self

import httpx

from ..errors import APIConnectionError, CfaiError, IncompleteStreamError, WorkersAIError
from ..i18n import _
from ..pricing.limits import RateDelay
from ..pricing.prices import count_answers, get_max_tokens_field
from ..pricing.tokens import (
    CHARS_PER_TOKEN,
    MinTokenCounter,
    chars_to_tokens,
    estimate_image_tokens,
    estimate_prompt_tokens,
    weighted_length,
)
from ..types.messages import (
    Answer,
    Delta,
    FinishDelta,
    ReasoningDelta,
    Request,
    TextDelta,
    ToolCall,
)
from ..types.provenance import Provenance
from ..types.usage import Usage
from .error_mapping import error_from_body
from .frame_decoder import FrameDecoder, is_empty_answer, parse_header_neurons, unwrap_envelope
from .gateway import (
    CACHE_STATUS_HEADER,
    Gateway,
    cache_note,
    from_cache,
    with_gateway_headers,
)
from .http import (
    MAX_RESPONSE_BYTES,
    HTTPConnection,
    ResponseTimeouts,
    call_httpx,
    get_read_timeout,
    iter_body,
    json_kwargs,
    read_json,
)
from .retry import OnRetry
from .sse import DEFAULT_EVENT_NAME, iter_events

FirstDelta = tuple[list[Delta], Iterator[Delta]]
DONE = b"[DONE]"
UNKNOWN_TOKENS = 131_072  # limit if the request sets none: the length of the longest answers
SPARE_FRAMES = 16  # frames without text: the role, the finish reason, the usage
SPARE_TOKENS = 64
LONG_TOKENS = 4  # factor for tokens of dashes or spaces, which have up to 64 characters
BYTES_PER_TOKEN = 4096  # upper limit of a frame with one token; usual are about 500
SLOWEST_TOKEN = 1.0  # s per token, of a large model on a small machine
SECONDS_AFTER_FINISH = 5.0  # s to wait for the usage, which usually follows at once
RAW_DECODE = json.JSONDecoder().raw_decode


class StreamOptions(NamedTuple):
    """How one chat request is sent.

    `on_retry` is called before a wait. `slot` is the slot that the rate limiter has given to the
    first attempt.
    """

    on_retry: OnRetry | None = None
    gateway: Gateway | None = None
    slot: RateDelay | None = None


class AnswerBuilder:
    """Collects the deltas of one answer; `build_answer` returns the part received so far."""

    def __init__(
        self,
        request: Request,
        clock: Callable[[], float],
        *,
        is_local: bool,
        provenance: Provenance = Provenance(),  # noqa: B008 - frozen
    ) -> None:
        self._provenance = provenance
        self._request = request
        self._clock = clock
        self._is_local = is_local
        self._start_time = clock()
        self.first_token_seconds: float | None = None
        self._seconds: float | None = None
        self._texts: list[str] = []
        self._reasoning_texts: list[str] = []
        self._tool_calls: list[ToolCall] = []
        self._finish_reason = "unknown"
        self._counted = (0, 0)  # how many text and reasoning deltas `_fewest` has counted
        self._fewest = MinTokenCounter(), MinTokenCounter()
        self.weight = 0  # received characters, weighted as Latin ones by their share of tokens
        self.usage: Usage | None = None

    def start_timer(self) -> None:
        """Start measuring the time, when the request is sent."""
        self._start_time = self._clock()

    def end(self) -> None:
        """Stop measuring the time, so that later steps such as the ledger do not count."""
        if self._seconds is None:
            self._seconds = self._clock() - self._start_time

    def add(self, delta: Delta) -> None:
        """Add the next delta."""
        if isinstance(delta, TextDelta | ReasoningDelta):
            text = delta.text
            if self.first_token_seconds is None:
                self.first_token_seconds = self._clock() - self._start_time
            self.weight += len(text) if text.isascii() else weighted_length(text)
            texts = self._texts if isinstance(delta, TextDelta) else self._reasoning_texts
            texts.append(text)
        elif isinstance(delta, ToolCall):
            self.weight += weighted_length(delta.name) + weighted_length(delta.arguments)
            self._tool_calls.append(delta)
        elif isinstance(delta, Usage):
            self.usage = delta
        elif isinstance(delta, FinishDelta):
            self._finish_reason = delta.reason

    @property
    def seconds(self) -> float:
        """The seconds since the request was sent, until `end` is called."""
        return self._clock() - self._start_time if self._seconds is None else self._seconds

    @property
    def has_first_token(self) -> bool:
        """Whether a token of the text or the reasoning was received."""
        return self.first_token_seconds is not None

    @cached_property
    def _prompt_tokens(self) -> int:
        """The estimated tokens of the request; computed lazily, as images must be decoded."""
        messages = self._request.messages
        return estimate_prompt_tokens(messages) + estimate_image_tokens(messages)

    def estimate_usage(self) -> Usage:
        """Return prompt and completion tokens, estimated from the length of the texts."""
        return Usage(self._prompt_tokens, chars_to_tokens(self.weight))

    def min_tokens(self) -> int:
        """Return a lower estimate of the completion tokens received so far.

        It counts one token per word, or one per four characters if the words are short. Tool
        calls are not counted.
        """
        for texts, counted, counter in zip(
            (self._texts, self._reasoning_texts), self._counted, self._fewest, strict=True
        ):
            counter.add("".join(texts[counted:]))
        self._counted = len(self._texts), len(self._reasoning_texts)
        return min(sum(counter.count for counter in self._fewest), chars_to_tokens(self.weight))

    def build_answer(
        self, usage: Usage, finish_reason: str | None = None, **answer_fields: Any
    ) -> Answer:
        """Return the Answer received so far; `finish_reason` overrides the model's.

        `answer_fields` are further fields of Answer.
        """
        return Answer(
            model=self._request.model,
            text="".join(self._texts),
            reasoning="".join(self._reasoning_texts),
            tool_calls=tuple(self._tool_calls),
            finish_reason=finish_reason or self._finish_reason,
            usage=usage,
            seconds=self.seconds,
            first_token_seconds=self.first_token_seconds,
            is_local=self._is_local,
            provenance=self._provenance,
            **answer_fields,
        )


class ChatStream:
    """Iterator over the deltas of one chat request; iterating sends it. `body` is its JSON body.

    Use it in a `with` block, or call `close`. Iterating raises the errors of the request, whose
    `text` is the part of the answer that was received. A stream that stops early raises
    IncompleteStreamError. `endpoint` names the gateway or the other server.
    """

    def __init__(
        self,
        connection: HTTPConnection,
        url: str,
        body: Mapping[str, Any],
        options: StreamOptions = StreamOptions(),  # noqa: B008 - immutable
        endpoint: str = "",
    ) -> None:
        self._connection = connection
        self._url = url
        self._body = body
        self._model = str(body["model"])
        self._options = options
        self._endpoint = endpoint
        self._response: httpx.Response | None = None
        self._is_closed = False
        self._has_first_delta = False
        self._broken: CfaiError | None = None
        self._decoder = FrameDecoder()
        self.response_body: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, also in the middle of an answer."""
        if self._response is not None and not self._is_closed:
            self._is_closed = True
            call_httpx(self._response.close)

    @property
    def usage(self) -> Usage:
        """The usage that the server reported so far."""
        return self._decoder.usage

    @property
    def request_id(self) -> str | None:
        """Cloudflare's id of the request, to quote to its support."""
        headers = self._headers
        return headers.get("cf-ai-req-id") or headers.get("cf-ray")

    @property
    def endpoint(self) -> str:
        """The "gateway NAME" with its cache status, or the other server; "" for Workers AI."""
        return self._endpoint + cache_note(self._headers) if self._endpoint else ""

    @property
    def _headers(self) -> Mapping[str, str]:
        return self._response.headers if self._response is not None else {}

    def __iter__(self) -> Iterator[Delta]:
        try:
            first, remaining = self._connection.with_retries(
                self._send_until_first_delta,
                self._options.on_retry,
                self._model,
                self._options.slot,
            )
        except CfaiError as error:
            error.model = self._model
            raise
        self._has_first_delta = True
        return chain(first, remaining)

    def _send_until_first_delta(self) -> FirstDelta:
        """Send the request and wait for the first delta; until then it may be retried."""
        if self._response is not None:  # of an earlier attempt
            self.close()
            self._decoder, self._broken = FrameDecoder(), None
        self._response = response = self._connection.send(
            "POST", self._url, self._model, **self._request_kwargs(self._body)
        )
        self._is_closed = False
        if CACHE_STATUS_HEADER in response.headers and from_cache(response.headers):
            self._decoder.mark_cached()
        read = self._read_single_response if _is_json(response) else self._read_stream
        deltas = read(response)
        return list(islice(deltas, 1)), deltas

    @contextmanager
    def _closing(self) -> Iterator[None]:
        """Close the connection at the end of the block, and add the text so far to an error."""
        try:
            yield
        except CfaiError as error:
            error.text, error.model = self._decoder.text, self._model
            raise
        finally:
            self.close()

    def _read_single_response(self, response: httpx.Response) -> Iterator[Delta]:
        with self._closing():
            answer = self._read_answer(response)
            if self._body.get("stream") and is_empty_answer(answer):
                answer = self._read_answer(self._resend_without_streaming())
            yield from self._decoder.decode(answer)
            yield from self._finish()

    def _read_answer(self, response: httpx.Response) -> Any:
        """Return the answer in a JSON response, or raise the error in it."""
        self.response_body = read_json(response)
        _raise_if_error(self.response_body)
        return unwrap_envelope(self.response_body)

    def _request_kwargs(self, body: Mapping[str, Any]) -> dict[str, Any]:
        request_kwargs = json_kwargs(body)
        gateway = self._options.gateway
        return with_gateway_headers(gateway, request_kwargs) if gateway else request_kwargs

    def _resend_without_streaming(self) -> httpx.Response:
        """Send without streaming: some models return an empty result for a stream request."""
        self.close()
        request_kwargs = self._request_kwargs({**self._body, "stream": False})
        self._response = self._connection.send("POST", self._url, self._model, **request_kwargs)
        self._is_closed = False
        return self._response

    def _finish(self) -> Iterator[Delta]:
        return self._decoder.finish(parse_header_neurons(self._headers))

    def _read_stream(self, response: httpx.Response) -> Iterator[Delta]:
        decoder, allowance = self._decoder, Allowance.of(self._body)
        timeouts = ResponseTimeouts(get_read_timeout(response), allowance.seconds(response))
        body = iter_body(response, timeouts, allowance.bytes, self._set_broken)
        events = iter_events(body, rest=True)
        frames, max_characters = 0, allowance.characters
        with self._closing():
            for event_name, data, ended in events:
                frame = parse_frame(data)
                if frame is None:
                    if data.strip() == DONE:
                        decoder.finished = True
                        break
                    continue
                if not ended and not (decoder.finished or has_finish_reason(frame)):
                    break  # a truncated frame may be valid JSON by chance
                if frame.get("error") or ("choices" not in frame and "response" not in frame):
                    _raise_if_error(frame, event_name)
                if timeouts.waited > timeouts.soon and is_of_answer(frame):
                    timeouts.progress()
                yield from decoder.decode(frame)
                frames += 1
                if decoder.finished:
                    timeouts.shorten(SECONDS_AFTER_FINISH)
                if decoder.characters > max_characters:
                    allowance.check(frames, decoder.characters)
            if not decoder.finished:
                yield from decoder.flush()
                raise self._truncation_error()
            yield from self._finish()
            timeouts.shorten(SECONDS_AFTER_FINISH)
            deque(events, maxlen=0)  # a connection is reused if its body is read to the end

    def _set_broken(self, error: CfaiError) -> None:
        """Store the error that ended the body: it matters only if the answer is incomplete."""
        self._broken = error

    def _truncation_error(self) -> CfaiError:
        """Return the error for a stream that stopped before its end."""
        if self._broken is None:
            return IncompleteStreamError(_("The answer ended early"))
        if self._has_first_delta and isinstance(self._broken, APIConnectionError):
            return IncompleteStreamError(
                _("The answer ended early: {cause}").format(cause=self._broken.cause)
            )
        return self._broken


class Allowance(NamedTuple):
    """Limits of size and time for one stream, derived from its max_tokens.

    They stop a server that never ends its answer. `tokens` is the limit of the request for all
    its choices; `characters` are weighted as Latin ones.
    """

    tokens: int

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        """Return the limits for the stream of a request."""
        return cls((get_max_tokens_field(body) or UNKNOWN_TOKENS) * count_answers(body))

    @property
    def bytes(self) -> int:
        """The maximum number of bytes of the stream."""
        return MAX_RESPONSE_BYTES + BYTES_PER_TOKEN * self.tokens

    @property
    def characters(self) -> int:
        """The number of characters above which `check` runs: four times the usual number."""
        return 4 * (self.tokens + SPARE_TOKENS) * CHARS_PER_TOKEN

    def seconds(self, response: httpx.Response) -> float | None:
        """Return how many seconds the stream may take; None for no limit."""
        idle = get_read_timeout(response)
        return idle and idle + self.tokens * SLOWEST_TOKEN

    def check(self, frames: int, characters: int) -> None:
        """Raise IncompleteStreamError if a stream is far longer than its max_tokens allows.

        Tokens of many spaces or dashes are long, so many characters in few frames are allowed up
        to a higher limit.
        """
        is_past = frames > self.tokens + SPARE_FRAMES
        if is_past or characters > LONG_TOKENS * self.characters:
            raise IncompleteStreamError(
                _("The server sent far more than the {count:,} tokens requested").format(
                    count=self.tokens
                )
            )


def _is_json(response: httpx.Response) -> bool:
    return "application/json" in response.headers.get("content-type", "")


def parse_frame(data: bytes) -> Any:
    """Return a frame's JSON object; None for anything else."""
    text = data.decode("utf-8", "replace")
    if not text.startswith("{"):
        text = text.lstrip()
        if not text.startswith("{"):
            return None
    try:
        return RAW_DECODE(text)[0]  # json.loads takes a third longer, to check both ends
    except (ValueError, RecursionError):
        return None


def has_finish_reason(frame: Any) -> bool:
    """Whether a frame has the finish reason."""
    probe = FrameDecoder()
    deque(probe.decode(frame), maxlen=0)
    return probe.finished


def is_of_answer(frame: Any) -> bool:
    """Whether a frame has a part of the answer, unlike a ping."""
    return bool(frame.get("choices")) or "response" in frame or "tool_calls" in frame


def _raise_if_error(frame: Any, event_name: str = DEFAULT_EVENT_NAME) -> None:
    if not isinstance(frame, dict) or ("choices" in frame and not frame.get("error")):
        return
    error: WorkersAIError | None = error_from_body(frame)
    if error is None and event_name == "error":
        error = error_from_body({"error": frame.get("message") or frame})
    if error is not None:
        raise error
