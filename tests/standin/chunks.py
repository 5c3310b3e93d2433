"""Format a generation as stream events of its dialect."""

import random
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from .catalogue import Model
from .dialects import Dialect
from .generation import Generation, ToolCall

LETTERS = string.ascii_lowercase + string.digits


class Event(NamedTuple):
    """One event's JSON and the number of tokens it carries."""

    data: Mapping[str, Any]
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Wording:
    """Model, dialect and ids of one answer."""

    model: Model
    dialect: Dialect
    id: str
    created: int

    def usage(self, prompt: int, completion: int, cached: int = 0) -> dict[str, Any]:
        """Return a usage object with the fields of the dialect."""
        usage: dict[str, Any] = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }
        if self.dialect.details:
            usage["prompt_tokens_details"] = {"cached_tokens": cached}
        if self.dialect.neurons:
            usage["neurons"] = self.model.token_cost(prompt, completion, cached)
        return usage

    def total(self, generation: Generation) -> dict[str, Any]:
        """Return the usage of the complete call."""
        cached = generation.cached_tokens
        return self.usage(generation.prompt_tokens, generation.completion_tokens, cached)


def events(wording: Wording, generation: Generation) -> Iterator[Event]:
    """Yield the events of a stream in order, without [DONE]."""
    chunks = NativeChunks if wording.dialect.native else OpenAIChunks
    return chunks(wording, generation).events()


class OpenAIChunks:
    """Format one answer as chat.completion.chunk objects."""

    def __init__(self, wording: Wording, generation: Generation) -> None:
        self._wording = wording
        self._dialect = wording.dialect
        self._generation = generation
        self._tokens_sent = 0
        self._padding = random.Random(wording.id)

    def events(self) -> Iterator[Event]:
        """Yield every event of the stream."""
        if not self._dialect.bare:
            yield self._opening()
        for piece in self._generation.thought:
            yield self._chunk({**self._empty(), self._thought_field: piece}, 1)
        for piece in self._generation.text:
            yield self._text(piece)
        for at, call in enumerate(self._generation.calls):
            yield from self._call(at, call)
        if self._dialect.indexed:
            yield self._chunk(self._last_delta(), 0, finish=self._generation.finish)
        if self._dialect.usage_copy:
            yield from self._usage_and_copy()
        if self._dialect.closing_event:
            yield self._chunk(None, int(self._generation.ended))
        if self._dialect.final_native_event:
            yield Event(self._final())

    @property
    def _thought_field(self) -> str:
        return self._dialect.thought_field

    def _empty(self) -> dict[str, Any]:
        return {"content": None} if self._dialect.null_fields else {}

    def _last_delta(self) -> dict[str, Any]:
        return {self._thought_field: None} if self._dialect.null_fields else {}

    def _opening(self) -> Event:
        delta = {"content": "", **self._last_delta(), "role": "assistant"}
        generation = self._generation
        return self._chunk(delta, 0, generation.prompt_tokens, generation.cached_tokens)

    def _text(self, piece: str) -> Event:
        chunk = self._chunk({"content": piece, **self._last_delta()}, 1)
        if not self._dialect.doubled:
            return chunk
        return Event({**chunk.data, "response": piece, "tool_calls": []}, 1)

    def _call(self, at: int, call: ToolCall) -> Iterator[Event]:
        """Yield a tool call: its name, its arguments in pieces, and vLLM's empty last piece."""
        start = {"index": at, "id": call.id, "type": "function", "function": {"name": call.name}}
        yield self._chunk({**self._empty(), "tool_calls": [start]}, 1)
        for piece in call.pieces:
            yield self._chunk({**self._empty(), "tool_calls": [arguments(at, piece)]}, 1)
        if self._dialect.tool_end:
            yield self._chunk({"tool_calls": [arguments(at, None)]}, 0)

    def _chunk(
        self,
        delta: Mapping[str, Any] | None,
        count: int,
        prompt: int = 0,
        cached: int = 0,
        finish: str | None = None,
    ) -> Event:
        """Return a chunk; without a delta it has no choices."""
        choices = [] if delta is None else [self._choice(delta, finish)]
        if self._dialect.bare:
            return Event({"choices": choices}, count)
        wording = self._wording
        data = {
            "id": wording.id,
            "object": "chat.completion.chunk",
            "created": wording.created,
            "model": wording.model.name + self._dialect.model_suffix,
            "choices": choices,
            **self._pad(),
            **self._usage(count, prompt, cached),
        }
        return Event(dict(sorted(data.items())) if self._dialect.alphabetical else data, count)

    def _usage_and_copy(self) -> Iterator[Event]:
        """Yield the usage of the model, and the platform's copy without cached tokens."""
        generation, wording = self._generation, self._wording
        usage = self._chunk(None, int(generation.ended))
        yield Event({**usage.data, "usage": wording.total(generation)}, usage.tokens)
        copied = wording.usage(generation.prompt_tokens, generation.completion_tokens)
        copy = self._chunk({}, 0, finish=generation.finish)
        yield Event({**copy.data, "usage": copied})

    def _choice(self, delta: Mapping[str, Any], finish: str | None) -> dict[str, Any]:
        if not self._dialect.indexed:
            return {"delta": delta}
        choice = {"delta": delta, "finish_reason": finish, "index": 0, "logprobs": None}
        if self._dialect.stop_field:
            ended = finish == "stop"
            choice[self._dialect.stop_field] = self._dialect.stop_value if ended else None
        return choice

    def _usage(self, count: int, prompt: int, cached: int) -> dict[str, Any]:
        """Return the usage of a chunk, or the sum of all chunks so far."""
        self._tokens_sent += count
        if self._dialect.usage == "delta":
            return {"usage": self._wording.usage(prompt, count, cached)}
        if self._dialect.usage == "cumulative":
            generation = self._generation
            so_far = (generation.prompt_tokens, self._tokens_sent, generation.cached_tokens)
            return {"usage": self._wording.usage(*so_far)}
        return {}

    def _pad(self) -> dict[str, str]:
        return padding(self._dialect, self._padding)

    def _final(self) -> dict[str, Any]:
        return final(self._wording, self._generation)


class NativeChunks:
    """Format one answer as {"response": …} objects."""

    def __init__(self, wording: Wording, generation: Generation) -> None:
        self._wording = wording
        self._generation = generation
        self._padding = random.Random(wording.id)

    def events(self) -> Iterator[Event]:
        """Yield every event of the stream."""
        for piece in (*self._generation.thought, *self._generation.text):
            yield Event({"response": piece, **self._pad()}, 1)
        if self._generation.calls:
            calls = [native_call(call) for call in self._generation.calls]
            count = sum(1 + len(call.pieces) for call in self._generation.calls)
            yield Event({"response": "", "tool_calls": calls, **self._pad()}, count)
        if self._wording.dialect.final_native_event:
            yield Event(final(self._wording, self._generation), int(self._generation.ended))

    def _pad(self) -> dict[str, str]:
        return padding(self._wording.dialect, self._padding)


def arguments(at: int, piece: str | None) -> dict[str, Any]:
    """Return a delta with more arguments of a tool call."""
    function = {"arguments": piece, "name": None}
    return {"function": function, "id": None, "index": at, "type": "function"}


def native_call(call: ToolCall) -> dict[str, Any]:
    """Return a tool call in the native format: no id, arguments as an object."""
    return {"name": call.name, "arguments": call.arguments}


def final(wording: Wording, generation: Generation) -> dict[str, Any]:
    """Return the native event that ends a stream, with the usage of the call."""
    if wording.dialect.usage == "none":
        return {"response": ""}
    return {"response": "", "usage": wording.total(generation)}


def padding(dialect: Dialect, source: random.Random) -> dict[str, str]:
    """Return `p`, which hides the length of a token."""
    if dialect.padding == "random":
        return {"p": "".join(source.choices(LETTERS, k=source.randint(1, 32)))}
    return {"p": "abdefgh"} if dialect.padding else {}
