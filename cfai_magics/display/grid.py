"""Display several answers side by side in a notebook, or one after another as text."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import TextIO

from ..i18n import _, ngettext
from ..markdown.escaping import escape_html
from ..markdown.html import markdown_to_html
from ..prompt.builder import PromptReport
from ..prompt.output_formats import OUTPUT_FORMATS, OutputFormat
from ..terminal import sanitize_text
from ..types.answer_set import AnswerSet, Variant, column_titles, repetition_titles, variant_titles
from ..types.messages import Answer, Delta, ReasoningDelta, TextDelta
from ..types.provenance import group_metadata
from .footer import format_column_footer, format_footer_notes
from .formats import shorten_plain_text
from .preview import PromptInspector, build_prompt_bundle
from .streaming import (
    MAX_BYTES_PER_SECOND,
    MESSAGE_OVERHEAD_BYTES,
    MIN_INTERVAL,
    WAITING_DELAY,
    Publisher,
    UpdatableOutput,
    format_thinking,
    format_waiting,
    publish_output,
    waiting_html,
)
from .tables import collapsed_html, muted_html
from .text import TextStreamDisplay, WaitingLine

# Columns are shown side by side if each can be at least 17em wide, and are stacked otherwise.
# Styles are inline, because many front ends remove scripts and style sheets.
GRID_STYLE = "display:grid;grid-template-columns:repeat(auto-fit,minmax(17em,1fr));gap:1em 1.5em"
COLUMN_STYLE = (
    "min-width:0;overflow-x:auto;padding-top:.3em;"
    "border-top:2px solid var(--jp-border-color1,GrayText)"
)
PLAIN_TEXT_STYLE = "white-space:pre-wrap;overflow-wrap:anywhere;font-family:inherit;margin:.5em 0"
MAX_FULL_RATE_ANSWERS = 4  # with more answers, each answer is updated less often


@dataclass
class AnswerState:
    """The part of an answer received so far. `answer` and `error` are set when the answer ends."""

    text: str = ""
    reasoning_chars: int = 0
    status: str = ""
    answer: Answer | None = None
    error: str = ""

    @property
    def is_waiting(self) -> bool:
        """Whether the first token has not arrived, and no status is shown."""
        return not (self.text or self.reasoning_chars or self.status or self.answer)


def render_partial(state: AnswerState, waiting: str, *, is_plain: bool) -> str:
    """Return HTML for an answer that is being streamed, or `waiting` before its first token."""
    if state.text:
        return _render_text(state.text, is_plain=is_plain)
    if state.reasoning_chars:
        return muted_html(format_thinking(state.reasoning_chars))
    return muted_html(state.status) if state.status else waiting


def render_final(answer: Answer, error: str, *, is_plain: bool, footer_style: str) -> str:
    """Return HTML with the reasoning, text, footer and notes for an answer that has ended."""
    reasoning = answer.reasoning
    summary = ngettext(
        "Thought process ({count:,} character)",
        "Thought process ({count:,} characters)",
        len(reasoning),
    ).format(count=len(reasoning))
    reasoning_html = collapsed_html(summary, reasoning) if reasoning else ""
    notes = "\n".join(_collect_note_lines(answer, error, footer_style))
    return (
        reasoning_html
        + _render_text(answer.text, is_plain=is_plain)
        + (muted_html(notes) if notes else "")
    )


def _render_text(text: str, *, is_plain: bool) -> str:
    if is_plain and text:
        return f'<pre style="{PLAIN_TEXT_STYLE}">{escape(text)}</pre>'
    return markdown_to_html(text)


def _collect_note_lines(answer: Answer, error: str, footer_style: str) -> list[str]:
    if footer_style == "off" or (error and not answer.text):
        return [error] if error else []
    return [
        format_column_footer(answer),
        *format_footer_notes(answer),
        *([error] if error else []),
    ]


def render_grid(
    variants: Sequence[Variant], answer_htmls: Sequence[str], answers: AnswerSet | None
) -> str:
    """Return an HTML grid with one column for each combination of model and temperature.

    If there is only one combination, each answer has its own column.

    Args:
        variants: The requested variants, in the same order as the answers.
        answer_htmls: The HTML of each answer.
        answers: The set of answers, for finding duplicates, or None until all answers have ended.
    """
    has_several_columns = len({variant.column for variant in variants}) > 1
    groups = groupby(
        range(len(variants)),
        lambda position: variants[position].column if has_several_columns else position,
    )
    headings, labels = column_titles(variants), _label_repetitions(variants, answers)
    columns: list[str] = []
    for _key, group in groups:
        indexes = list(group)
        header = _render_column_header(
            headings[indexes[0]], variants[indexes[0]], answers if has_several_columns else None
        )
        answer_blocks = (
            f"{_render_label(labels[index])}{answer_htmls[index]}" for index in indexes
        )
        columns.append(
            f'<div style="{COLUMN_STYLE}" dir="auto">{header}{"".join(answer_blocks)}</div>'
        )
    return f'<div style="{GRID_STYLE}">{"".join(columns)}</div>'


def _render_column_header(title: str, variant: Variant, answers: AnswerSet | None) -> str:
    """Return an HTML heading for a column, with the number of distinct answers."""
    distinct_count, received_count = answers.distinct_counts[variant.column] if answers else (0, 0)
    count_note = (
        ngettext(
            "{count} distinct answer in {total}",
            "{count} distinct answers in {total}",
            distinct_count,
        ).format(count=distinct_count, total=received_count)
        if received_count > 1
        else ""
    )
    title_html = f"<strong>{escape_html(title)}</strong>" if title else ""
    return " · ".join(filter(None, (title_html, count_note)))


def _render_label(label: str) -> str:
    return f"<p><em>{escape_html(label)}</em></p>" if label else ""


def _label_repetitions(variants: Sequence[Variant], answers: AnswerSet | None) -> list[str]:
    """Return a label with the repetition number for each answer.

    The label of a duplicate also has the number of the first answer with the same text.
    """
    labels = repetition_titles(variants)
    if answers is None:
        return labels
    return [
        _("{label} (same as {number})").format(
            label=label, number=variants[first_index].repetition
        )
        if first_index != index
        else label
        for index, (label, first_index) in enumerate(zip(labels, answers.duplicates, strict=True))
    ]


def format_answers(answers: AnswerSet, footer_style: str) -> str:
    """Return the start of all answers as text, with a footer below each answer.

    This is the plain form of an output that has the whole answers as HTML.
    """
    rows = zip(variant_titles(answers.variants), answers.answers, answers.errors, strict=True)
    return "\n\n".join(_format_answer(*row, footer_style) for row in rows)


def _format_answer(title: str, answer: Answer, error: str, footer_style: str) -> str:
    parts = (
        format_heading(title),
        shorten_plain_text(answer.text.strip("\n")),
        format_column_notes(answer, error, footer_style),
    )
    return "\n".join(filter(None, parts))


def format_heading(title: str) -> str:
    """Return a text heading for one of several answers."""
    return f"--- {title}"


def format_column_notes(answer: Answer, error: str, footer_style: str) -> str:
    """Return text with the footer, notes and error for one of several answers."""
    return "\n".join(_collect_note_lines(answer, error, footer_style))


class NotebookGrid:
    """A display that shows answers side by side in one output, with the footer in another output.

    Each update sends all answers again, so long answers are updated less often. If `updates` is
    false, the answers are shown only once, when all have ended.
    """

    def __init__(
        self,
        variants: Sequence[Variant],
        footer_style: str,
        output_format: OutputFormat = OUTPUT_FORMATS["markdown"],
        publish: Publisher = publish_output,
        clock: Callable[[], float] = time.monotonic,
        *,
        updates: bool = True,
    ) -> None:
        self._variants = variants
        self._updates = updates
        self._footer_style = footer_style
        self._is_plain = output_format.name == "text"
        self._publish = publish
        self._clock = clock
        self._grid_output, self._footer_output = UpdatableOutput(publish), UpdatableOutput(publish)
        self._states = [AnswerState() for _ in variants]
        self._answer_htmls = [""] * len(variants)
        self._changed_indexes = set(range(len(variants)))
        self._start_time = clock()
        self._waiting_seconds = -1.0  # in the last update
        self._next_update_time = 0.0

    def add(self, index: int, delta: Delta) -> None:
        """Add the next delta to an answer, and update the output at a limited rate."""
        state = self._states[index]
        if isinstance(delta, TextDelta):
            state.text += delta.text
        elif isinstance(delta, ReasoningDelta):
            state.reasoning_chars += len(delta.text)
        else:
            return
        self._update(index)

    def update_waiting(self) -> None:
        """Update the seconds in the columns whose first token has not arrived."""
        if not self._waiting_indexes:
            return
        seconds = self._clock() - self._start_time
        if seconds >= WAITING_DELAY and int(seconds) != int(self._waiting_seconds):
            self._update()

    def show_status(self, index: int, line: str) -> None:
        """Show why an answer is delayed."""
        self._states[index].status = line
        self._next_update_time = 0.0  # update now, because the next delta may take a while
        self._update(index)

    def show_final_answer(self, index: int, answer: Answer, error: str) -> None:
        """Show an answer that has ended.

        Args:
            index: The index of the answer.
            answer: The answer, complete or partial.
            error: The reason why the request failed, or "" if it did not fail.
        """
        self._states[index].answer, self._states[index].error = answer, error
        self._update(index)

    def end(self, answers: AnswerSet, footer: str) -> None:
        """Show the final answers, followed by the footer."""
        for index, state in enumerate(self._states):
            state.answer, state.error = answers[index], answers.errors[index]
            self._changed_indexes.add(index)
        plain_text = sanitize_text(format_answers(answers, self._footer_style))
        bundle = {"text/html": self._render_html(answers), "text/plain": plain_text}
        self._grid_output.show(bundle, group_metadata(answers))
        if self._footer_style != "off":
            self._footer_output.show_note(footer)

    def show_prompt(self, report: PromptReport) -> None:
        """Show the sent prompt, collapsed, in a separate output."""
        UpdatableOutput(self._publish).show(build_prompt_bundle(report))

    @property
    def _waiting_indexes(self) -> list[int]:
        return [index for index, state in enumerate(self._states) if state.is_waiting]

    def _update(self, *indexes: int) -> None:
        self._changed_indexes.update(indexes)
        now = self._clock()
        if not self._updates or now < self._next_update_time:
            return
        self._waiting_seconds = now - self._start_time
        html = self._render_html()
        count = len(self._states)
        plain_text = ngettext(
            "{count} answer in progress…", "{count} answers in progress…", count
        ).format(count=count)
        self._grid_output.show({"text/html": html, "text/plain": plain_text})
        active_count = sum(state.answer is None for state in self._states)
        bytes_per_second = MAX_BYTES_PER_SECOND * max(1, min(active_count, MAX_FULL_RATE_ANSWERS))
        self._next_update_time = now + max(
            MIN_INTERVAL, (len(html) + MESSAGE_OVERHEAD_BYTES) / bytes_per_second
        )

    def _render_html(self, answers: AnswerSet | None = None) -> str:
        for index in self._changed_indexes.union(self._waiting_indexes):
            self._answer_htmls[index] = self._render_answer(index)
        self._changed_indexes.clear()
        return render_grid(self._variants, self._answer_htmls, answers)

    def _render_answer(self, index: int) -> str:
        state = self._states[index]
        if state.answer is None:
            line = format_waiting(self._variants[index].model, self._waiting_seconds)
            waiting = waiting_html(line, is_first=not self._grid_output.is_shown)
            return render_partial(state, waiting, is_plain=self._is_plain)
        return render_final(
            state.answer, state.error, is_plain=self._is_plain, footer_style=self._footer_style
        )


class TextGrid:
    """A display that prints answers one after another.

    The current answer is printed as it is streamed. Text for later answers is buffered.
    """

    def __init__(
        self,
        variants: Sequence[Variant],
        footer_style: str,
        print_line: Callable[[str], None],
        out: TextIO | None = None,
        *,
        is_plain: bool = False,
    ) -> None:
        self._titles = variant_titles(variants)
        self._footer_style = footer_style
        self._print_line = print_line
        self._out = out
        self._first_model = variants[0].model
        self._waiting_line = WaitingLine(out, is_plain=is_plain)
        self._start_time = time.monotonic()
        self._pending_deltas: list[list[Delta]] = [[] for _ in variants]
        self._final_answers: dict[int, tuple[Answer, str]] = {}
        self._current_index = -1
        self._current_display = TextStreamDisplay("off", print_line, out)

    def add(self, index: int, delta: Delta) -> None:
        """Print the delta if it belongs to the current answer. Otherwise, buffer the delta."""
        if index == self._current_index:
            self._current_display.add(delta)
            return
        self._pending_deltas[index].append(delta)
        if self._current_index < 0:
            self._start_next_answer()

    def update_waiting(self) -> None:
        """Show the model of the first answer until the first token of an answer arrives."""
        seconds = time.monotonic() - self._start_time
        if seconds >= WAITING_DELAY and self._current_index < 0:
            self._waiting_line.show(format_waiting(self._first_model, seconds))

    def show_status(self, index: int, line: str) -> None:
        """Print why an answer is delayed."""
        self._waiting_line.clear()
        self._print_line(_("{title}: {status}").format(title=self._titles[index], status=line))

    def show_final_answer(self, index: int, answer: Answer, error: str) -> None:
        """Store an answer that has ended, and print the stored answers that are next in order."""
        self._final_answers[index] = answer, error
        if self._current_index < 0:
            self._start_next_answer()
        while self._current_index in self._final_answers:
            self._finish_answer(*self._final_answers[self._current_index])

    def end(self, answers: AnswerSet, footer: str) -> None:
        """Print the remaining answers, complete or partial, followed by the footer."""
        if self._current_index < 0:
            self._start_next_answer()
        while self._current_index < len(self._titles):
            self._finish_answer(answers[self._current_index], answers.errors[self._current_index])
        if self._footer_style != "off":
            self._print_line(footer)

    def show_prompt(self, report: PromptReport) -> None:
        """Print the sent prompt."""
        self._print_line(str(PromptInspector(report)))

    def _start_next_answer(self) -> None:
        """Print the title and the buffered deltas of the next answer."""
        self._waiting_line.clear()
        self._current_index += 1
        if self._current_index == len(self._titles):
            return
        self._current_display = TextStreamDisplay("off", self._print_line, self._out)
        gap = "\n" if self._current_index else ""
        self._current_display.add(
            TextDelta(f"{gap}{format_heading(self._titles[self._current_index])}\n")
        )
        for delta in self._pending_deltas[self._current_index]:
            self._current_display.add(delta)

    def _finish_answer(self, answer: Answer, error: str) -> None:
        self._current_display.end(answer)
        notes = format_column_notes(answer, error, self._footer_style)
        if notes:
            self._print_line(notes)
        self._start_next_answer()
