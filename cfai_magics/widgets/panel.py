"""The panel as a whole: put together, kept in step with its session, and freed when closed."""

import threading
from typing import Any

from ipywidgets import HTML, VBox

from .. import forks
from ..session import Session
from .account import AccountPart
from .counter import CounterPart
from .models import ModelsPart
from .options import OptionsPart
from .style import stylesheet
from .summary import summary
from .told import close_all

NAME = "panel"  # among what is attached to a session


class Panel(forks.InChild):
    """A panel of one session. `close` frees everything; closing the session closes it too."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._lock = threading.RLock()  # what changes may change on several threads
        self.account = AccountPart(session)
        self.counter = CounterPart(session)
        self.models = ModelsPart(session, self.show)
        self.options = OptionsPart(session, self.show)
        self._parts = (self.account, self.counter, self.models, self.options)
        sections = [part.box.add_class("cfai-section") for part in self._parts]
        self.box = VBox([HTML(stylesheet()), *sections]).add_class("cfai-panel")
        self.show()
        self._unwatch = session.watch(self.show)
        forks.register(self)

    def in_child(self) -> None:
        """Begin with a lock that no thread holds."""
        self._lock = threading.RLock()

    def show(self) -> None:
        """Bring all parts up to date; only what differs is sent."""
        with self._lock:
            for part in self._parts:
                part.show()

    def close(self) -> None:
        """Take the panel away and free all that it holds; a second time does nothing."""
        self._unwatch()
        with self._lock:
            self.account.close()
            close_all(self.box)
        if self.session.attached.get(NAME) is self:
            del self.session.attached[NAME]

    def __str__(self) -> str:
        return summary(self.session)

    __repr__ = __str__

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        """Return the view for front ends with widgets, and text for all others."""
        return {**(self.box._repr_mimebundle_() or {}), "text/plain": str(self)}


def open_panel(session: Session) -> Panel:
    """Return the open panel of a session, or open one: all outputs show the same."""
    found = session.attached.get(NAME)
    if isinstance(found, Panel):
        return found
    made = Panel(session)
    session.attached[NAME] = made
    return made
