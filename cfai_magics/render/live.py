"""The one streaming display of notebooks: an answer shown while it comes, in outputs replaced."""

import time
from collections.abc import Callable

from ..forms.form import FORMS, Form
from ..markdown import split_finished
from ..prompt.costing import Sent
from ..values import Answer, Delta, Text, Thought
from ..values.provenance import metadata_of
from .formats import folded, seconds
from .forms import while_coming, whole
from .output import NOTHING, Output, Publish, publish
from .receipt import receipt
from .sent import folded_box

SHORTEST_PAUSE = 1 / 10  # s between two updates of an output
BYTES_PER_SECOND = 12_000  # of updates, so that a long open block is sent less often
MESSAGE_BYTES = 700  # what a Jupyter message weighs beside its text
SETTLE_AT = 1_500  # characters: an open part this long hands its finished blocks up
THINKING_PAUSE = 0.5  # s between two updates of the line that tells of thinking


class NotebookLive:
    """Shows an answer in at most three outputs: folded thoughts, the answer, the open part.

    Markdown outputs are only ever replaced whole, so what has settled stands in one output that
    is seldom sent, and the open part below it in another that is sent often. At the end the first
    holds the whole answer and the second the receipt. No output of anybody else is touched.
    """

    def __init__(
        self,
        footer: str,
        form: Form = FORMS["markdown"],
        publish: Publish = publish,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._footer = footer
        self._form = form
        self._publish = publish
        self._clock = clock
        self._thinking = Output(publish)
        self._settled = Output(publish)
        self._below = Output(publish)
        self._settled_text = ""
        self._open_text = ""
        self._thought = ""
        self._started = clock()
        self._next_update = 0.0
        self._thoughts_done = False

    def add(self, delta: Delta) -> None:
        """Take in the next delta and show it, unless the last update was only just sent."""
        if isinstance(delta, Text):
            self._open_text += delta.text
            self._end_thoughts()
        elif isinstance(delta, Thought):
            self._begin_thoughts()
            self._thought += delta.text
        else:
            return
        if self._clock() >= self._next_update:
            self._update()

    def _update(self) -> None:
        if self._open_text:
            size = self._show_text()
            pause = max(SHORTEST_PAUSE, (size + MESSAGE_BYTES) / BYTES_PER_SECOND)
        else:
            self._thinking.tell(f"Thinking… {len(self._thought):,} characters")
            pause = THINKING_PAUSE
        self._next_update = self._clock() + pause

    def _show_text(self) -> int:
        """Show the open part, having handed up what is finished; return the characters sent."""
        settled = self._settle() if len(self._open_text) > SETTLE_AT else 0
        output = self._below if self._settled_text else self._settled
        if self._open_text:
            output.show(while_coming(self._open_text, self._form))
        return settled + len(self._open_text)

    def _settle(self) -> int:
        if self._footer == "off":  # then no second output remains to hold the open part
            return 0
        finished, self._open_text = split_finished(self._open_text)
        if not finished:
            return 0
        self._settled_text += finished
        self._settled.show(while_coming(self._settled_text, self._form))
        return len(self._settled_text)

    def _begin_thoughts(self) -> None:
        if self._settled.shown and not self._thinking.shown and not self._settled_text:
            # A notice stands there: thoughts take its place, so that the answer comes below them.
            self._thinking, self._settled = self._settled, self._thinking

    def _end_thoughts(self) -> None:
        if self._thought and not self._thoughts_done:
            self._thoughts_done = True
            self._show_thoughts()

    def _show_thoughts(self) -> None:
        summary = f"Thought for {seconds(self._clock() - self._started)}"
        plain = f"({summary}, {len(self._thought):,} characters)"
        self._thinking.show({"text/html": folded(summary, self._thought), "text/plain": plain})

    def notice(self, line: str) -> None:
        """Tell why nothing is coming yet, where the answer will stand."""
        self._settled.tell(line)

    def again(self, line: str) -> None:
        """Begin anew in the same outputs, and tell why."""
        self._settled_text = self._open_text = self._thought = ""
        self._thoughts_done = False
        self._settled.tell(line)

    def step(self, line: str) -> None:
        """Tell a line below what has come so far, and go on below that in outputs of their own."""
        text = self._settled_text + self._open_text
        if self._thought:
            self._show_thoughts()
        if text:
            self._settled.show(while_coming(text, self._form))
        below = self._below if text or not self._settled.shown else self._settled
        below.tell(line)
        self._thinking, self._settled, self._below = (Output(self._publish) for _ in range(3))
        self._settled_text = self._open_text = self._thought = ""
        self._thoughts_done = False

    def end(self, answer: Answer | None) -> None:
        """Show the whole answer and the receipt under it."""
        if answer is None:
            if self._settled.shown:
                self._settled.tell("No answer came.")
            return
        if answer.thought:
            self._show_thoughts()
        if answer.text:
            self._settled.show(whole(answer, self._form), metadata_of(answer))
        elif self._settled.shown:  # a notice stands there, of a try that will not follow
            self._settled.tell("No answer came.")
        if self._footer != "off":
            self._below.tell(
                receipt(answer, self._footer), NOTHING if answer.text else metadata_of(answer)
            )

    def sent(self, sent: Sent) -> None:
        """Show what was sent, folded, in an output of its own."""
        Output(self._publish).show(folded_box(sent))
