"""Display a progress bar for a map, with failures, cost, remaining time and delays."""

import sys
import time
from collections.abc import Callable
from typing import TextIO

from ..i18n import _
from ..output import write_sanitized
from ..terminal import sanitize_text
from ..texts import pad_right, text_width
from ..types.usage import Usage
from .streaming import WAITING_DELAY, format_waiting
from .tables import format_cost, format_seconds

MIN_INTERVAL = 0.5  # seconds between updates
BAR_WIDTH = 30  # in characters
WriteText = Callable[[str], None]


class MapProgress:
    """A progress display that counts the finished rows of a map.

    Args:
        total_count: The number of rows.
        write_text: Displays the progress in place of the text from the previous call.
        model_name: The model that is named until the first answer has arrived.
        clock: Returns the time in seconds.
    """

    def __init__(
        self,
        total_count: int,
        write_text: WriteText,
        model_name: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.done_count = 0
        self.failed_count = 0
        self.usage = Usage()
        self._total_count = total_count
        self._write_text = write_text
        self._model_name = model_name
        self._clock = clock
        self._start_time = clock()
        self._next_update_time = 0.0
        self._wait_reason = ""
        self._last_text = ""

    @property
    def elapsed_seconds(self) -> float:
        """The number of seconds since the start."""
        return self._clock() - self._start_time

    def count_finished(self, usage: Usage | None = None, *, is_failed: bool = False) -> None:
        """Count a row as done, add the row's usage to the total, and update the display."""
        self.done_count += 1
        self.failed_count += is_failed
        self.usage += usage or Usage()
        self._wait_reason = ""
        self.show()

    def set_wait_reason(self, reason: str) -> None:
        """Set the reason for a delay. The next update shows this reason.

        This method may be called from any thread.
        """
        self._wait_reason = reason

    def show(self, *, force: bool = False) -> None:
        """Show the progress, unless it was shown less than MIN_INTERVAL seconds ago.

        The progress is always shown if `force` is true or all rows are done. It then does not
        name the model, because it may be the last one.
        """
        if (
            force
            or self._clock() >= self._next_update_time
            or self.done_count == self._total_count
        ):
            self._next_update_time = self._clock() + MIN_INTERVAL
            text = str(self) if force else f"{self}{self._format_waiting()}"
            if text != self._last_text:
                self._last_text = text
                self._write_text(text)

    def __str__(self) -> str:
        fraction = self.done_count / self._total_count if self._total_count else 1.0
        bar = f"{'█' * round(fraction * BAR_WIDTH):░<{BAR_WIDTH}}"
        parts = [
            _("{bar} {count:,} of {total:,}").format(
                bar=bar, count=self.done_count, total=self._total_count
            ),
            *(
                [_("{count:,} failed").format(count=self.failed_count)]
                if self.failed_count
                else []
            ),
            *self._format_cost(),
            *self._format_time_left(fraction),
            *([self._wait_reason] if self._wait_reason else []),
        ]
        return " · ".join(parts)

    def _format_waiting(self) -> str:
        seconds = self.elapsed_seconds
        if self.done_count or self._wait_reason or seconds < WAITING_DELAY:
            return ""
        return f" · {format_waiting(self._model_name, seconds)}"

    def _format_cost(self) -> list[str]:
        usage = self.usage
        return [] if usage.neurons is None else [format_cost(usage.neurons, usage.cost_basis)]

    def _format_time_left(self, fraction: float) -> list[str]:
        if not 0 < fraction < 1:
            return []
        time_left = format_seconds(self.elapsed_seconds / fraction * (1 - fraction))
        return [_("about {time} left").format(time=time_left)]


def create_terminal_writer(out: TextIO | None = None) -> WriteText:
    """Return a function that overwrites a line of terminal output. The default is stderr."""
    stream = out or sys.stderr
    length = 0

    def write(text: str) -> None:
        nonlocal length
        first, _separator, rest = sanitize_text(text).partition("\n")
        padded = pad_right(first, length)
        length = text_width(first)
        # Return the cursor to the start of the line, so that an error message overwrites the bar.
        line = f"{padded}\n{rest}\n" if rest else f"{padded}\r"
        write_sanitized(stream, line, flushes=True)

    return write
