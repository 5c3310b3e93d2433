"""Owns what a running IPython offers a command: its names, its cells, what failed in them."""

from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from .failures import Failures


class Workspace:
    """One shell as the commands see it."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self.failures = Failures(shell.compile.format_code_name)

    def begin(self) -> None:
        """Take note from here on of what fails."""
        self._shell.events.register("post_run_cell", self.failures.note)

    def end(self) -> None:
        """Take no more notes."""
        self._shell.events.unregister("post_run_cell", self.failures.note)

    def evaluate(self, expression: str) -> Any:
        """Return what the user's expression gives in the user's namespace."""
        names = {"Err": self.failures, **self._shell.user_ns}
        history = self._shell.history_manager
        if history and names.get("In") is history.input_hist_parsed:
            names["In"] = history.input_hist_raw  # the cells as typed
        with self._shell.builtin_trap:
            return eval(expression, names)  # noqa: S307 - as if it were typed in a cell

    def source(self, number: int) -> str:
        """Return the cell that bears a number, as typed; "" where there is none."""
        history = self._shell.history_manager
        cells = history.input_hist_raw if history else []
        return cells[number] if 0 < number < len(cells) else ""
