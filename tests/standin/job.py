"""A native task and its result."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .catalogue import Model
from .payload import Payload

Saying = Callable[[str, str], str]


@dataclass(frozen=True, slots=True)
class Job:
    """A task; `say(prompt, default)` returns the text of the switches or the default."""

    model: Model
    payload: Payload
    say: Saying


@dataclass(frozen=True, slots=True)
class Done:
    """Result of a task: JSON, or bytes with a content type, and the billed work."""

    result: Any = None
    data: bytes = b""
    content_type: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usage: bool = False
    work: Mapping[str, float] = field(default_factory=dict)
