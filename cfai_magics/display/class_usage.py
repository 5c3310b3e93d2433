"""Display the usage of a class by student and model, or return it as a data frame."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from ..i18n import _, mark
from ..types.results import to_data_frame
from .chart import Bar, Chart
from .tables import Table, format_neurons
from .usage_table import Report

UsageRow = tuple[str, str, str, int, float, float]  # with the values of ROW_COLUMNS
ROW_COLUMNS = ("day", "student", "model", "calls", "neurons", "estimated")
COLUMNS = (
    *(mark("student"), mark("model"), mark("calls")),
    *(mark("neurons"), mark("of which estimated")),
)


class ClassUsageReport(Report):
    """A report of the neurons of a class by student and model.

    Args:
        rows: The usage by day, student and model, with the values of ROW_COLUMNS. Neurons include
            the estimated ones.
        title: The title of the chart.
        note: The note below the table.
    """

    def __init__(self, rows: Sequence[UsageRow], title: str, note: str) -> None:
        self.rows = tuple(rows)
        self._title = title
        self._note = note

    @property
    def table(self) -> Table:
        """A table with one row per student and model. The highest costs come first."""
        totals: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0, 0.0, 0.0])
        for _day, student, model, *figures in self.rows:
            total = totals[student, model]
            for position, figure in enumerate(figures):
                total[position] += figure
        ranked = sorted(totals.items(), key=lambda item: (-item[1][1], item[0]))
        rows = tuple(
            (
                *(student, model.rpartition("/")[2], f"{calls:,.0f}"),
                *(format_neurons(neurons), format_neurons(estimated)),
            )
            for (student, model), (calls, neurons, estimated) in ranked
        )
        return Table(tuple(map(_, COLUMNS)), rows, self._note, number_columns=(2, 3, 4))

    @property
    def chart(self) -> Chart:
        """A bar chart of the billed and estimated neurons by student."""
        totals: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        for _day, student, _model, _calls, neurons, estimated in self.rows:
            totals[student][0] += neurons - estimated
            totals[student][1] += estimated
        ranked = sorted(totals.items(), key=lambda item: (-sum(item[1]), item[0]))
        bars = [Bar(student, billed, estimated) for student, (billed, estimated) in ranked]
        return Chart(self._title, _("student"), bars)

    def df(self) -> Any:
        """Return the usage as a pandas DataFrame with one row per day, student and model.

        Its columns are day, student, model, calls, neurons and estimated, which is the part of
        the neurons that the server estimated.

        Raises:
            SetupError: pandas is not installed.
        """
        return to_data_frame(self.rows, ROW_COLUMNS)
