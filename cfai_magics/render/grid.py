"""Several answers shown while they come: side by side in a notebook, else one after the other."""

import time
from collections.abc import Callable, Sequence
from typing import TextIO

from ..forms.form import FORMS, Form
from ..prompt.costing import Sent
from ..terminal import safe_text
from ..values import Answer, Delta, Text, Thought
from ..values.answers import Answers, Variant, titles
from ..values.provenance import metadata_of_all
from .columns import Pane, ended, grid, stacked, titled, told, while_coming
from .live import BYTES_PER_SECOND, MESSAGE_BYTES, SHORTEST_PAUSE
from .output import Output, Publish, publish
from .printed import TextLive
from .sent import SentBox, folded_box

BUSY_AT_ONCE = 4  # answers, at most, each of which may be sent at the pace of one alone


class NotebookGrid:
    """Shows answers side by side in one HTML output, and the receipt in another.

    An HTML output is replaced whole, so it is sent the less often the longer it is.
    """

    def __init__(
        self,
        variants: Sequence[Variant],
        footer: str,
        form: Form = FORMS["markdown"],
        publish: Publish = publish,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._variants = variants
        self._footer = footer
        self._is_plain = form.name == "text"
        self._publish = publish
        self._clock = clock
        self._grid, self._below = Output(publish), Output(publish)
        self._panes = [Pane() for _ in variants]
        self._bodies = [""] * len(variants)
        self._changed = set(range(len(variants)))
        self._next_update = 0.0

    def add(self, number: int, delta: Delta) -> None:
        """Take in the next delta of an answer and show it, unless an update was only just sent."""
        pane = self._panes[number]
        if isinstance(delta, Text):
            pane.text += delta.text
        elif isinstance(delta, Thought):
            pane.thought += len(delta.text)
        else:
            return
        self._update(number)

    def notice(self, number: int, line: str) -> None:
        """Tell why nothing is coming of an answer yet."""
        self._panes[number].notice = line
        self._next_update = 0.0  # nothing else may come while it waits
        self._update(number)

    def ended(self, number: int, answer: Answer, error: str) -> None:
        """Show an answer as it stands at its end; `error` tells why it failed, if it did."""
        self._panes[number].answer, self._panes[number].error = answer, error
        self._update(number)

    def end(self, answers: Answers, receipt: str) -> None:
        """Show all answers as they stand at their end, and the receipt under them."""
        for number, pane in enumerate(self._panes):
            pane.answer, pane.error = answers[number], answers.errors[number]
            self._changed.add(number)
        plain = safe_text(stacked(answers, self._footer))
        bundle = {"text/html": self._html(answers), "text/plain": plain}
        self._grid.show(bundle, metadata_of_all(answers))
        if self._footer != "off":
            self._below.tell(receipt)

    def sent(self, sent: Sent) -> None:
        """Show what was sent, folded, in an output of its own."""
        Output(self._publish).show(folded_box(sent))

    def _update(self, number: int) -> None:
        self._changed.add(number)
        now = self._clock()
        if now < self._next_update:
            return
        html = self._html()
        self._grid.show({"text/html": html, "text/plain": f"{len(self._panes)} answers…"})
        busy = sum(pane.answer is None for pane in self._panes)
        pace = BYTES_PER_SECOND * max(1, min(busy, BUSY_AT_ONCE))
        self._next_update = now + max(SHORTEST_PAUSE, (len(html) + MESSAGE_BYTES) / pace)

    def _html(self, answers: Answers | None = None) -> str:
        for number in self._changed:
            self._bodies[number] = self._body(self._panes[number])
        self._changed.clear()
        return grid(self._variants, self._bodies, answers)

    def _body(self, pane: Pane) -> str:
        if pane.answer is None:
            return while_coming(pane, is_plain=self._is_plain)
        return ended(pane.answer, pane.error, is_plain=self._is_plain, footer=self._footer)


class TextGrid:
    """Writes answers one after the other: the first as it comes, those that wait as they are."""

    def __init__(
        self,
        variants: Sequence[Variant],
        footer: str,
        tell: Callable[[str], None],
        out: TextIO | None = None,
    ) -> None:
        self._titles = titles(variants)
        self._footer = footer
        self._tell = tell
        self._out = out
        self._waiting: list[list[Delta]] = [[] for _ in variants]
        self._endings: dict[int, tuple[Answer, str]] = {}
        self._current = -1
        self._live = TextLive("off", tell, out)

    def add(self, number: int, delta: Delta) -> None:
        """Write the next piece of the answer whose turn it is; others wait."""
        if number == self._current:
            self._live.add(delta)
            return
        self._waiting[number].append(delta)
        if self._current < 0:
            self._turn()

    def notice(self, number: int, line: str) -> None:
        """Tell why nothing is coming of an answer yet."""
        self._tell(f"{self._titles[number]}: {line}")

    def ended(self, number: int, answer: Answer, error: str) -> None:
        """Take in that an answer has ended, and write on where it is its turn."""
        self._endings[number] = answer, error
        if self._current < 0:
            self._turn()
        while self._current in self._endings:
            self._finish(*self._endings[self._current])

    def end(self, answers: Answers, receipt: str) -> None:
        """Write what had arrived of those that did not end, and the receipt."""
        if self._current < 0:
            self._turn()
        while self._current < len(self._titles):
            self._finish(answers[self._current], answers.errors[self._current])
        if self._footer != "off":
            self._tell(receipt)

    def sent(self, sent: Sent) -> None:
        """Tell what was sent."""
        self._tell(str(SentBox(sent)))

    def _turn(self) -> None:
        """Begin with the next answer: its title, and what of it waits."""
        self._current += 1
        if self._current == len(self._titles):
            return
        self._live = TextLive("off", self._tell, self._out)
        gap = "\n" if self._current else ""
        self._live.add(Text(f"{gap}{titled(self._titles[self._current])}\n"))
        for delta in self._waiting[self._current]:
            self._live.add(delta)

    def _finish(self, answer: Answer, error: str) -> None:
        self._live.end(answer)
        below = told(answer, error, self._footer)
        if below:
            self._tell(below)
        self._turn()
