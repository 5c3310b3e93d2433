"""Display usage totals as a table with a chart, or as a data frame."""

from collections.abc import Sequence
from typing import Any

from ..types.results import to_data_frame
from .chart import Bar, Chart
from .tables import Table, format_neurons

USAGE_COLUMNS = ("calls", "tokens in", "tokens out", "billed", "estimated", "reserved", "US$")


class UsageReport:
    """Usage totals: each row has a name and the values of USAGE_COLUMNS.

    The columns billed, estimated and reserved are in neurons; US$ is the cost beyond the free
    allowance.
    """

    def __init__(
        self,
        group_by: str,
        rows: Sequence[tuple[str, int, int, int, float, float, float, float]],
        title: str,
        note: str,
    ) -> None:
        self.group_by = group_by
        self.rows = tuple(rows)
        self.title = title
        self._note = note

    @property
    def table(self) -> Table:
        """The totals as a table."""
        return Table(
            (self.group_by, *USAGE_COLUMNS), tuple(map(_format_row, self.rows)), self._note
        )

    @property
    def chart(self) -> Chart:
        """The billed and estimated neurons as a bar chart."""
        bars = [Bar(row[0], row[4], row[5]) for row in self.rows if row[4] + row[5] > 0]
        return Chart(self.title, self.group_by, bars)

    def df(self) -> Any:
        """Return the totals as a pandas DataFrame; raises SetupError if pandas is missing."""
        return to_data_frame(self.rows, [self.group_by, *USAGE_COLUMNS])

    def __str__(self) -> str:
        return f"{self.table}\n\n{self.chart}" if self.rows else str(self.table)

    def __repr__(self) -> str:
        return str(self)

    def _ipython_display_(self) -> None:
        """Display two outputs, because a front end that draws the chart hides the table."""
        from IPython.display import display

        display(self.table)
        if self.rows:
            display(self.chart)


def _format_row(row: tuple[str, int, int, int, float, float, float, float]) -> tuple[str, ...]:
    name, calls, tokens_in, tokens_out, billed, estimated, reserved, cost = row
    return (
        name or "(unknown)",
        *(f"{count:,}" for count in (calls, tokens_in, tokens_out)),
        *(format_neurons(amount) for amount in (billed, estimated, reserved)),
        f"{cost:,.4f}",
    )
