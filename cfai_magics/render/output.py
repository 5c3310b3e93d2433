"""One output of a cell that can be replaced, and a bar that shows how far something is."""

import sys
from collections.abc import Callable, Mapping
from secrets import token_hex
from typing import Any, TextIO

from ..terminal import safe_text
from .formats import Bundle, bar, muted

Metadata = Mapping[str, Any]
Publish = Callable[[Bundle, str, bool, Metadata], None]
NOTHING: Metadata = {}
BAR_STEPS = 100


def publish(
    bundle: Bundle,
    display_id: str,
    update: bool,  # noqa: FBT001 - a Publish
    metadata: Metadata,
) -> None:
    """Send a MIME bundle to the front end, as a new output or in place of an earlier one."""
    from IPython.display import publish_display_data

    transient = {"display_id": display_id}
    publish_display_data(dict(bundle), dict(metadata), transient=transient, update=update)


class Output:
    """One output of a cell: shown at the first call, replaced at each later one."""

    def __init__(self, publish: Publish = publish) -> None:
        self._publish = publish
        self._id = f"cfai-{token_hex(6)}"  # fresh for each run: front ends match by id
        self.shown = False

    def show(self, bundle: Bundle, metadata: Metadata = NOTHING) -> None:
        """Show the bundle here; the notebook keeps the metadata beside it."""
        update, self.shown = self.shown, True  # before: an interrupt may come in between
        self._publish(bundle, self._id, update, metadata)

    def tell(self, text: str, metadata: Metadata = NOTHING) -> None:
        """Show lines here in the quiet colour."""
        text = safe_text(text)
        self.show({"text/html": muted(text), "text/plain": text}, metadata)


class Progress:
    """A bar written at every full per cent: `progress(done, total)`, both in bytes."""

    def __init__(self, title: str, write: Callable[[str], None]) -> None:
        self._title = title
        self._write = write
        self._step = -1

    def __call__(self, done: int, total: int) -> None:
        """Show how far it is."""
        step = BAR_STEPS * done // total if total else 0
        if step != self._step:
            self._step = step
            self._write(f"{self._title} {bar(done, total)}")


def notebook_progress(title: str) -> Progress:
    """Return a bar in an output of its own."""
    return Progress(title, Output().tell)


def terminal_progress(title: str, out: TextIO | None = None) -> Progress:
    """Return a bar that stays on one line of the terminal and leaves it when full."""
    stream = out or sys.stderr

    def write(line: str) -> None:
        # The cursor goes back at once, so that an error does not begin behind the bar.
        stream.write(safe_text(line) + ("\n" if "100 %" in line else "\r"))
        stream.flush()

    return Progress(title, write)
