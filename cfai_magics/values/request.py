"""One chat request, as far as it decides the answer."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

from ..arguments import texts_of
from ..errors import BadOption

Message = Mapping[str, Any]


class Fields(TypedDict, total=False):
    """The fields of a request that a caller may choose; what is None is not sent."""

    max_tokens: int | None
    temperature: float | None
    top_p: float | None
    seed: int | None
    stop: str | Iterable[str] | None
    think: bool | None
    stream: bool | None
    extra: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Request:
    """One chat request, as far as it decides the answer.

    `model` is a full catalogue name; `messages` are OpenAI messages in order. A field that is None
    is not sent. `extra` holds further fields of the body, as JSON values, and wins over the rest.
    `instead_of` is the model that was asked for where one on this machine answers in its place.
    Raises BadOption for messages that are not mappings and stops that are not texts.
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

    def __post_init__(self) -> None:
        object.__setattr__(self, "messages", messages_of(self.messages))
        object.__setattr__(self, "stop", stops(self.stop))
        if not isinstance(self.extra, Mapping):
            raise BadOption(f"extra is of type {type(self.extra).__name__}", "Give a dict.")


def stops(given: str | Iterable[str] | None) -> tuple[str, ...]:
    """Return the texts that end an answer; one text is one of them."""
    nothing = given is None or (isinstance(given, str) and not given)
    return () if nothing else texts_of(given, "stop")


def messages_of(given: Any) -> tuple[Message, ...]:
    """Return messages in order; BadOption for anything but a list of mappings."""
    messages = tuple(given) if isinstance(given, Iterable) else (given,)
    if not all(isinstance(message, Mapping) for message in messages):
        raise BadOption("messages are not a list of dicts", '[{"role": "user", "content": "…"}]')
    return messages
