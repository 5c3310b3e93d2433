"""Add the earlier turns of a thread to a prompt, and save the new turn."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..i18n import _, ngettext
from ..pricing.tokens import chars_to_tokens, split_content
from ..prompt.builder import Prompt
from ..prompt.history import Turn, fit_window, stale_turns, turns_before
from ..storage.conversations import ConversationStore
from ..types.messages import Answer, Message, Request
from ..types.usage import Model

# The finish reasons of answers that are saved as turns.
COMPLETE_FINISH_REASONS = {"stop", "length", "tool_calls", "unknown"}
MAX_LISTED_TURNS = 5  # in each note


@dataclass(frozen=True, slots=True)
class TurnKey:
    """The location of a turn.

    Attributes:
        home: The data folder.
        thread: The name of the turn's thread.
        cell: The key of the turn's cell, or "" if the cell is unknown.
    """

    home: Path
    thread: str
    cell: str = ""


@dataclass(frozen=True, slots=True)
class UnsavedTurn:
    """A turn that was not saved because its answer is incomplete."""

    turn_key: TurnKey
    turn: Turn


def with_history(prompt: Prompt, request: Request, model: Model, turn_key: TurnKey) -> Prompt:
    """Add the most recent turns that fit in the model's context window, and return the prompt."""
    with ConversationStore(turn_key.home) as store:
        earlier_turns = turns_before(store.load_turns(turn_key.thread), turn_key.cell)
    if model.context_window is None:
        return prompt._replace(history=earlier_turns)
    prompt_tokens = window_tokens(prompt.messages)
    remaining_tokens = model.context_window - (request.max_tokens or 0) - prompt_tokens
    fitting_turns = fit_window(earlier_turns, remaining_tokens, window_tokens)
    return prompt._replace(
        history=fitting_turns, dropped_turns=len(earlier_turns) - len(fitting_turns)
    )


def window_tokens(messages: Iterable[Message]) -> int:
    """Return the number of tokens that Cloudflare compares with the context window.

    Cloudflare counts every four characters as one token, regardless of the language. It counts
    the base64 data of images as text.
    """
    messages = tuple(messages)
    contents = [message["content"] for message in messages]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    images = sum(len(part.get("image_url", {}).get("url", "")) for part in parts)
    return chars_to_tokens(sum(map(len, split_content(messages).texts)) + images)


def make_turn(prompt: Prompt, answer: Answer, turn_key: TurnKey) -> Turn:
    """Return a turn with this question, without the cells above it, and its answer."""
    return Turn(
        content=prompt._replace(context=()).messages[-1]["content"],
        answer=answer.text,
        cell=turn_key.cell,
        model=answer.model,
        asked_at=datetime.now(UTC).isoformat(timespec="seconds"),
        prompt_tokens=answer.usage.prompt_tokens,
        completion_tokens=answer.usage.completion_tokens,
        neurons=answer.neurons,
        basis=answer.cost_basis,
    )


def is_complete(answer: Answer) -> bool:
    """Return whether an answer is complete and not empty, and can therefore be saved as a turn."""
    return answer.finish_reason in COMPLETE_FINISH_REASONS and bool(answer.text)


def save_turn(turn: Turn, turn_key: TurnKey) -> tuple[list[str], list[str]]:
    """Save a turn in its thread.

    Returns:
        The details and the notes: the position of a new turn is a detail; that a turn was
        replaced, or that others are stale, is a note.
    """
    with ConversationStore(turn_key.home) as store:
        stored_turn = store.save(turn_key.thread, turn)
        turns = store.load_turns(turn_key.thread)
    is_last = stored_turn.position == len(turns)
    message = (
        _("Conversation {name}, turn {position}.")
        if is_last
        else _("Conversation {name}, turn {position} of {total}: replaced with the new answer.")
    )
    position = message.format(
        name=turn_key.thread, position=stored_turn.position, total=len(turns)
    )
    stale = stale_turns(turns)
    if not stale:
        return ([position], []) if is_last else ([], [position])
    warning = ngettext(
        "Based on an outdated answer: {turns}. Run its cell again.",
        "Based on an outdated answer: {turns}. Run their cells again.",
        len(stale),
    ).format(turns=_format_turn_names(stale))
    return ([position], [warning]) if is_last else ([], [position, warning])


def _format_turn_names(turns: Sequence[Turn]) -> str:
    names = [
        _("turn {position} ({title})").format(position=turn.position, title=turn.title)
        for turn in turns[:MAX_LISTED_TURNS]
    ]
    hidden_count = len(turns) - len(names)
    if not hidden_count:
        return ", ".join(names)
    return _("{items} and {count} more").format(items=", ".join(names), count=hidden_count)
