"""Formats of chat answers, each as in a recording, for streams and complete answers.

Recorded: the formats of `DIALECTS`, by the date of each. Documented, but without a recording:
the format of /ai/v1/responses, and `logprobs`. Invented: the probabilities of tokens.
"""

import json
import math
import random
import secrets
import string
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from .catalog import Model

ThoughtField = Literal["reasoning_content", "reasoning", "think_tag"]
UsageStyle = Literal["delta", "cumulative", "last", "none"]
Padding = Literal["random", "constant", ""]
LETTERS = string.ascii_lowercase + string.digits
CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Dialect:
    """Format of one recording.

    `usage` on the chunks: of each chunk, the sum so far, only at the end, or none. `bare` sends
    only `choices` in a chunk. If `indexed` is False, choices have no `index` and `finish_reason`.
    `usage_copy` ends a stream with the usage and a copy of it: with 0 cached tokens, or without
    details and neurons.
    `doubled` repeats the text in `response`. `native` is Cloudflare's format, not OpenAI's.
    """

    usage: UsageStyle = "delta"
    neurons: bool = True
    details: bool = True
    indexed: bool = True
    closing_event: bool = True
    final_native_event: bool = True
    usage_copy: Literal["", "zero", "plain"] = ""
    padding: Padding = "random"
    thought_field: ThoughtField = "reasoning_content"
    null_fields: bool = False
    alphabetical: bool = False
    bare: bool = False
    doubled: bool = False
    native: bool = False
    empty_content: str | None = ""
    stop_field: str = ""
    stop_value: int | None = None
    tool_end: bool = False
    model_suffix: str = ""
    identity: Literal["hex", "chatcmpl", "ms"] = "hex"

    @property
    def usage_if_any(self) -> UsageStyle:
        """The usage style if a switch enables usage."""
        return "cumulative" if self.usage == "none" else self.usage

    @property
    def thought_key(self) -> str:
        """The key of reasoning in a message; empty if it is part of the text."""
        return "" if self.thought_field == "think_tag" else self.thought_field


# The dialect of a route if no switch sets one. Both were recorded on that route.
OPENAI_DEFAULT, NATIVE_DEFAULT = "rest", "gemma"
DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {
        # deepseek-v4-pro on REST /ai/v1, August 2026: the platform copies the usage of the model.
        "rest": Dialect(
            usage="last",
            closing_event=False,
            final_native_event=False,
            usage_copy="plain",
            padding="",
            identity="ms",
        ),
        # glm-5.2 on REST /ai/v1, July 2026: the same without neurons.
        "rest202607": Dialect(
            usage="last",
            neurons=False,
            closing_event=False,
            final_native_event=False,
            usage_copy="zero",
            padding="",
            identity="ms",
        ),
        # gemma-4, October 2026, from the binding: the newest.
        "gemma": Dialect(
            null_fields=True,
            alphabetical=True,
            stop_field="matched_stop",
            stop_value=106,
            model_suffix="-external",
        ),
        # glm-5.2 and glm-5.3-flash, August 2026.
        "glm": Dialect(identity="ms"),
        # nemotron, 2026: vLLM's keys, `reasoning`, and null if reasoning used all tokens.
        "nemotron": Dialect(
            thought_field="reasoning",
            empty_content=None,
            stop_field="stop_reason",
            tool_end=True,
            identity="chatcmpl",
        ),
        # July 2025: usage so far on each chunk, no neurons, no separate last event.
        "cumulative": Dialect(
            usage="cumulative",
            neurons=False,
            details=False,
            final_native_event=False,
            padding="",
            identity="chatcmpl",
        ),
        # December 2024, llama on the OpenAI path: no index, no finish_reason, no usage.
        "llama2024": Dialect(
            usage="none",
            neurons=False,
            details=False,
            indexed=False,
            closing_event=False,
            final_native_event=False,
            padding="",
            identity="ms",
        ),
        # The same text in `choices` and in `response`.
        "hybrid": Dialect(
            usage="last",
            indexed=False,
            closing_event=False,
            padding="",
            bare=True,
            doubled=True,
        ),
        # Cloudflare's format, as /ai/run returns it for older models.
        "native": Dialect(usage="last", native=True, thought_field="think_tag"),
    }
)


def _token_item(text: str, probability: float) -> dict[str, Any]:
    return {"token": text, "bytes": list(text.encode()), "logprob": math.log(probability)}


def count_tokens(text: str) -> int:
    """Return the number of tokens of a text: each has four characters."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def split_tokens(text: str) -> tuple[str, ...]:
    """Split a text into tokens; characters are not split."""
    size = CHARACTERS_PER_TOKEN
    return tuple(text[at : at + size] for at in range(0, len(text), size))


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call; `pieces` are its arguments as JSON, split into tokens."""

    id: str
    name: str
    arguments: Any
    pieces: tuple[str, ...]

    def as_native(self) -> dict[str, Any]:
        """Return it in the native format: no id, arguments as an object."""
        return {"name": self.name, "arguments": self.arguments}

    def as_openai(self, index: int) -> dict[str, Any]:
        """Return it in OpenAI's format: arguments as JSON text."""
        function = {"name": self.name, "arguments": "".join(self.pieces)}
        return {"index": index, "id": self.id, "type": "function", "function": function}


@dataclass(frozen=True, slots=True)
class Generation:
    """An answer as tokens, without a format; `ended` is True if the model sent its stop token."""

    prompt_tokens: int
    cached_tokens: int
    thought: tuple[str, ...]
    text: tuple[str, ...]
    calls: tuple[ToolCall, ...]
    finish: str | None
    ended: bool
    alternatives: int | None = None  # most likely tokens at each position; None: no logprobs

    @property
    def call_tokens(self) -> int:
        """The tokens of all tool calls."""
        return sum(1 + len(call.pieces) for call in self.calls)

    @property
    def completion_tokens(self) -> int:
        """All generated tokens, including the stop token."""
        return len(self.thought) + len(self.text) + self.call_tokens + self.ended


class Event(NamedTuple):
    """JSON of a stream event, the number of tokens it carries, and its name if it has one."""

    data: Mapping[str, Any]
    tokens: int = 0
    name: str = ""


class Formatter:
    """Format one answer in its dialect; ids have the format of the recording."""

    def __init__(self, model: Model, dialect: Dialect, generation: Generation, now: float) -> None:
        ids = {
            "hex": secrets.token_hex(16),
            "chatcmpl": f"chatcmpl-{secrets.token_hex(16)}",
            "ms": f"id-{int(now * 1000)}",
        }
        self.id = ids[dialect.identity]
        self._model = model
        self._dialect = dialect
        self._generation = generation
        self._created = int(now)
        self._tokens_sent = 0
        self._padding = random.Random(self.id)

    def format_whole(self, *, as_json: bool) -> dict[str, Any]:
        """Return a complete answer; in native JSON mode, `response` is the parsed JSON."""
        return self._native_result(as_json=as_json) if self._dialect.native else self._completion()

    def format_events(self) -> Iterator[Event]:
        """Yield every event of a stream in order, without [DONE]."""
        return self._native_events() if self._dialect.native else self._chunks()

    def format_response(self) -> dict[str, Any]:
        """Return the object of /ai/v1/responses."""
        generation = self._generation
        usage = {
            "input_tokens": generation.prompt_tokens,
            "output_tokens": generation.completion_tokens,
            "total_tokens": generation.prompt_tokens + generation.completion_tokens,
        }
        return {
            "id": f"resp_{self.id}",
            "object": "response",
            "created_at": self._created,
            "model": self._model.name,
            "status": "completed" if generation.ended else "incomplete",
            "output": list(_response_output(generation)),
            "output_text": "".join(generation.text),
            "usage": usage,
        }

    def _usage(self, prompt: int, completion: int, cached: int = 0) -> dict[str, Any]:
        """Return a usage object with the fields of the dialect."""
        usage = _plain_usage(prompt, completion)
        if self._dialect.details:
            usage["prompt_tokens_details"] = {"cached_tokens": cached}
        if self._dialect.neurons:
            usage["neurons"] = self._model.token_cost(prompt, completion, cached)
        return usage

    def _total_usage(self) -> dict[str, Any]:
        """Return the usage of the complete call."""
        generation = self._generation
        counts = generation.prompt_tokens, generation.completion_tokens, generation.cached_tokens
        return self._usage(*counts)

    def _completion(self) -> dict[str, Any]:
        """Return a chat.completion without envelope, as on the OpenAI route."""
        choice = {
            "index": 0,
            "finish_reason": self._generation.finish,
            "logprobs": self._logprobs(range(len(self._generation.text))),
            "message": self._message(),
            **self._stop_reason(self._generation.finish),
        }
        body: dict[str, Any] = {**self._names("chat.completion"), "choices": [choice]}
        if self._dialect.usage != "none":
            body["usage"] = self._total_usage()
        return body

    def _message(self) -> dict[str, Any]:
        """Return the assistant message; empty content is "" or None as in the dialect."""
        dialect, generation = self._dialect, self._generation
        empty = None if generation.calls else dialect.empty_content
        message: dict[str, Any] = {
            "role": "assistant",
            "content": "".join(generation.text) or empty,
        }
        if dialect.thought_key and (generation.thought or dialect.null_fields):
            message[dialect.thought_key] = "".join(generation.thought) or None
        if generation.calls:
            calls = enumerate(generation.calls)
            message["tool_calls"] = [call.as_openai(index) for index, call in calls]
        elif dialect.tool_end:
            message |= {"refusal": None, "tool_calls": []}
        return message

    def _native_result(self, *, as_json: bool) -> dict[str, Any]:
        """Return the result of an older model."""
        text = "".join((*self._generation.thought, *self._generation.text))
        calls = [call.as_native() for call in self._generation.calls]
        body = {"response": _parse_json(text) if as_json else text, "tool_calls": calls}
        if self._dialect.usage != "none":
            body["usage"] = self._total_usage()
        return body

    def _native_events(self) -> Iterator[Event]:
        """Yield {"response": …} objects."""
        generation = self._generation
        for piece in (*generation.thought, *generation.text):
            yield Event({"response": piece, **self._pad()}, 1)
        if generation.calls:
            calls = [call.as_native() for call in generation.calls]
            data = {"response": "", "tool_calls": calls, **self._pad()}
            yield Event(data, generation.call_tokens)
        if self._dialect.final_native_event:
            yield self._final_native_event(int(generation.ended))

    def _final_native_event(self, tokens: int) -> Event:
        """Return the native event that ends a stream, with the usage of the call."""
        if self._dialect.usage == "none":
            return Event({"response": ""}, tokens)
        return Event({"response": "", "usage": self._total_usage()}, tokens)

    def _chunks(self) -> Iterator[Event]:
        """Yield chat.completion.chunk objects."""
        dialect, generation = self._dialect, self._generation
        no_text = {"content": None} if dialect.null_fields else {}
        no_thought = (
            {dialect.thought_key: None} if dialect.null_fields and dialect.thought_key else {}
        )
        if not dialect.bare:
            prompt = generation.prompt_tokens, generation.cached_tokens
            yield self._chunk({"role": "assistant", "content": "", **no_thought}, 0, prompt)
        for piece in generation.thought:
            yield self._chunk({**no_text, dialect.thought_key: piece}, 1)
        for index, piece in enumerate(generation.text):
            chunk = self._chunk({"content": piece, **no_thought}, 1, text_index=index)
            doubled = {"response": piece, "tool_calls": []} if dialect.doubled else {}
            yield Event({**chunk.data, **doubled}, 1)
        for index, call in enumerate(generation.calls):
            yield from self._tool_call(index, call, no_text)
        if dialect.indexed:
            yield self._chunk(no_thought, 0, finish=generation.finish)
        if dialect.usage_copy:
            yield from self._usage_and_copy()
        if dialect.closing_event:
            yield self._chunk(None, int(generation.ended))
        if dialect.final_native_event:
            yield self._final_native_event(0)

    def _tool_call(
        self, index: int, call: ToolCall, no_text: Mapping[str, Any]
    ) -> Iterator[Event]:
        """Yield a tool call: its name, its arguments in pieces, and vLLM's empty last piece."""
        function = {"name": call.name}
        start = {"index": index, "id": call.id, "type": "function", "function": function}
        yield self._chunk({**no_text, "tool_calls": [start]}, 1)
        for piece in call.pieces:
            yield self._chunk({**no_text, "tool_calls": [_more_arguments(index, piece)]}, 1)
        if self._dialect.tool_end:
            yield self._chunk({"tool_calls": [_more_arguments(index, None)]}, 0)

    def _chunk(
        self,
        delta: Mapping[str, Any] | None,
        tokens: int,
        prompt: tuple[int, int] = (0, 0),
        finish: str | None = None,
        text_index: int | None = None,
    ) -> Event:
        """Return a chunk; `prompt` has its prompt and cached tokens. No delta means no choices."""
        logprobs = None if text_index is None else self._logprobs([text_index])
        choices = [] if delta is None else [self._choice(delta, finish, logprobs)]
        if self._dialect.bare:
            return Event({"choices": choices}, tokens)
        names = self._names("chat.completion.chunk")
        data = {**names, "choices": choices, **self._pad(), **self._chunk_usage(tokens, *prompt)}
        return Event(_sorted(data) if self._dialect.alphabetical else data, tokens)

    def _choice(
        self, delta: Mapping[str, Any], finish: str | None, logprobs: dict[str, Any] | None
    ) -> dict[str, Any]:
        if not self._dialect.indexed:
            return {"delta": delta}
        rest = {"finish_reason": finish, "logprobs": logprobs, **self._stop_reason(finish)}
        if self._dialect.alphabetical:
            return _sorted({"delta": _sorted(delta), "index": 0, **rest})
        return {"index": 0, "delta": delta, **rest}

    def _logprobs(self, indexes: Iterable[int]) -> dict[str, Any] | None:
        """Return the probabilities of tokens of the text: every second is the second choice."""
        count = self._generation.alternatives
        if count is None:
            return None
        content = []
        for index in indexes:
            ranked = [(f"other{rank}", 0.5 * 0.4**rank) for rank in range(max(2, count))]
            ranked[index % 2] = (self._generation.text[index], ranked[index % 2][1])
            top = [_token_item(*pair) for pair in ranked]
            content.append({**top[index % 2], "top_logprobs": top[:count]})
        return {"content": content}

    def _stop_reason(self, finish: str | None) -> dict[str, Any]:
        """Return the additional key of a choice, if the dialect has one."""
        dialect = self._dialect
        if not dialect.stop_field:
            return {}
        return {dialect.stop_field: dialect.stop_value if finish == "stop" else None}

    def _names(self, kind: str) -> dict[str, Any]:
        name = self._model.name + self._dialect.model_suffix
        return {"id": self.id, "object": kind, "created": self._created, "model": name}

    def _chunk_usage(self, tokens: int, prompt: int, cached: int) -> dict[str, Any]:
        """Return the usage of a chunk, or the sum of all chunks so far."""
        self._tokens_sent += tokens
        if self._dialect.usage == "delta":
            return {"usage": self._usage(prompt, tokens, cached)}
        if self._dialect.usage == "cumulative":
            generation = self._generation
            so_far = generation.prompt_tokens, self._tokens_sent, generation.cached_tokens
            return {"usage": self._usage(*so_far)}
        return {}

    def _usage_and_copy(self) -> Iterator[Event]:
        """Yield the usage of the model, and the platform's copy without cached tokens."""
        generation = self._generation
        usage = self._chunk(None, int(generation.ended))
        reported = {} if self._dialect.usage == "none" else {"usage": self._total_usage()}
        yield Event({**usage.data, **reported}, usage.tokens)
        counts = generation.prompt_tokens, generation.completion_tokens
        plain = self._dialect.usage_copy == "plain"
        copied = _plain_usage(*counts) if plain else self._usage(*counts)
        copy = self._chunk({}, 0, finish=generation.finish)
        yield Event({**copy.data, **({"usage": copied} if reported else {})})

    def _pad(self) -> dict[str, str]:
        """Return `p`, which hides the length of a token."""
        if self._dialect.padding == "random":
            source = self._padding
            return {"p": "".join(source.choices(LETTERS, k=source.randint(1, 32)))}
        return {"p": "abdefgh"} if self._dialect.padding else {}


def _sorted(data: Mapping[str, Any]) -> dict[str, Any]:
    return dict(sorted(data.items()))


def _plain_usage(prompt: int, completion: int) -> dict[str, Any]:
    counts = {"prompt_tokens": prompt, "completion_tokens": completion}
    return {**counts, "total_tokens": prompt + completion}


def _more_arguments(index: int, piece: str | None) -> dict[str, Any]:
    """Return a delta with more arguments of a tool call."""
    function = {"arguments": piece, "name": None}
    return {"function": function, "id": None, "index": index, "type": "function"}


def _parse_json(text: str) -> Any:
    """Return the parsed JSON, or the text if it is not JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _response_output(generation: Generation) -> Iterator[dict[str, Any]]:
    """Yield the parts of the output of a response: reasoning, tool calls, message."""
    if generation.thought:
        thought = {"type": "reasoning_text", "text": "".join(generation.thought)}
        yield {"type": "reasoning", "summary": [], "content": [thought]}
    for call in generation.calls:
        named = {"call_id": call.id, "name": call.name, "arguments": "".join(call.pieces)}
        yield {"type": "function_call", **named}
    if generation.text:
        text = {"type": "output_text", "text": "".join(generation.text), "annotations": []}
        yield {"type": "message", "role": "assistant", "status": "completed", "content": [text]}


def format_response_events(response: Mapping[str, Any], generation: Generation) -> Iterator[Event]:
    """Yield the events of a response: the text in pieces, everything else at the end."""

    def event(name: str, **more: Any) -> Event:
        return Event({"type": name, **more}, name=name)

    place = {"output_index": 0, "content_index": 0, "item_id": "msg_0"}
    item = {"id": "msg_0", "type": "message", "role": "assistant", "content": []}
    part = {"type": "output_text", "text": "", "annotations": []}
    started = {**response, "status": "in_progress", "output": [], "output_text": "", "usage": None}
    yield event("response.created", response=started)
    yield event("response.output_item.added", output_index=0, item=item)
    yield event("response.content_part.added", part=part, **place)
    for piece in generation.text:
        yield event("response.output_text.delta", delta=piece, **place)
    content = [{**part, "text": "".join(generation.text)}]
    whole = {**item, "status": "completed", "content": content}
    yield event("response.output_item.done", output_index=0, item=whole)
    yield event("response.completed", response=response)
