"""Show, set and remove budgets, and reopen a day after its free neurons are used up."""

from argparse import Namespace

from ..chat.frontend import Frontend
from ..chat.options import Option
from ..display.tables import Table, format_duration, format_neurons
from ..errors import InvalidOptionError
from ..i18n import _, mark
from ..pricing.limits import parse_neurons
from ..session.session import Session
from ..types.usage import Limit, Scope

OPTIONS = (
    Option(
        "amount", nargs="?", help=mark("a number of neurons, off, or reopen after a plan change")
    ),
    Option("--session", action="store_true", help=mark("for this kernel, until it stops")),
    Option("--notebook", action="store_true", help=mark("for this notebook, per day")),
)


COLUMNS = (mark("budget for"), mark("neurons"), mark("used or reserved"), mark("left"))
NUMBER_COLUMNS = (1, 2, 3)
SCOPE_LABELS = {
    "day": mark("today, all kernels"),
    "session": mark("this session"),
    "notebook": mark("this notebook, today"),
    "free": mark("today's free quota"),
    "cell": mark("each call"),
}


def run(frontend: Frontend, options: Namespace) -> Table | str:
    """Set or remove a budget, show the budgets that apply, or reopen the day.

    The free neurons of Cloudflare are shown only if Workers AI answers.
    """
    session = frontend.session
    if options.amount == "reopen":
        session.accounting.ledger.reopen_day(session.accounting.get_context().account)
        return _("Requests go to Workers AI again.")
    if options.amount is None:
        return _show_budgets(session)
    scope = _select_scope(frontend, options)
    amount = None if options.amount == "off" else parse_neurons(options.amount)
    session.accounting.ledger.budgets.set(scope, amount, session.notebook)
    return _show_budgets(session)


def _show_budgets(session: Session) -> Table | str:
    free_note = session.backend.free_note
    if not free_note:
        return _build_table(session)
    limits = session.accounting.ledger.budgets.limits(session.accounting.get_context())
    if not limits:
        return _("No budget is set. {note}").format(note=free_note)
    return Table(
        tuple(map(_, COLUMNS)),
        tuple(map(_format_row, limits)),
        free_note,
        NUMBER_COLUMNS,
    )


def _select_scope(frontend: Frontend, options: Namespace) -> Scope:
    if options.session and frontend.is_one_shot:
        raise InvalidOptionError(
            _("In a shell, each command is its own session"), _("Remove --session.")
        )
    if options.notebook and not frontend.session.notebook:
        raise InvalidOptionError(
            _("The path of this notebook is unknown"), _("Use --session instead.")
        )
    return "session" if options.session else "notebook" if options.notebook else "day"


def _build_table(session: Session) -> Table:
    day_usage = session.accounting.day_usage()
    note = _("The day ends at 00:00 UTC, in {duration}.").format(
        duration=format_duration(day_usage.seconds_left)
    )
    if day_usage.is_closed:
        closed_note = _(
            "Cloudflare reported that today's free neurons are used up. After a plan change, run "
            "%cfai budget reopen."
        )
        note = f"{note} {closed_note}"
    return Table(
        tuple(map(_, COLUMNS)),
        tuple(map(_format_row, session.accounting.limits(day_usage))),
        note,
        NUMBER_COLUMNS,
    )


def _format_row(limit: Limit) -> tuple[str, ...]:
    remaining = format_neurons(max(0.0, limit.remaining))
    label = _(SCOPE_LABELS[limit.scope])
    return (
        _("{budget} (course)").format(budget=label) if limit.source == "course" else label,
        f"{limit.neurons:,.0f}",
        format_neurons(limit.spent),
        remaining,
    )
