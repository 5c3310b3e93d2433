"""Owns how a question joins its thread: which turns go before it, and what is told and kept."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from ..neurons.tokens import texts, tokens_of
from ..prompt.conversation import Turn, before, fitting, on_old_answers
from ..prompt.parts import Prompt
from ..store.threads import Threads
from ..values import Answer, Message, Model, Request

WHOLE = {"stop", "length", "tool_calls", "unknown"}  # what an answer that counts ends with
NAMED = 5  # turns that a remark names


@dataclass(frozen=True, slots=True)
class Place:
    """Where a question goes: a thread, and the cell whose turn it is ("" is a new turn)."""

    home: Path
    thread: str
    cell: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A turn that was not kept, as its answer did not come to its end."""

    place: Place
    turn: Turn


def continued(prompt: Prompt, request: Request, model: Model, place: Place) -> Prompt:
    """Return the prompt with the earlier turns of its thread, as far as the window holds them."""
    with Threads(place.home) as threads:
        earlier = before(threads.turns(place.thread), place.cell)
    if model.context_window is None:
        return replace(prompt, history=earlier)
    asked = window_tokens(prompt.messages)
    room = model.context_window - (request.max_tokens or 0) - asked
    kept = fitting(earlier, room, window_tokens)
    return replace(prompt, history=kept, left_out=len(earlier) - len(kept))


def window_tokens(messages: Iterable[Message]) -> int:
    """Return how many tokens Cloudflare takes messages for when it looks whether they fit.

    It counts four characters as a token, in every script, and the base64 of images as text.
    """
    messages = tuple(messages)
    contents = [message["content"] for message in messages]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    images = sum(len(part.get("image_url", {}).get("url", "")) for part in parts)
    return tokens_of(sum(map(len, texts(messages))) + images)


def turn_of(prompt: Prompt, answer: Answer, place: Place) -> Turn:
    """Return the turn that this question and its answer make."""
    return Turn(
        content=prompt.messages[-1]["content"],
        answer=answer.text,
        cell=place.cell,
        model=answer.model,
        asked_at=datetime.now(UTC).isoformat(timespec="seconds"),
        prompt_tokens=answer.usage.prompt_tokens,
        completion_tokens=answer.usage.completion_tokens,
        neurons=answer.neurons,
        basis=answer.basis,
    )


def counts(answer: Answer) -> bool:
    """Whether an answer came to its end and says something, so that a thread can go on from it."""
    return answer.finish in WHOLE and bool(answer.text)


def keep(turn: Turn, place: Place) -> list[str]:
    """Keep the turn in its thread and return what the reader should know of that."""
    with Threads(place.home) as threads:
        kept = threads.keep(place.thread, turn)
        turns = threads.turns(place.thread)
    last = kept.position == len(turns)
    again = "" if last else f" It replaces turn {kept.position} of {len(turns)}."
    old = on_old_answers(turns)
    told = [f"Thread {place.thread}: this is turn {kept.position}.{again}"]
    if old:
        verb = "stands" if len(old) == 1 else "stand"
        told.append(f"{_named(old)} {verb} on an old answer: run {_cells(old)} again.")
    return told


def _named(turns: Sequence[Turn]) -> str:
    names = [f"turn {turn.position} ({turn.title})" for turn in turns[:NAMED]]
    more = len(turns) - len(names)
    text = ", ".join(names) + (f" and {more} more" if more else "")
    return text[0].upper() + text[1:]


def _cells(turns: Sequence[Turn]) -> str:
    return "its cell" if len(turns) == 1 else "their cells"
