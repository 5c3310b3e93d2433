"""Build the widget panel of a session: account, usage, models and defaults."""

import threading
from typing import Any

from ipywidgets import HTML, VBox

from .. import forks
from ..display.tables import format_neurons
from ..errors import CfaiError
from ..session.session import Session
from ..terminal import sanitize_line
from .defaults import DefaultsSection
from .inputs import close_widget_tree
from .login import AccountSection
from .model_list import ModelSection
from .style import render_stylesheet
from .usage_gauge import GaugeState, UsageSection, format_reset_time

SETTINGS_HINT = "Change it with %cfai login, use, budget; %config Cfai shows all settings."
PANEL_KEY = "panel"  # in Session.resources


def format_summary(session: Session) -> str:
    """Return account, model, settings and today's neurons as text, one per line."""
    rows = (
        ("account", _describe_account(session)),
        ("model", session.settings.model),
        ("system prompt", session.settings.system or "off"),
        ("temperature", _format_or_off(session.settings.temperature)),
        ("max tokens", f"{session.settings.max_tokens:,}"),
        ("today", _describe_today(session)),
    )
    return "\n".join(
        [*(f"{name:<14} {sanitize_line(value)}" for name, value in rows), SETTINGS_HINT]
    )


def _format_or_off(value: float | None) -> str:
    return "off" if value is None else f"{value:g}"


def _describe_account(session: Session) -> str:
    if session.settings.local:
        return "none needed: answers come from this machine"
    try:
        if server := session.backend.server:
            return f"none needed: questions go to {server.name}"
        credentials = session.backend.credentials()
    except CfaiError as error:
        return str(error)
    return f"…{credentials.account_suffix}, from {credentials.source}"


def _describe_today(session: Session) -> str:
    if session.settings.local:
        return "answers from this machine cost no neurons"
    try:
        if session.backend.server:
            return "no day of an account is counted for another server"
        state = GaugeState(session.day_usage(), session.active_calls)
    except CfaiError:
        return "nothing is counted before there is an account"
    day_usage = state.day_usage
    return (
        f"{format_neurons(state.used)} of {day_usage.limit:,.0f} neurons used "
        f"({format_neurons(day_usage.billed)} billed, "
        f"{format_neurons(day_usage.estimated)} estimated), "
        f"{format_neurons(state.reserved)} reserved. "
        f"{format_reset_time(day_usage, session.now())}"
    )


class Panel(forks.ChildForkHook):
    """Widget panel of one session; `close` frees it, and closing the session closes it too."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._lock = threading.RLock()  # observers are called on several threads
        self.account = AccountSection(session)
        self.usage = UsageSection(session)
        self.models = ModelSection(session, self.refresh)
        self.defaults = DefaultsSection(session, self.refresh)
        self._sections = (self.account, self.usage, self.models, self.defaults)
        boxes = [section.box.add_class("cfai-section") for section in self._sections]
        self.box = VBox([HTML(render_stylesheet()), *boxes]).add_class("cfai-panel")
        self.refresh()
        self._unwatch = session.watch(self.refresh)
        forks.register(self)

    def after_fork_in_child(self) -> None:
        """Replace the lock, which another thread of the parent may hold."""
        self._lock = threading.RLock()

    def refresh(self) -> None:
        """Update all sections; only changed state is sent to the front end."""
        with self._lock:
            for section in self._sections:
                section.refresh()

    def close(self) -> None:
        """Remove the panel and close its widgets; does nothing if it is already closed."""
        self._unwatch()
        with self._lock:
            self.account.close()
            close_widget_tree(self.box)
        if self.session.resources.get(PANEL_KEY) is self:
            del self.session.resources[PANEL_KEY]

    def __str__(self) -> str:
        return format_summary(self.session)

    __repr__ = __str__

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        """Return the widget view, and text for front ends without widgets."""
        return {**(self.box._repr_mimebundle_() or {}), "text/plain": str(self)}


def open_panel(session: Session) -> Panel:
    """Return the panel of a session, created on first use; all outputs show the same one."""
    existing = session.resources.get(PANEL_KEY)
    if isinstance(existing, Panel):
        return existing
    panel = Panel(session)
    session.resources[PANEL_KEY] = panel
    return panel
