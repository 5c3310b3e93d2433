"""Display several answers side by side in a notebook, or one after another as text."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import TextIO

from ..i18n import _, ngettext
from ..markdown.escaping import escape_html
from ..markdown.html import markdown_to_html
from ..prompt.builder import PromptReport
from ..prompt.output_formats import OUTPUT_FORMATS, OutputFormat
from ..terminal import sanitize_text
from ..types.answer_set import AnswerSet, ColumnKey, Variant, variant_titles
from ..types.messages import Answer, Delta, ReasoningDelta, TextDelta
from ..types.provenance import group_metadata
from .columns import (
    Block,
    Column,
    format_block_notes,
    layout_blocks,
    layout_columns,
    layout_pending,
)
from .footer import Footer
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
LABEL_STYLE = "margin:.7em 0 0"
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


def render_final(answer: Answer, *, is_plain: bool) -> str:
    """Return HTML with the reasoning and text of an answer that has ended."""
    reasoning = answer.reasoning
    summary = ngettext(
        "Thought process ({count:,} character)",
        "Thought process ({count:,} characters)",
        len(reasoning),
    ).format(count=len(reasoning))
    reasoning_html = collapsed_html(summary, reasoning) if reasoning else ""
    if answer.tokens:
        from .probabilities import render_tokens

        return reasoning_html + render_tokens(answer.tokens)
    return reasoning_html + _render_text(answer.text, is_plain=is_plain)


def _render_text(text: str, *, is_plain: bool) -> str:
    if is_plain and text:
        return f'<pre style="{PLAIN_TEXT_STYLE}">{escape(text)}</pre>'
    return markdown_to_html(text)


def render_notes(notes: Sequence[str]) -> str:
    """Return HTML with the lines below an answer; "" if there are none."""
    return muted_html("\n".join(notes)) if notes else ""


def render_grid(columns: Sequence[Column], answer_htmls: Sequence[str]) -> str:
    """Return an HTML grid with the columns.

    Args:
        columns: The columns.
        answer_htmls: The HTML of each answer, without the notes of its block.
    """
    column_htmls = (
        f'<div style="{COLUMN_STYLE}" dir="auto">{_render_column(column, answer_htmls)}</div>'
        for column in columns
    )
    return f'<div style="{GRID_STYLE}">{"".join(column_htmls)}</div>'


def _render_column(column: Column, answer_htmls: Sequence[str]) -> str:
    title = f"<strong>{escape_html(column.title)}</strong>" if column.title else ""
    label = escape_html(column.label)
    heading = " · ".join(filter(None, (title, label)))
    blocks = "".join(
        f"{_render_label(block.label)}{answer_htmls[block.indexes[0]]}{render_notes(block.notes)}"
        for block in column.blocks
    )
    return f"{heading}{render_notes(column.notes)}{blocks}"


def _render_label(label: str) -> str:
    return f'<p style="{LABEL_STYLE}"><em>{escape_html(label)}</em></p>' if label else ""


def format_answers(answers: AnswerSet, footer_style: str) -> str:
    """Return the start of all answers as text, with a footer below each answer.

    This is the plain form of an output that has the whole answers as HTML.
    """
    titles = variant_titles(answers.variants)
    return "\n\n".join(
        _format_block(titles[block.indexes[0]], answers[block.indexes[0]], block)
        for block in layout_blocks(answers, footer_style)
    )


def _format_block(title: str, answer: Answer, block: Block) -> str:
    parts = (
        format_heading(title),
        shorten_plain_text(answer.text.strip("\n")),
        *([block.label] if len(block.indexes) > 1 else []),
        *block.notes,
    )
    return "\n".join(filter(None, parts))


def format_heading(title: str) -> str:
    """Return a text heading for one of several answers."""
    return f"--- {title}"


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
        self._updates = updates
        self._footer_style = footer_style
        self._is_plain = output_format.name == "text"
        self._publish = publish
        self._clock = clock
        self._grid_output, self._footer_output = UpdatableOutput(publish), UpdatableOutput(publish)
        self._states = [AnswerState() for _ in variants]
        self._model_names = [variant.model for variant in variants]
        self._columns = layout_pending(variants)
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

    def end(self, answers: AnswerSet, footer: Footer) -> None:
        """Show the final answers, followed by the footer."""
        htmls = [render_final(answer, is_plain=self._is_plain) for answer in answers]
        html = render_grid(layout_columns(answers, self._footer_style), htmls)
        plain_text = sanitize_text(format_answers(answers, self._footer_style))
        self._grid_output.show(
            {"text/html": html, "text/plain": plain_text}, group_metadata(answers)
        )
        if self._footer_style != "off":
            self._footer_output.show(footer.render())

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

    def _render_html(self) -> str:
        for index in self._changed_indexes.union(self._waiting_indexes):
            self._answer_htmls[index] = self._render_answer(index)
        self._changed_indexes.clear()
        return render_grid(self._columns, self._answer_htmls)

    def _render_answer(self, index: int) -> str:
        state = self._states[index]
        if state.answer is None:
            line = format_waiting(self._model_names[index], self._waiting_seconds)
            waiting = waiting_html(line, is_first=not self._grid_output.is_shown)
            return render_partial(state, waiting, is_plain=self._is_plain)
        notes = format_block_notes([state.answer], state.error, self._footer_style)
        return render_final(state.answer, is_plain=self._is_plain) + render_notes(notes)


class TextGrid:
    """A display that prints the answers of one column after another.

    The first answer of a column is printed as it is streamed. The others are printed when all
    answers of the column have ended, so that identical answers are printed once.
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
        self._variants = variants
        self._titles = variant_titles(variants)
        self._footer_style = footer_style
        self._print_line = print_line
        self._out = out
        self._first_model = variants[0].model
        self._waiting_line = WaitingLine(out, is_plain=is_plain)
        self._start_time = time.monotonic()
        columns: dict[ColumnKey, list[int]] = {}
        for index, variant in enumerate(variants):
            columns.setdefault(variant.column, []).append(index)
        self._remaining_columns = list(columns.values())
        self._pending_deltas: list[list[Delta]] = [[] for _variant in variants]
        self._final_answers: dict[int, tuple[Answer, str]] = {}
        self._display: TextStreamDisplay | None = None

    def add(self, index: int, delta: Delta) -> None:
        """Print the delta if it belongs to the current answer. Otherwise, buffer the delta."""
        if self._display and index == self._remaining_columns[0][0]:
            self._display.add(delta)
            return
        self._pending_deltas[index].append(delta)
        if self._display is None:
            self._start_next_column()

    def update_waiting(self) -> None:
        """Show the model of the first answer until the first token of an answer arrives."""
        seconds = time.monotonic() - self._start_time
        if seconds >= WAITING_DELAY and self._display is None:
            self._waiting_line.show(format_waiting(self._first_model, seconds))

    def show_status(self, index: int, line: str) -> None:
        """Print why an answer is delayed."""
        self._waiting_line.clear()
        self._print_line(_("{title}: {status}").format(title=self._titles[index], status=line))

    def show_final_answer(self, index: int, answer: Answer, error: str) -> None:
        """Store an answer that has ended, and print the columns that are complete."""
        self._final_answers[index] = answer, error
        if self._display is None:
            self._start_next_column()
        while self._remaining_columns and all(
            index in self._final_answers for index in self._remaining_columns[0]
        ):
            self._finish_column()

    def end(self, answers: AnswerSet, footer: Footer) -> None:
        """Print the remaining answers, complete or partial, followed by the footer."""
        self._final_answers = dict(enumerate(zip(answers, answers.errors, strict=True)))
        if self._display is None:
            self._start_next_column()
        while self._remaining_columns:
            self._finish_column()
        if self._footer_style != "off":
            self._print_line(str(footer))

    def show_prompt(self, report: PromptReport) -> None:
        """Print the sent prompt."""
        self._print_line(str(PromptInspector(report)))

    def _start_next_column(self) -> None:
        """Print the title and the buffered deltas of the first answer in the next column."""
        if self._remaining_columns:
            index = self._remaining_columns[0][0]
            self._display = self._start_answer(index)
            for delta in self._pending_deltas[index]:
                self._display.add(delta)

    def _start_answer(self, index: int) -> TextStreamDisplay:
        self._waiting_line.clear()
        display = TextStreamDisplay("off", self._print_line, self._out)
        gap = "\n" if index else ""
        display.add(TextDelta(f"{gap}{format_heading(self._titles[index])}\n"))
        return display

    def _finish_column(self) -> None:
        indexes = self._remaining_columns.pop(0)
        answers, errors = zip(*(self._final_answers[index] for index in indexes), strict=True)
        column = AnswerSet(tuple(self._variants[index] for index in indexes), answers, errors)
        for block in layout_blocks(column, self._footer_style):
            answer = answers[block.indexes[0]]
            display, self._display = self._display, None
            if display is None:  # the first answer has been printed
                display = self._start_answer(indexes[block.indexes[0]])
                display.add(TextDelta(answer.text))
            if len(block.indexes) > 1:
                display.add(TextDelta(f"\n{block.label}"))
            display.end(answer)
            if block.notes:
                self._print_line("\n".join(block.notes))
        self._start_next_column()
