"""One native task to do, and what became of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .catalogue import Model
from .payload import Payload

Saying = Callable[[str, str], str]


@dataclass(frozen=True, slots=True)
class Job:
    """One task to do; `say` gives the text of the switches, or the default handed to it."""

    model: Model
    payload: Payload
    say: Saying


@dataclass(frozen=True, slots=True)
class Done:
    """A task's result, as JSON or as bytes with their type, and the work that is billed."""

    result: Any = None
    data: bytes = b""
    content_type: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usage: bool = False
    work: Mapping[str, float] = field(default_factory=dict)
