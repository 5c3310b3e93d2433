"""The pieces in which an answer comes."""

from dataclasses import dataclass

from .usage import Usage


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Thought:
    """A piece of the model's reasoning."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool; `arguments` is text as the model wrote it, which may not be JSON."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Called:
    """A function that was called for a model, and what was sent back as its result.

    `kept` tells how much of the result that is, where it is not all.
    """

    name: str
    arguments: str
    result: str
    kept: str = ""
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Finish:
    """Why the answer ended: stop, length, tool_calls, content_filter, error or unknown."""

    reason: str


Delta = Text | Thought | ToolCall | Usage | Finish
