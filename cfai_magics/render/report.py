"""What was used, as a table with a chart under it, and as a data frame."""

from collections.abc import Sequence
from typing import Any

from ..values.frame import data_frame
from .chart import Bar, Chart
from .formats import Table, neurons

COLUMNS = ("calls", "tokens in", "tokens out", "billed", "estimated", "reserved", "US$")


class UsageReport:
    """Rows of sums: a name, then what COLUMNS say, in neurons and in dollars beyond the free."""

    def __init__(
        self,
        by: str,
        rows: Sequence[tuple[str, int, int, int, float, float, float, float]],
        title: str,
        note: str,
    ) -> None:
        self.by = by
        self.rows = tuple(rows)
        self.title = title
        self._note = note

    @property
    def table(self) -> Table:
        """The sums as text."""
        return Table((self.by, *COLUMNS), tuple(map(_shown, self.rows)), self._note)

    @property
    def chart(self) -> Chart:
        """The neurons as bars."""
        bars = [Bar(row[0], row[4], row[5]) for row in self.rows if row[4] + row[5] > 0]
        return Chart(self.title, self.by, bars)

    def df(self) -> Any:
        """Return the sums as a pandas DataFrame; SetupError where pandas is not installed."""
        return data_frame(self.rows, [self.by, *COLUMNS])

    def __str__(self) -> str:
        return f"{self.table}\n\n{self.chart}" if self.rows else str(self.table)

    def __repr__(self) -> str:
        return str(self)

    def _ipython_display_(self) -> None:
        """Show two outputs: a front end that draws the chart would not show the table too."""
        from IPython.display import display

        display(self.table)
        if self.rows:
            display(self.chart)


def _shown(row: tuple[str, int, int, int, float, float, float, float]) -> tuple[str, ...]:
    name, calls, sent, came, billed, estimated, reserved, cost = row
    return (
        name or "(unknown)",
        *(f"{count:,}" for count in (calls, sent, came)),
        *(neurons(amount) for amount in (billed, estimated, reserved)),
        f"{cost:,.4f}",
    )
