"""Report AI use in a notebook, as Markdown and as CSV."""

import csv
import io
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ..i18n import _, mark, ngettext
from ..markdown.escaping import escape_markdown, format_inline_code
from ..terminal import sanitize_text
from .tables import format_date, format_neurons

REPORT_TITLE = mark("AI use in this notebook")
CALL_COLUMNS = (
    *(mark("date (UTC)"), mark("model"), mark("tokens in"), mark("tokens out"), mark("neurons")),
    *(mark("cost basis"), mark("status"), mark("request")),
)
TOTAL_COLUMNS = (
    *(mark("model"), mark("answers"), mark("tokens in"), mark("tokens out"), mark("neurons")),
    mark("cost basis"),
)
NUMBER_COLUMNS = {"answers", "tokens in", "tokens out", "neurons"}
LABELS = {  # labels for cost bases and statuses; other values are shown unchanged
    "billed": mark("billed"),
    "estimated": mark("estimated"),
    "replayed": mark("replayed"),
    "local": mark("local"),
    "ok": mark("ok"),
    "interrupted": mark("interrupted"),
    "failed": mark("failed"),
    "refused": mark("refused"),
    "reserved": mark("reserved"),
}
# Spreadsheet programs could treat a CSV cell that starts with this pattern as a formula. Some
# remove spaces at the start, and read wide characters like narrow ones.
FORMULA_PATTERN = re.compile(r"\s*(?:[=+\-＝＋－＠]|@(?![\w-]+/[\w./-]+$))|[\t\r\n]")  # noqa: RUF001

CSV_COLUMNS = (
    *("date", "model", "task", "tokens_in", "tokens_out", "neurons", "basis", "ended", "request"),
    "elsewhere",
)


@dataclass(frozen=True, slots=True)
class ReportEntry:
    """A call that the report lists.

    Attributes:
        started_at: The start time, in seconds since the epoch.
        model: The full model name.
        task: The model's task, or "" if it is unknown.
        tokens_in: The number of prompt tokens.
        tokens_out: The number of answer tokens.
        neurons: The number of neurons used.
        cost_basis: "billed", "estimated" or "replayed". The value is "local" if a model on this
            machine answered.
        finish_status: The status of the call, or the finish reason from the output metadata.
        request_fingerprint: A hash of the model, prompt and parameters.
        is_output_only: Whether the call is in the metadata of a notebook output, but not in the
            ledger.
    """

    started_at: float
    model: str
    task: str
    tokens_in: int
    tokens_out: int
    neurons: float
    cost_basis: str
    finish_status: str
    request_fingerprint: str
    is_output_only: bool = False

    @property
    def started_utc(self) -> str:
        """The start time in UTC, to the second."""
        moment = datetime.fromtimestamp(self.started_at, UTC)
        return moment.isoformat(sep=" ", timespec="seconds").removesuffix("+00:00")


class AiUseReport:
    """A report that lists the calls made from a notebook, with totals by model."""

    def __init__(self, notebook_name: str, entries: Sequence[ReportEntry], iso_date: str) -> None:
        self._notebook_name = notebook_name
        self.entries = tuple(entries)
        self._iso_date = iso_date

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/markdown": str(self), "text/plain": repr(self)}

    def __repr__(self) -> str:
        return sanitize_text(str(self))

    def __str__(self) -> str:
        title = f"# {_(REPORT_TITLE)}"
        subject = _("Notebook {notebook}, as of {date} (UTC).").format(
            notebook=format_inline_code(self._notebook_name), date=format_date(self._iso_date)
        )
        if not self.entries:
            scope = _("No AI use is recorded for this notebook on this machine.")
            return f"{title}\n\n{subject} {scope}"
        heading = _("All calls")
        parts = [
            title,
            f"{subject} {self._format_scope()}",
            self._format_totals(),
            f"## {heading}",
            self._format_calls(),
            self._format_legend(),
        ]
        return "\n\n".join(parts)

    def _format_scope(self) -> str:
        count = len(self.entries)
        text = ngettext(
            "{count:,} call, including calls whose output was replaced later.",
            "{count:,} calls, including calls whose output was replaced later.",
            count,
        ).format(count=count)
        output_only_count = sum(1 for entry in self.entries if entry.is_output_only)
        if not output_only_count:
            return text
        output_only_text = ngettext(
            "{count:,} of them was made on another machine and is known only from its output.",
            "{count:,} of them were made on another machine and are known only from their output.",
            output_only_count,
        ).format(count=output_only_count)
        return f"{text} {output_only_text}"

    def _format_totals(self) -> str:
        groups: dict[tuple[str, str], list[ReportEntry]] = defaultdict(list)
        for entry in self.entries:
            groups[entry.model, entry.cost_basis].append(entry)
        rows = [
            (
                escape_markdown(model),
                f"{len(group):,}",
                f"{sum(entry.tokens_in for entry in group):,}",
                f"{sum(entry.tokens_out for entry in group):,}",
                format_neurons(sum(entry.neurons for entry in group)),
                escape_markdown(translate_label(basis)),
            )
            for (model, basis), group in sorted(groups.items(), key=_total_key)
        ]
        return _format_markdown_table(TOTAL_COLUMNS, rows)

    def _format_calls(self) -> str:
        rows = [
            (
                *(entry.started_utc, escape_markdown(entry.model)),
                *(f"{entry.tokens_in:,}", f"{entry.tokens_out:,}", format_neurons(entry.neurons)),
                escape_markdown(translate_label(entry.cost_basis)),
                escape_markdown(translate_label(entry.finish_status)),
                format_inline_code(entry.request_fingerprint),
            )
            for entry in self.entries
        ]
        return _format_markdown_table(CALL_COLUMNS, rows)

    def _format_legend(self) -> str:
        return _(
            "Neurons are Cloudflare's billing unit: *billed* is the figure that Cloudflare "
            "reported, *estimated* is computed from its price list, *replayed* means that the "
            "answer came from a recording and is free, and *local* means that a model on this "
            "machine answered. The *request* column has a hash of model, prompt and parameters: "
            "identical requests have the same hash. This report contains no prompts or answers."
        )

    def to_csv(self) -> str:
        """Return CSV with a header line and one line per call."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(CSV_COLUMNS)
        writer.writerows(map(_build_csv_row, self.entries))
        return buffer.getvalue().rstrip("\n")


def _total_key(item: tuple[tuple[str, str], Sequence[ReportEntry]]) -> tuple[object, ...]:
    """Return the sort key of a total: most neurons first, then by model and cost basis."""
    group_key, entries = item
    return (-sum(entry.neurons for entry in entries), *group_key)


def _build_csv_row(entry: ReportEntry) -> list[object]:
    """Return the values for CSV_COLUMNS."""
    values: tuple[object, ...] = (
        *(
            entry.started_utc,
            entry.model,
            entry.task,
            entry.tokens_in,
            entry.tokens_out,
            entry.neurons,
        ),
        *(entry.cost_basis, entry.finish_status, entry.request_fingerprint, entry.is_output_only),
    )
    return list(map(protect_csv_value, values))


def protect_csv_value(value: object) -> object:
    """Return a value for CSV: text that looks like a formula is prefixed with an apostrophe."""
    return f"'{value}" if isinstance(value, str) and FORMULA_PATTERN.match(value) else value


def translate_label(name: str) -> str:
    """Return the label of a cost basis or a status. Other names are returned unchanged."""
    return _(LABELS[name]) if name in LABELS else name


# The cells are inserted as Markdown, so callers must escape all text from models and users.
def _format_markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rules = ["---:" if name in NUMBER_COLUMNS else "---" for name in columns]
    lines = [list(map(_, columns)), rules, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
