"""Define the interface between commands and front ends: displays, notebook state, user input."""

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
    """Display of one streamed answer."""

    def add(self, delta: Delta) -> None:
        """Show the next delta."""

    def show_status(self, line: str) -> None:
        """Show why no delta has been received so far."""

    def restart(self, line: str) -> None:
        """Clear the display for a second answer, and show the reason."""

    def show_tool_step(self, line: str) -> None:
        """Show a line below the received text; later text is shown below this line."""

    def end(self, answer: Answer | None) -> None:
        """Show the final answer; None if no text was received."""

    def show_prompt(self, report: "PromptReport") -> None:
        """Show the prompt report below the answer."""


class ComparisonDisplay(Protocol):
    """Display of several streamed answers, addressed by their index."""

    def add(self, index: int, delta: Delta) -> None:
        """Show the next delta of the answer at `index`."""

    def show_status(self, index: int, line: str) -> None:
        """Show why no delta of this answer has been received so far."""

    def show_final_answer(self, index: int, answer: Answer, error: str) -> None:
        """Show a final answer, with its error if it failed."""

    def end(self, answers: "AnswerSet", footer: str) -> None:
        """Show all final answers and the footer."""

    def show_prompt(self, report: "PromptReport") -> None:
        """Show the prompt report below the answers."""


class NotebookState(Protocol):
    """The state of a running IPython kernel that commands use.

    Attributes:
        thread: The thread that -c continues.
        unsaved_turn: The last turn that was not saved in its thread.
        last_prompt: The report on the last prompt that was sent.
        approved_tools: The functions that the user lets models call, by name.
    """

    thread: str
    unsaved_turn: "UnsavedTurn | None"
    last_prompt: "PromptReport | None"
    approved_tools: dict[str, Any]

    @property
    def can_ask_user(self) -> bool:
        """Whether the kernel can ask the user a question."""

    def get_cell_error(self, cell_number: int | None) -> "CellError | None":
        """Return the error of the cell with this number, or without a number the last error.

        Returns None if no such cell failed.
        """

    def get_cell_source(self, cell_number: int) -> str:
        """Return the source of the cell with this number; "" if no cell has it."""

    def next_cell_key(self) -> str:
        """Return a key for this %%cfai call of this cell; "" if the cell is unknown."""

    def insert_cell(self, code: str) -> str:
        """Insert code as a new cell without running it, and return a note for the user."""

    def get_last_image(self) -> bytes | None:
        """Return the bytes of the last figure or image shown; None if none was shown."""

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the user's namespace."""


class Frontend(NamedTuple):
    """The functions through which a command uses its front end: notebook, terminal or shell.

    Attributes:
        create_answer_display: `(output_format, footer_style)`: create the display of one answer.
        print: Show a line.
        start_progress: `(title)`: return a callback `(bytes_done, bytes_total)`.
        prompt_secret: Ask the user for a secret.
        confirm: Ask the user a yes-or-no question.
        store_result: `(name, answer)`: store an answer in a variable of the user.
        create_comparison_display: `(variants, output_format, footer_style)`: create the display
            of several answers.
        notebook_state: The state of the kernel; None in the shell.
        is_one_shot: Whether this is the shell: choices are saved in the settings file.
        supports_widgets: Whether the front end displays ipywidgets.
        read_stdin: Read standard input; None except in the shell.
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
