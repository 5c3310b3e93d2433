"""Ask a model about a cell's code and, if the cell failed, its traceback."""

from ..errors import InvalidOptionError
from ..i18n import _, mark
from ..notebook import CellError
from ..prompt.builder import Part, Prompt, UserMessage
from ..prompt.output_formats import OutputFormat
from ..session.call import build_target_request
from .chat_run import ChatRun
from .frontend import Frontend, NotebookState
from .options import Option

CELL_OPTIONS = (
    Option(
        "number",
        nargs="?",
        type=int,
        help=mark("cell number: 3 for In[3]; default: the last cell that failed"),
    ),
    Option(
        *("-m", "--model"),
        default="",
        metavar="NAME",
        help=mark("model; the end of its name is enough"),
    ),
)


def require_notebook_state(frontend: Frontend) -> NotebookState:
    """Return the front end's notebook state.

    Raises:
        InvalidOptionError: The command was run in a shell.
    """
    if frontend.notebook_state is None:
        raise InvalidOptionError(
            _("This command works only in a notebook or in IPython"),
            _("Run it there, for example in JupyterLab."),
        )
    return frontend.notebook_state


def no_error_message(cell_number: int | None) -> str:
    """Return a message that the cell did not fail.

    If `cell_number` is None, return a message that no cell has failed.
    """
    if not cell_number:
        return _("No cell has failed so far")
    return _("{cell} did not fail").format(cell=f"In[{cell_number}]")


def build_error_parts(cell_error: CellError) -> tuple[Part, ...]:
    """Return prompt parts with the source and the traceback of a failed cell.

    The prompt does not contain the cell number, so a recording can be replayed in any cell.
    """
    traceback = cell_error.traceback.replace(f'File "In[{cell_error.number}]"', 'File "the cell"')
    return (
        Part("cell", f"The cell:\n\n{cell_error.source.rstrip()}\n", f"In[{cell_error.number}]"),
        Part("traceback", f"\nIt failed with:\n\n{traceback}\n", cell_error.last_line),
    )


def ask_about_cell(
    frontend: Frontend,
    model_name: str,
    system: str,
    parts: tuple[Part, ...],
    output_format: OutputFormat,
) -> None:
    """Send a system prompt and the prompt parts for a cell, and display the answer."""
    prompt = Prompt(UserMessage(parts), (Part("system", system),))
    target = frontend.session.resolve_target(model_name)
    request = build_target_request(frontend.session.settings, target, prompt.messages)
    chat_run = ChatRun(frontend, output_format, prompt, request, target, show_prompt=True)
    chat_run.run(frontend.session.settings.footer, "")
