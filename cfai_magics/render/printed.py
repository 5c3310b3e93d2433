"""An answer as printed text: while it comes, or as a whole at its end."""

import sys
from collections.abc import Callable
from typing import TextIO

from ..prompt.costing import Sent
from ..terminal import safe_for
from ..values import Answer, Delta, Text, Thought
from ..values.provenance import metadata_of
from .output import Metadata
from .receipt import receipt
from .sent import SentBox

Under = Callable[[str, Metadata], None]  # writes the receipt, with what it bears of the answer


class TextLive:
    """Shows an answer as plain text while it comes: in a terminal, or where text was asked for."""

    def __init__(
        self,
        footer: str,
        tell: Callable[[str], None],
        out: TextIO | None = None,
        under: Under | None = None,
    ) -> None:
        self._footer = footer
        self._tell = tell
        self._out = out or sys.stdout
        self._under = under or (lambda line, _metadata: tell(line))
        self._thought = 0
        self._text = False

    def add(self, delta: Delta) -> None:
        """Write the next piece of the answer."""
        if isinstance(delta, Text):
            if self._thought and not self._text:
                self._tell(f"(thought: {self._thought:,} characters, kept in _cfai.thought)")
            self._text = True
            self._write(delta.text)
        elif isinstance(delta, Thought):
            self._thought += len(delta.text)

    def _write(self, text: str) -> None:
        self._out.write(safe_for(self._out, text))
        if (
            self._out.isatty() or self._out is sys.__stdout__
        ):  # a kernel's gathers pieces by itself
            self._out.flush()

    def notice(self, line: str) -> None:
        """Tell why nothing is coming yet."""
        self._tell(line)

    def again(self, line: str) -> None:
        """Begin anew below what is written, and tell why."""
        if self._text:
            self._write("\n")
        self._thought, self._text = 0, False
        self._tell(line)

    def step(self, line: str) -> None:
        """Tell a line below what has come so far, and go on below that."""
        self.again(line)

    def end(self, answer: Answer | None) -> None:
        """Write the receipt under the answer."""
        if answer is None:
            return
        if self._text:
            self._write("\n")
            self._out.flush()
        if self._footer != "off":
            self._under(receipt(answer, self._footer), metadata_of(answer))

    def sent(self, sent: Sent) -> None:
        """Tell what was sent."""
        self._tell(str(SentBox(sent)))


class WholeLive:
    """Shows nothing until the end, then the answer as a whole."""

    def __init__(
        self,
        footer: str,
        tell: Callable[[str], None],
        show: Callable[[Answer], None],
        under: Under | None = None,
    ) -> None:
        self._footer = footer
        self._tell = tell
        self._show = show
        self._under = under or (lambda line, _metadata: tell(line))

    def add(self, delta: Delta) -> None:
        """Wait for the end."""

    def notice(self, line: str) -> None:
        """Tell why nothing is coming yet."""
        self._tell(line)

    def again(self, line: str) -> None:
        """Tell why another answer is waited for."""
        self._tell(line)

    def step(self, line: str) -> None:
        """Tell what has been done for the answer so far."""
        self._tell(line)

    def end(self, answer: Answer | None) -> None:
        """Show the answer, and the receipt under it."""
        if answer is None:
            return
        if answer.text or answer.raw is not None:
            self._show(answer)
        if self._footer != "off":
            self._under(receipt(answer, self._footer), metadata_of(answer))

    def sent(self, sent: Sent) -> None:
        """Tell what was sent."""
        self._tell(str(SentBox(sent)))
