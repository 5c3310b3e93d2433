"""Select turns of a conversation: those before a cell, stale ones, those that fit the window."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..texts import shorten_line
from ..types.messages import Message

MAX_TITLE_CHARS = 40  # characters of a turn's title


@dataclass(frozen=True, slots=True)
class Turn:
    """One question with its answer, in a conversation.

    `content` is the `content` of the question's OpenAI message. `cell` identifies the cell that
    asked, "" if it is not known. `position` counts from 1. A turn that was asked later has a
    higher `revision`. `basis` is the `cost_basis` of `neurons`.
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
        """Question and answer as OpenAI messages."""
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
        return shorten_line(self.question, MAX_TITLE_CHARS)


def turn_of_cell(turns: Sequence[Turn], cell: str) -> Turn | None:
    """Return the turn that this cell asked earlier; None if there is none."""
    return next((turn for turn in turns if cell and turn.cell == cell), None)


def turns_before(turns: Sequence[Turn], cell: str) -> tuple[Turn, ...]:
    """Return the turns before the turn of this cell, or all turns if the cell has none yet."""
    own_turn = turn_of_cell(turns, cell)
    return tuple(turn for turn in turns if own_turn is None or turn.position < own_turn.position)


def stale_turns(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """Return the turns that are older than a turn above them, which was asked again since."""
    max_revision = 0
    stale = []
    for turn in turns:
        if turn.revision < max_revision:
            stale.append(turn)
        max_revision = max(max_revision, turn.revision)
    return tuple(stale)


def fit_window(
    turns: Sequence[Turn], max_tokens: float, count_tokens: Callable[[Sequence[Message]], int]
) -> tuple[Turn, ...]:
    """Return the newest turns that fit into `max_tokens` together, in order."""
    fitting_turns: list[Turn] = []
    for turn in reversed(turns):
        max_tokens -= count_tokens(turn.messages)
        if max_tokens < 0:
            break
        fitting_turns.append(turn)
    return tuple(reversed(fitting_turns))
