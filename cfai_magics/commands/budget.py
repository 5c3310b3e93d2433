"""Show, set and remove budgets, and reopen a day after its free neurons are used up."""

from argparse import Namespace

from ..chat.frontend import Frontend
from ..chat.options import Option
from ..display.tables import Table, format_class_report, format_duration, format_neurons
from ..errors import InvalidOptionError
from ..i18n import _, mark
from ..pricing.limits import parse_neurons
from ..session.session import Session
from ..types.usage import DayUsage, Limit, Scope

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
CLASS_LABEL = mark("today, your class budget")


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
    return _show_budgets(session, amount or 0.0)


def _show_budgets(session: Session, new_budget: float = 0.0) -> Table | str:
    """Return a table of the budgets. `new_budget`, in neurons, is the one that was just set."""
    free_note = session.backend.free_note
    if not free_note:
        return _build_table(session, new_budget)
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


def _build_table(session: Session, new_budget: float) -> Table:
    session.fetch_class_usage()
    day_usage = session.accounting.day_usage()
    notes = [
        _("The day ends at 00:00 UTC, in {duration}.").format(
            duration=format_duration(day_usage.seconds_left)
        )
    ]
    if day_usage.is_class:
        notes += _class_notes(session, day_usage, new_budget)
    elif day_usage.is_closed:
        notes.append(
            _(
                "Cloudflare reported that today's free neurons are used up. After a plan change, "
                "run %cfai budget reopen."
            )
        )
    return Table(
        tuple(map(_, COLUMNS)),
        tuple(map(_format_row, session.accounting.limits(day_usage))),
        " ".join(notes),
        NUMBER_COLUMNS,
    )


def _class_notes(session: Session, day_usage: DayUsage, new_budget: float) -> list[str]:
    """Return notes on the budget that the class server gives a student."""
    figure = day_usage.class_figure
    if figure is None:
        return [_("The class server has not reported your budget yet. Run %cfai status.")]
    notes = []
    if new_budget > figure.budget:
        notes.append(
            _("The class server allows you {neurons:,.0f} neurons a day.").format(
                neurons=figure.budget
            )
        )
    report_note = format_class_report(figure, session.now())
    return [*notes, report_note] if report_note else notes


def _format_row(limit: Limit) -> tuple[str, ...]:
    remaining = format_neurons(max(0.0, limit.remaining))
    label = CLASS_LABEL if limit.source == "class" else SCOPE_LABELS[limit.scope]
    text = _(label)
    return (
        _("{budget} (course)").format(budget=text) if limit.source == "course" else text,
        f"{limit.neurons:,.0f}",
        format_neurons(limit.spent),
        remaining,
    )
