"""Owns what each place offers a command: a notebook, IPython in a terminal, the shell."""

import sys
from collections.abc import Callable, Sequence
from getpass import getpass

from ..asking.door import Door, Live, LiveGrid
from ..asking.piped import read_piped
from ..errors import Interrupted, SetupError
from ..forms.form import Form
from ..mapping import Mapper
from ..render.forms import plain, pretty
from ..render.grid import NotebookGrid, TextGrid
from ..render.live import NotebookLive
from ..render.output import Metadata, Output, notebook_progress, terminal_progress
from ..render.printed import TextLive, Under, WholeLive
from ..render.tally import terminal_write
from ..session import Session
from ..terminal import safe_for, safe_text
from ..values import Answer
from ..values.answers import Answers, Variant
from .workspace import Workspace

Keep = Callable[[str, Answer | Answers], None]
Tell = Callable[[str], None]

IN_THE_SHELL = (
    (" (in a shell: cfai login)", ""),
    (" What had arrived is kept in _cfai.", ""),
    (", kept in _cfai.thought", ""),
    ("%cfai replay auto PATH", "CFAI_REPLAY=auto:PATH"),
    ("%cfai replay auto asks", "CFAI_REPLAY=auto:PATH asks"),
    ("%cfai replay auto makes", "CFAI_REPLAY=auto:PATH makes"),
    ("%%cfai?", "cfai ask -h"),
    ("%%cfai", "cfai ask"),
    ("%cfai", "cfai"),
)


def notebook_door(session: Session, keep: Keep, workspace: Workspace) -> Door:
    """Return the door of a kernel: answers are displayed, the receipt in the quiet colour."""

    def live(form: Form, footer: str) -> Live:
        if form.name in {"text", "raw"}:
            return _plain_live(form, footer, lambda line: Output().tell(line), _told)
        return NotebookLive(footer, form)

    def grid(variants: Sequence[Variant], form: Form, footer: str) -> LiveGrid:
        return NotebookGrid(variants, footer, form)

    return Door(
        *(session, live, _say, notebook_progress, _prompt, _confirm, keep, grid, workspace),
        widgets=True,
    )


def terminal_door(session: Session, keep: Keep, workspace: Workspace) -> Door:
    """Return the door of IPython in a terminal: everything is printed."""

    def live(form: Form, footer: str) -> Live:
        return _plain_live(form, footer, _say)

    def grid(variants: Sequence[Variant], _form: Form, footer: str) -> LiveGrid:
        return TextGrid(variants, footer, _say)

    return Door(session, live, _say, terminal_progress, _prompt, _confirm, keep, grid, workspace)


def shell_door(session: Session) -> Door:
    """Return the door of the shell: the answer on stdout, all that is told about it on stderr."""

    def tell(line: str) -> None:
        sys.stderr.write(safe_text(for_shell(f"{line}\n")))

    def live(form: Form, footer: str) -> Live:
        return _plain_live(form, footer, tell)

    def keep(_name: str, _answer: Answer | Answers) -> None:
        """Nothing outlives a shell command."""

    def grid(variants: Sequence[Variant], _form: Form, footer: str) -> LiveGrid:
        return TextGrid(variants, footer, tell)

    return Door(
        *(session, live, tell, terminal_progress, _prompt, _confirm, keep, grid),
        remembers=True,
        piped=lambda: read_piped(sys.stdin),
    )


def mapper(session: Session) -> Mapper:
    """Return what a map needs here: a notebook's outputs, or lines on stderr elsewhere."""
    from IPython.core.getipython import get_ipython

    def tell(line: str) -> None:
        sys.stderr.write(safe_text(f"{line}\n"))

    shell = get_ipython()
    if shell is not None and hasattr(shell, "kernel"):
        return Mapper(session, lambda line: Output().tell(line), Output().tell, _input)
    return Mapper(session, tell, terminal_write(), _input)


def _plain_live(form: Form, footer: str, tell: Tell, under: Under | None = None) -> Live:
    if form.name in {"markdown", "text", "correction"}:
        return TextLive(footer, tell, under=under)
    return WholeLive(footer, tell, lambda answer: _print(answer, form), under)


def _told(line: str, metadata: Metadata) -> None:
    """Show a line in an output that bears metadata: printed text can bear none."""
    Output().tell(line, metadata)


def for_shell(text: str) -> str:
    """Return a text about magics as it holds for the shell's commands."""
    for magic, command in IN_THE_SHELL:
        text = text.replace(magic, command)
    return text


def _print(answer: Answer, form: Form) -> None:
    text = pretty(answer.raw) if form.name == "raw" else plain(answer, form)
    sys.stdout.write(safe_for(sys.stdout, f"{text}\n"))


def _say(line: str) -> None:
    sys.stdout.write(safe_text(f"{line}\n"))


def _input(question: str) -> str:
    return input(safe_text(question))


def _confirm(question: str) -> bool:
    """Ask whether something may be done; where nobody can be asked, it may not."""
    try:
        answer = _input(f"{question} [y/N] ")
    except (EOFError, NotImplementedError):  # IPython's StdinNotImplementedError is one
        return False
    return answer.strip().lower() in {"y", "yes"}


def _prompt(question: str) -> str:
    try:
        return getpass(safe_text(question))
    except KeyboardInterrupt:
        raise Interrupted("Nothing was answered", "Nothing was sent or kept.") from None
    except (EOFError, NotImplementedError) as error:  # IPython's StdinNotImplementedError is one
        raise SetupError(
            "Nobody can be asked here",
            "Set CLOUDFLARE_ACCOUNT_ID and CLOUDFLARE_API_TOKEN, or run cfai login in a terminal.",
        ) from error
