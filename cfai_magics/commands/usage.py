"""Show usage by model, notebook, day or task, as a table, chart or CSV."""

import csv
from argparse import Namespace
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

from ..chat.frontend import Frontend
from ..chat.options import Option
from ..display.tables import Table, format_neurons
from ..display.text import TextLines
from ..display.usage_table import UsageReport
from ..errors import InvalidOptionError, StorageError
from ..paths import parse_user_path
from ..pricing.prices import to_usd
from ..session.session import Session
from ..state_files import describe_error
from ..storage.usage_queries import GroupBy, Total

OPTIONS = (
    Option(
        "period",
        nargs="?",
        default="today",
        choices=("today", "7d", "30d", "all"),
        help="today, 7d, 30d or all",
    ),
    Option("--by", choices=("model", "notebook", "day", "task"), help="what to sum by"),
    Option("--account", action="store_true", help="Cloudflare's own figures for today"),
    Option("--csv", action="store_true", help="every call as a line of CSV"),
    Option("--save", default="", metavar="FILE", help="write the CSV into a file"),
)


DAYS_BY_PERIOD = {"today": 1, "7d": 7, "30d": 30, "all": None}
PERIOD_LABELS = {
    "today": "today (UTC)",
    "7d": "in the last 7 days",
    "30d": "in the last 30 days",
    "all": "since the ledger began",
}
LAG_NOTE = "Cloudflare's own figures come some minutes late, and count other programs' calls too."


def run(frontend: Frontend, options: Namespace) -> UsageReport | Table | TextLines | str:
    """Return what was used in a period; with --account, what Cloudflare itself counted today."""
    session = frontend.session
    if options.save and not options.csv:
        raise InvalidOptionError("--save goes with --csv", "Write %cfai usage --csv --save FILE.")
    if options.account:
        return _compare_with_account(session)
    if options.csv:
        lines = _iter_csv_lines(session, DAYS_BY_PERIOD[options.period])
        if options.save:
            return _save_lines(parse_user_path(options.save).absolute(), lines)
        return TextLines(lines) if frontend.is_one_shot else "".join(lines).rstrip("\n")
    group: GroupBy = options.by or ("model" if options.period == "today" else "day")
    totals = session.accounting.ledger.history.totals(group, DAYS_BY_PERIOD[options.period])
    title = f"Neurons by {group} {PERIOD_LABELS[options.period]}"
    note = _summary_note(totals, options.period) + _replayed_note(
        session, DAYS_BY_PERIOD[options.period]
    )
    return UsageReport(group, tuple(map(_build_row, totals)), title, note)


def _replayed_note(session: Session, days: int | None) -> str:
    count = session.accounting.ledger.history.count_replayed(days)
    return f" {count:,} of the calls were replayed and cost nothing." if count else ""


def _build_row(total: Total) -> tuple[str, int, int, int, float, float, float, float]:
    return (
        total.name,
        *(total.calls, total.tokens_in, total.tokens_out),
        *(total.billed, total.estimated, total.reserved),
        to_usd(total.neurons),
    )


def _summary_note(totals: list[Total], period: str) -> str:
    billed, estimated = (
        sum(getattr(period_total, cost_basis) for period_total in totals)
        for cost_basis in ("billed", "estimated")
    )
    return (
        f"{sum(total.calls for total in totals):,} calls {PERIOD_LABELS[period]}: "
        f"{format_neurons(billed)} neurons billed, {format_neurons(estimated)} estimated. "
        "US$ beyond the free "
        "allowance of 10,000 neurons a day."
    )


class _LineBuffer:
    """A file for a CSV writer, whose `writerow` then returns the line."""

    def write(self, line: str) -> str:
        """Return the line."""
        return line


def _iter_csv_lines(session: Session, days: int | None) -> Iterator[str]:
    """Yield a line for the columns and one for each call, each with its line feed."""
    writer = csv.writer(_LineBuffer(), lineterminator="\n")
    columns: tuple[str, ...] = ()
    for call in session.accounting.ledger.history.iter_calls(days):
        if not columns:
            columns = tuple(call)
            yield str(writer.writerow(columns))
        row = {**call, "started": _format_timestamp(call["started"])}
        yield str(writer.writerow(row.values()))


def _save_lines(path: Path, lines: Iterable[str]) -> str:
    """Write lines into a file that gets its name when it is complete; return what was done."""
    partial = path.with_name(f".{path.name}.{token_hex(4)}")
    try:
        with partial.open("x", encoding="utf-8", newline="") as file:
            file.writelines(lines)
        partial.replace(path)
    except OSError as error:
        raise StorageError(
            f"{path} can't be written: {describe_error(error)}", "Give the path of another file."
        ) from None
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    return f"Written: {path}."


def _format_timestamp(timestamp: float) -> str:
    return datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="milliseconds")


def _compare_with_account(session: Session) -> Table:
    """Return today's neurons by model: the ledger's, and Cloudflare's own for the account."""
    account_neurons = session.fetch_account_usage()
    account = session.accounting.get_context().account
    totals = session.accounting.ledger.history.totals("model", 1, account)
    ledger_neurons = {total.name: total.neurons for total in totals}
    names = sorted(
        {*ledger_neurons, *account_neurons},
        key=lambda name: -max(ledger_neurons.get(name, 0), account_neurons.get(name, 0)),
    )
    rows = [
        (
            n,
            format_neurons(ledger_neurons.get(n, 0.0)),
            format_neurons(account_neurons.get(n, 0.0)),
        )
        for n in names
    ]
    sums = (
        "all",
        format_neurons(sum(ledger_neurons.values())),
        format_neurons(sum(account_neurons.values())),
    )
    return Table(("model", "this ledger", "the account"), (*rows, sums), LAG_NOTE)
