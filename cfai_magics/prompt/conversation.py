"""Owns the rules of a thread: whose turn a cell's is, what stands on an old answer, what fits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..values import Message

TITLE = 40  # characters of a turn's first words


@dataclass(frozen=True, slots=True)
class Turn:
    """One question with its answer, in a thread.

    `position` counts from 1. `cell` says which cell asked, "" where that is not known; `content`
    is the question as OpenAI's messages have it. `revision` is higher for what changed later.
    """

    content: Any
    answer: str
    cell: str = ""
    model: str = ""
    asked_at: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    neurons: float | None = None
    basis: str | None = None
    position: int = 0
    revision: int = 0

    @property
    def messages(self) -> tuple[Message, Message]:
        """Question and answer as messages."""
        return (
            {"role": "user", "content": self.content},
            {"role": "assistant", "content": self.answer},
        )

    @property
    def question(self) -> str:
        """The question's text."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.get("text", "[image]") for part in self.content)

    @property
    def title(self) -> str:
        """The question's first words."""
        words = " ".join(self.question.split())
        return words if len(words) <= TITLE else f"{words[: TITLE - 1]}…"


def own(turns: Sequence[Turn], cell: str) -> Turn | None:
    """Return the turn that this cell asked before; None where there is none."""
    return next((turn for turn in turns if cell and turn.cell == cell), None)


def before(turns: Sequence[Turn], cell: str) -> tuple[Turn, ...]:
    """Return the turns that come before this cell's own; all where it has none yet."""
    mine = own(turns, cell)
    return tuple(turn for turn in turns if mine is None or turn.position < mine.position)


def on_old_answers(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """Return the turns that were asked before a turn above them was asked again."""
    newest = 0
    old = []
    for turn in turns:
        if turn.revision < newest:
            old.append(turn)
        newest = max(newest, turn.revision)
    return tuple(old)


def fitting(
    turns: Sequence[Turn], room: float, size: Callable[[Sequence[Message]], int]
) -> tuple[Turn, ...]:
    """Return the newest turns that fit into so many tokens, in order."""
    kept: list[Turn] = []
    for turn in reversed(turns):
        room -= size(turn.messages)
        if room < 0:
            break
        kept.append(turn)
    return tuple(reversed(kept))
