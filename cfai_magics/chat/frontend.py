"""The interface between commands and front ends: displays, notebook state, prompts."""

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
        """Show why no delta has been received yet."""

    def restart(self, line: str) -> None:
        """Clear the display for a second answer, and show why."""

    def show_tool_step(self, line: str) -> None:
        """Show a line below the text so far; later text is shown below this line."""

    def end(self, answer: Answer | None) -> None:
        """Show the final answer; None if there is none."""

    def show_prompt(self, report: "PromptReport") -> None:
        """Show the prompt report below the answer."""


class ComparisonDisplay(Protocol):
    """Display of several streamed answers, addressed by their index."""

    def add(self, index: int, delta: Delta) -> None:
        """Show the next delta of the answer at `index`."""

    def show_status(self, index: int, line: str) -> None:
        """Show why no delta of this answer has been received yet."""

    def show_final_answer(self, index: int, answer: Answer, error: str) -> None:
        """Show a final answer, with its error if it failed."""

    def end(self, answers: "AnswerSet", footer: str) -> None:
        """Show all final answers and the footer."""

    def show_prompt(self, report: "PromptReport") -> None:
        """Show the prompt report below the answers."""


class NotebookState(Protocol):
    """The state of a running IPython kernel that commands use.

    `thread` is the conversation that -c continues. `unsaved_turn` is the last turn that was not
    saved in it. `last_prompt` reports the last prompt sent. `approved_tools` maps names to the
    functions that the user lets models call.
    """

    thread: str
    unsaved_turn: "UnsavedTurn | None"
    last_prompt: "PromptReport | None"
    approved_tools: dict[str, Any]

    @property
    def can_ask_user(self) -> bool:
        """Whether the kernel can ask the user a question."""

    def get_cell_error(self, cell_number: int | None) -> "CellError | None":
        """Return the error of the cell with this number, or the last error, or None."""

    def get_cell_source(self, cell_number: int) -> str:
        """Return the source of the cell with this number; "" if there is none."""

    def next_cell_key(self) -> str:
        """Return a key for this %%cfai call of this cell; "" if the cell is not known."""

    def insert_cell(self, code: str) -> str:
        """Insert code as a new cell without running it, and return a note for the user."""

    def get_last_image(self) -> bytes | None:
        """Return the bytes of the last figure or image shown; None if there is none."""

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the user's namespace."""


class Frontend(NamedTuple):
    """The functions through which a command uses its front end: notebook, terminal or shell.

    `create_answer_display(output_format, footer_style)` displays one answer and
    `create_comparison_display(variants, output_format, footer_style)` several. `print` shows a
    line, and `start_progress(title)` returns a callback for progress. `prompt_secret` asks for a
    secret, `confirm` for permission. `store_result(name, answer)` stores an answer for the user.
    `is_one_shot` is True for the shell: without a kernel, choices are kept in the settings file,
    and `notebook_state` is None. `supports_widgets` says whether ipywidgets are displayed.
    `read_stdin` reads standard input.
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
