"""One chat request, as far as it decides the answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Message = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """One chat request, as far as it decides the answer.

    `model` is a full catalogue name; `messages` are OpenAI messages in order. A field that is None
    is not sent. `extra` holds further fields of the body, as JSON values, and wins over the rest.
    `instead_of` is the model that was asked for where one on this machine answers in its place.
    """

    model: str
    messages: tuple[Message, ...]
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    think: bool | None = None
    stream: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict)
    instead_of: str = ""
