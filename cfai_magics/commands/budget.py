"""The command about budgets: show them, set them, take them away, open a closed day again."""

from argparse import Namespace

from ..asking.door import Door
from ..errors import BadOption
from ..neurons.budget import amount_in
from ..render.formats import Table, duration, neurons
from ..session import Session
from ..values import Limit, Scope

NAMES = {
    "day": "today, all kernels",
    "session": "this session",
    "notebook": "this notebook, today",
    "free": "today's free allowance",
    "cell": "a call",
}


def budget(door: Door, options: Namespace) -> Table | str:
    """Set the budget that the options name, or show all that hold here."""
    session = door.session
    if options.amount == "reopen":
        session.books.ledger.reopen_day(session.books.place().account)
        return "The day is open again: questions go to Workers AI."
    if options.amount is None:
        return _table(session)
    scope = _scope(door, options)
    amount = None if options.amount == "off" else amount_in(options.amount)
    session.books.ledger.budgets.set(scope, amount, session.notebook)
    return _table(session)


def _scope(door: Door, options: Namespace) -> Scope:
    if options.session and door.remembers:
        raise BadOption(
            "In the shell each command is a session of its own", "Leave --session out."
        )
    if options.notebook and not door.session.notebook:
        raise BadOption("Nobody tells here which notebook this is", "Use --session instead.")
    return "session" if options.session else "notebook" if options.notebook else "day"


def _table(session: Session) -> Table:
    day = session.books.standing()
    note = f"The day ends at 00:00 UTC, in {duration(day.seconds_left)}."
    if day.closed:
        note += " Cloudflare said that today's free neurons are used up: %cfai budget reopen."
    return Table(
        ("budget for", "neurons", "used or reserved", "left"),
        tuple(map(_row, session.books.limits(day))),
        note,
    )


def _row(limit: Limit) -> tuple[str, ...]:
    left = neurons(max(0.0, limit.room))
    whose = ", of the course" if limit.of_course else ""
    return NAMES[limit.scope] + whose, f"{limit.neurons:,.0f}", neurons(limit.spent), left
