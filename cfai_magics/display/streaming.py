"""Display a streamed answer in a notebook."""

import sys
import time
from collections.abc import Callable, Mapping
from secrets import token_hex
from typing import TYPE_CHECKING, Any, TextIO

from ..i18n import _, ngettext
from ..prompt.output_formats import OUTPUT_FORMATS, OutputFormat
from ..terminal import sanitize_text
from ..types.messages import Answer, Delta, ReasoningDelta, TextDelta
from ..types.provenance import output_metadata
from .footer import format_usage_footer
from .formats import render_final_answer, render_partial_answer
from .tables import MimeBundle, collapsed_html, format_progress_bar, format_seconds, muted_html

if TYPE_CHECKING:
    from ..prompt.builder import PromptReport


Metadata = Mapping[str, Any]
Publisher = Callable[[MimeBundle, str, bool, Metadata], None]
NO_METADATA: Metadata = {}
PROGRESS_STEPS = 100
MIN_INTERVAL = 1 / 10  # s between two updates of an output
MAX_BYTES_PER_SECOND = 12_000  # of updates; a long incomplete block is sent less often
MESSAGE_OVERHEAD_BYTES = 700  # of a Jupyter message, in addition to its text
MAX_TAIL_CHARS = 1_500  # a longer tail moves its complete blocks to the stable output
REASONING_INTERVAL = 0.5  # s between two updates of the thinking line


def publish_output(
    bundle: MimeBundle,
    display_id: str,
    update: bool,  # noqa: FBT001 - a Publisher
    metadata: Metadata,
) -> None:
    """Send a MIME bundle to the front end, as a new output or as an update of an earlier one."""
    from IPython.display import publish_display_data

    transient = {"display_id": display_id}
    publish_display_data(dict(bundle), dict(metadata), transient=transient, update=update)


class UpdatableOutput:
    """One output of a cell: the first `show` displays it, each later one replaces it."""

    def __init__(self, publish: Publisher = publish_output) -> None:
        self._publish = publish
        self._display_id = f"cfai-{token_hex(6)}"  # unique, because front ends match by id
        self.is_shown = False

    def show(self, bundle: MimeBundle, metadata: Metadata = NO_METADATA) -> None:
        """Show the bundle; the notebook saves the metadata with it."""
        update, self.is_shown = self.is_shown, True  # set first, in case of an interrupt
        self._publish(bundle, self._display_id, update, metadata)

    def show_note(self, text: str, metadata: Metadata = NO_METADATA) -> None:
        """Show a text in the muted color; line breaks are preserved."""
        text = sanitize_text(text)
        self.show({"text/html": muted_html(text), "text/plain": text}, metadata)


class ProgressWriter:
    """Progress bar of a download, written at each full percent."""

    def __init__(self, title: str, write_line: Callable[[str], None]) -> None:
        self._title = title
        self._write_line = write_line
        self._last_step = -1

    def __call__(self, bytes_done: int, bytes_total: int) -> None:
        """Write the bar if the percentage has changed; both numbers are in bytes."""
        step = PROGRESS_STEPS * bytes_done // bytes_total if bytes_total else 0
        if step != self._last_step:
            self._last_step = step
            bar = format_progress_bar(bytes_done, bytes_total)
            self._write_line(f"{self._title} {bar}")


def create_notebook_progress(title: str) -> ProgressWriter:
    """Return a progress bar in a separate output of the cell."""
    return ProgressWriter(title, UpdatableOutput().show_note)


def create_terminal_progress(title: str, out: TextIO | None = None) -> ProgressWriter:
    """Return a progress bar on one line of the terminal, stderr by default."""
    stream = out or sys.stderr

    def write(line: str) -> None:
        # Return the cursor at once, so that an error message does not start behind the bar.
        stream.write(sanitize_text(line) + ("\n" if "100 %" in line else "\r"))
        stream.flush()

    return ProgressWriter(title, write)


def format_thinking(char_count: int) -> str:
    """Return the line that is shown while the model is thinking."""
    return ngettext(
        "Thinking… {count:,} character", "Thinking… {count:,} characters", char_count
    ).format(count=char_count)


class NotebookStream:
    """Display a streamed answer in at most three outputs: reasoning, stable part and tail.

    An update replaces a whole Markdown output. So the stable output has the complete blocks and is
    rarely sent. The tail output below it has the text that still changes. At the end, the stable
    output has the whole answer and the tail output has the footer.
    """

    def __init__(
        self,
        footer_style: str,
        output_format: OutputFormat = OUTPUT_FORMATS["markdown"],
        publish: Publisher = publish_output,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._footer_style = footer_style
        self._output_format = output_format
        self._publish = publish
        self._clock = clock
        self._reasoning_output = UpdatableOutput(publish)
        self._stable_output = UpdatableOutput(publish)
        self._tail_output = UpdatableOutput(publish)
        self._stable_text = ""
        self._tail_text = ""
        self._reasoning_text = ""
        self._start_time = clock()
        self._next_update_time = 0.0
        self._is_reasoning_shown = False

    def add(self, delta: Delta) -> None:
        """Add the next delta and update the outputs, at a limited rate."""
        if isinstance(delta, TextDelta):
            self._tail_text += delta.text
            if self._reasoning_text and not self._is_reasoning_shown:
                self._is_reasoning_shown = True
                self._show_reasoning()
        elif isinstance(delta, ReasoningDelta):
            self._place_reasoning_output()
            self._reasoning_text += delta.text
        else:
            return
        if self._clock() >= self._next_update_time:
            self._update()

    def _update(self) -> None:
        if self._tail_text:
            chars_sent = self._show_tail()
            interval = max(
                MIN_INTERVAL, (chars_sent + MESSAGE_OVERHEAD_BYTES) / MAX_BYTES_PER_SECOND
            )
        else:
            self._reasoning_output.show_note(format_thinking(len(self._reasoning_text)))
            interval = REASONING_INTERVAL
        self._next_update_time = self._clock() + interval

    def _show_tail(self) -> int:
        """Move complete blocks up and show the tail; return the number of characters sent."""
        stable_chars = self._move_complete_blocks() if len(self._tail_text) > MAX_TAIL_CHARS else 0
        output = self._tail_output if self._stable_text else self._stable_output
        if self._tail_text:
            output.show(render_partial_answer(self._tail_text, self._output_format))
        return stable_chars + len(self._tail_text)

    def _move_complete_blocks(self) -> int:
        from ..markdown.blocks import split_complete_blocks

        if self._footer_style == "off":  # the tail output would stay empty at the end
            return 0
        complete_blocks, self._tail_text = split_complete_blocks(self._tail_text)
        if not complete_blocks:
            return 0
        self._stable_text += complete_blocks
        self._stable_output.show(render_partial_answer(self._stable_text, self._output_format))
        return len(self._stable_text)

    def _place_reasoning_output(self) -> None:
        if (
            self._stable_output.is_shown
            and not self._reasoning_output.is_shown
            and not self._stable_text
        ):
            # The stable output shows a status line. Reuse it for the reasoning above the answer.
            self._reasoning_output, self._stable_output = (
                self._stable_output,
                self._reasoning_output,
            )

    def _show_reasoning(self) -> None:
        time_text = format_seconds(self._clock() - self._start_time)
        summary = _("Thought for {time}").format(time=time_text)
        char_count = len(self._reasoning_text)
        plain_text = ngettext(
            "(Thought for {time}, {count:,} character)",
            "(Thought for {time}, {count:,} characters)",
            char_count,
        ).format(time=time_text, count=char_count)
        self._reasoning_output.show(
            {"text/html": collapsed_html(summary, self._reasoning_text), "text/plain": plain_text}
        )

    def show_status(self, line: str) -> None:
        """Show why the answer is delayed, in the output of the answer."""
        self._stable_output.show_note(line)

    def restart(self, line: str) -> None:
        """Discard the received part, show the reason, and reuse the outputs."""
        self._stable_text = self._tail_text = self._reasoning_text = ""
        self._is_reasoning_shown = False
        self._stable_output.show_note(line)

    def show_tool_step(self, line: str) -> None:
        """Show a line below the received part, and continue below it in new outputs."""
        text = self._stable_text + self._tail_text
        if self._reasoning_text:
            self._show_reasoning()
        if text:
            self._stable_output.show(render_partial_answer(text, self._output_format))
        below = (
            self._tail_output if text or not self._stable_output.is_shown else self._stable_output
        )
        below.show_note(line)
        self._reasoning_output, self._stable_output, self._tail_output = (
            UpdatableOutput(self._publish) for _ in range(3)
        )
        self._stable_text = self._tail_text = self._reasoning_text = ""
        self._is_reasoning_shown = False

    def end(self, answer: Answer | None) -> None:
        """Show the whole answer and the footer under it; None if no answer was received."""
        if answer is None:
            if self._stable_output.is_shown:
                self._stable_output.show_note(_("No answer received."))
            return
        if answer.reasoning:
            self._show_reasoning()
        if answer.text:
            self._stable_output.show(
                render_final_answer(answer, self._output_format), output_metadata(answer)
            )
        elif self._stable_output.is_shown:  # it shows the status line of a retry
            self._stable_output.show_note(_("No answer received."))
        if self._footer_style != "off":
            self._tail_output.show_note(
                format_usage_footer(answer, self._footer_style),
                NO_METADATA if answer.text else output_metadata(answer),
            )

    def show_prompt(self, report: "PromptReport") -> None:
        """Show the sent prompt, collapsed, in a separate output."""
        from .preview import build_prompt_bundle

        UpdatableOutput(self._publish).show(build_prompt_bundle(report))
