"""Several answers as columns of HTML, and as text one below the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from ..escaping import html_text
from ..values import Answer
from ..values.answers import Answers, Variant, column_titles, number_titles, titles
from .formats import folded, muted
from .html import html_of
from .receipt import figures, remarks

# Columns stand side by side where there is room for 17em each, else below one another: without a
# script, and without a style sheet, which many front ends take out.
GRID = (
    "display: grid; grid-template-columns: repeat(auto-fit, minmax(17em, 1fr)); "
    "column-gap: 1.5em; row-gap: 1em"
)
COLUMN = (
    "min-width: 0; overflow-x: auto; padding-top: 0.3em; "
    "border-top: 2px solid var(--jp-border-color1, GrayText)"
)
PLAIN = "white-space: pre-wrap; overflow-wrap: anywhere; font-family: inherit; margin: 0.5em 0"


@dataclass
class Pane:
    """One answer as far as it came; `answer` and `error` are there when it has ended."""

    text: str = ""
    thought: int = 0  # characters
    notice: str = ""
    answer: Answer | None = None
    error: str = ""


def while_coming(pane: Pane, *, is_plain: bool) -> str:
    """Return an answer that still comes as HTML."""
    if pane.text:
        return _text(pane.text, is_plain=is_plain)
    if pane.thought:
        return muted(f"Thinking… {pane.thought:,} characters")
    return muted(pane.notice or "…")


def ended(answer: Answer, error: str, *, is_plain: bool, footer: str) -> str:
    """Return an answer that has ended as HTML: thoughts, text, and below it what it took."""
    thought = answer.thought
    thoughts = folded(f"Thought, {len(thought):,} characters", thought) if thought else ""
    below = "\n".join(_below(answer, error, footer))
    return thoughts + _text(answer.text, is_plain=is_plain) + (muted(below) if below else "")


def _text(text: str, *, is_plain: bool) -> str:
    if is_plain and text:
        return f'<pre style="{PLAIN}">{escape(text)}</pre>'
    return html_of(text)


def _below(answer: Answer, error: str, footer: str) -> list[str]:
    if footer == "off" or (error and not answer.text):
        return [error] if error else []
    return [figures(answer), *remarks(answer), *([error] if error else [])]


def grid(variants: Sequence[Variant], bodies: Sequence[str], answers: Answers | None) -> str:
    """Return answers as columns: one for each model and temperature, or one for each answer.

    `bodies` are the answers' HTML; when all have ended, `answers` tells which are alike.
    """
    split = len({variant.column for variant in variants}) > 1
    groups = groupby(range(len(variants)), lambda at: variants[at].column if split else at)
    heads, marks = column_titles(variants), _marks(variants, answers)
    columns: list[str] = []
    for _, group in groups:
        places = list(group)
        head = _head(heads[places[0]], variants[places[0]], answers if split else None)
        parts = (f"{_small(marks[at])}{bodies[at]}" for at in places)
        columns.append(f'<div style="{COLUMN}" dir="auto">{head}{"".join(parts)}</div>')
    return f'<div style="{GRID}">{"".join(columns)}</div>'


def _head(title: str, variant: Variant, answers: Answers | None) -> str:
    """Return a column's heading, with how many of its answers are distinct."""
    texts, came = answers.distinct[variant.column] if answers else (0, 0)
    counted = f"{texts} distinct of {came}" if came > 1 else ""
    strong = f"<strong>{html_text(title)}</strong>" if title else ""
    return " · ".join(filter(None, (strong, counted)))


def _small(mark: str) -> str:
    return f'<div style="margin-top: 0.6em"><em>{html_text(mark)}</em></div>' if mark else ""


def _marks(variants: Sequence[Variant], answers: Answers | None) -> list[str]:
    """Return which time each is, and where its text is an earlier one's, which."""
    marks = number_titles(variants)
    if answers is None:
        return marks
    return [
        f"{mark}, the same as {variants[like].number}" if like != place else mark
        for place, (mark, like) in enumerate(zip(marks, answers.alike, strict=True))
    ]


def stacked(answers: Answers, footer: str) -> str:
    """Return all answers as text, one below the other, each with what it took."""
    rows = zip(titles(answers.variants), answers.answers, answers.errors, strict=True)
    return "\n\n".join(_stacked(*row, footer) for row in rows)


def _stacked(title: str, answer: Answer, error: str, footer: str) -> str:
    parts = (titled(title), answer.text.strip("\n"), told(answer, error, footer))
    return "\n".join(filter(None, parts))


def titled(title: str) -> str:
    """Return the line above one of several answers in text."""
    return f"--- {title}"


def told(answer: Answer, error: str, footer: str) -> str:
    """Return what is told under one of several answers in text."""
    return "\n".join(_below(answer, error, footer))
