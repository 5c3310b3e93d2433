"""Owns how a prompt is put together: its parts, and the messages they make."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from .conversation import Turn
from .spelling import Limits, spelled
from .template import Field, evaluated, read
from .values import Message

Kind = Literal["system", "form", "cell", "variable"]
Evaluate = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Part:
    """One part of what is sent: its kind, its text, and a name where it has one."""

    kind: Kind
    text: str
    name: str = ""


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
            value = evaluated(piece, evaluate, lambda found: spelled(found, limits))
            parts.append(Part("variable", value.text, piece.expression))
            remarks += [_shortened(piece, value.kept)] if value.kept else []
        else:
            parts.append(Part("cell", piece))
    return Question(tuple(parts), (*remarks, *_as_typed(template.odd)))


def _shortened(field: Field, kept: str) -> str:
    knob = "table_rows" if kept.endswith("rows") else "value_characters"
    return f"{field.typed}: only the first {kept} were sent; %config Cfai.{knob} = N changes that."


def _as_typed(odd: tuple[str, ...]) -> list[str]:
    if not odd:
        return []
    first = " ".join(odd[0].split())
    first = first if len(first) <= 60 else f"{first[:57]}…"  # noqa: PLR2004 - it fits a line
    others = f", nor are {len(odd) - 1} more" if len(odd) > 1 else ""
    return [f"Sent as typed: {first} is no Python expression{others}."]


@dataclass(frozen=True, slots=True)
class Prompt:
    """All that is sent with one request."""

    question: Question
    system: tuple[Part, ...] = ()
    history: tuple[Turn, ...] = ()
    left_out: int = 0  # turns of the thread that had no room

    @property
    def messages(self) -> list[Message]:
        """The parts as OpenAI's messages."""
        system = "\n\n".join(part.text for part in self.system)
        asked = "".join(part.text for part in self.question.parts)
        messages: list[Message] = [{"role": "system", "content": system}] if system else []
        messages += [message for turn in self.history for message in turn.messages]
        return [*messages, {"role": "user", "content": asked}]
