"""Turns the frames of every dialect that Workers AI sends into one stream of deltas."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..neurons.tokens import weight
from ..values import Delta, Finish, Thought, Usage
from .halves import Halves
from .thinking import ThinkTags
from .tool_calls import ToolCalls
from .usage import Meter

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
UNTOLD = ("unknown", "stop")  # what some servers say of an answer that ends in calls


class Reader:
    """Reads the frames of one answer; `usage` is that of the call so far."""

    def __init__(self) -> None:
        self._meter = Meter()
        self._finish = "unknown"
        self._tags = ThinkTags()
        self._thoughts, self._texts = Halves(), Halves()
        self._tool_calls, self._native_calls = ToolCalls(), ToolCalls()
        self.characters = 0  # of texts, thoughts and calls so far, by their weight in tokens
        self.finished = False  # whether the server said why the answer ended

    def is_copy(self) -> None:
        """Note that the answer is a copy out of a gateway's cache."""
        self._meter.from_cache = True

    @property
    def usage(self) -> Usage:
        """What the call used so far."""
        return self._meter.usage

    def read(self, frame: Any) -> Iterable[Delta]:
        """Return the text and thoughts of one frame; a frame that makes no sense has none."""
        if not isinstance(frame, dict):
            return ()
        choice = _first_choice(frame.get("choices"))
        said = choice.get("delta") or choice.get("message")
        said = said if isinstance(said, dict) else {}
        if calls := said.get("tool_calls"):
            self.characters += self._tool_calls.add(calls)
        if calls := frame.get("tool_calls"):  # some servers say the same in both places
            self.characters += self._native_calls.add(calls)
        reason = choice.get("finish_reason") or frame.get("finish_reason")
        if reason and isinstance(reason, str):
            self._finish = FINISHES.get(reason.lower(), "unknown")
            self.finished = True
        usage = frame.get("usage")
        if usage:
            self._meter.count(usage, is_total="choices" not in frame)
        thought = said.get("reasoning_content") or said.get("reasoning")
        text = said.get("content") or choice.get("text") or _native_text(frame.get("response"))
        return self._deltas(thought, text)

    def _deltas(self, thought: Any, text: Any) -> list[Delta]:
        deltas: list[Delta] = []
        if isinstance(thought, str) and (whole := self._thoughts.whole(thought)):
            self.characters += weight(whole)
            deltas.append(Thought(whole))
        if isinstance(text, str) and (whole := self._texts.whole(text)):
            self.characters += len(whole) if whole.isascii() else weight(whole)
            deltas += self._tags.cut(whole)
        return deltas

    def end(self, neurons: float | None = None) -> Iterator[Delta]:
        """Yield what is known only at the end: tool calls, the usage, why it ended.

        `neurons` is the figure of the reply's header, for where the frames bore none.
        """
        yield from self.held()
        yield from self._tool_calls.whole(self._native_calls)
        self._meter.end(neurons)
        if self._meter.told:
            yield self.usage
        calls = self._tool_calls.begun or self._native_calls.begun
        yield Finish("tool_calls" if calls and self._finish in UNTOLD else self._finish)

    def held(self) -> Iterator[Delta]:
        """Yield the text that waited for more to come, when no more comes."""
        yield from self._deltas(self._thoughts.rest(), self._texts.rest())
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


def unwrapped(body: Any) -> Any:
    """Return a JSON answer without Cloudflare's envelope."""
    if isinstance(body, dict) and "success" in body and "result" in body:
        return body["result"]
    return body


def is_empty(answer: Any) -> bool:
    """Whether an answer holds nothing at all, as some models send in place of a stream."""
    return not answer or (isinstance(answer, dict) and not (answer.keys() - {"usage"}))
