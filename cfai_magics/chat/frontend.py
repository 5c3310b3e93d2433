"""Define the interface between commands and front ends: displays, notebook state and input."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ..prompt.output_formats import OutputFormat
from ..types.messages import Answer, Delta

if TYPE_CHECKING:
    from ..notebook import CellError
    from ..prompt.builder import PromptReport
    from ..session.session import Session
    from ..types.answer_set import AnswerSet, Variant
    from .piped_input import ReadStdin
    from .turns import UnsavedTurn


class AnswerDisplay(Protocol):
    """A display for one streamed answer."""

    def add(self, delta: Delta) -> None:
        """Show the next delta."""

    def show_status(self, line: str) -> None:
        """Show why no delta has been received yet."""

    def restart(self, line: str) -> None:
        """Clear the display for a second answer, and show the reason for it."""

    def show_tool_step(self, line: str) -> None:
        """Show a line below the received text; later text is shown below this line."""

    def end(self, answer: Answer | None) -> None:
        """Show the final answer. `answer` is None if no text was received."""

    def show_prompt(self, report: "PromptReport") -> None:
        """Show the prompt report below the answer."""


class ComparisonDisplay(Protocol):
    """A display for several streamed answers, which are addressed by index."""

    def add(self, index: int, delta: Delta) -> None:
        """Show the next delta of the answer at `index`."""

    def show_status(self, index: int, line: str) -> None:
        """Show why no delta of the answer at `index` has been received yet."""

    def show_final_answer(self, index: int, answer: Answer, error: str) -> None:
        """Show the final answer at `index`, and its error ("" if there is none)."""

    def end(self, answers: "AnswerSet", footer: str) -> None:
        """Show all final answers and the footer."""

    def show_prompt(self, report: "PromptReport") -> None:
        """Show the prompt report below the answers."""


class NotebookState(Protocol):
    """The state that commands use in a running IPython kernel.

    Attributes:
        thread: The thread that -c continues.
        unsaved_turn: The last turn that was not saved in its thread.
        last_prompt: The report on the last prompt that was sent.
        approved_tools: The functions that the user allows models to call, keyed by name.
    """

    thread: str
    unsaved_turn: "UnsavedTurn | None"
    last_prompt: "PromptReport | None"
    approved_tools: dict[str, Any]

    @property
    def can_ask_user(self) -> bool:
        """Whether the kernel can ask the user a question."""

    def get_cell_error(self, cell_number: int | None) -> "CellError | None":
        """Return the error of a cell; None if it did not fail.

        Args:
            cell_number: The number of the cell; None for the last cell that failed.
        """

    def get_cell_source(self, cell_number: int) -> str:
        """Return the source of the cell with this number; "" if there is no such cell."""

    def next_cell_key(self) -> str:
        """Return a key for this %%cfai call in the running cell; "" if the cell is unknown."""

    def insert_cell(self, code: str) -> str:
        """Insert code as a new cell without running it, and return a note for the user."""

    def get_last_image(self) -> bytes | None:
        """Return the bytes of the last figure or image shown; None if none was shown."""

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the user's namespace."""


class Frontend(NamedTuple):
    """The functions through which a command uses its front end: notebook, terminal or shell.

    Attributes:
        create_answer_display: Creates the display for one answer. Takes `(output_format,
            footer_style)`.
        print: Shows a line.
        start_progress: Starts a progress display. Takes `(title)`, and returns a callback that
            takes `(bytes_done, bytes_total)`.
        prompt_secret: Asks the user for a secret.
        confirm: Asks the user a yes-or-no question.
        store_result: Stores an answer in a user variable. Takes `(name, answer)`.
        create_comparison_display: Creates the display for several answers. Takes `(variants,
            output_format, footer_style)`.
        notebook_state: The state of the kernel; None in the shell.
        is_one_shot: Whether this is the shell, where choices are saved in the settings file.
        supports_widgets: Whether the front end displays ipywidgets.
        read_stdin: Reads standard input; None outside the shell.
    """

    session: "Session"
    create_answer_display: Callable[[OutputFormat, str], AnswerDisplay]
    print: Callable[[str], None]
    start_progress: Callable[[str], Callable[[int, int], None]]
    prompt_secret: Callable[[str], str]
    confirm: Callable[[str], bool]
    store_result: Callable[[str, "Answer | AnswerSet"], None]
    create_comparison_display: Callable[
        ["Sequence[Variant]", OutputFormat, str], ComparisonDisplay
    ]
    notebook_state: NotebookState | None = None
    is_one_shot: bool = False
    supports_widgets: bool = False
    read_stdin: "ReadStdin | None" = None
