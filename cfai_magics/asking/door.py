"""Owns what a command is given of the place it was called from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ..forms.form import Form
from ..values import Answer, Delta
from .piped import Read

if TYPE_CHECKING:
    from ..notebook.failures import Failure
    from ..prompt.costing import Sent
    from ..session import Session
    from ..values.answers import Answers, Variant
    from .continuing import LeftOut


class Live(Protocol):
    """Shows one answer while it comes."""

    def add(self, delta: Delta) -> None:
        """Show the next delta."""

    def notice(self, line: str) -> None:
        """Tell why nothing is coming yet."""

    def again(self, line: str) -> None:
        """Begin anew, in the same place, and tell why."""

    def step(self, line: str) -> None:
        """Tell a line below what has come so far; what comes then stands below that."""

    def end(self, answer: Answer | None) -> None:
        """Show the answer as it stands at its end; None when there was none."""

    def sent(self, sent: "Sent") -> None:
        """Show what was sent for it, below."""


class LiveGrid(Protocol):
    """Shows several answers while they come, each by its number."""

    def add(self, number: int, delta: Delta) -> None:
        """Show the next delta of an answer."""

    def notice(self, number: int, line: str) -> None:
        """Tell why nothing is coming of an answer yet."""

    def ended(self, number: int, answer: Answer, error: str) -> None:
        """Show an answer as it stands at its end, with why it failed, if it did."""

    def end(self, answers: "Answers", receipt: str) -> None:
        """Show all answers as they stand at their end, and the receipt."""

    def sent(self, sent: "Sent") -> None:
        """Show what was sent, below."""


class Workspace(Protocol):
    """What a running IPython offers a command.

    `thread` is the one that -c continues; `left_out` is the turn that it did not take up last;
    `sent` is what was sent last; `approved` are the functions that models may call, by name.
    """

    thread: str
    left_out: "LeftOut | None"
    sent: "Sent | None"
    approved: dict[str, Any]

    @property
    def can_ask(self) -> bool:
        """Whether somebody is there to answer a question."""

    def failure(self, number: int | None) -> "Failure | None":
        """Return what failed in the cell of this number, or last; None where nothing did."""

    def source(self, number: int) -> str:
        """Return the cell of this number as typed; "" where there is none."""

    def cell(self) -> str:
        """Return what tells this call of this cell from all others; "" where nothing does."""

    def insert(self, code: str) -> str:
        """Offer code in a new cell, which does not run; return what to tell of that."""

    def last_picture(self) -> bytes | None:
        """Return the figure or image shown last; None where there was none."""

    def evaluate(self, expression: str) -> Any:
        """Return what an expression gives in the user's namespace."""


@dataclass(frozen=True, slots=True)
class Door:
    """What a command needs of the place it was called from: a notebook, a terminal or the shell.

    `live(form, footer)` shows an answer, `say` a line, `progress(title)` how far something is;
    `prompt` asks for a secret, `confirm` whether something may be done; `keep(name, answer)` puts
    an answer where the user finds it; `grid(variants, form, footer)` shows several answers. A door
    that `remembers` keeps choices in the settings file, as it has no kernel to keep them in, and
    no `workspace` either; `widgets` tells whether it shows those; `piped` reads standard input.
    """

    session: "Session"
    live: Callable[[Form, str], Live]
    say: Callable[[str], None]
    progress: Callable[[str], Callable[[int, int], None]]
    prompt: Callable[[str], str]
    confirm: Callable[[str], bool]
    keep: Callable[[str, "Answer | Answers"], None]
    grid: Callable[["Sequence[Variant]", Form, str], LiveGrid]
    workspace: Workspace | None = None
    remembers: bool = False
    widgets: bool = False
    piped: Read | None = None
