"""Display usage totals as a table and a chart, or return them as a data frame."""

from collections.abc import Sequence
from typing import Any

from ..i18n import _, mark
from ..types.results import to_data_frame
from .chart import Bar, Chart
from .tables import Table, format_neurons

GROUP_LABELS = {
    "model": mark("model"),
    "notebook": mark("notebook"),
    "day": mark("day"),
    "task": mark("task"),
}
USAGE_COLUMNS = (
    *(mark("calls"), mark("tokens in"), mark("tokens out")),
    *(mark("billed"), mark("estimated"), mark("reserved"), mark("US$")),
)


class Report:
    """A table with a chart, which is shown if the table has rows."""

    rows: tuple[Any, ...] = ()

    @property
    def table(self) -> Table:
        """The table."""
        raise NotImplementedError

    @property
    def chart(self) -> Chart:
        """The chart."""
        raise NotImplementedError

    def __str__(self) -> str:
        return f"{self.table}\n\n{self.chart}" if self.rows else str(self.table)

    def __repr__(self) -> str:
        return str(self)

    def _ipython_display_(self) -> None:
        """Display the table and the chart as two outputs in a notebook.

        If both were in one output, a front end that draws the chart would not show the table.

        Raises:
            NotImplementedError: IPython runs in a terminal. It then prints the text, below its
                Out[n] prompt instead of next to it.
        """
        from IPython.core.getipython import get_ipython
        from IPython.display import display

        if not hasattr(get_ipython(), "kernel"):
            raise NotImplementedError
        display(self.table)
        if self.rows:
            display(self.chart)


class UsageReport(Report):
    """A report of usage totals by model, notebook, day or task.

    The billed, estimated and reserved columns are in neurons. The US$ column shows the price
    before free neurons are deducted.

    Args:
        group_by: What each row represents: "model", "notebook", "day" or "task".
        rows: The totals. Each row has a name and a value for each column in USAGE_COLUMNS.
        title: The title of the chart.
        note: The note below the table.
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
        """A table of the totals."""
        return Table(
            (self._group_label, *map(_, USAGE_COLUMNS)),
            tuple(map(_format_row, self.rows)),
            self._note,
            number_columns=tuple(range(1, 1 + len(USAGE_COLUMNS))),
        )

    @property
    def chart(self) -> Chart:
        """A bar chart of the billed and estimated neurons by group."""
        bars = [Bar(row[0], row[4], row[5]) for row in self.rows if row[4] + row[5] > 0]
        return Chart(self.title, self._group_label, bars)

    @property
    def _group_label(self) -> str:
        return _(GROUP_LABELS.get(self.group_by, self.group_by))

    def df(self) -> Any:
        """Return the totals as a pandas DataFrame with one row per group.

        The first column contains the group names. The other columns are USAGE_COLUMNS.

        Raises:
            SetupError: pandas is not installed.
        """
        return to_data_frame(self.rows, [self.group_by, *USAGE_COLUMNS])


def _format_row(row: tuple[str, int, int, int, float, float, float, float]) -> tuple[str, ...]:
    name, calls, tokens_in, tokens_out, billed, estimated, reserved, cost = row
    return (
        name or _("(unknown)"),
        *(f"{count:,}" for count in (calls, tokens_in, tokens_out)),
        *(format_neurons(amount) for amount in (billed, estimated, reserved)),
        f"{cost:,.4f}",
    )
