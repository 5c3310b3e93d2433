"""Give commands access to the variables, cells, errors, figures and threads in IPython."""

import inspect
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from IPython.core.interactiveshell import InteractiveShell

from ..errors import InvalidOptionError
from ..i18n import _
from ..notebook import CellError, CellErrors, find_notebook_path
from ..secret import get_environment
from ..terminal import sanitize_text
from .cell_record import CellRecord

if TYPE_CHECKING:
    from ..chat.turns import UnsavedTurn
    from ..prompt.builder import PromptReport
    from ..prompt.cell_context import CellAbove


MAGIC_PACKAGES = ("cfai_magics", "IPython", "ipykernel")  # between the magic and its caller


class IPythonState:
    """The `NotebookState` implementation for an IPython shell."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self.cell_errors = CellErrors(shell.compile.format_code_name)
        self.cell_record = CellRecord(shell, self.cell_errors)
        self.unsaved_turn: UnsavedTurn | None = None
        self.last_prompt: PromptReport | None = None
        self.approved_tools: dict[str, Any] = {}
        self._last_image: Any = None  # displayed base64 data, or a figure object
        self._thread_name = ""
        self._last_execution = ("", 0)  # the last execution's ID and call count

    def attach(self) -> None:
        """Start recording cells, errors and figures."""
        self._shell.events.register("post_run_cell", self.cell_errors.on_post_run_cell)
        self._shell.events.register("post_run_cell", self._capture_result)
        if hasattr(self._shell.display_pub, "register_hook"):  # only in a kernel
            self._shell.display_pub.register_hook(self._capture_display)
        self.cell_record.attach()

    def detach(self) -> None:
        """Stop recording cells, errors and figures."""
        self._shell.events.unregister("post_run_cell", self.cell_errors.on_post_run_cell)
        self._shell.events.unregister("post_run_cell", self._capture_result)
        if hasattr(self._shell.display_pub, "unregister_hook"):
            self._shell.display_pub.unregister_hook(self._capture_display)
        self.cell_record.detach()

    def get_user_names(self) -> dict[str, Any]:
        """Return the user's variables, excluding variables that IPython defines.

        A subshell of the kernel can call this while a cell adds variables.
        """
        hidden_names = self._shell.user_ns_hidden
        return {
            name: value
            for name, value in self._shell.user_ns.copy().items()
            if not name.startswith("_") and hidden_names.get(name, self) is not value
        }

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression where the magic runs.

        The names are those of the user and, if a function runs the magic, those of the function.
        """
        namespace = {"Err": self.cell_errors, **self._shell.user_ns}
        history = self._shell.history_manager
        if history and namespace.get("In") is history.input_hist_parsed:
            namespace["In"] = history.input_hist_raw  # source as typed
        namespace |= self._get_caller_names()
        with self._shell.builtin_trap:
            return eval(expression, namespace)  # noqa: S307 - the user's own code

    def store(self, variables: Mapping[str, Any]) -> None:
        """Store variables for the user, and also for the script that runs the magic, if any.

        `%run` gives a script its own names. A callback may be called by a library, whose names
        are left unchanged.
        """
        self._shell.push(variables, interactive=False)  # type: ignore[no-untyped-call]
        frame = _get_caller_frame()
        if frame and frame.f_globals.get("__name__") == "__main__":
            frame.f_globals.update(variables)

    def _get_caller_names(self) -> dict[str, Any]:
        """Return the local variables and the module's names of the code that runs the magic.

        Return an empty dict if a cell runs the magic outside a function.
        """
        frame = _get_caller_frame()
        user_names = self._shell.user_ns
        if frame is None or frame.f_locals is user_names:
            return {}
        module_names = {} if frame.f_globals is user_names else frame.f_globals
        return {**module_names, **frame.f_locals}

    def insert_cell(self, code: str) -> str:
        """Insert code into a new cell or the next prompt, and return a note for the user.

        The code does not run until the user runs it. Some front ends, such as Colab, do not add a
        cell, and no front end reports whether it added one. The note therefore says what to do if
        there is no new cell.
        """
        self._shell.set_next_input(sanitize_text(code).rstrip("\n"))
        if hasattr(self._shell, "kernel"):
            return _(
                "The code is in the new cell below; run it if you agree. If there is no new cell, "
                "copy the code from here."
            )
        return _("The code is at the next prompt; press Enter to run it.")

    def _capture_result(self, result: Any) -> None:
        """Store a cell's result if it is a figure or an image."""
        if result.result is None:
            return
        from ..media.images import is_figure

        if is_figure(result.result):
            self._last_image = result.result

    def _capture_display(self, message: dict[str, Any]) -> dict[str, Any]:
        """Record a display message and its image, if any, and return the message unchanged."""
        if not self.cell_record.is_paused:
            self.cell_record.record_display(message)
        data = message.get("content", {}).get("data", {})
        image = data.get("image/png") or data.get("image/jpeg")
        if image:
            self._last_image = image
        return message

    def get_last_image(self) -> bytes | None:
        """Return the last figure or image shown, as the content of an image file.

        In a terminal, most figures are not recorded. If no figure or image was recorded, return
        pyplot's current figure, or None if pyplot has no figure.
        """
        from ..media.images import decode_base64, figure_bytes

        image = self._last_image
        if image is None:
            pyplot = sys.modules.get("matplotlib.pyplot")
            image = pyplot.gcf() if pyplot and pyplot.get_fignums() else None
        return decode_base64(image) if isinstance(image, str) else figure_bytes(image)

    @property
    def thread(self) -> str:
        """The name of the thread that -c continues. The default is the notebook's own thread."""
        return self._thread_name or self._default_thread_name()

    @thread.setter
    def thread(self, name: str) -> None:
        self._thread_name = name

    def _default_thread_name(self) -> str:
        """Return the notebook's path, or a name for this kernel if the path is unknown."""
        path = find_notebook_path(get_environment(), self._shell.user_ns)
        if path:
            return path.replace(str(Path.home()), "~", 1)
        self._thread_name = f"kernel {os.getpid()} of {datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
        return self._thread_name

    def next_cell_key(self) -> str:
        """Return a key made from the cell's ID and a count of the calls in the running cell.

        The count is needed because a cell can make several calls, for example, in a loop. The key
        is "" if the front end does not send a cell ID.
        """
        parent = self._get_parent_message()
        cell_id = str(parent.get("metadata", {}).get("cellId") or "")
        execution_id = str(parent.get("header", {}).get("msg_id"))
        last_execution_id, call_count = self._last_execution
        self._last_execution = (
            execution_id,
            call_count + 1 if last_execution_id == execution_id else 1,
        )
        return f"{cell_id} {self._last_execution[1]}" if cell_id else ""

    def _get_parent_message(self) -> Mapping[str, Any]:
        """Return the request that started this execution, or an empty mapping in a terminal."""
        get_parent = getattr(self._shell, "get_parent", None)
        return get_parent() if get_parent else {}

    @property
    def can_ask_user(self) -> bool:
        """Whether the front end can ask the user for input."""
        return bool(self._get_parent_message().get("content", {}).get("allow_stdin", True))

    def get_cell_error(self, cell_number: int | None) -> CellError | None:
        """Return the error raised by the cell with this number, or None if the cell did not fail.

        If `cell_number` is None, return the last error in any cell, or None if no cell failed.
        """
        return self.cell_errors.find(cell_number)

    def get_cells_above(self) -> "list[CellAbove]":
        """Return the cells above the running cell that have run in this kernel, oldest first.

        The order is that of the saved notebook if it contains the running cell. Otherwise, it is
        the order in which the cells ran first.
        """
        from ..notebook import read_cell_ids
        from ..paths import parse_user_path

        path = find_notebook_path(get_environment(), self._shell.user_ns)
        try:
            cell_ids = read_cell_ids(parse_user_path(path)) if path else []
        except InvalidOptionError:  # the notebook has not been saved, or is a script
            cell_ids = []
        return self.cell_record.cells_above(cell_ids)

    def get_cell_source(self, cell_number: int) -> str:
        """Return the source of the cell with this number as typed, or "" if no such cell ran."""
        history = self._shell.history_manager
        cells = history.input_hist_raw if history else []
        return cells[cell_number] if 0 < cell_number < len(cells) else ""


def _get_caller_frame() -> FrameType | None:
    """Return the frame of the code that runs the magic."""
    frame = inspect.currentframe()
    while frame:
        module_name = str(frame.f_globals.get("__name__", ""))
        if module_name.partition(".")[0] not in MAGIC_PACKAGES:
            break
        frame = frame.f_back
    return frame
