"""Build the session's panel, with sections for the account, usage, models and defaults."""

import threading
from typing import Any

from ipywidgets import HTML, VBox

from .. import forks
from ..display.tables import format_day_budget, format_neurons
from ..errors import CfaiError
from ..i18n import _, mark
from ..session.session import Session
from ..terminal import sanitize_line
from ..texts import pad_right, text_width
from .defaults import DefaultsSection
from .inputs import close_widget_tree, remove_folders
from .login import AccountSection
from .model_list import ModelSection
from .style import render_stylesheet
from .usage_gauge import GaugeState, UsageSection, format_reset_time

SETTINGS_HINT = mark(
    "To change them, use %cfai login, %cfai use or %cfai budget. %config Cfai shows all settings."
)
PANEL_KEY = "panel"  # the key in Session.resources


def format_summary(session: Session) -> str:
    """Return text that lists the account, model, settings and today's neurons, one per line."""
    rows = (
        (_("account"), _describe_account(session)),
        (_("model"), session.settings.model),
        (_("system prompt"), session.settings.system or _("none")),
        (_("temperature"), _format_or_off(session.settings.temperature)),
        (_("max tokens"), f"{session.settings.max_tokens:,}"),
        (_("today"), _describe_today(session)),
    )
    width = max(text_width(name) for name, _value in rows)
    return "\n".join(
        [
            *(f"{pad_right(name, width)}  {sanitize_line(value)}" for name, value in rows),
            _(SETTINGS_HINT),
        ]
    )


def _format_or_off(value: float | None) -> str:
    return _("model default") if value is None else f"{value:g}"


def _describe_account(session: Session) -> str:
    if session.settings.local:
        return _("not needed: the local model is in use")
    if session.settings.private:
        return _("not needed: only recorded answers are allowed")
    try:
        if server := session.backend.server:
            return _("not needed: requests go to {server}").format(server=server.name)
        if class_server := session.backend.class_server:
            key = session.backend.class_credentials(class_server).masked_key
            return _("class server {server}, key {key}").format(server=class_server.name, key=key)
        credentials = session.backend.credentials()
    except CfaiError as error:
        return error.format_line()
    return _("…{suffix}, from {source}").format(
        suffix=credentials.account_suffix, source=credentials.source
    )


def _describe_today(session: Session) -> str:
    if session.settings.local:
        return _("no neurons: the local model is in use")
    if session.settings.private:
        return _("no neurons: only recorded answers are allowed")
    try:
        if session.backend.server:
            return _("no neurons: another server is in use")
        state = GaugeState(session.day_usage(), session.active_calls)
    except CfaiError:
        return _("add an account to see your usage")
    day_usage = state.day_usage
    if day_usage.limit is None:
        return _("{used} neurons used today; your class budget is not known yet").format(
            used=format_neurons(state.used)
        )
    return _(
        "{used} of {limit} neurons used ({billed} billed, {estimated} estimated), "
        "{reserved} reserved. {reset_time}"
    ).format(
        used=format_neurons(state.used),
        limit=format_day_budget(day_usage),
        billed=format_neurons(day_usage.billed),
        estimated=format_neurons(day_usage.estimated),
        reserved=format_neurons(state.reserved),
        reset_time=format_reset_time(day_usage, session.now()),
    )


class Panel(forks.ChildForkHook):
    """The widget panel of a session. Closing the session also closes the panel."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._lock = threading.RLock()  # observers may be called from several threads
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
        """Replace the lock, because a thread in the parent process may hold the old one."""
        self._lock = threading.RLock()

    def refresh(self) -> None:
        """Update all sections, and send only the changed state to the front end."""
        with self._lock:
            for section in self._sections:
                section.refresh()

    def close(self) -> None:
        """Remove the panel and close its widgets. Closing the panel again has no effect."""
        self._unwatch()
        with self._lock:
            self.account.close()
            close_widget_tree(self.box)
        if self.session.resources.get(PANEL_KEY) is self:
            del self.session.resources[PANEL_KEY]

    def __str__(self) -> str:
        return remove_folders(format_summary(self.session), self.session.home)

    __repr__ = __str__

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        """Return a MIME bundle with the widget, and plain text for front ends without widgets."""
        return {**(self.box._repr_mimebundle_() or {}), "text/plain": str(self)}


def open_panel(session: Session) -> Panel:
    """Return the session's panel. The panel is created on the first call.

    Every output that displays the panel shows the same widgets.
    """
    existing = session.resources.get(PANEL_KEY)
    if isinstance(existing, Panel):
        return existing
    panel = Panel(session)
    session.resources[PANEL_KEY] = panel
    return panel
