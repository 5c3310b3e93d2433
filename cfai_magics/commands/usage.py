"""Show usage by model, notebook, day or task, as a table, chart or CSV."""

import csv
from argparse import Namespace
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from ..chat.frontend import Frontend
from ..chat.options import Option
from ..display.tables import Table, format_class_report, format_neurons
from ..display.text import TextLines
from ..display.usage_table import UsageReport
from ..errors import InvalidOptionError, StorageError
from ..i18n import _, mark, ngettext
from ..paths import parse_user_path, write_user_file
from ..pricing.prices import to_usd
from ..session.session import Session
from ..state_files import describe_error
from ..storage.usage_queries import GroupBy, Total
from ..types.usage import DayUsage

OPTIONS = (
    Option(
        "period",
        nargs="?",
        default="today",
        choices=("today", "7d", "30d", "all"),
        help=mark("period: today, 7d, 30d or all"),
    ),
    Option("--by", choices=("model", "notebook", "day", "task"), help=mark("group by")),
    Option(
        "--account",
        action="store_true",
        help=mark("compare with Cloudflare's own figures for today"),
    ),
    Option("--csv", action="store_true", help=mark("one line of CSV per call")),
    Option("--save", default="", metavar="FILE", help=mark("save the CSV to a file")),
)


DAYS_BY_PERIOD = {"today": 1, "7d": 7, "30d": 30, "all": None}
PERIOD_LABELS = {
    "today": mark("today (UTC)"),
    "7d": mark("in the last 7 days"),
    "30d": mark("in the last 30 days"),
    "all": mark("since the first call"),
}
TITLES = {
    "model": mark("Neurons by model {period}"),
    "notebook": mark("Neurons by notebook {period}"),
    "day": mark("Neurons by day {period}"),
    "task": mark("Neurons by task {period}"),
}
DOLLAR_NOTE = mark("The US$ column shows the price before free neurons are deducted.")
LAG_NOTE = mark(
    "Cloudflare's figures are a few minutes old and include calls from other programs."
)


def run(frontend: Frontend, options: Namespace) -> UsageReport | Table | TextLines | str:
    """Return a report on the usage during a period.

    With --account, return a table that compares today's usage with Cloudflare's figures. With
    --csv, return the calls as CSV. With --save as well, write the CSV to a file and return a
    message.
    """
    session = frontend.session
    if options.save and not options.csv:
        raise InvalidOptionError(
            _("--save requires --csv"), _("Use %cfai usage --csv --save FILE.")
        )
    if options.account:
        return _compare_with_account(session)
    if options.csv:
        lines = _iter_csv_lines(session, DAYS_BY_PERIOD[options.period])
        if options.save:
            return _save_lines(parse_user_path(options.save).absolute(), lines)
        return TextLines(lines) if frontend.is_one_shot else "".join(lines).rstrip("\n")
    group: GroupBy = options.by or ("model" if options.period == "today" else "day")
    totals = session.accounting.ledger.history.totals(group, DAYS_BY_PERIOD[options.period])
    title = _(TITLES[group]).format(period=_(PERIOD_LABELS[options.period]))
    is_today = options.period == "today"
    class_usage = session.fetch_class_usage() if is_today else session.class_usage()
    notes = (
        _summary_note(totals, options.period),
        "" if class_usage else _(DOLLAR_NOTE),
        _replayed_note(session, DAYS_BY_PERIOD[options.period]),
    )
    note = " ".join(filter(None, notes)) if totals else _empty_note(options.period)
    if class_usage and is_today:
        note = f"{note} {_class_note(session, class_usage)}"
    return UsageReport(group, tuple(map(_build_row, totals)), title, note)


def _empty_note(period: str) -> str:
    """Return the note for a period without calls."""
    if period == "all":
        return _("No calls yet.")
    no_calls = _("No calls {period}.").format(period=_(PERIOD_LABELS[period]))
    earlier_hint = _("%cfai usage all shows earlier calls.")
    return f"{no_calls} {earlier_hint}"


def _replayed_note(session: Session, days: int | None) -> str:
    count = session.accounting.ledger.history.count_replayed(days)
    if not count:
        return ""
    return ngettext(
        "{count:,} of the calls was replayed at no cost.",
        "{count:,} of the calls were replayed at no cost.",
        count,
    ).format(count=count)


def _class_note(session: Session, day_usage: DayUsage) -> str:
    """Return sentences on a student's class budget and what is used of it."""
    figure = day_usage.class_figure
    if figure is None:
        return _("Your class budget is not known yet. Run %cfai status.")
    used = _("{used} of your class budget of {budget:,.0f} neurons are used today.").format(
        used=format_neurons(day_usage.spent), budget=figure.budget
    )
    elsewhere = _("{neurons} of them are from other devices or programs.").format(
        neurons=format_neurons(day_usage.elsewhere)
    )
    sentences = (
        used,
        elsewhere if day_usage.elsewhere else "",
        format_class_report(figure, session.now()),
    )
    return " ".join(filter(None, sentences))


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
    count = sum(total.calls for total in totals)
    return ngettext(
        "{count:,} call {period}: {billed} neurons billed, {estimated} estimated.",
        "{count:,} calls {period}: {billed} neurons billed, {estimated} estimated.",
        count,
    ).format(
        count=count,
        period=_(PERIOD_LABELS[period]),
        billed=format_neurons(billed),
        estimated=format_neurons(estimated),
    )


class _LineBuffer:
    """A file object that makes a CSV writer's `writerow` method return the line."""

    def write(self, line: str) -> str:
        """Return the line unchanged."""
        return line


def _iter_csv_lines(session: Session, days: int | None) -> Iterator[str]:
    """Yield a CSV header line and one line per call, each ending with a line feed."""
    writer = csv.writer(_LineBuffer(), lineterminator="\n")
    yield str(writer.writerow(session.accounting.ledger.history.call_columns()))
    for call in session.accounting.ledger.history.iter_calls(days):
        row = {**call, "started": _format_timestamp(call["started"])}
        yield str(writer.writerow(row.values()))


def _save_lines(path: Path, lines: Iterable[str]) -> str:
    """Write lines to a file, and return a message with its path."""
    try:
        write_user_file(path, (line.encode(errors="replace") for line in lines))
    except OSError as error:
        raise StorageError(
            _("{path} can't be written: {error}").format(path=path, error=describe_error(error)),
            _("Specify another file."),
        ) from None
    return _("Saved to {path}.").format(path=path)


def _format_timestamp(timestamp: float) -> str:
    return datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="milliseconds")


def _compare_with_account(session: Session) -> Table:
    """Return a table that compares today's neurons by model in the ledger and at Cloudflare.

    Raises:
        InvalidOptionError: A class server answers, which does not show the account's figures.
    """
    if session.class_usage():
        raise InvalidOptionError(
            _("The class server does not show the figures of its account"),
            _("%cfai usage shows your class budget and what you have used of it."),
        )
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
        _("total"),
        format_neurons(sum(ledger_neurons.values())),
        format_neurons(sum(account_neurons.values())),
    )
    if not rows:
        no_calls = _("No calls today (UTC), neither in this ledger nor in the account.")
        return Table((), (), f"{no_calls} {_(LAG_NOTE)}")
    return Table(
        (_("model"), _("this ledger"), _("account")),
        (*rows, sums),
        _(LAG_NOTE),
        number_columns=(1, 2),
    )
