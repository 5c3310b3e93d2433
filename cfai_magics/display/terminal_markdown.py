"""Display a streamed answer as Markdown in a terminal, with rich (the extra `terminal`).

Complete blocks are printed once. Only the last block is drawn again as it grows, so a long answer
does not fill the scrollback of the terminal. Control characters of the answer are removed from
what rich writes, because Markdown can contain them as entities.
"""

import time
from collections.abc import Callable
from typing import TextIO

from markdown_it import MarkdownIt
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.markdown import Markdown
from rich.segment import Segment

from ..markdown.blocks import split_complete_blocks
from ..terminal import sanitize_text
from .streaming import MIN_INTERVAL
from .text import TextStreamDisplay, WriteFooter

MAX_DRAWING_SHARE = 1 / 4  # of the time; a long last block is drawn less often


class TerminalMarkdown:
    """Markdown that rich renders without HTML, hyperlinks and control characters.

    Args:
        text: The Markdown.
        max_lines: The number of lines to show from the end, or None for all lines.
    """

    def __init__(self, text: str, max_lines: int | None = None) -> None:
        self._markdown = Markdown("", hyperlinks=False)
        # rich drops HTML tags, and with them text such as vector<int>.
        parser = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"])
        self._markdown.parsed = parser.parse(text)
        self._max_lines = max_lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the segments of the lines."""
        lines = console.render_lines(self._markdown, options.update(height=None), pad=False)
        for line in lines if self._max_lines is None else lines[-self._max_lines :]:
            yield from _strip_padding(
                [Segment(sanitize_text(segment.text), segment.style) for segment in line]
            )
            yield Segment.line()


def _strip_padding(line: list[Segment]) -> list[Segment]:
    """Return a line without the spaces at its end, which users would copy, except on a color."""
    while line and not (line[-1].style and line[-1].style.bgcolor):
        text, style, _control = line.pop()
        if text.rstrip(" "):
            return [*line, Segment(text.rstrip(" "), style)]
    return line


class MarkdownStreamDisplay(TextStreamDisplay):
    """A display that renders a streamed answer as Markdown in a terminal."""

    def __init__(
        self,
        footer_style: str,
        print_line: Callable[[str], None],
        out: TextIO | None = None,
        write_footer: WriteFooter | None = None,
    ) -> None:
        super().__init__(footer_style, print_line, out, write_footer)
        self._console = Console(file=out)
        self._live: Live | None = None
        self._last_block = ""
        self._has_printed_block = False
        self._next_update_time = 0.0

    def stop_waiting(self) -> None:
        """Clear the waiting line and the last block, which is then printed by `end`."""
        super().stop_waiting()
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _write(self, text: str) -> None:
        self._last_block += text
        start_time = time.monotonic()
        if start_time >= self._next_update_time:
            self._draw()
            end_time = time.monotonic()
            drawing_time = end_time - start_time
            self._next_update_time = end_time + max(MIN_INTERVAL, drawing_time / MAX_DRAWING_SHARE)

    def _draw(self) -> None:
        complete_blocks, self._last_block = split_complete_blocks(self._last_block)
        if self._live is None:
            self._live = Live(
                console=self._console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
                vertical_overflow="crop",
            )
            self._live.start()
        max_lines = max(1, self._console.height - 2)
        self._live.update(TerminalMarkdown(self._last_block, max_lines))
        self._print(complete_blocks)
        self._live.refresh()

    def _print(self, blocks: str) -> None:
        if blocks.strip():
            if self._has_printed_block:
                self._console.print()
            self._has_printed_block = True
            self._console.print(TerminalMarkdown(blocks))

    def _end_text(self) -> None:
        self.stop_waiting()
        self._print(self._last_block)
        self._last_block, self._has_printed_block = "", False
