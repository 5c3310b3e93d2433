"""Owns how a prompt is put together: its parts, and the messages they make."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from ..media.images import Image, image, image_at, picture_of
from ..values import Message
from .conversation import Turn
from .spelling import Limits, Spelled, spelled
from .template import Field, evaluated, read

Kind = Literal[
    "system", "form", "history", "cell", "traceback", "variable", "image", "functions", "call"
]
Evaluate = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Part:
    """One part of what is sent: its kind, its text or image, and a name where it has one."""

    kind: Kind
    text: str = ""
    name: str = ""
    image: Image | None = None

    @property
    def content(self) -> dict[str, Any]:
        """The part as OpenAI's messages hold it beside images."""
        if self.image is None:
            return {"type": "text", "text": self.text}
        return {"type": "image_url", "image_url": {"url": self.image.url}}


@dataclass(frozen=True, slots=True)
class Question:
    """What the user asks in one cell, in order, and what there is to remark about it."""

    parts: tuple[Part, ...]
    remarks: tuple[str, ...] = ()


def question(text: str, evaluate: Evaluate | None, limits: Limits) -> Question:
    """Return the question a cell asks: its text with every field filled, or as typed.

    Nothing is filled without `evaluate`. Raises VariableError where a field can't be.
    """
    if evaluate is None:
        return Question((Part("cell", text),))
    template = read(text)
    remarks: list[str] = []
    parts: list[Part] = []
    for piece in template.pieces:
        if isinstance(piece, Field):
            value = evaluated(piece, evaluate, lambda found: _value(found, limits))
            parts.append(_part(piece, value))
            remarks += _shortened(piece, value)
        else:
            parts.append(Part("cell", piece))
    return Question(tuple(parts), (*remarks, *_as_typed(template.odd)))


def _value(found: Any, limits: Limits) -> Spelled | bytes:
    """Return a value as text, or the bytes of a figure or image."""
    picture = picture_of(found)
    return spelled(found, limits) if picture is None else picture


def _part(field: Field, value: Spelled | bytes) -> Part:
    if isinstance(value, Spelled):
        return Part("variable", value.text, field.expression)
    return Part("image", name=field.expression, image=image(field.expression, value))


def _shortened(field: Field, value: Spelled | bytes) -> list[str]:
    if isinstance(value, bytes) or not value.kept:
        return []
    knob = "table_rows" if value.kept.endswith("rows") else "value_characters"
    told = f"only the first {value.kept} were sent; %config Cfai.{knob} = N changes that."
    return [f"{field.typed}: {told}"]


def _as_typed(odd: tuple[str, ...]) -> list[str]:
    if not odd:
        return []
    first = " ".join(odd[0].split())
    first = first if len(first) <= 60 else f"{first[:57]}…"  # noqa: PLR2004 - it fits a line
    others = f", nor are {len(odd) - 1} more" if len(odd) > 1 else ""
    return [f"Sent as typed: {first} is no Python expression{others}."]


def _turn_parts(turn: Turn) -> list[Part]:
    """Return an earlier turn as parts: its texts, and its images."""
    name = f"turn {turn.position}"
    urls = [] if isinstance(turn.content, str) else [_url(part) for part in turn.content]
    text = f"{turn.question}\n\n{turn.answer}"
    return [
        Part("history", text, name),
        *(Part("history", name=name, image=image_at(url)) for url in urls if url),
    ]


def _url(part: dict[str, Any]) -> str:
    return str(part.get("image_url", {}).get("url", ""))


@dataclass(frozen=True, slots=True)
class Prompt:
    """All that is sent with one request."""

    question: Question
    system: tuple[Part, ...] = ()
    history: tuple[Turn, ...] = ()
    left_out: int = 0  # turns of the thread that had no room
    beside: tuple[Part, ...] = ()  # what is sent, but not in the messages made here

    @property
    def messages(self) -> list[Message]:
        """The parts as OpenAI's messages."""
        system = "\n\n".join(part.text for part in self.system)
        asked = self._asked()
        messages: list[Message] = [{"role": "system", "content": system}] if system else []
        messages += [message for turn in self.history for message in turn.messages]
        return [*messages, {"role": "user", "content": asked}]

    @property
    def parts(self) -> tuple[Part, ...]:
        """All parts in the order in which they are sent."""
        earlier = tuple(part for turn in self.history for part in _turn_parts(turn))
        return (*self.system, *earlier, *self.question.parts, *self.beside)

    @property
    def images(self) -> tuple[Image, ...]:
        """The images of the question."""
        return tuple(part.image for part in self.question.parts if part.image)

    def _asked(self) -> Any:
        """Return the question as text, or in parts where there are images."""
        parts = self.question.parts
        if not self.images:
            return "".join(part.text for part in parts)
        return [part.content for part in parts if part.image or part.text.strip()]
