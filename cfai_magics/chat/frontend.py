"""Define the displays, notebook state and input functions that front ends provide to commands."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ..prompt.output_formats import OutputFormat
from ..types.messages import Answer, Delta

if TYPE_CHECKING:
    from ..display.footer import Footer
    from ..notebook import CellError
    from ..prompt.builder import PromptReport
    from ..prompt.cell_context import CellAbove
    from ..session.session import Session
    from ..types.answer_set import AnswerSet, Variant
    from .piped_input import ReadStdin
    from .turns import UnsavedTurn


class AnswerDisplay(Protocol):
    """A display for one streamed answer."""

    def start_waiting(self, model_name: str) -> None:
        """Show that the model is answering, until the first token or `stop_waiting`."""

    def stop_waiting(self) -> None:
        """Stop counting the seconds of the wait, if no token has stopped it."""

    def add(self, delta: Delta) -> None:
        """Show the next delta."""

    def show_status(self, line: str) -> None:
        """Show why the answer is delayed."""

    def restart(self, line: str) -> None:
        """Start over with a new answer, and show the reason."""

    def show_tool_step(self, line: str) -> None:
        """Show a line below the text received so far. Later text is shown below the line."""

    def end(self, answer: Answer | None) -> None:
        """Show the final answer. `answer` is None if no text was received."""

    def show_prompt(self, report: "PromptReport") -> None:
        """Show the prompt report below the answer."""


class ComparisonDisplay(Protocol):
    """A display for several streamed answers. Each answer has an index."""

    def update_waiting(self) -> None:
        """Show which models are answering. Called every 0.1 seconds while no delta arrives."""

    def add(self, index: int, delta: Delta) -> None:
        """Show the next delta of the answer at `index`."""

    def show_status(self, index: int, line: str) -> None:
        """Show why the answer at `index` is delayed."""

    def show_final_answer(self, index: int, answer: Answer, error: str) -> None:
        """Show the final answer at `index` and the error, which is "" if nothing failed."""

    def end(self, answers: "AnswerSet", footer: "Footer") -> None:
        """Show all final answers and the footer."""

    def show_prompt(self, report: "PromptReport") -> None:
        """Show the prompt report below the answers."""


class NotebookState(Protocol):
    """The parts of a running kernel's state that commands use.

    Attributes:
        thread: The thread that -c continues.
        unsaved_turn: The last turn that was not saved in its thread, if any.
        last_prompt: The report on the last prompt that was sent, if any.
        approved_tools: A mapping of names to the functions that the user allows models to call.
    """

    thread: str
    unsaved_turn: "UnsavedTurn | None"
    last_prompt: "PromptReport | None"
    approved_tools: dict[str, Any]

    @property
    def can_ask_user(self) -> bool:
        """Whether the kernel can ask the user a question."""

    def get_cell_error(self, cell_number: int | None) -> "CellError | None":
        """Return the error raised by a cell, or None if the cell did not fail.

        Args:
            cell_number: The number of the cell, or None for the last cell that failed.
        """

    def get_cells_above(self) -> "Sequence[CellAbove]":
        """Return the cells above the running cell that have run in this kernel, oldest first."""

    def get_cell_source(self, cell_number: int) -> str:
        """Return the source of the cell with this number, or "" if there is no such cell."""

    def next_cell_key(self) -> str:
        """Return a key for this %%cfai call in the running cell, or "" if the cell is unknown."""

    def insert_cell(self, code: str) -> str:
        """Insert code as a new cell without running the cell, and return a note for the user."""

    def get_last_image(self) -> bytes | None:
        """Return the bytes of the last figure or image shown, or None if none was shown."""

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the user's namespace."""


class Frontend(NamedTuple):
    """The functions that a command uses to show output and ask for input.

    There is one front end for notebooks, one for IPython in a terminal, and one for the shell.

    Attributes:
        create_answer_display: Creates the display for one answer. Takes `(output_format,
            footer_style)`.
        print: Shows a line of text.
        start_progress: Starts a progress display. Takes `(title)`, and returns a callback that
            takes `(bytes_done, bytes_total)`.
        prompt_secret: Asks the user for a secret.
        prompt_account_id: Asks the user for an account ID, which is shown as the user types it.
            Text that may be a secret is removed from the screen or the cell's output.
        confirm: Asks the user a yes-or-no question.
        store_result: Stores an answer in a user variable. Takes `(name, answer)`.
        create_comparison_display: Creates the display for several answers. Takes `(variants,
            output_format, footer_style)`.
        notebook_state: The state of the kernel, or None in the shell.
        is_one_shot: Whether this is the shell. In the shell, each command is its own session, so
            choices are saved in the settings file.
        supports_widgets: Whether the front end displays ipywidgets.
        read_stdin: Reads standard input. None outside the shell.
    """

    session: "Session"
    create_answer_display: Callable[[OutputFormat, str], AnswerDisplay]
    print: Callable[[str], None]
    start_progress: Callable[[str], Callable[[int, int], None]]
    prompt_secret: Callable[[str], str]
    prompt_account_id: Callable[[str], str]
    confirm: Callable[[str], bool]
    store_result: Callable[[str, "Answer | AnswerSet"], None]
    create_comparison_display: Callable[
        ["Sequence[Variant]", OutputFormat, str], ComparisonDisplay
    ]
    notebook_state: NotebookState | None = None
    is_one_shot: bool = False
    supports_widgets: bool = False
    read_stdin: "ReadStdin | None" = None
