"""Display a streamed answer in a notebook."""

import sys
import time
from collections.abc import Callable, Mapping
from contextvars import copy_context
from secrets import token_hex
from threading import Event, Timer
from typing import TYPE_CHECKING, Any, TextIO

from .. import runtime
from ..i18n import _, ngettext
from ..output import write_sanitized
from ..prompt.output_formats import OUTPUT_FORMATS, OutputFormat
from ..terminal import sanitize_line, sanitize_text
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
MIN_INTERVAL = 1 / 10  # seconds between updates of an output
MAX_BYTES_PER_SECOND = 12_000  # for updates, so a long incomplete block is sent less often
MESSAGE_OVERHEAD_BYTES = 700  # the size of a Jupyter message without the text
MAX_TAIL_CHARS = 1_500  # if the tail is longer, its complete blocks move to the stable output
REASONING_INTERVAL = 0.5  # seconds between updates of the thinking line
WAITING_DELAY = 0.3  # seconds; if the first token is faster, no waiting line is shown
WAITING_INTERVAL = 1.0  # seconds between updates of the waiting line


def publish_output(
    bundle: MimeBundle,
    display_id: str,
    update: bool,  # noqa: FBT001 - required by Publisher
    metadata: Metadata,
) -> None:
    """Send a MIME bundle to the front end as a new output or as an update to an earlier output."""
    from IPython.display import publish_display_data

    transient = {"display_id": display_id}
    publish_display_data(dict(bundle), dict(metadata), transient=transient, update=update)


def loses_updates() -> bool:
    """Return whether front ends ignore updates of outputs that are shown now.

    They do so in an Output widget of ipywidgets, which `interact` also uses, and in the callback
    of a widget.
    """
    from IPython.core.getipython import get_ipython

    get_parent = getattr(get_ipython(), "get_parent", None)
    header = (get_parent() or {}).get("header", {}) if get_parent else {}
    if header.get("msg_type") == "comm_msg":
        return True
    widget_module = sys.modules.get("ipywidgets.widgets.widget")
    for widget in [*getattr(widget_module, "_instances", {}).values()]:
        if type(widget).__name__ == "Output" and widget.msg_id == header.get("msg_id"):
            return True
    return False


class UpdatableOutput:
    """A cell output. The first call to `show` displays the output, and later calls replace it."""

    def __init__(self, publish: Publisher = publish_output) -> None:
        self._publish = publish
        self._display_id = f"cfai-{token_hex(6)}"  # unique, because front ends match outputs by ID
        self.is_shown = False

    def show(self, bundle: MimeBundle, metadata: Metadata = NO_METADATA) -> None:
        """Show the bundle. The notebook saves the metadata with the output."""
        update, self.is_shown = self.is_shown, True  # set early, in case of an interrupt
        self._publish(bundle, self._display_id, update, metadata)

    def show_note(self, text: str, metadata: Metadata = NO_METADATA) -> None:
        """Show text in the muted color, with line breaks preserved."""
        text = sanitize_text(text)
        self.show({"text/html": muted_html(text), "text/plain": text}, metadata)


class ProgressWriter:
    """A progress bar for a download. The bar is updated when the percentage changes."""

    def __init__(self, title: str, write_line: Callable[[str], None]) -> None:
        self._title = title
        self._write_line = write_line
        self._last_step = -1

    def __call__(self, bytes_done: int, bytes_total: int) -> None:
        """Write the progress bar if the percentage has changed since the last call."""
        step = PROGRESS_STEPS * bytes_done // bytes_total if bytes_total else 0
        if step != self._last_step:
            self._last_step = step
            bar = format_progress_bar(bytes_done, bytes_total)
            self._write_line(f"{self._title} {bar}")


def create_notebook_progress(title: str) -> ProgressWriter:
    """Return a progress bar that is shown in its own cell output."""
    return ProgressWriter(title, UpdatableOutput().show_note)


def create_terminal_progress(title: str, out: TextIO | None = None) -> ProgressWriter:
    """Return a progress bar that uses one line in the terminal, on stderr by default."""
    stream = out or sys.stderr

    def write(line: str) -> None:
        # Return the cursor to the start of the line, so that an error message overwrites the bar.
        end = "\n" if "100 %" in line else "\r"
        write_sanitized(stream, f"{sanitize_text(line)}{end}", flushes=True)

    return ProgressWriter(title, write)


def format_thinking(char_count: int) -> str:
    """Return the line to show while the model is thinking, with the number of characters."""
    return ngettext(
        "Thinking… {count:,} character", "Thinking… {count:,} characters", char_count
    ).format(count=char_count)


def format_waiting(model_name: str, seconds: float) -> str:
    """Return the line to show until the first token arrives, with full seconds from 1 s."""
    short_name = sanitize_line(model_name.rpartition("/")[2])
    text = _("{model} is answering…").format(model=short_name)
    if seconds < 1:
        return text
    time_text = _("{number} s").format(number=int(seconds))
    return f"{text} {time_text}"


def waiting_html(line: str, *, is_first: bool) -> str:
    """Return a waiting line as HTML, which screen readers announce if it is the first one.

    Front ends replace the elements of an updated output, so a screen reader would announce a
    role="status" in each update again.
    """
    html = muted_html(line)
    return f'<div role="status">{html}</div>' if is_first else html


class WaitingDisplay:
    """Base class of displays that show a waiting line until the first token arrives.

    A thread shows the line, because the request blocks the thread of the cell. Without threads, as
    in a browser, the line is shown once. In a child that is forked meanwhile, no line is shown.

    Attributes:
        shows_waiting: Whether the display shows a waiting line.
        waiting_interval: The number of seconds between updates of the line.
        waiting_timer: The thread, from `start_waiting` to `stop_waiting`.
    """

    shows_waiting = False
    waiting_interval = WAITING_INTERVAL
    waiting_timer: Timer | None = None

    def start_waiting(self, model_name: str) -> None:
        """Show that the model is answering, until `stop_waiting`. Short waits show nothing."""
        if not self.shows_waiting:
            return
        if not runtime.HAS_THREADS:
            self.show_waiting(format_waiting(model_name, 0.0))
            return
        context = copy_context()  # with the cell to which ipykernel sends the output
        self.waiting_timer = timer = Timer(
            WAITING_DELAY, lambda: context.run(self._count_seconds, model_name, timer.finished)
        )
        timer.daemon = True
        try:
            timer.start()
        except RuntimeError:  # the machine has too many threads
            self.waiting_timer = None

    def stop_waiting(self) -> None:
        """Stop the thread. Afterward, it does not show anything."""
        if self.waiting_timer is not None:
            self.waiting_timer.cancel()
            if self.waiting_timer.is_alive():
                self.waiting_timer.join()
            self.waiting_timer = None

    def show_waiting(self, line: str) -> None:
        """Show a waiting line in place of the previous one. Called on the thread."""

    def _count_seconds(self, model_name: str, stopped: Event) -> None:
        seconds = WAITING_DELAY
        while not stopped.is_set():
            self.show_waiting(format_waiting(model_name, seconds))
            stopped.wait(self.waiting_interval)
            seconds += self.waiting_interval


class NotebookStream(WaitingDisplay):
    """A display that shows a streamed answer in up to three outputs: reasoning, stable and tail.

    Each update replaces a whole Markdown output. To send less data, the stable output contains
    only complete blocks and is rarely updated. The tail output, below the stable output, contains
    the text that still changes. When the answer ends, the stable output shows the whole answer,
    and the tail output shows the footer. If `updates` is false, each output is shown only once,
    when it is complete.
    """

    def __init__(
        self,
        footer_style: str,
        output_format: OutputFormat = OUTPUT_FORMATS["markdown"],
        publish: Publisher = publish_output,
        clock: Callable[[], float] = time.monotonic,
        *,
        updates: bool = True,
    ) -> None:
        self._footer_style = footer_style
        self._output_format = output_format
        self._updates = self.shows_waiting = updates
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
        self._is_waiting_shown = False

    def add(self, delta: Delta) -> None:
        """Add the next delta, and update the outputs at a limited rate."""
        if self.waiting_timer is not None and isinstance(delta, TextDelta | ReasoningDelta):
            self.stop_waiting()
        if isinstance(delta, TextDelta):
            self._tail_text += delta.text
            if self._reasoning_text and not self._is_reasoning_shown and self._updates:
                self._is_reasoning_shown = True
                self._show_reasoning()
        elif isinstance(delta, ReasoningDelta):
            self._place_reasoning_output()
            self._reasoning_text += delta.text
        else:
            return
        if self._updates and self._clock() >= self._next_update_time:
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
        """Move complete blocks from a long tail to the stable output, and show the tail.

        Returns:
            The number of characters sent to the front end.
        """
        stable_chars = self._move_complete_blocks() if len(self._tail_text) > MAX_TAIL_CHARS else 0
        output = self._tail_output if self._stable_text else self._stable_output
        if self._tail_text:
            output.show(render_partial_answer(self._tail_text, self._output_format))
        return stable_chars + len(self._tail_text)

    def _move_complete_blocks(self) -> int:
        from ..markdown.blocks import split_complete_blocks

        if self._footer_style == "off":  # the tail output would be left empty at the end
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
            # The stable output shows a status line. Use this output for the reasoning instead, so
            # that the reasoning is above the answer.
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

    def show_waiting(self, line: str) -> None:
        """Show a waiting line, unless a status line is shown. The answer will replace it."""
        if not self._stable_output.is_shown or self._is_waiting_shown:
            html = waiting_html(line, is_first=not self._is_waiting_shown)
            self._is_waiting_shown = True
            self._stable_output.show({"text/html": html, "text/plain": line})

    def show_status(self, line: str) -> None:
        """Show why the answer is delayed. The answer will replace this line."""
        self.stop_waiting()
        self._is_waiting_shown = False
        if self._updates:
            self._stable_output.show_note(line)

    def restart(self, line: str) -> None:
        """Discard the received text, show the reason, and reuse the outputs for a new answer."""
        self._stable_text = self._tail_text = self._reasoning_text = ""
        self._is_reasoning_shown = False
        self.show_status(line)

    def show_tool_step(self, line: str) -> None:
        """Show a line below the text received so far. Later text is shown in new outputs."""
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
        self._is_reasoning_shown = self._is_waiting_shown = False

    def end(self, answer: Answer | None) -> None:
        """Show the whole answer and the footer.

        Args:
            answer: The answer, or None if no answer was received.
        """
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
        elif self._stable_output.is_shown:  # it still shows a status line
            self._stable_output.show_note(_("No answer received."))
        if self._footer_style != "off":
            self._tail_output.show(
                format_usage_footer(answer, self._footer_style).render(),
                NO_METADATA if answer.text else output_metadata(answer),
            )

    def show_prompt(self, report: "PromptReport") -> None:
        """Show the sent prompt, collapsed, in a separate output."""
        from .preview import build_prompt_bundle

        UpdatableOutput(self._publish).show(build_prompt_bundle(report))
