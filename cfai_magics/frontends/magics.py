"""Define the `%cfai` and `%%cfai` magics, which parse their line and run a command."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand

from .. import forks
from ..chat.options import ASK_OPTIONS, OptionParser, get_ask_parser
from ..commands import run
from ..errors import InterruptedAnswerError
from ..i18n import _, mark
from ..magic_line import split_magic_line
from ..notebook import find_notebook_path
from ..secret import get_environment
from ..settings import Cfai
from .ipython_state import IPythonState

if TYPE_CHECKING:
    from ..chat.frontend import Frontend
    from ..session.session import Session
    from ..types.answer_set import AnswerSet
    from ..types.messages import Answer
    from .lab_comm import LabComm

CELL_HELP = mark(
    "Send the cell's text to a Cloudflare Workers AI model and stream the answer below the "
    "cell.\n\n{{expression}} is replaced with its value; all other text is sent as typed. The "
    "Answer is\nstored in `_cfai`, and with -o also in a variable of your choice."
)
CELL_EXAMPLES = mark(
    "examples:\n"
    "  %%cfai\n"
    "  What is a neuron?\n"
    "\n"
    "  %%cfai -m llama-3.2-3b-instruct -t 0 -o summary\n"
    "  Summarize this in one sentence: {{text}}"
)


def format_cell_help() -> str:
    """Return the help text for `%%cfai`, with a description, two examples and the options."""
    parser = OptionParser("%%cfai", ASK_OPTIONS)
    parser.description = f"{_(CELL_HELP)}\n\n{_(CELL_EXAMPLES)}"
    parser.usage = "%%%%cfai [options]\n  prompt"
    return parser.format_help()


def with_cell_help(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make IPython show the text from `format_cell_help` as the function's help.

    IPython calls an object's `getdoc` method, if it has one, instead of reading its docstring.
    """
    function.__dict__["getdoc"] = format_cell_help
    return function


def _interrupted_error() -> InterruptedAnswerError:
    return InterruptedAnswerError(_("Interrupted"), _("Run the cell again."))


@magics_class
class CfaiMagics(forks.ChildForkHook, Magics):
    """The `%cfai` and `%%cfai` magics, which share a session with `cfai_magics.ask`."""

    def __init__(self, shell: InteractiveShell, settings: Cfai, home: Path) -> None:
        super().__init__(shell=shell)
        self._shell = shell
        self.settings = settings
        self._home = home
        self._environ = get_environment()
        self.ipython_state = IPythonState(shell)
        self.previous_magics: Mapping[str, Any] = {}
        self.lab_comm: LabComm | None = None
        self._session_lock = threading.Lock()  # cells and JupyterLab requests use the session
        self._session: Session | None = None
        self._created_frontend: Frontend | None = None
        forks.register(self)

    def after_fork_in_child(self) -> None:
        """Replace the lock, because a thread in the parent process may hold the old one."""
        self._session_lock = threading.Lock()

    @property
    def session(self) -> "Session":
        """The session for this shell, created on first use so that the extension loads fast."""
        with self._session_lock:
            if self._session is None:
                from ..session.session import Session

                self._session = Session(self.settings, self._home)
                self._session.notebook = find_notebook_path(self._environ, self._shell.user_ns)
            return self._session

    def on_pre_run_cell(self, _info: object) -> None:
        """Tell the recorder that a cell is starting, and update the session's notebook path."""
        if self._session is not None:
            self._session.recorder.begin_cell()
            self._session.notebook = find_notebook_path(self._environ, self._shell.user_ns)

    def close(self) -> None:
        """Close the session if one was created."""
        if self._session is not None:
            self._session.close()

    @no_var_expand
    @line_magic("cfai")
    def command(self, line: str) -> object:
        """Run a command, such as `%cfai status`. `%cfai help` lists all commands."""
        words = split_magic_line(line) or ["status"]
        cell_record = self.ipython_state.cell_record
        cell_record.is_paused = True  # _store_result records the answer, without its footer
        try:
            return run(words[0], words[1:], self._frontend, "%cfai")
        except KeyboardInterrupt:
            raise _interrupted_error() from None
        finally:
            cell_record.is_paused = False

    @with_cell_help
    @no_var_expand
    @cell_magic("cfai")
    def cell(self, line: str, cell: str) -> object:
        """Send the cell's text to a model and stream the answer.

        Users see the help text from `format_cell_help` instead of this docstring.
        """
        from ..commands.ask import ask_prompt

        options = get_ask_parser().parse_args(self._split_line(line))
        cell_record = self.ipython_state.cell_record
        cell_record.is_paused = True  # _store_result records the answer, without its footer
        try:
            result = ask_prompt(self._frontend, cell, options)
        except KeyboardInterrupt:
            raise _interrupted_error() from None
        finally:
            cell_record.is_paused = False
        return result if options.dry_run else None

    def _split_line(self, line: str) -> list[str]:
        """Return the words on the line.

        Raises TokenInCommandError if the line contains an API token.
        """
        if not line.strip():
            return []
        from ..redaction import reject_token

        reject_token(line)
        return split_magic_line(line)

    @property
    def _frontend(self) -> "Frontend":
        """The front end for this shell, created on first use."""
        if self._created_frontend is None:
            if hasattr(self._shell, "kernel"):
                from .notebook import create_notebook_frontend as create_frontend
            else:
                from .terminal import create_terminal_frontend as create_frontend
            self._created_frontend = create_frontend(
                self.session, self._store_result, self.ipython_state
            )
        return self._created_frontend

    def _store_result(self, name: str, answer: "Answer | AnswerSet") -> None:
        self.ipython_state.store({"_cfai": answer, **({name: answer} if name else {})})
        running_cell = self.ipython_state.cell_record.running
        if running_cell is not None:
            running_cell.outputs.append(answer)
