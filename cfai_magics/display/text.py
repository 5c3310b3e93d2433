"""Display answers and long lists as plain text while they arrive."""

import sys
from collections.abc import Callable, Iterator
from itertools import cycle
from shutil import get_terminal_size
from typing import TextIO

from ..i18n import ngettext
from ..output import can_overwrite_lines, write_sanitized, write_text
from ..prompt.builder import PromptReport
from ..texts import text_width
from ..types.messages import Answer, Delta, ReasoningDelta, TextDelta
from ..types.provenance import output_metadata
from .footer import Footer, format_usage_footer
from .streaming import Metadata, WaitingDisplay

SPINNER = "|/-\\"
SPINNER_INTERVAL = 0.2  # seconds between its positions
WriteFooter = Callable[[Footer, Metadata], None]  # takes the footer and the output metadata


class TextLines:
    """Lines that the shell prints as they are read, each ending with a line feed."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines

    def __iter__(self) -> Iterator[str]:
        """Return an iterator over the lines that have not been read yet."""
        return self._lines

    def __str__(self) -> str:
        return "".join(self._lines).rstrip("\n")


class WaitingLine:
    """The last line of a terminal, with a spinner and text, until it is cleared.

    Files, pipes and plain output have no such line. The default output is stdout.
    """

    def __init__(self, out: TextIO | None = None, *, is_plain: bool = False) -> None:
        self._out = out or sys.stdout
        self.is_supported = not is_plain and can_overwrite_lines(self._out)
        self._spinner = cycle(SPINNER)
        self._write: Callable[[str], None] | None = None  # until the line is shown

    def show(self, text: str) -> None:
        """Show the text in place of the previous one, if it fits on one line."""
        line = f"{next(self._spinner)} {text}"
        if self.is_supported and text_width(line) < get_terminal_size().columns:
            if self._write is None:
                from .map_progress import create_terminal_writer

                self._write = create_terminal_writer(self._out)
            self._write(line)

    def clear(self) -> None:
        """Clear the line, and leave the cursor at its start."""
        if self._write is not None:
            self._write("")
            self._write = None


class TerminalDisplay(WaitingDisplay):
    """Base class of displays for one answer that show a waiting line if stdout is a terminal."""

    waiting_interval = SPINNER_INTERVAL

    def __init__(self, waiting_line: WaitingLine) -> None:
        self._waiting_line = waiting_line
        self.shows_waiting = waiting_line.is_supported

    def show_waiting(self, line: str) -> None:
        """Show the line, with a spinner."""
        self._waiting_line.show(line)

    def stop_waiting(self) -> None:
        """Stop the thread, and clear the line."""
        super().stop_waiting()
        self._waiting_line.clear()


class TextStreamDisplay(TerminalDisplay):
    """A display that prints a streamed answer as plain text."""

    def __init__(
        self,
        footer_style: str,
        print_line: Callable[[str], None],
        out: TextIO | None = None,
        write_footer: WriteFooter | None = None,
        *,
        is_plain: bool = False,
    ) -> None:
        super().__init__(WaitingLine(out, is_plain=is_plain))
        self._footer_style = footer_style
        self._print_line = print_line
        self._out = out or sys.stdout
        self._write_footer = write_footer or (lambda footer, _metadata: print_line(str(footer)))
        self._reasoning_chars = 0
        self._has_text = False

    def add(self, delta: Delta) -> None:
        """Print the next delta of the answer."""
        if isinstance(delta, TextDelta):
            if not self._has_text:
                self.stop_waiting()
            if self._reasoning_chars and not self._has_text:
                thinking = ngettext(
                    "Thinking: {count:,} character",
                    "Thinking: {count:,} characters",
                    self._reasoning_chars,
                ).format(count=self._reasoning_chars)
                self._print_line(f"({thinking} → _cfai.reasoning)")
            self._has_text = True
            self._write(delta.text)
        elif isinstance(delta, ReasoningDelta):
            self._reasoning_chars += len(delta.text)

    def _write(self, text: str) -> None:
        write_text(self._out, text)
        # In a kernel, ipykernel flushes stdout at intervals.
        if self._out and (self._out is sys.__stdout__ or self._out.isatty()):
            self._flush()

    def _end_text(self) -> None:
        self._write("\n")
        self._flush()

    def _flush(self) -> None:
        write_sanitized(self._out, "", flushes=True)

    def show_status(self, line: str) -> None:
        """Print why the answer is delayed."""
        self.stop_waiting()
        self._print_line(line)

    def restart(self, line: str) -> None:
        """Print the reason for a new answer below the text received so far."""
        if self._has_text:
            self._end_text()
        self._reasoning_chars, self._has_text = 0, False
        self._print_line(line)

    def show_tool_step(self, line: str) -> None:
        """Print a line below the text received so far. Later text is printed below the line."""
        self.restart(line)

    def end(self, answer: Answer | None) -> None:
        """Print the footer below the answer."""
        if answer is None:
            return
        if self._has_text:
            self._end_text()
        if self._footer_style != "off":
            self._write_footer(
                format_usage_footer(answer, self._footer_style), output_metadata(answer)
            )

    def show_prompt(self, report: PromptReport) -> None:
        """Print the sent prompt."""
        from .preview import PromptInspector

        self._print_line(str(PromptInspector(report)))


class FinalOnlyDisplay(TerminalDisplay):
    """A display that shows the whole answer when it is complete, without streaming."""

    def __init__(
        self,
        footer_style: str,
        print_line: Callable[[str], None],
        show_answer: Callable[[Answer], None],
        write_footer: WriteFooter | None = None,
    ) -> None:
        super().__init__(WaitingLine())
        self._footer_style = footer_style
        self._print_line = print_line
        self._show_answer = show_answer
        self._write_footer = write_footer or (lambda footer, _metadata: print_line(str(footer)))

    def add(self, delta: Delta) -> None:
        """Ignore the delta, because only the final answer is shown."""

    def show_status(self, line: str) -> None:
        """Print why the answer is delayed."""
        self.stop_waiting()
        self._print_line(line)

    def restart(self, line: str) -> None:
        """Print the reason for a new answer."""
        self._print_line(line)

    def show_tool_step(self, line: str) -> None:
        """Print a line about a step with tool calls."""
        self._print_line(line)

    def end(self, answer: Answer | None) -> None:
        """Show the answer, with the footer below the answer."""
        if answer is None:
            return
        if answer.text or answer.raw is not None:
            self._show_answer(answer)
        if self._footer_style != "off":
            self._write_footer(
                format_usage_footer(answer, self._footer_style), output_metadata(answer)
            )

    def show_prompt(self, report: PromptReport) -> None:
        """Print the sent prompt."""
        from .preview import PromptInspector

        self._print_line(str(PromptInspector(report)))
