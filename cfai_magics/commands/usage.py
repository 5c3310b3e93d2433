"""The command about what was used: by model, notebook, day or task, as a table, chart or CSV."""

import csv
import io
from argparse import Namespace
from datetime import UTC, datetime
from itertools import chain

from ..asking.door import Door
from ..neurons.units import dollars
from ..render.formats import Table, neurons
from ..render.report import UsageReport
from ..session import Session
from ..store.history import Group, Total

DAYS = {"today": 1, "7d": 7, "30d": 30, "all": None}
PERIODS = {
    "today": "today (UTC)",
    "7d": "in the last 7 days",
    "30d": "in the last 30 days",
    "all": "since the ledger began",
}
LAG = "Cloudflare's own figures come some minutes late, and count other programs' calls too."


def usage(door: Door, options: Namespace) -> UsageReport | Table | str:
    """Return what was used in a period; with --account, what Cloudflare itself counted today."""
    session = door.session
    if options.account:
        return _beside_the_account(session)
    if options.csv:
        return _as_csv(session, DAYS[options.period])
    by: Group = options.by or ("model" if options.period == "today" else "day")
    totals = session.books.ledger.history.totals(by, DAYS[options.period])
    title = f"Neurons by {by} {PERIODS[options.period]}"
    note = _note(totals, options.period) + _replayed(session, DAYS[options.period])
    return UsageReport(by, tuple(map(_row, totals)), title, note)


def _replayed(session: Session, days: int | None) -> str:
    count = session.books.ledger.history.replayed(days)
    return f" {count:,} of the calls were replayed and cost nothing." if count else ""


def _row(total: Total) -> tuple[str, int, int, int, float, float, float, float]:
    return (
        total.name,
        *(total.calls, total.tokens_in, total.tokens_out),
        *(total.billed, total.estimated, total.reserved),
        dollars(total.neurons),
    )


def _note(totals: list[Total], period: str) -> str:
    billed, estimated = (
        sum(getattr(t, basis) for t in totals) for basis in ("billed", "estimated")
    )
    return (
        f"{sum(total.calls for total in totals):,} calls {PERIODS[period]}: "
        f"{neurons(billed)} neurons billed, {neurons(estimated)} estimated. US$ beyond the free "
        "allowance of 10,000 neurons a day."
    )


def _as_csv(session: Session, days: int | None) -> str:
    calls = session.books.ledger.history.calls(days)
    first = next(calls, None)
    if first is None:
        return ""
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(first), lineterminator="\n")
    writer.writeheader()
    writer.writerows({**call, "started": _iso(call["started"])} for call in chain([first], calls))
    return out.getvalue().rstrip("\n")


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")


def _beside_the_account(session: Session) -> Table:
    """Return today's neurons by model: the ledger's, and Cloudflare's own for the account."""
    told = session.fetch_account_usage()
    account = session.books.place().account
    totals = session.books.ledger.history.totals("model", 1, account)
    known = {total.name: total.neurons for total in totals}
    names = sorted({*known, *told}, key=lambda name: -max(known.get(name, 0), told.get(name, 0)))
    rows = [(n, neurons(known.get(n, 0.0)), neurons(told.get(n, 0.0))) for n in names]
    sums = ("all", neurons(sum(known.values())), neurons(sum(told.values())))
    return Table(("model", "this ledger", "the account"), (*rows, sums), LAG)
