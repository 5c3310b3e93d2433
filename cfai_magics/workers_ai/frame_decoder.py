"""Decode response frames, in either OpenAI or native format, into deltas."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..pricing.tokens import weighted_length
from ..types.messages import (
    Delta,
    FinishDelta,
    ReasoningDelta,
    TextDelta,
    TokensDelta,
    ToolCall,
)
from ..types.usage import MAX_NEURONS, MAX_TOKENS, CostBasis, Usage
from .gateway import from_cache

SURROGATE = re.compile("[\ud800-\udfff]")
FINAL_HIGH_SURROGATE = re.compile("[\ud800-\udbff]\\Z")
REPLACEMENT_CHARACTER = "\N{REPLACEMENT CHARACTER}"
OPEN_TAG, CLOSE_TAG = "<think>", "</think>"
Slot = int | str  # the `index` of a tool call
MAX_EMPTY_OBJECT_CHARS = 10  # maximum length of "{}" with spaces
CHARACTERS_PER_PIECE = 4  # one token, added for each delta of a tool call
# All characters that determine where a JSON object ends.
STRUCTURE_PATTERN = re.compile(r"\\.?|[\"{}\[\]]", re.DOTALL)
NUMBER_TYPES = (int, float)
NO_TEXT = (None, "")
FINISH_REASONS: Mapping[str, str] = {
    "stop": "stop",
    "length": "length",
    "model_length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "error": "error",
}
NO_FINISH_REASONS = ("null", "none", "undefined")  # sent as text until the answer ends
# Types of content parts, such as {"type": "text", "text": "Hi"}.
TEXT_PARTS, REASONING_PARTS = ("text", "output_text"), ("thinking", "reasoning")
PART_TYPES = (*TEXT_PARTS, *REASONING_PARTS, "refusal")
CONTENT_FIELDS = ("text", "summary")  # of a part, besides the field named like its type
# All fields of these parts. An object with other fields is an answer in JSON mode.
PART_FIELDS = frozenset(
    (
        *("type", "id", "index", "closed", "signature", "annotations", "citations", "logprobs"),
        *(*PART_TYPES, *CONTENT_FIELDS),
    )
)
# Some servers send these finish reasons for an answer that ends with tool calls or a refusal.
OVERRIDABLE_REASONS = ("unknown", "stop")


class SurrogateJoiner:
    """Joiner for UTF-16 surrogate pairs that are split across deltas.

    JSON may encode an emoji as two escapes, and a server may split the text between them. A lone
    surrogate cannot be encoded in notebooks, files or terminals.
    """

    def __init__(self) -> None:
        self.pending = ""

    def feed(self, text: str) -> str:
        """Return the complete characters in a chunk of text; hold back a final high surrogate."""
        if not self.pending and (text.isascii() or not SURROGATE.search(text)):
            return text
        text = self.pending + text
        self.pending = text[-1] if FINAL_HIGH_SURROGATE.search(text) else ""
        complete = text.removesuffix(self.pending) if self.pending else text
        return complete.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def flush(self) -> str:
        """Return a replacement character for a surrogate still held back; "" if there is none."""
        pending, self.pending = self.pending, ""
        return REPLACEMENT_CHARACTER if pending else ""


class ThinkTagParser:
    """Parser that separates a leading <think>…</think> block from the text.

    The tags may be split across deltas. `state` is "start", "reasoning" or "text". `pending` is
    the text that is held back.
    """

    def __init__(self) -> None:
        self.pending = ""
        self.state = "start"

    def feed(self, text: str) -> list[TextDelta | ReasoningDelta]:
        """Split a chunk of text into deltas, holding back what may be the start of a tag."""
        if self.state == "text":
            return [TextDelta(text)]
        self.pending += text
        if self.state == "start":
            stripped = self.pending.lstrip()
            if stripped.startswith(OPEN_TAG):
                self.pending, self.state = stripped.removeprefix(OPEN_TAG), "reasoning"
            elif not OPEN_TAG.startswith(stripped):
                text, self.pending, self.state = self.pending, "", "text"
                return [TextDelta(text)]
        return self._parse_reasoning() if self.state == "reasoning" else []

    def _parse_reasoning(self) -> list[TextDelta | ReasoningDelta]:
        deltas: list[TextDelta | ReasoningDelta] = []
        reasoning, tag, text = self.pending.partition(CLOSE_TAG)
        if tag:
            self.state, self.pending = "text", ""
            if reasoning:
                deltas.append(ReasoningDelta(reasoning))
            if text:
                deltas.append(TextDelta(text))
            return deltas
        safe_length = len(self.pending) - _partial_close_tag_length(self.pending)
        if safe_length:
            deltas.append(ReasoningDelta(self._pop(safe_length)))
        return deltas

    def _pop(self, length: int) -> str:
        popped, self.pending = self.pending[:length], self.pending[length:]
        return popped

    def flush(self) -> Iterator[TextDelta | ReasoningDelta]:
        """Yield the text that is still held back at the end of the stream."""
        if self.pending:
            remaining = self._pop(len(self.pending))
            yield ReasoningDelta(remaining) if self.state == "reasoning" else TextDelta(remaining)


def _partial_close_tag_length(text: str) -> int:
    """Return the number of final characters that may be the start of </think>."""
    lengths = range(min(len(CLOSE_TAG) - 1, len(text)), 0, -1)
    return next((length for length in lengths if text.endswith(CLOSE_TAG[:length])), 0)


class _PartialToolCall:
    """One tool call that is being received.

    `complete` is True once the arguments are a complete JSON object or array. A `tentative` call
    counts only if arguments follow.
    """

    def __init__(self, slot: Slot | None, order: int) -> None:
        self.slot = slot
        self.order = order
        self.id = ""
        self.name = ""
        self.complete = False
        self.tentative = False
        self._pieces: list[str] = []
        self._size = 0
        self._depth = 0
        self._in_string = False
        self._escaped = False

    @property
    def has_arguments(self) -> bool:
        return bool(self._pieces)

    @property
    def arguments(self) -> str:
        """The arguments as JSON text; "{}" if the server sent nothing or null."""
        text = "".join(self._pieces).strip()
        if not text.isascii():  # a surrogate pair may have been split
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return "{}" if text in ("", "null") else text

    @property
    def is_repeat(self) -> bool:
        """Whether this call merely repeats the name of the previous call."""
        return self.tentative and not self._pieces

    @property
    def is_empty_object(self) -> bool:
        return self.complete and self._size < MAX_EMPTY_OBJECT_CHARS and self.arguments == "{}"

    def take(self, arguments: str | None, *, whole: bool) -> None:
        """Append a part of the arguments, or replace all previous parts if `whole` is True."""
        if not arguments or (self.complete and self._repeats(arguments)):
            return
        if whole or self.is_empty_object:  # some servers send {} before the real arguments
            self._pieces, self._size, self._depth, self.complete = [], 0, 0, False
        self._pieces.append(arguments)
        self._size += len(arguments)
        self._scan(arguments)

    def _repeats(self, arguments: str) -> bool:
        """Return whether text after complete arguments is blank or repeats them."""
        same = len(arguments) == self._size and arguments == "".join(self._pieces)
        return same or not arguments.strip()

    def _scan(self, piece: str) -> None:
        """Update the nesting depth incrementally, reading each character only once."""
        start, self._escaped = int(self._escaped), False
        for match in STRUCTURE_PATTERN.finditer(piece, start):
            sign = match[0]
            if sign[0] == "\\":
                self._escaped = len(sign) == 1
            elif sign == '"':
                self._in_string = not self._in_string
            elif not self._in_string:
                self._depth += 1 if sign in "{[" else -1
                self.complete = self._depth == 0


class _ToolCallDelta:
    """One entry in a frame's list of tool calls."""

    def __init__(self, entry: dict[str, Any]) -> None:
        function = entry.get("function")
        function = function if isinstance(function, dict) else entry  # native format: no function
        arguments = function.get("arguments")
        if arguments is None:
            arguments = function.get("parameters")
        self.slot = _parse_slot(entry.get("index"))
        self.id = _to_text(entry.get("id"))
        self.name = _to_text(function.get("name"))
        self.is_complete = isinstance(arguments, dict | list)
        self.arguments: str | None = None
        if self.is_complete:
            self.arguments = json.dumps(arguments, ensure_ascii=False)
        elif isinstance(arguments, str):
            self.arguments = arguments
        self.has_arguments = bool(self.arguments and self.arguments.strip())


class ToolCallAssembler:
    """Assembler of the tool calls in one answer, from the deltas in one field of its frames.

    A delta belongs to the call with the same ID. If no call has this ID, the delta belongs to the
    newest call with the same index. Without an index, it belongs to the last call. A new call
    starts with a new ID, a different name, or a name after complete arguments. Servers differ:
    some send index 0 or no index for every call, and others repeat the name in every delta.
    """

    def __init__(self) -> None:
        self._calls_by_index: list[_PartialToolCall] = []
        self._by_id: dict[str, _PartialToolCall] = {}
        self._by_slot: dict[Slot, _PartialToolCall] = {}

    def add(self, entries: Any) -> int:
        """Add the tool calls in one frame and return their number of characters.

        The number includes CHARACTERS_PER_PIECE for each entry. Invalid entries are skipped.
        """
        if isinstance(entries, dict):
            entries = [entries]
        if not isinstance(entries, list):
            return 0
        deltas = [_ToolCallDelta(entry) for entry in entries if isinstance(entry, dict)]
        deltas = deltas[self._count_repeated(deltas) :]
        in_frame: set[int] = set()  # the calls that already have a delta in this frame
        for position, delta in enumerate(deltas):
            self._add_delta(delta, position if len(deltas) > 1 else None, in_frame)
        return sum(CHARACTERS_PER_PIECE + len(delta.arguments or "") for delta in deltas)

    def _count_repeated(self, deltas: Sequence[_ToolCallDelta]) -> int:
        """Return how many deltas at the start repeat all calls so far, as in a growing list."""
        calls = self._calls_by_index
        is_growing = 1 < len(deltas) >= len(calls) and all(
            call.complete and (call.name, call.arguments) == (delta.name, delta.arguments)
            for call, delta in zip(calls, deltas, strict=False)
        )
        return len(calls) if is_growing else 0

    def _add_delta(self, delta: _ToolCallDelta, position: int | None, in_frame: set[int]) -> None:
        call = previous = self._find_call(delta, position)
        if call is None or self._starts_call(call, delta, in_frame):
            if not (delta.id or delta.name or delta.has_arguments):
                return
            call = self._create_call(delta.slot)
            call.tentative = previous is not None and _may_repeat(previous, delta)
        call.id = call.id or delta.id
        call.name = call.name or delta.name
        call.take(delta.arguments, whole=delta.is_complete)
        if delta.id:
            self._by_id[delta.id] = call
        in_frame.add(call.order)

    def _find_call(self, delta: _ToolCallDelta, position: int | None) -> _PartialToolCall | None:
        """Return the call that a delta may continue; None if there is none."""
        if delta.id in self._by_id:
            return self._by_id[delta.id]
        if delta.slot is not None:
            return self._by_slot.get(delta.slot)
        call = None if position is None else self._by_slot.get(position)
        if call and not call.complete:
            return call
        return self._calls_by_index[-1] if self._calls_by_index else None

    def _starts_call(
        self, call: _PartialToolCall, delta: _ToolCallDelta, in_frame: set[int]
    ) -> bool:
        """Return whether a delta starts a new call rather than continuing `call`."""
        if delta.id and delta.id in self._by_id:
            if not (delta.name and call.name):
                return False
            again = call.complete and delta.has_arguments and not call.is_empty_object
            return delta.name != call.name or (again and delta.arguments != call.arguments)
        is_new = bool(delta.id and (call.id or call.complete))
        if delta.name and call.name:
            another = delta.name != call.name or call.complete
            return is_new or another or call.order in in_frame
        # Some servers send a new ID with each delta; a delta without a name continues the call.
        return is_new and (bool(delta.name) or call.complete or not delta.has_arguments)

    def _create_call(self, slot: Slot | None) -> _PartialToolCall:
        call = _PartialToolCall(slot, len(self._calls_by_index))
        self._calls_by_index.append(call)
        self._by_slot[call.order if slot is None else slot] = call
        return call

    @property
    def has_started(self) -> bool:
        """Whether any call has started, even one without a name."""
        if not self._calls_by_index:
            return False
        return any(call.name or call.has_arguments for call in self._calls_by_index)

    def finish(self, copies: "ToolCallAssembler | None" = None) -> list[ToolCall]:
        """Return the calls that have a name, each with a unique ID.

        `copies` has the calls from another field of the same frames. Only calls that are not
        duplicates are added. Arguments that are not valid JSON are returned unchanged.
        """
        calls = list(self.named())
        known = {_canonical_form(call) for call in calls}
        copied = copies.named() if copies else []
        calls += [call for call in copied if _canonical_form(call) not in known]
        return list(_with_unique_ids(calls))

    def named(self) -> list[_PartialToolCall]:
        """Return the calls that have a name, sorted by index."""
        named = [call for call in self._calls_by_index if call.name and not call.is_repeat]
        return sorted(named, key=lambda c: c.slot if isinstance(c.slot, int) else c.order)


def _may_repeat(previous: _PartialToolCall, delta: _ToolCallDelta) -> bool:
    """Return whether a delta might merely repeat the name of the previous call."""
    return not delta.id and not delta.has_arguments and delta.name == previous.name


def _with_unique_ids(calls: Iterable[_PartialToolCall]) -> Iterator[ToolCall]:
    """Yield the calls, replacing each missing or duplicate ID with a generated one."""
    used_ids: set[str] = set()
    for index, call in enumerate(calls):
        call_id = call.id or f"call_{index if call.slot is None else call.slot}"
        number = index
        while call_id in used_ids:
            number += 1
            call_id = f"call_{number}"
        used_ids.add(call_id)
        yield ToolCall(call_id, call.name, call.arguments)


def _parse_slot(index: Any) -> Slot | None:
    """Return the index of a tool call; None if it is not a number or a nonempty string."""
    if isinstance(index, bool) or not isinstance(index, int | float | str) or index == "":
        return None
    try:
        return int(index)
    except (ValueError, OverflowError):
        return str(index)


def _to_text(value: Any) -> str:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value if isinstance(value, str) else str(value) if is_number else ""


def _canonical_form(call: _PartialToolCall) -> tuple[str, str]:
    """Return the name and normalized JSON arguments of a call, for comparing calls."""
    try:
        return call.name, json.dumps(json.loads(call.arguments), sort_keys=True)
    except (ValueError, RecursionError):
        return call.name, call.arguments


class UsageAccumulator:
    """Accumulator for the usage of one call, as reported in its frames.

    Workers AI reports usage in each frame as an increment or, until 2025, as the total so far.
    The last native frame reports the total. Only a total has prompt tokens: usage with prompt
    tokens replaces the previous usage, and usage with 0 prompt tokens is added to it. Usage
    without this field is a copy of the total if the prompt tokens are already known.
    """

    def __init__(self) -> None:
        self._prompt_tokens = 0
        self._completion_tokens = 0
        self._cached_tokens = 0
        self._neurons: float | None = None
        self.has_usage = False
        self.is_cached = False  # by a gateway; nothing is billed, whatever the frames report

    @property
    def usage(self) -> Usage:
        """The usage reported so far."""
        neurons = 0.0 if self.is_cached else self._neurons
        cost_basis: CostBasis | None = None if neurons is None else "billed"
        cached_tokens = min(self._cached_tokens, self._prompt_tokens)  # a part of the prompt
        return Usage(
            self._prompt_tokens, self._completion_tokens, cached_tokens, neurons, cost_basis
        )

    def add(self, raw_usage: Any, *, is_total: bool) -> None:
        """Add one usage object; `is_total` is True if it is known to cover the whole call."""
        if not isinstance(raw_usage, dict):
            return
        prompt_tokens = raw_usage.get("prompt_tokens", raw_usage.get("input_tokens"))
        completion_tokens = raw_usage.get("completion_tokens", raw_usage.get("output_tokens"))
        # Each frame has these two fields, nearly always as small integers.
        if type(prompt_tokens) is not int or not 0 <= prompt_tokens <= MAX_TOKENS:
            is_copy = prompt_tokens is None and self._prompt_tokens > 0
            prompt_tokens = self._prompt_tokens if is_copy else _int_or_zero(prompt_tokens)
        if type(completion_tokens) is not int or not 0 <= completion_tokens <= MAX_TOKENS:
            completion_tokens = _int_or_zero(completion_tokens)
        details = raw_usage.get("prompt_tokens_details", raw_usage.get("input_tokens_details"))
        cached_tokens = (
            _int_or_zero(details.get("cached_tokens")) if isinstance(details, dict) else 0
        )
        neurons = raw_usage.get("neurons")
        if type(neurons) is not float or not 0 <= neurons < MAX_NEURONS:
            neurons = parse_neurons(neurons)
        if prompt_tokens or is_total or not self.has_usage:
            # A copy of the usage may lack some figures (glm-5.2 on /ai/v1, July 2026), so only
            # the total in the last native frame may be lower than the figures so far.
            if not is_total:
                prompt_tokens = max(self._prompt_tokens, prompt_tokens)
                completion_tokens = max(self._completion_tokens, completion_tokens)
                neurons = max(self._neurons, neurons or 0.0) if self._neurons else neurons
            self._prompt_tokens = prompt_tokens or self._prompt_tokens
            self._completion_tokens = completion_tokens or self._completion_tokens
            self._cached_tokens = max(self._cached_tokens, cached_tokens)
            if neurons or self._neurons is None:
                self._neurons = neurons
        elif not (neurons and neurons == self._neurons and self._prompt_tokens):  # or a copy
            self._completion_tokens += completion_tokens
            self._cached_tokens += cached_tokens
            if neurons is not None:
                self._neurons = (self._neurons or 0.0) + neurons
        self.has_usage = True

    def add_header_neurons(self, neurons: float | None) -> None:
        """Use the neurons from the response header if the frames reported none."""
        if neurons is not None and self._neurons is None:
            self._neurons = neurons
            self.has_usage = True


def parse_usage(raw_usage: Any, headers: Mapping[str, str]) -> Usage:
    """Return the usage of a whole call from its body, using the headers for missing neurons."""
    accumulator = UsageAccumulator()
    accumulator.is_cached = from_cache(headers)
    accumulator.add(raw_usage, is_total=True)
    accumulator.add_header_neurons(parse_header_neurons(headers))
    return accumulator.usage


def parse_header_neurons(headers: Mapping[str, str]) -> float | None:
    """Return the billed neurons from the cf-ai-neurons header; None if missing or invalid."""
    try:
        return parse_neurons(float(headers["cf-ai-neurons"]))
    except (KeyError, ValueError):
        return None


def parse_neurons(value: Any) -> float | None:
    """Return the value as a number of neurons; None if it is not valid."""
    is_number = isinstance(value, NUMBER_TYPES) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value < MAX_NEURONS else None


def _int_or_zero(value: Any) -> int:
    """Return the value as a number of tokens; 0 (unknown) if it is not valid."""
    is_number = isinstance(value, NUMBER_TYPES) and not isinstance(value, bool)
    return int(value) if is_number and 0 <= value <= MAX_TOKENS else 0  # excludes infinity and NaN


class FrameDecoder:
    """Decoder that turns the frames of one answer into deltas."""

    def __init__(self) -> None:
        self._usage_accumulator = UsageAccumulator()
        self._finish_reason = "unknown"
        self._think_tag_parser = ThinkTagParser()
        self._reasoning_joiner, self._text_joiner = SurrogateJoiner(), SurrogateJoiner()
        self._tool_call_assembler, self._native_calls = ToolCallAssembler(), ToolCallAssembler()
        self._text_pieces: list[str] = []
        self.characters = 0  # weighted length of the text, reasoning and tool calls so far
        self.finished = False  # whether a finish reason was received
        self.error: Any = None  # in the choice, as OpenRouter sends it
        self.earlier_usage: Usage | None = None  # of an empty response to the same call
        self._is_refusal = False

    def mark_cached(self) -> None:
        """Mark the answer as served from a gateway's cache, in which case nothing is billed."""
        self._usage_accumulator.is_cached = True

    @property
    def usage(self) -> Usage:
        """The usage reported so far."""
        usage = self._usage_accumulator.usage
        return usage if self.earlier_usage is None else self.earlier_usage + usage

    @property
    def text(self) -> str:
        """The text of the answer so far, without the reasoning."""
        return "".join(self._text_pieces)

    def decode(self, frame: Any) -> Iterable[Delta]:
        """Return the text and reasoning deltas in one frame; an invalid frame has none."""
        if not isinstance(frame, dict):
            return ()
        choices = frame.get("choices")
        if type(choices) is list and choices and type(choices[0]) is dict:
            choice = choices[0]
            choice = choice if not choice.get("index") else find_first_choice(choices)
        else:
            choice = find_first_choice(choices)
        if choice.get("logprobs"):
            return self._decode_with_tokens(frame, choice)
        message = choice.get("delta") or choice.get("message")
        message = message if isinstance(message, dict) else {}
        tool_calls = (
            message.get("tool_calls") or choice.get("tool_calls") or message.get("function_call")
        )
        native_calls = frame.get("tool_calls")
        if tool_calls or native_calls:
            self._add_tool_calls(tool_calls, native_calls)
        reason = choice.get("finish_reason") or frame.get("finish_reason")
        if reason and isinstance(reason, str) and reason.lower() not in NO_FINISH_REASONS:
            self._finish_reason = FINISH_REASONS.get(reason.lower(), "unknown")
            self.finished = True
        self.error = self.error or choice.get("error")
        usage = frame.get("usage")
        if usage:
            self._usage_accumulator.add(usage, is_total="choices" not in frame)
        reasoning = message.get("reasoning_content") or message.get("reasoning")
        text = message.get("content")
        if (  # the usual case: nothing to join, separate or weigh
            type(text) is str
            and text
            and text.isascii()
            and not (reasoning or message.get("refusal"))
            and not self._text_joiner.pending
            and self._think_tag_parser.state == "text"
        ):
            self.characters += len(text)
            self._text_pieces.append(text)
            return (TextDelta(text),)
        refusal = message.get("refusal")
        if text in NO_TEXT:
            text = choice.get("text") or frame.get("response")
        if refusal or not (text is None or isinstance(text, str)):
            # An empty list next to tool calls or a refusal has no parts; it is not JSON.
            is_delta = bool(choice.get("delta") or tool_calls or refusal)
            reasoning, text = self._to_texts(reasoning, text, refusal, is_delta=is_delta)
        return self._to_deltas(reasoning, text) if reasoning or text else ()

    def _decode_with_tokens(self, frame: dict[str, Any], choice: dict[str, Any]) -> list[Delta]:
        """Return the deltas in a frame with `logprobs`. The tokens of reasoning are left out."""
        from .logprobs import parse_tokens

        deltas = [*self.decode({**frame, "choices": [{**choice, "logprobs": None}]})]
        has_text = any(isinstance(delta, TextDelta) for delta in deltas)
        tokens = tuple(parse_tokens(choice["logprobs"])) if has_text or not deltas else ()
        return [*deltas, TokensDelta(tokens)] if tokens else deltas

    def _add_tool_calls(self, tool_calls: Any, native_calls: Any) -> None:
        """Add the calls in a choice, and those beside the choices: some servers repeat them."""
        self.characters += self._tool_call_assembler.add(tool_calls)
        self.characters += self._native_calls.add(native_calls)

    def _to_texts(
        self, reasoning: Any, content: Any, refusal: Any, *, is_delta: bool
    ) -> tuple[str, str]:
        """Return the reasoning and the text, with content in any form and a refusal as text."""
        split = _split_content(content, is_delta=is_delta)
        refusals = [*split.refusals, *([refusal] if isinstance(refusal, str) else [])]
        self._is_refusal = self._is_refusal or bool(refusals)
        reasoning = (reasoning if isinstance(reasoning, str) else "") + split.reasoning
        return reasoning, split.text + "".join(refusals)

    def _to_deltas(self, reasoning: Any, text: Any) -> list[Delta]:
        deltas: list[Delta] = []
        if isinstance(reasoning, str) and (complete := self._reasoning_joiner.feed(reasoning)):
            self.characters += weighted_length(complete)
            deltas.append(ReasoningDelta(complete))
        if isinstance(text, str) and (complete := self._text_joiner.feed(text)):
            self.characters += weighted_length(complete)
            deltas += self._think_tag_parser.feed(complete)
        self._keep_text(deltas)
        return deltas

    def _keep_text(self, deltas: Iterable[Delta]) -> None:
        for delta in deltas:
            if isinstance(delta, TextDelta):
                self._text_pieces.append(delta.text)

    def finish(self, billed_neurons: float | None = None) -> Iterator[Delta]:
        """Yield the final deltas: held-back text, tool calls, usage and finish reason.

        `billed_neurons` is the number in the response header. It is used if the frames reported
        no neurons.
        """
        if self._holds_text_back:
            yield from self.flush()
        has_tool_calls = self._tool_call_assembler.has_started or self._native_calls.has_started
        if has_tool_calls:
            yield from self._tool_call_assembler.finish(self._native_calls)
        self._usage_accumulator.add_header_neurons(billed_neurons)
        if self._usage_accumulator.has_usage or self.earlier_usage:
            yield self.usage
        reason = self._finish_reason
        if reason in OVERRIDABLE_REASONS and (has_tool_calls or self._is_refusal):
            reason = "tool_calls" if has_tool_calls else "content_filter"
        yield FinishDelta(reason)

    @property
    def _holds_text_back(self) -> bool:
        joiners = self._reasoning_joiner, self._text_joiner
        return bool(joiners[0].pending or joiners[1].pending or self._think_tag_parser.pending)

    def flush(self) -> Iterator[Delta]:
        """Yield the text that is still held back at the end of the stream."""
        yield from self._to_deltas(self._reasoning_joiner.flush(), self._text_joiner.flush())
        held_back = list(self._think_tag_parser.flush())
        self._keep_text(held_back)
        yield from held_back


def find_first_choice(choices: Any) -> dict[str, Any]:
    """Return the choice with index 0 or without an index; an empty dict if there is none."""
    if isinstance(choices, list):
        for choice in choices:
            if isinstance(choice, dict) and not choice.get("index"):
                return choice
    return {}


class _Content(NamedTuple):
    """Content of a message that is not a string, split by the types of its parts."""

    text: str = ""
    reasoning: str = ""
    refusals: tuple[str, ...] = ()


def _split_content(content: Any, *, is_delta: bool) -> _Content:
    """Split the content of a message: text, a list of parts, or any value in JSON mode.

    Only a whole message has a value of JSON mode: a delta that is a list consists of parts.
    """
    if content is None or (is_delta and (content == [] or isinstance(content, bool))):
        return _Content()
    if isinstance(content, str):
        return _Content(content)
    parts = content if isinstance(content, list) else [content]
    is_list_of_parts = is_delta and isinstance(content, list) and any(map(_part_type, parts))
    if not (is_list_of_parts or _are_parts(parts)):
        return _Content(json.dumps(content, ensure_ascii=False))
    typed = [(_part_type(part), _part_text(part)) for part in parts]
    return _Content(
        "".join(text for kind, text in typed if kind in TEXT_PARTS),
        "".join(text for kind, text in typed if kind in REASONING_PARTS),
        tuple(text for kind, text in typed if kind == "refusal"),
    )


def _part_type(value: Any) -> str:
    """Return the type of a part, which is "text" if it has none; "" for other values."""
    if isinstance(value, dict):
        kind = value.get("type", "text" if isinstance(value.get("text"), str) else "")
        return kind if isinstance(kind, str) else ""
    return "text" if isinstance(value, str) else ""


def _are_parts(values: Sequence[Any]) -> bool:
    """Return whether all values are parts, and a part with a type has text of a known type."""
    known = [
        value for value in values if isinstance(value, dict) and value.get("type") in PART_TYPES
    ]
    return (
        all(map(_part_type, values))
        and any(_find_text_field(value) for value in known)
        and all(value.keys() <= PART_FIELDS for value in known)
    )


def _find_text_field(part: Mapping[str, Any]) -> str:
    """Return the name of the field with the text of a part; "" if it has none."""
    names = (part.get("type"), *CONTENT_FIELDS)
    return next((name for name in names if isinstance(name, str) and name in part), "")


def _part_text(part: Any) -> str:
    """Return the text of a part, which may itself be a list of parts (mistral's thinking)."""
    value = part.get(_find_text_field(part)) if isinstance(part, dict) else part
    inner = value if isinstance(value, list) else [value]
    texts = (item.get("text") if isinstance(item, dict) else item for item in inner)
    return "".join(text for text in texts if isinstance(text, str))


def unwrap_envelope(body: Any) -> Any:
    """Return the `result` in Cloudflare's envelope. Other bodies are returned unchanged."""
    if isinstance(body, dict) and "success" in body and "result" in body:
        return body["result"]
    return body


def is_empty_answer(answer: Any) -> bool:
    """Return whether the answer in an envelope has no fields except `usage`.

    Some models send such an answer instead of a stream.
    """
    return answer is None or (isinstance(answer, dict) and not (answer.keys() - {"usage"}))
