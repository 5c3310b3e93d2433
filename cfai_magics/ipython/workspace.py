"""Owns what a running IPython offers a command: its names, its cells, what failed in them."""

import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.interactiveshell import InteractiveShell

from ..notebook.failures import Failure, Failures
from ..notebook.path import notebook_name
from ..secret import environment
from ..terminal import safe_text

if TYPE_CHECKING:
    from ..asking.continuing import LeftOut
    from ..prompt.costing import Sent


class Workspace:
    """One shell as the commands see it."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self.failures = Failures(shell.compile.format_code_name)
        self.left_out: LeftOut | None = None
        self.sent: Sent | None = None
        self.approved: dict[str, Any] = {}
        self._last_picture: Any = None  # base64 as it was shown, or the object
        self._thread = ""
        self._asked = ("", 0)  # which execution asked last, and how often it did

    def begin(self) -> None:
        """Take note from here on of what fails."""
        self._shell.events.register("post_run_cell", self.failures.note)
        self._shell.events.register("post_run_cell", self._note_result)
        if hasattr(self._shell.display_pub, "register_hook"):  # a kernel's
            self._shell.display_pub.register_hook(self._note_display)

    def end(self) -> None:
        """Take no more notes."""
        self._shell.events.unregister("post_run_cell", self.failures.note)
        self._shell.events.unregister("post_run_cell", self._note_result)
        if hasattr(self._shell.display_pub, "unregister_hook"):
            self._shell.display_pub.unregister_hook(self._note_display)

    def names(self) -> dict[str, Any]:
        """Return what the user has named, without what IPython itself puts there."""
        hidden = self._shell.user_ns_hidden
        return {
            name: value
            for name, value in self._shell.user_ns.items()
            if not name.startswith("_") and hidden.get(name, self) is not value
        }

    def evaluate(self, expression: str) -> Any:
        """Return what the user's expression gives in the user's namespace."""
        names = {"Err": self.failures, **self._shell.user_ns}
        history = self._shell.history_manager
        if history and names.get("In") is history.input_hist_parsed:
            names["In"] = history.input_hist_raw  # the cells as typed
        with self._shell.builtin_trap:
            return eval(expression, names)  # noqa: S307 - as if it were typed in a cell

    def insert(self, code: str) -> str:
        """Offer code in a new cell below, or at the next prompt; nothing runs by itself.

        No front end tells whether it makes one (Colab, for one, does not): so the hint.
        """
        self._shell.set_next_input(safe_text(code).rstrip("\n"))
        if hasattr(self._shell, "kernel"):
            return "The code is in a new cell below, not run; if there is none, copy it from here."
        return "The code is at the next prompt; Enter runs it."

    def _note_result(self, result: Any) -> None:
        """Keep what a cell ends with, should it be a picture."""
        if result.result is None:
            return
        from ..media.images import is_picture

        if is_picture(result.result):
            self._last_picture = result.result

    def _note_display(self, message: dict[str, Any]) -> dict[str, Any]:
        """Keep the picture of a message to the front end, and pass that on as it is."""
        data = message.get("content", {}).get("data", {})
        picture = data.get("image/png") or data.get("image/jpeg")
        if picture:
            self._last_picture = picture
        return message

    def last_picture(self) -> bytes | None:
        """Return the figure or image shown last, or in a terminal pyplot's present figure."""
        from ..media.images import decoded, picture_of

        last = self._last_picture
        if last is None:
            pyplot = sys.modules.get("matplotlib.pyplot")
            last = pyplot.gcf() if pyplot and pyplot.get_fignums() else None
        return decoded(last) if isinstance(last, str) else picture_of(last)

    @property
    def thread(self) -> str:
        """The thread that -c continues: at first one of this notebook's own."""
        return self._thread or self._notebook()

    @thread.setter
    def thread(self, name: str) -> None:
        self._thread = name

    def _notebook(self) -> str:
        """Return the notebook's path, if the front end tells it; else a name for this kernel."""
        path = notebook_name(environment(), self._shell.user_ns)
        if path:
            return path.replace(str(Path.home()), "~", 1)
        self._thread = f"kernel {os.getpid()} of {datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
        return self._thread

    def cell(self) -> str:
        """Return the running cell's id and which call of it this is: a loop makes several."""
        parent = self._parent()
        cell = str(parent.get("metadata", {}).get("cellId") or "")
        execution = str(parent.get("header", {}).get("msg_id"))
        last, count = self._asked
        self._asked = (execution, count + 1 if last == execution else 1)
        return f"{cell} {self._asked[1]}" if cell else ""

    def _parent(self) -> Mapping[str, Any]:
        """Return the message that asked for this execution; a terminal has none."""
        get_parent = getattr(self._shell, "get_parent", None)
        return get_parent() if get_parent else {}

    @property
    def can_ask(self) -> bool:
        """Whether the front end that runs this cell lets its user be asked."""
        return bool(self._parent().get("content", {}).get("allow_stdin", True))

    def failure(self, number: int | None) -> Failure | None:
        """Return what failed in the cell of this number, or last; None where nothing did."""
        return self.failures.find(number)

    def source(self, number: int) -> str:
        """Return the cell that bears a number, as typed; "" where there is none."""
        history = self._shell.history_manager
        cells = history.input_hist_raw if history else []
        return cells[number] if 0 < number < len(cells) else ""
