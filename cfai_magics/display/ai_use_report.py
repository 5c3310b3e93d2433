"""Report the use of AI in a notebook, as Markdown and as CSV."""

import csv
import io
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ..markdown.escaping import escape_markdown, format_inline_code
from ..terminal import sanitize_text
from .tables import format_date, format_neurons

REPORT_TITLE = "AI use in this notebook"
CALL_COLUMNS = (
    "date (UTC)",
    "model",
    "tokens in",
    "tokens out",
    "neurons",
    "basis",
    "how it ended",
)
TOTAL_COLUMNS = ("model", "answers", "tokens in", "tokens out", "neurons", "basis")
# A spreadsheet program could run a CSV cell that starts like this as a formula.
FORMULA_PATTERN = re.compile(r"[=+\-\t\r]|@(?![\w-]+/[\w./-]+$)")

CSV_COLUMNS = (
    *("date", "model", "task", "tokens_in", "tokens_out", "neurons", "basis", "ended", "request"),
    "elsewhere",
)


@dataclass(frozen=True, slots=True)
class ReportEntry:
    """One call of the report.

    `started_at` is in seconds since 1970. `cost_basis` is billed, estimated or replayed, or local
    if a model on this machine answered. `is_output_only` means that the call is known only from
    the metadata of a notebook output, not from the ledger.
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
    """The calls of one notebook in order, with totals by model."""

    def __init__(self, notebook_name: str, entries: Sequence[ReportEntry], iso_date: str) -> None:
        self._notebook_name = notebook_name
        self.entries = tuple(entries)
        self._iso_date = iso_date

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/markdown": str(self), "text/plain": repr(self)}

    def __repr__(self) -> str:
        return sanitize_text(str(self))

    def __str__(self) -> str:
        header = (
            f"# {REPORT_TITLE}\n\nNotebook {format_inline_code(self._notebook_name)}, "
            f"as of {format_date(self._iso_date)} (UTC). "
        )
        if not self.entries:
            return f"{header}No model was asked in it, as far as is known on this machine."
        parts = [
            header + self._format_scope(),
            self._format_totals(),
            "## Every call",
            self._format_calls(),
            self._format_legend(),
        ]
        return "\n\n".join(parts)

    def _format_scope(self) -> str:
        output_only_count = sum(1 for entry in self.entries if entry.is_output_only)
        text = f"{len(self.entries):,} calls, also those whose output was since replaced."
        if output_only_count:
            text += (
                f" {output_only_count:,} of them, made on another machine, are told by outputs "
                "alone."
            )
        return text

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
                escape_markdown(basis),
            )
            for (model, basis), group in sorted(groups.items())
        ]
        return _format_markdown_table(TOTAL_COLUMNS, rows)

    def _format_calls(self) -> str:
        rows = [
            (
                *(entry.started_utc, escape_markdown(entry.model)),
                *(f"{entry.tokens_in:,}", f"{entry.tokens_out:,}", format_neurons(entry.neurons)),
                *(escape_markdown(entry.cost_basis), escape_markdown(entry.finish_status)),
                format_inline_code(entry.request_fingerprint),
            )
            for entry in self.entries
        ]
        return _format_markdown_table((*CALL_COLUMNS, "request"), rows)

    def _format_legend(self) -> str:
        return (
            "Neurons are what Cloudflare bills in: *billed* is its own figure, *estimated* is "
            "reckoned from its price list, *replayed* comes from a recording and cost nothing, "
            "and *local* was answered by a model on the machine. The request is a hash of model, "
            "question and parameters: the same question has the same one. No text of a question "
            "or answer is in this report."
        )

    def to_csv(self) -> str:
        """Return the calls as CSV, with a header line and one line per call."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(CSV_COLUMNS)
        writer.writerows(map(_build_csv_row, self.entries))
        return buffer.getvalue().rstrip("\n")


def _build_csv_row(entry: ReportEntry) -> list[object]:
    """Return the values of CSV_COLUMNS; a text that looks like a formula gets a leading '."""
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
    return [
        f"'{value}" if isinstance(value, str) and FORMULA_PATTERN.match(value) else value
        for value in values
    ]


# The cells must be valid Markdown: callers escape all text from models and users.
def _format_markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
