"""A statement on the use of AI in a notebook, as Markdown and as CSV."""

import csv
import io
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ..escaping import inline_code, markdown_text
from ..terminal import safe_text
from .formats import day, neurons

TITLE = "AI use in this notebook"
COLUMNS = ("date (UTC)", "model", "tokens in", "tokens out", "neurons", "basis", "how it ended")
SUMS = ("model", "answers", "tokens in", "tokens out", "neurons", "basis")
# What is written before these could be taken for a formula by a program that opens the CSV.
FORMULA = re.compile(r"[=+\-\t\r]|@(?![\w-]+/[\w./-]+$)")

CSV_COLUMNS = (
    *("date", "model", "task", "tokens_in", "tokens_out", "neurons", "basis", "ended", "request"),
    "elsewhere",
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One call: `started` in seconds since 1970; `elsewhere` where only an output tells of it.

    `basis` is billed, estimated or replayed, or local where a model on the machine answered.
    """

    started: float
    model: str
    task: str
    tokens_in: int
    tokens_out: int
    neurons: float
    basis: str
    ended: str
    request: str
    elsewhere: bool = False

    @property
    def when(self) -> str:
        """The time in UTC, to the second."""
        moment = datetime.fromtimestamp(self.started, UTC)
        return moment.isoformat(sep=" ", timespec="seconds").removesuffix("+00:00")


class Statement:
    """The calls of one notebook, in their order, with their sums by model."""

    def __init__(self, notebook: str, entries: Sequence[Entry], date: str) -> None:
        self._notebook = notebook
        self.entries = tuple(entries)
        self._date = date

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/markdown": str(self), "text/plain": repr(self)}

    def __repr__(self) -> str:
        return safe_text(str(self))

    def __str__(self) -> str:
        head = (
            f"# {TITLE}\n\nNotebook {inline_code(self._notebook)}, as of {day(self._date)} (UTC). "
        )
        if not self.entries:
            return f"{head}No model was asked in it, as far as is known on this machine."
        parts = [
            head + self._scope(),
            self._sums(),
            "## Every call",
            self._calls(),
            self._legend(),
        ]
        return "\n\n".join(parts)

    def _scope(self) -> str:
        elsewhere = sum(1 for entry in self.entries if entry.elsewhere)
        told = f"{len(self.entries):,} calls, also those whose output was since replaced."
        if elsewhere:
            told += f" {elsewhere:,} of them, made on another machine, are told by outputs alone."
        return told

    def _sums(self) -> str:
        groups: dict[tuple[str, str], list[Entry]] = defaultdict(list)
        for entry in self.entries:
            groups[entry.model, entry.basis].append(entry)
        rows = [
            (
                markdown_text(model),
                f"{len(group):,}",
                f"{sum(entry.tokens_in for entry in group):,}",
                f"{sum(entry.tokens_out for entry in group):,}",
                neurons(sum(entry.neurons for entry in group)),
                markdown_text(basis),
            )
            for (model, basis), group in sorted(groups.items())
        ]
        return _table(SUMS, rows)

    def _calls(self) -> str:
        rows = [
            (
                *(entry.when, markdown_text(entry.model)),
                *(f"{entry.tokens_in:,}", f"{entry.tokens_out:,}", neurons(entry.neurons)),
                *(markdown_text(entry.basis), markdown_text(entry.ended)),
                inline_code(entry.request),
            )
            for entry in self.entries
        ]
        return _table((*COLUMNS, "request"), rows)

    def _legend(self) -> str:
        return (
            "Neurons are what Cloudflare bills in: *billed* is its own figure, *estimated* is "
            "reckoned from its price list, *replayed* comes from a recording and cost nothing, "
            "and *local* was answered by a model on the machine. The request is a hash of model, "
            "question and parameters: the same question has the same one. No text of a question "
            "or answer is in this report."
        )

    def csv(self) -> str:
        """Return every call as a line of CSV."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(CSV_COLUMNS)
        writer.writerows(map(_row, self.entries))
        return out.getvalue().rstrip("\n")


def _row(entry: Entry) -> list[object]:
    """Return the values of CSV_COLUMNS; a text that a spreadsheet would run is quoted."""
    values: tuple[object, ...] = (
        *(entry.when, entry.model, entry.task, entry.tokens_in, entry.tokens_out, entry.neurons),
        *(entry.basis, entry.ended, entry.request, entry.elsewhere),
    )
    return [
        f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value
        for value in values
    ]


# Every cell is Markdown already: what comes from elsewhere is escaped where the row is made.
def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
