"""Show, set and remove budgets, and reopen a closed day."""

from argparse import Namespace

from ..chat.frontend import Frontend
from ..chat.options import Option
from ..display.tables import Table, format_duration, format_neurons
from ..errors import InvalidOptionError
from ..pricing.limits import parse_neurons
from ..session.session import Session
from ..types.usage import Limit, Scope

OPTIONS = (
    Option("amount", nargs="?", help="neurons; off; or reopen, after a change of plan"),
    Option("--session", action="store_true", help="for this kernel, until it ends"),
    Option("--notebook", action="store_true", help="for this notebook, each day"),
)


SCOPE_LABELS = {
    "day": "today, all kernels",
    "session": "this session",
    "notebook": "this notebook, today",
    "free": "today's free allowance",
    "cell": "a call",
}


def run(frontend: Frontend, options: Namespace) -> Table | str:
    """Set the budget that the options name, or show all that hold here."""
    session = frontend.session
    if options.amount == "reopen":
        session.accounting.ledger.reopen_day(session.accounting.get_context().account)
        return "The day is open again: questions go to Workers AI."
    if options.amount is None:
        return _build_table(session)
    scope = _select_scope(frontend, options)
    amount = None if options.amount == "off" else parse_neurons(options.amount)
    session.accounting.ledger.budgets.set(scope, amount, session.notebook)
    return _build_table(session)


def _select_scope(frontend: Frontend, options: Namespace) -> Scope:
    if options.session and frontend.is_one_shot:
        raise InvalidOptionError(
            "In the shell each command is a session of its own", "Leave --session out."
        )
    if options.notebook and not frontend.session.notebook:
        raise InvalidOptionError(
            "Nobody tells here which notebook this is", "Use --session instead."
        )
    return "session" if options.session else "notebook" if options.notebook else "day"


def _build_table(session: Session) -> Table:
    day_usage = session.accounting.day_usage()
    note = f"The day ends at 00:00 UTC, in {format_duration(day_usage.seconds_left)}."
    if day_usage.is_closed:
        note += " Cloudflare said that today's free neurons are used up: %cfai budget reopen."
    return Table(
        ("budget for", "neurons", "used or reserved", "left"),
        tuple(map(_format_row, session.accounting.limits(day_usage))),
        note,
    )


def _format_row(limit: Limit) -> tuple[str, ...]:
    remaining = format_neurons(max(0.0, limit.remaining))
    origin = ", of the course" if limit.from_course else ""
    return (
        SCOPE_LABELS[limit.scope] + origin,
        f"{limit.neurons:,.0f}",
        format_neurons(limit.spent),
        remaining,
    )
