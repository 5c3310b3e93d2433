"""Turns the frames of every dialect that Workers AI sends into one stream of deltas."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from ..values import Delta, Finish, Thought, Usage
from .thinking import ThinkTags
from .tool_calls import ToolCalls

FINISHES: Mapping[str, str] = {
    "stop": "stop",
    "length": "length",
    "model_length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "error": "error",
}


class Reader:
    """Reads the frames of one answer; `usage` is that of the call so far.

    Workers AI tells usage in each frame as what was added, or (until 2025) as the total so far,
    and in a last native frame as the total. A total counts the prompt's tokens and an addition
    does not: a usage with prompt tokens replaces what is known, and one without is added.
    """

    def __init__(self) -> None:
        self._usage: Usage | None = None
        self._finish = "unknown"
        self._tags = ThinkTags()
        self._tool_calls = ToolCalls()

    @property
    def usage(self) -> Usage:
        """What the call used so far."""
        return self._usage or Usage()

    @property
    def has_usage(self) -> bool:
        """Whether any usage was told."""
        return self._usage is not None

    def read(self, frame: Any) -> Iterable[Delta]:
        """Return the text and thoughts of one frame; a frame that makes no sense has none."""
        if not isinstance(frame, dict):
            return ()
        choice = _first_choice(frame.get("choices"))
        said = choice.get("delta") or choice.get("message")
        said = said if isinstance(said, dict) else {}
        self._note(choice, said.get("tool_calls") or frame.get("tool_calls"))
        usage = frame.get("usage")
        if usage:
            self._count(usage, native="choices" not in frame)
        thought = said.get("reasoning_content") or said.get("reasoning")
        text = said.get("content") or choice.get("text") or _native_text(frame.get("response"))
        deltas: list[Delta] = [Thought(thought)] if thought and isinstance(thought, str) else []
        if text and isinstance(text, str):
            deltas += self._tags.cut(text)
        return deltas

    def _note(self, choice: Mapping[str, Any], calls: Any) -> None:
        if calls:
            self._tool_calls.add(calls)
        reason = choice.get("finish_reason")
        if reason and isinstance(reason, str):
            self._finish = FINISHES.get(reason.lower(), "unknown")

    def _count(self, usage: Any, *, native: bool) -> None:
        told = _usage(usage)
        if told is None:
            return
        known = self._usage
        total = told.prompt_tokens or (native and told.completion_tokens)
        if known is None or total:
            neurons = told.neurons if told.neurons is not None or not known else known.neurons
            self._usage = _billed(told, neurons)
        else:
            self._usage = added(known, told)

    def end(self, neurons: float | None = None) -> Iterator[Delta]:
        """Yield what is known only at the end: tool calls, the usage, why it ended.

        `neurons` is the figure of the reply's header, for where the frames bore none.
        """
        yield from self._tags.rest()
        calls = self._tool_calls.whole()
        yield from calls
        if self._usage is not None or neurons is not None:
            usage = self.usage
            if usage.neurons is None:
                usage = _billed(usage, neurons)
            self._usage = usage
            yield usage
        yield Finish("tool_calls" if calls and self._finish == "unknown" else self._finish)

    def held(self) -> Iterator[Delta]:
        """Yield the text that waited for more to come, when no more comes."""
        yield from self._tags.rest()


def _first_choice(choices: Any) -> Mapping[str, Any]:
    """Return the choice with index 0, or without one; an empty one where there is none."""
    if isinstance(choices, list):
        for choice in choices:
            if isinstance(choice, dict) and not choice.get("index"):
                return choice
    return {}


def _native_text(response: Any) -> str:
    """Return the native field's text; JSON mode puts an object there."""
    if response is None or isinstance(response, bool):
        return ""
    if isinstance(response, str):
        return response
    import json

    return json.dumps(response, ensure_ascii=False)


def _usage(told: Any) -> Usage | None:
    if not isinstance(told, dict):
        return None
    details = told.get("prompt_tokens_details")
    return Usage(
        prompt_tokens=_whole(told.get("prompt_tokens")),
        completion_tokens=_whole(told.get("completion_tokens")),
        cached_tokens=_whole(details.get("cached_tokens")) if isinstance(details, dict) else 0,
        neurons=_figure(told.get("neurons")),
    )


def _figure(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None


def _whole(value: Any) -> int:
    try:
        return int(value or 0)
    except (TypeError, ValueError, OverflowError):
        return 0


def _billed(usage: Usage, neurons: float | None) -> Usage:
    return replace(usage, neurons=neurons, basis=None if neurons is None else "billed")


def usage_of(told: Any, neurons: float | None) -> Usage:
    """Return the usage of a whole call; `neurons` is the header's, where the body tells none."""
    usage = _usage(told) or Usage()
    return _billed(usage, neurons if usage.neurons is None else usage.neurons)


def added(known: Usage, told: Usage) -> Usage:
    """Return the sum of two usages."""
    figures = (known.neurons, told.neurons)
    neurons = None if figures == (None, None) else sum(figure or 0.0 for figure in figures)
    return Usage(
        known.prompt_tokens + told.prompt_tokens,
        known.completion_tokens + told.completion_tokens,
        known.cached_tokens + told.cached_tokens,
        neurons,
        None if neurons is None else "billed",
    )


def unwrapped(body: Any) -> Any:
    """Return a JSON answer without Cloudflare's envelope."""
    if isinstance(body, dict) and "success" in body and "result" in body:
        return body["result"]
    return body


def is_empty(answer: Any) -> bool:
    """Whether an answer holds nothing at all, as some models send in place of a stream."""
    return not answer or (isinstance(answer, dict) and not (answer.keys() - {"usage"}))
