"""Represent the turns of a thread, and select turns that are stale or fit in a context window."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..i18n import _
from ..texts import shorten_line
from ..types.messages import Message

MAX_TITLE_CHARS = 40  # characters


@dataclass(frozen=True, slots=True)
class Turn:
    """A question in a thread, with its answer.

    Attributes:
        content: The `content` field of the question's OpenAI message.
        answer: The text of the answer.
        cell: The key of the question's cell, or "" if it is unknown.
        model: The full name of the model.
        asked_at: The date and time of the question in ISO format (UTC).
        prompt_tokens: The number of tokens in the prompt.
        completion_tokens: The number of tokens in the answer.
        neurons: The cost in neurons, or None if it is unknown.
        basis: The `cost_basis` of `neurons`.
        position: The position of the turn in its thread, starting at 1.
        revision: A number that is higher for questions asked later.
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
        """The question and the answer as OpenAI messages."""
        return (
            {"role": "user", "content": self.content},
            {"role": "assistant", "content": self.answer},
        )

    @property
    def question(self) -> str:
        """The question as text, with a placeholder for each image."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.get("text", _("[image]")) for part in self.content)

    @property
    def title(self) -> str:
        """The beginning of the question on one line."""
        return shorten_line(self.question, MAX_TITLE_CHARS)


def turn_of_cell(turns: Sequence[Turn], cell: str) -> Turn | None:
    """Return the turn created by a cell, or None if there is none."""
    return next((turn for turn in turns if cell and turn.cell == cell), None)


def turns_before(turns: Sequence[Turn], cell: str) -> tuple[Turn, ...]:
    """Return the turns before a cell's turn, or all turns if the cell does not have a turn."""
    own_turn = turn_of_cell(turns, cell)
    return tuple(turn for turn in turns if own_turn is None or turn.position < own_turn.position)


def stale_turns(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """Return the stale turns.

    A turn is stale if an earlier question in the thread was asked again later.
    """
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
    """Return the most recent turns, in order, that have at most `max_tokens` tokens in total."""
    fitting_turns: list[Turn] = []
    for turn in reversed(turns):
        max_tokens -= count_tokens(turn.messages)
        if max_tokens < 0:
            break
        fitting_turns.append(turn)
    return tuple(reversed(fitting_turns))
