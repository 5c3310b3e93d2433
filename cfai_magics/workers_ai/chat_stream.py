"""Stream one chat completion and build an Answer from its deltas."""

import json
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any, NamedTuple, Self

import httpx

from ..errors import (
    APIConnectionError,
    BadRequestError,
    CfaiError,
    IncompleteStreamError,
)
from ..i18n import _, ngettext
from ..pricing.limits import RateDelay
from ..pricing.prices import LONGEST_ANSWER, count_answers, get_max_tokens_field
from ..pricing.tokens import (
    CHARS_PER_TOKEN,
    MinTokenCounter,
    chars_to_tokens,
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
    TokensDelta,
    ToolCall,
)
from ..types.provenance import Provenance
from ..types.tokens import Token, select_tokens
from ..types.usage import Usage
from .error_mapping import error_from_body
from .frame_decoder import (
    FrameDecoder,
    is_empty_answer,
    parse_header_neurons,
    parse_usage,
    unwrap_envelope,
)
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
    format_error,
    get_read_timeout,
    iter_body,
    json_kwargs,
    parse_json,
    read_body,
)
from .retry import OnRetry
from .sse import Event, iter_events

FirstDelta = tuple[list[Delta], Iterator[Delta]]
EVENTS_TYPE = "text/event-stream"
ERROR_EVENT_NAME = "error"
DONE, DONE_DATA = "[DONE]", b"[DONE]"
UNREADABLE = None  # represents text in a stream that is not valid JSON
EVENT_START = re.compile(rb"\s*(?:data|event|id|retry)?:")
OTHER_STARTS = (b"{", b"[", b"<")  # of JSON or a web page with the content type of a stream
OLD_FIELD, NEW_FIELD = "max_tokens", "max_completion_tokens"  # of OpenAI's newer models
NEW_NAME_ADVICE = re.compile(
    rf"\buse\W{{1,3}}{NEW_FIELD}\b|\b{NEW_FIELD}\W{{1,3}}instead\b", re.IGNORECASE
)
USAGE_FIELD = "stream_options"  # some servers refuse it, and then report no usage
SPARE_FRAMES = 16  # frames without text, such as the role, finish reason or usage
SPARE_TOKENS = 64
LONG_TOKENS = 4  # factor for runs of dashes or spaces: such a token has up to 64 characters
BYTES_PER_TOKEN = 4096  # maximum size of a frame with one token; about 500 is usual
SLOWEST_TOKEN = 1.0  # s per token, for a large model on a slow computer
SECONDS_AFTER_FINISH = 5.0  # s to wait for the usage, which usually arrives immediately
SPACES = re.compile(r"\s*")
RAW_DECODE = json.JSONDecoder().raw_decode


class StreamOptions(NamedTuple):
    """Options for sending one chat request.

    `on_retry` is called before the wait for the next attempt. `slot` is the rate limiter's slot
    for the first attempt, if the caller already has it.
    """

    on_retry: OnRetry | None = None
    gateway: Gateway | None = None
    slot: RateDelay | None = None


class AnswerBuilder:
    """Builder of an Answer from its deltas; `build_answer` returns the part received so far."""

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
        self._tokens: list[Token] = []
        self._finish_reason = "unknown"
        self._counted = (0, 0)  # number of text and reasoning deltas that `_fewest` has counted
        self._fewest = MinTokenCounter(), MinTokenCounter()
        self.weight = 0  # number of Latin characters with as many tokens as the received text
        self.usage: Usage | None = None
        self._prompt_tokens: int | None = None  # not estimated yet

    def start_timer(self) -> None:
        """Start the timer; call this when the request is sent."""
        self._start_time = self._clock()

    def end(self) -> None:
        """Stop the timer, so that later steps such as writing to the ledger do not count."""
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
        elif isinstance(delta, TokensDelta):
            self._tokens += delta.tokens

    @property
    def seconds(self) -> float:
        """The time in seconds from sending the request until now, or until `end` was called."""
        return self._clock() - self._start_time if self._seconds is None else self._seconds

    @property
    def thinks_unasked(self) -> bool:
        """Whether reasoning has been received, although the request switched it off."""
        return self._request.think is False and bool(self._reasoning_texts)

    @property
    def has_first_token(self) -> bool:
        """Whether a token of the text or reasoning has been received."""
        return self.first_token_seconds is not None

    @property
    def has_text(self) -> bool:
        """Whether text of the answer has been received."""
        return any(self._texts)

    @property
    def has_tokens(self) -> bool:
        """Whether tokens with probabilities have been received."""
        return bool(self._tokens)

    def estimate_usage(self) -> Usage:
        """Return the usage, with tokens estimated from the prompt and the text received so far."""
        if self._prompt_tokens is None:  # estimated once, because images are decoded
            self._prompt_tokens = estimate_prompt_tokens(self._request)
        completion_tokens = chars_to_tokens(self.weight)
        return Usage(self._prompt_tokens, completion_tokens, has_estimated_tokens=True)

    def min_tokens(self) -> int:
        """Return a low estimate of the number of completion tokens received so far.

        The estimate is one token per word or one token per four characters, whichever is lower.
        Tool calls are not counted.
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
        """Return the Answer received so far.

        `finish_reason` overrides the finish reason sent by the model. `answer_fields` are
        additional fields of Answer.
        """
        text = "".join(self._texts)
        if text and self._request.extra.get("logprobs"):
            answer_fields |= self._get_tokens_or_note(text, answer_fields.get("notes", ()))
        return Answer(
            model=self._request.model,
            text=text,
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

    def _get_tokens_or_note(self, text: str, notes: tuple[str, ...]) -> dict[str, Any]:
        """Return the tokens of the answer's text, or notes that say that there are none."""
        if self._tokens:
            return {"tokens": select_tokens(self._tokens, text)}
        model = self._request.model.rpartition("/")[2]
        if self._is_local:
            note = _("{model} returned no token probabilities.")
        else:
            note = _(
                "{model} returned no token probabilities. The local model of %cfai local does."
            )
        return {"notes": (*notes, note.format(model=model))}


class ChatStream:
    """Iterable of the deltas of one chat request; iterating sends the request.

    Use the stream in a `with` block, or call `close`. If the request fails, iterating raises an
    error whose `text` is the part of the answer received so far. A stream that ends early raises
    IncompleteStreamError. `body` is the JSON body of the request. `endpoint` is the name of the
    gateway or of the other server.
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
        self._unreadable_count = 0
        self._changed_fields: dict[str, str] = {}  # new names; "" leaves a field out
        self.response_body: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, even in the middle of an answer."""
        if self._response is not None and not self._is_closed:
            self._is_closed = True
            call_httpx(self._response.close)

    @property
    def usage(self) -> Usage:
        """The usage reported by the server so far."""
        return self._decoder.usage

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes about the response for the user."""
        count = self._unreadable_count
        if not count:
            return ()
        note = ngettext(
            "{count} unreadable frame skipped.", "{count} unreadable frames skipped.", count
        )
        return (note.format(count=count),)

    @property
    def request_id(self) -> str | None:
        """Cloudflare's request ID, for support requests; None if the response has none."""
        headers = self._headers
        return headers.get("cf-ai-req-id") or headers.get("cf-ray")

    @property
    def endpoint(self) -> str:
        """The gateway's name and cache status, or the other server's name; "" for Workers AI."""
        return self._endpoint + cache_note(self._headers) if self._endpoint else ""

    @property
    def _headers(self) -> Mapping[str, str]:
        return self._response.headers if self._response is not None else {}

    def __iter__(self) -> Iterator[Delta]:
        slot = self._options.slot
        while True:
            try:
                first, remaining = self._connection.with_retries(
                    self._send_until_first_delta, self._options.on_retry, self._model, slot
                )
                break
            except CfaiError as error:
                if not self._change_field(error):
                    error.model = self._model
                    raise
            slot = None
        if self._changed_fields:
            names = self._connection.field_names.setdefault(self._model, {})
            names.update(self._changed_fields)
        self._has_first_delta = True
        return chain(first, remaining)

    def _send_until_first_delta(self) -> FirstDelta:
        """Send the request, and return its first delta and an iterator over the others.

        The request may be retried until the first delta is received.
        """
        if self._response is not None:  # from an earlier attempt
            self.close()
            self._decoder, self._broken, self._unreadable_count = FrameDecoder(), None, 0
        self._response = response = self._connection.send(
            "POST", self._url, self._model, **self._request_kwargs(self._body)
        )
        self._is_closed = False
        if CACHE_STATUS_HEADER in response.headers and from_cache(response.headers):
            self._decoder.mark_cached()
        deltas = self._read(response)
        return list(islice(deltas, 1)), deltas

    @contextmanager
    def _closing(self) -> Iterator[None]:
        """Close the connection after the block, and add the text received so far to any error."""
        try:
            yield
        except CfaiError as error:
            error.text, error.model = self._decoder.text, self._model
            error.usage = self._find_bill()
            raise
        finally:
            self.close()

    def _find_bill(self) -> Usage | None:
        """Return the neurons in the headers of all responses; None if they have none."""
        usages = self._decoder.earlier_usage, parse_usage(None, self._headers)
        known = [usage for usage in usages if usage is not None and usage.neurons is not None]
        return sum(known[1:], known[0]) if known else None

    def _read(self, response: httpx.Response) -> Iterator[Delta]:
        """Return the deltas in a response: a stream of events, or one JSON value.

        The start of the body decides, because some servers send the wrong content type.
        """
        allowance = Allowance.of(self._body)
        timeouts = ResponseTimeouts(get_read_timeout(response), allowance.seconds(response))
        is_typed = EVENTS_TYPE in response.headers.get("content-type", "")
        if is_typed:
            body = iter_body(response, timeouts, allowance.bytes, self._set_broken)
            start = next(body, b"")
        else:
            start, body = read_body(response), iter(())
        if has_events(start, is_typed=is_typed):
            events = iter_events(chain((start,), body), rest=True)
            return self._read_events(events, start, timeouts, allowance)
        content = b"".join((start, *body))
        if self._broken is not None:
            raise self._broken
        return self._read_whole(response, content)

    def _read_whole(self, response: httpx.Response, content: bytes) -> Iterator[Delta]:
        with self._closing():
            answer = self._parse_answer(response, content)
            if answer is None and self._body.get("stream"):
                self._keep_usage_of_empty_answer(response)
                response = self._resend_without_streaming()
                content = read_body(response)
                answer = self._parse_answer(response, content)
            if answer is None:
                raise format_error(content)
            yield from self._decoder.decode(answer)
            yield from self._finish()

    def _parse_answer(self, response: httpx.Response, content: bytes) -> Any:
        """Return the answer in a JSON response, or raise the error that the response contains.

        Returns None for Cloudflare's envelope without an answer.
        """
        self.response_body = parse_json(response, content)
        self._raise_if_error(self.response_body)
        answer = unwrap_envelope(self.response_body)
        if isinstance(answer, dict) and is_of_answer(answer):
            return answer
        if isinstance(self.response_body, dict) and is_empty_answer(answer):
            return None
        raise format_error(content)

    def _keep_usage_of_empty_answer(self, response: httpx.Response) -> None:
        """Keep the usage of a response without an answer, which is billed all the same."""
        answer = unwrap_envelope(self.response_body)
        usage = parse_usage(answer.get("usage") if answer else None, response.headers)
        self._decoder.earlier_usage = None if usage == Usage() else usage

    def _request_kwargs(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the httpx arguments for a body, with the model's names of its fields."""
        names = self._connection.field_names.get(self._model, {}) | self._changed_fields
        if names:
            renamed = ((names.get(field, field), value) for field, value in body.items())
            body = {field: value for field, value in renamed if field}
        request_kwargs = json_kwargs(body)
        gateway = self._options.gateway
        return with_gateway_headers(gateway, request_kwargs) if gateway else request_kwargs

    def _change_field(self, error: CfaiError) -> bool:
        """Rename max_tokens or leave out stream_options if the server refused it; return whether.

        The change is kept for later requests to the model once one has succeeded with it.
        """
        if not isinstance(error, BadRequestError):
            return False
        if NEW_NAME_ADVICE.search(error.cause) and NEW_FIELD not in self._body:
            field, name = OLD_FIELD, NEW_FIELD
        elif USAGE_FIELD in error.cause:
            field, name = USAGE_FIELD, ""
        else:
            return False
        if field not in self._body or field in self._changed_fields:
            return False
        self._changed_fields[field] = name
        return True

    def _resend_without_streaming(self) -> httpx.Response:
        """Send the request again without streaming.

        Some models return an empty result for a streaming request.
        """
        self.close()
        request_kwargs = self._request_kwargs({**self._body, "stream": False})
        self._response = self._connection.send("POST", self._url, self._model, **request_kwargs)
        self._is_closed = False
        return self._response

    def _finish(self) -> Iterator[Delta]:
        if self._decoder.error:
            self._raise_if_error({"error": self._decoder.error})
        return self._decoder.finish(parse_header_neurons(self._headers))

    def _read_events(
        self,
        events: Iterator[Event],
        start: bytes,
        timeouts: ResponseTimeouts,
        allowance: "Allowance",
    ) -> Iterator[Delta]:
        """Yield the deltas in a stream of events; `start` is the first part of its body."""
        decoder, max_characters = self._decoder, allowance.characters
        frames, is_known = 0, False
        with self._closing():
            for _name, frame, ended in iter_frames(events):
                if frame is DONE:
                    decoder.finished = True
                    break
                if frame is UNREADABLE:
                    self._unreadable_count += 1
                    continue
                if not ended and not (decoder.finished or has_finish_reason(frame)):
                    break  # a truncated frame may be valid JSON by chance
                response = frame.get("response")
                if frame.get("error") or ("choices" not in frame and type(response) is not str):
                    self._raise_if_error(frame)
                is_known = is_known or bool(frame.get("choices")) or is_of_answer(frame)
                if timeouts.waited > timeouts.soon and is_of_answer(frame):
                    timeouts.progress()
                yield from decoder.decode(frame)
                frames += 1
                if decoder.finished:
                    timeouts.shorten(SECONDS_AFTER_FINISH)
                if decoder.characters > max_characters:
                    allowance.check(frames, decoder.characters)
            error = self._end_error(b"" if is_known else start)
            if error is not None:
                yield from decoder.flush()
                raise error
            yield from self._finish()
            timeouts.shorten(SECONDS_AFTER_FINISH)
            deque(events, maxlen=0)  # reading to the end lets httpx reuse the connection

    def _raise_if_error(self, frame: Any) -> None:
        if not isinstance(frame, dict) or ("choices" in frame and not frame.get("error")):
            return
        error = error_from_body(frame, is_cloudflare=self._connection.is_cloudflare)
        if error is not None:
            raise error
        if isinstance(frame.get("response"), dict) and "type" in frame:  # of the Responses API
            raise format_error(json.dumps(frame).encode())

    def _set_broken(self, error: CfaiError) -> None:
        """Store the error that cut off the response; raise it only if the answer is incomplete."""
        self._broken = error

    def _end_error(self, unknown: bytes) -> CfaiError | None:
        """Return the error for a stream that ended before or without an answer; None otherwise.

        `unknown` is the start of a stream without a frame of a known format; b"" otherwise.
        """
        if unknown.strip() and (self._decoder.finished or self._broken is None):
            return format_error(unknown)
        if self._decoder.finished:
            return None
        if self._broken is None:
            is_empty = not self._decoder.characters
            hint = _("Nothing was received. Run the cell again.") if is_empty else ""
            return IncompleteStreamError(_("The answer ended early"), hint)
        if self._has_first_delta and isinstance(self._broken, APIConnectionError):
            return IncompleteStreamError(
                _("The answer ended early: {cause}").format(cause=self._broken.cause)
            )
        return self._broken


class Allowance(NamedTuple):
    """Size and time limits for one stream, derived from the max_tokens of its request.

    They guard against a server that never ends its answer. `tokens` is the maximum number of
    tokens in all choices together. Characters are counted as in `weighted_length`.
    """

    tokens: int

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        """Return the limits for the response to a request with this JSON body."""
        return cls((get_max_tokens_field(body) or LONGEST_ANSWER) * count_answers(body))

    @property
    def bytes(self) -> int:
        """The maximum size of the stream in bytes."""
        return MAX_RESPONSE_BYTES + BYTES_PER_TOKEN * self.tokens

    @property
    def characters(self) -> int:
        """The number of characters above which to call `check`: four times the usual number."""
        return 4 * (self.tokens + SPARE_TOKENS) * CHARS_PER_TOKEN

    def seconds(self, response: httpx.Response) -> float | None:
        """Return the maximum duration of the stream in seconds; None means no limit."""
        idle = get_read_timeout(response)
        return idle and idle + self.tokens * SLOWEST_TOKEN

    def check(self, frames: int, characters: int) -> None:
        """Raise IncompleteStreamError if a stream is far longer than its max_tokens allows.

        A run of spaces or dashes may be a single long token. If the number of frames is normal,
        the maximum is therefore LONG_TOKENS times `characters`.
        """
        is_past = frames > self.tokens + SPARE_FRAMES
        if is_past or characters > LONG_TOKENS * self.characters:
            raise IncompleteStreamError(
                _("The server sent far more than the {count:,} tokens requested").format(
                    count=self.tokens
                )
            )


def has_events(start: bytes, *, is_typed: bool) -> bool:
    """Return whether a body with this start is a stream of events.

    `is_typed` is True if it has the content type of such a stream.
    """
    if is_typed:
        return start.lstrip()[:1] not in OTHER_STARTS
    return EVENT_START.match(start) is not None


def iter_frames(events: Iterable[Event]) -> Iterator[tuple[str, Any, bool]]:
    """Yield each frame with the name of its event, and whether the event ended.

    A frame is a JSON object, DONE, or UNREADABLE for other text. Empty JSON values are skipped. If
    the empty line between two events is lost, their data is one text of two frames. The frame of
    an event named "error" has the field "error", whatever its data.
    """
    for event_name, data, ended in events:
        if data == DONE_DATA:
            yield event_name, DONE, ended
            continue
        text = data.decode("utf-8", "replace")
        if event_name == ERROR_EVENT_NAME:
            yield event_name, _parse_error_event(text), True
            continue
        try:  # json.loads takes a third longer because it checks both ends
            frame, end = RAW_DECODE(text)
        except (ValueError, RecursionError):
            frame, end = None, 0  # UNREADABLE, or DONE
        if end == len(text):
            if type(frame) is dict:
                yield event_name, frame, ended
            elif frame:
                yield event_name, UNREADABLE, ended
            continue
        frames = [*([frame] if end else []), *_split_frames(text[end:])]
        last = frames.pop() if frames and not ended else UNREADABLE
        for part in frames:
            yield event_name, part, True
        if last is not UNREADABLE:  # otherwise, the frame was cut off
            yield event_name, last, False


def _parse_error_event(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = text
    is_error = isinstance(data, dict) and (data.get("error") or data.get("errors"))
    return data if is_error else {"error": data or True}


def _split_frames(text: str) -> list[Any]:
    """Return the frames in text with several of them; text between frames is one UNREADABLE."""
    frames: list[Any] = []
    unreadable_lines = 0
    for line in text.split("\n"):
        position = _skip_spaces(line, 0)
        if line[position:].rstrip() == DONE:
            frames.append(DONE)
            continue
        while position < len(line):
            try:
                frame, position = RAW_DECODE(line, position)
            except (ValueError, RecursionError):
                frames += [] if unreadable_lines else [UNREADABLE]
                unreadable_lines += 1
                break
            frames += [frame if type(frame) is dict else UNREADABLE] if frame else []
            position = _skip_spaces(line, position)
    return frames


def _skip_spaces(line: str, position: int) -> int:
    match = SPACES.match(line, position)
    return match.end() if match else position


def has_finish_reason(frame: Any) -> bool:
    """Return whether a frame has a finish reason."""
    probe = FrameDecoder()
    deque(probe.decode(frame), maxlen=0)
    return probe.finished


def is_of_answer(frame: Any) -> bool:
    """Return whether a frame contains part of the answer, unlike a ping."""
    choices = frame.get("choices")
    has_choices = isinstance(choices, list) and bool(choices)
    return has_choices or "response" in frame or "tool_calls" in frame
