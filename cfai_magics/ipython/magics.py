"""Owns `%cfai` and `%%cfai`: reads the line and hands over to a command."""

import threading
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments

from .. import forks
from ..asking.options import ASK_OPTIONS
from ..commands import run
from ..errors import BadOption
from ..notebook.path import notebook_name
from ..secret import environment
from ..settings import Cfai
from ..words import split_words
from .workspace import Workspace

if TYPE_CHECKING:
    from ..asking.door import Door
    from ..jupyterlab.bridge import Bridge
    from ..session import Session
    from ..values import Answer
    from ..values.answers import Answers


def with_ask_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Declare ASK_OPTIONS on a cell magic: for its help, its completion and its parser."""
    for option in reversed(ASK_OPTIONS):
        function = argument(*option.flags, **option.keywords)(function)
    declared: Callable[..., Any] = magic_arguments()(function)
    return declared


@magics_class
class CfaiMagics(forks.InChild, Magics):
    """The two magics, and the session they share with `cfai_magics.ask`."""

    def __init__(self, shell: InteractiveShell, settings: Cfai, home: Path) -> None:
        super().__init__(shell=shell)
        self._shell = shell
        self.settings = settings
        self._home = home
        self.workspace = Workspace(shell)
        self.displaced: Mapping[str, Any] = {}
        self.bridge: Bridge | None = None
        self._beginning = threading.Lock()  # a cell and JupyterLab may ask at once
        self._session: Session | None = None
        forks.register(self)

    def in_child(self) -> None:
        """Begin with a lock that no thread holds."""
        self._beginning = threading.Lock()

    @property
    def session(self) -> "Session":
        """The session of this shell, begun when first needed: loading stays light."""
        with self._beginning:
            if self._session is None:
                from ..session import Session

                self._session = Session(self.settings, self._home)
                self._session.notebook = notebook_name(environment(), self._shell.user_ns)
            return self._session

    def begin_cell(self, _info: object) -> None:
        """Note that another cell runs from here on."""
        if self._session is not None:
            self._session.replay.begin_cell()

    def close(self) -> None:
        """Close the session, if one was begun."""
        if self._session is not None:
            self._session.close()

    @no_var_expand
    @line_magic("cfai")
    def command(self, line: str) -> object:
        """Run a command: `%cfai status`, `%cfai models`; `%cfai help` lists them."""
        words = split_words(line) or ["status"]
        return run(words[0], words[1:], self._door(), "%cfai")

    @no_var_expand
    @cell_magic("cfai")
    @with_ask_options
    def cell(self, line: str, cell: str) -> object:
        """Send the cell's text to a model of Cloudflare Workers AI and stream the answer below.

        {{expression}} stands for its value; everything else goes out as typed. The Answer is kept
        in `_cfai`, and with -o in a variable.
        """
        from ..commands.ask import answer
        from ..credentials.store import refuse_token

        refuse_token(line)
        options = self._options(split_words(line))
        answered = answer(self._door(), self._typed(cell), options)
        return answered if options.dry_run else None

    def _options(self, words: list[str]) -> Namespace:
        parser: ArgumentParser = self.cell.parser  # magic_arguments put it there
        try:
            return parser.parse_args(words)
        except UsageError as error:
            raise BadOption(f"%%cfai: {error}") from None

    def _typed(self, cell: str) -> str:
        """Return the cell's text as typed: IPython touches what ends it."""
        typed = self._source().partition("\n")[2]
        return typed if typed.rstrip() == cell.rstrip() else cell

    def _source(self) -> str:
        """Return the running cell as the front end sent it; in a terminal, as it was typed."""
        if hasattr(self._shell, "get_parent"):
            return str(self._shell.get_parent().get("content", {}).get("code", ""))
        history = self._shell.history_manager
        return history.input_hist_raw[-1] if history else ""

    def _door(self) -> "Door":
        from .doors import notebook_door, terminal_door

        self.session.notebook = notebook_name(environment(), self._shell.user_ns)
        door = notebook_door if hasattr(self._shell, "kernel") else terminal_door
        return door(self.session, self._keep, self.workspace)

    def _keep(self, name: str, answer: "Answer | Answers") -> None:
        kept = {"_cfai": answer, **({name: answer} if name else {})}
        self._shell.push(kept, interactive=False)
