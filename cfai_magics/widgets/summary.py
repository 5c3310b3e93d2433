"""The panel as plain text, for where no widgets are shown."""

from ..errors import CfaiError
from ..render.formats import neurons
from ..session import Session
from ..terminal import safe_line
from .gauge import Reading, reset_clock

HINT = "Change it with %cfai login, use, budget; %config Cfai shows all settings."


def summary(session: Session) -> str:
    """Return account, model, settings and today's neurons, a line each."""
    rows = (
        ("account", _account(session)),
        ("model", session.settings.model),
        ("system prompt", session.settings.system or "off"),
        ("temperature", _or_off(session.settings.temperature)),
        ("max tokens", f"{session.settings.max_tokens:,}"),
        ("today", _today(session)),
    )
    return "\n".join([*(f"{name:<14} {safe_line(value)}" for name, value in rows), HINT])


def _or_off(value: float | None) -> str:
    return "off" if value is None else f"{value:g}"


def _account(session: Session) -> str:
    if session.settings.local:
        return "none needed: answers come from this machine"
    try:
        if elsewhere := session.route.elsewhere:
            return f"none needed: questions go to {elsewhere.name}"
        found = session.route.credentials()
    except CfaiError as error:
        return str(error)
    return f"…{found.account_tail}, from {found.source}"


def _today(session: Session) -> str:
    if session.settings.local:
        return "answers from this machine cost no neurons"
    try:
        if session.route.elsewhere:
            return "no day of an account is counted for another server"
        reading = Reading(session.standing(), session.running)
    except CfaiError:
        return "nothing is counted before there is an account"
    day = reading.standing
    return (
        f"{neurons(reading.used)} of {day.limit:,.0f} neurons used ({neurons(day.billed)} billed, "
        f"{neurons(day.estimated)} estimated), {neurons(reading.reserved)} reserved. "
        f"{reset_clock(day, session.now())}"
    )
