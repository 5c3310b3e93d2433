"""The line that shows how far a map is: a bar, what failed, what it cost, why it waits."""

import sys
import time
from collections.abc import Callable
from typing import TextIO

from ..terminal import safe_text
from ..values import Usage
from .formats import neurons, seconds

PAUSE = 0.5  # s between two writings
WIDTH = 30  # characters of the bar
Write = Callable[[str], None]


class Tally:
    """How far `total` things are; `write` shows a text in place of the one before."""

    def __init__(
        self, total: int, write: Write, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.done = 0
        self.failed = 0
        self.usage = Usage()
        self._total = total
        self._write = write
        self._clock = clock
        self._started = clock()
        self._next = 0.0
        self._reason = ""
        self._shown = ""

    @property
    def seconds(self) -> float:
        """How long it takes so far."""
        return self._clock() - self._started

    def count(self, usage: Usage | None = None, *, failed: bool = False) -> None:
        """Count one more that has ended."""
        self.done += 1
        self.failed += failed
        self.usage += usage or Usage()
        self._reason = ""
        self.show()

    def wait(self, reason: str) -> None:
        """Take note why nothing goes on, from any thread; it stands in what is shown next."""
        self._reason = reason

    def show(self, *, at_once: bool = False) -> None:
        """Show how far it is, unless that was only just shown."""
        if at_once or self._clock() >= self._next or self.done == self._total:
            self._next = self._clock() + PAUSE
            text = str(self)
            if text != self._shown:
                self._shown = text
                self._write(text)

    def __str__(self) -> str:
        share = self.done / self._total if self._total else 1.0
        bar = f"{'█' * round(share * WIDTH):░<{WIDTH}}"
        parts = [
            f"{bar} {self.done:,} of {self._total:,}",
            *([f"{self.failed:,} failed"] if self.failed else []),
            *self._cost(),
            *self._left(share),
            *([self._reason] if self._reason else []),
        ]
        return " · ".join(parts)

    def _cost(self) -> list[str]:
        used = self.usage
        return [] if used.neurons is None else [f"{neurons(used.neurons)} neurons {used.basis}"]

    def _left(self, share: float) -> list[str]:
        if not 0 < share < 1:
            return []
        return [f"about {seconds(self.seconds / share * (1 - share))} left"]


def terminal_write(out: TextIO | None = None) -> Write:
    """Return what writes on one line of a terminal, the rest of the last one wiped out."""
    stream = out or sys.stderr
    length = 0

    def write(text: str) -> None:
        nonlocal length
        first, _, rest = safe_text(text).partition("\n")
        padded = f"{first:<{length}}"
        length = len(first)
        # The cursor goes back at once, so that an error does not begin behind the bar.
        stream.write(f"{padded}\n{rest}\n" if rest else f"{padded}\r")
        stream.flush()

    return write
