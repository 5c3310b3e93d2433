"""Display answers and long lists as plain text while they arrive."""

import sys
from collections.abc import Callable, Iterator
from typing import TextIO

from ..i18n import ngettext
from ..output import write_sanitized, write_text
from ..prompt.builder import PromptReport
from ..types.messages import Answer, Delta, ReasoningDelta, TextDelta
from ..types.provenance import output_metadata
from .footer import Footer, format_usage_footer
from .streaming import Metadata

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


class TextStreamDisplay:
    """A display that prints a streamed answer as plain text."""

    def __init__(
        self,
        footer_style: str,
        print_line: Callable[[str], None],
        out: TextIO | None = None,
        write_footer: WriteFooter | None = None,
    ) -> None:
        self._footer_style = footer_style
        self._print_line = print_line
        self._out = out or sys.stdout
        self._write_footer = write_footer or (lambda footer, _metadata: print_line(str(footer)))
        self._reasoning_chars = 0
        self._has_text = False

    def add(self, delta: Delta) -> None:
        """Print the next delta of the answer."""
        if isinstance(delta, TextDelta):
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

    def _flush(self) -> None:
        write_sanitized(self._out, "", flushes=True)

    def show_status(self, line: str) -> None:
        """Print why the answer is delayed."""
        self._print_line(line)

    def restart(self, line: str) -> None:
        """Print the reason for a new answer below the text received so far."""
        if self._has_text:
            self._write("\n")
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
            self._write("\n")
            self._flush()
        if self._footer_style != "off":
            self._write_footer(
                format_usage_footer(answer, self._footer_style), output_metadata(answer)
            )

    def show_prompt(self, report: PromptReport) -> None:
        """Print the sent prompt."""
        from .preview import PromptInspector

        self._print_line(str(PromptInspector(report)))


class FinalOnlyDisplay:
    """A display that shows the whole answer when it is complete, without streaming."""

    def __init__(
        self,
        footer_style: str,
        print_line: Callable[[str], None],
        show_answer: Callable[[Answer], None],
        write_footer: WriteFooter | None = None,
    ) -> None:
        self._footer_style = footer_style
        self._print_line = print_line
        self._show_answer = show_answer
        self._write_footer = write_footer or (lambda footer, _metadata: print_line(str(footer)))

    def add(self, delta: Delta) -> None:
        """Ignore the delta, because only the final answer is shown."""

    def show_status(self, line: str) -> None:
        """Print why the answer is delayed."""
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
