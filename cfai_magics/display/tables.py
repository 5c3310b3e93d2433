"""Format tables, dates and numbers as text, Markdown and HTML."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any, NamedTuple

from ..errors import CfaiError
from ..i18n import _, mark
from ..markdown.blocks import strip_remote_content
from ..markdown.escaping import escape_html
from ..terminal import sanitize_line, sanitize_text
from ..texts import format_percent, pad_left, pad_right, text_width
from ..types.usage import AccountFigure, ClassFigure, CostBasis, DayUsage

MimeBundle = Mapping[str, Any]  # maps MIME types to content
RECENT_SECONDS = 60
MIN_NEURONS = 1e-9  # smaller amounts are treated as rounding errors
MONTH_NAMES = (
    *(mark("Jan"), mark("Feb"), mark("Mar"), mark("Apr"), mark("May"), mark("Jun")),
    *(mark("Jul"), mark("Aug"), mark("Sep"), mark("Oct"), mark("Nov"), mark("Dec")),
)
COST_TEXTS: Mapping[CostBasis | None, str] = {
    "billed": mark("{neurons} neurons billed"),
    "estimated": mark("{neurons} neurons estimated"),
    "replayed": mark("{neurons} neurons replayed"),
    "local": mark("no neurons"),
    None: mark("{neurons} neurons"),
}
DAY_BUDGET_TEXTS = {
    "user": mark("your budget of {limit:,.0f}"),
    "course": mark("the course budget of {limit:,.0f}"),
    "class": mark("your class budget of {limit:,.0f}"),
}
MUTED_STYLE = "color:var(--jp-ui-font-color2,GrayText);font-size:90%"


class Table(NamedTuple):
    """A table of strings that is shown as text or HTML, with a note below the table.

    A table without rows is shown as its note only, so the note must say what is missing. The
    caller must translate the column names, the cells and the note. `number_columns` are the
    positions of the columns with numbers, which are aligned on the right.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    number_columns: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        if not self.rows:
            return sanitize_text(self.note)
        rows = [tuple(map(sanitize_line, row)) for row in (self.columns, *self.rows)]
        widths = [max(map(text_width, column)) for column in zip(*rows, strict=True)]
        lines = [self._align_row(row, widths) for row in rows]
        return "\n".join([*lines, *([sanitize_text(self.note)] if self.note else [])])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        if not self.rows:
            return muted_html(self.note)
        head = self._render_cells("th", self.columns)
        body = "".join(f"<tr>{self._render_cells('td', row)}</tr>" for row in self.rows)
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return table + (muted_html(self.note) if self.note else "")

    def _align_row(self, row: Sequence[str], widths: Sequence[int]) -> str:
        cells = (
            pad_left(cell, width) if position in self.number_columns else pad_right(cell, width)
            for position, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join(cells).rstrip()

    def _render_cells(self, tag: str, row: Sequence[str]) -> str:
        # A column without a name has no header cell: screen readers would announce an empty one.
        tags = (tag if cell else "td" for cell in row)
        return "".join(
            f'<{tag} style="text-align: {self._get_side(position)}" dir="auto">'
            f"{escape_html(cell)}</{tag}>"
            for position, (tag, cell) in enumerate(zip(tags, row, strict=True))
        )

    def _get_side(self, position: int) -> str:
        return "right" if position in self.number_columns else "left"


class SafeMarkdown(NamedTuple):
    """Markdown that may contain text from a model. Notebooks show it without external content."""

    text: str

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return sanitize_text(self.text)

    def _repr_markdown_(self) -> str:
        return strip_remote_content(self.text)


def muted_html(text: str) -> str:
    """Return the text as HTML in the front end's muted color. Runs of spaces are preserved."""
    lines = "<br>".join(escape_html(text).replace("  ", " &nbsp;").splitlines())
    return f'<div style="{MUTED_STYLE}">{lines}</div>'


def collapsed_html(summary: str, text: str) -> str:
    """Return a closed <details> element with the text."""
    style = "white-space:pre-wrap;font:inherit;color:inherit"
    return (
        f"<details><summary>{escape_html(summary)}</summary>"
        f'<pre style="{style}">{escape(text, quote=False)}</pre></details>'
    )


def format_neurons(neurons: float) -> str:
    """Return a number of neurons as text. Larger numbers have fewer decimal places."""
    if abs(neurons) < MIN_NEURONS:  # a rounding error from adding numbers
        return "0"
    if neurons >= 100:  # noqa: PLR2004 - tenths are not significant
        return f"{neurons:,.0f}"
    return f"{neurons:.1f}" if neurons >= 1 else f"{neurons:.2g}"


def format_account_figure(figure: AccountFigure) -> str:
    """Return text that gives the neurons Cloudflare reported for an account, and when."""
    reported_at = datetime.fromtimestamp(figure.reported_at, UTC)
    return _("{neurons} at {time} UTC").format(
        neurons=format_neurons(figure.neurons), time=f"{reported_at:%H:%M}"
    )


def format_class_report(figure: ClassFigure, now: datetime) -> str:
    """Return a sentence with the time of a class server's report, or "" if it is recent."""
    reported_at = datetime.fromtimestamp(figure.reported_at, UTC)
    if (now - reported_at).total_seconds() < RECENT_SECONDS:
        return ""
    return _("The class server did not answer; your class budget is as of {time} UTC.").format(
        time=f"{reported_at:%Y-%m-%d %H:%M}"
    )


def format_day_budget(day_usage: DayUsage) -> str:
    """Return text that gives the day's limit and its source, such as "your class budget of 300".

    The free neurons are only a number.
    """
    if day_usage.limit is None:
        return _("your class budget")
    if day_usage.limit_source == "free":
        return f"{day_usage.limit:,.0f}"
    return _(DAY_BUDGET_TEXTS[day_usage.limit_source]).format(limit=day_usage.limit)


def format_cost(neurons: float, cost_basis: CostBasis | None) -> str:
    """Return a number of neurons as text, marked as billed, estimated or replayed."""
    return _(COST_TEXTS[cost_basis]).format(neurons=format_neurons(neurons))


def format_rounded_neurons(neurons: float) -> str:
    """Format an estimated number of neurons, rounded to an integer if it is at least 10."""
    return f"{neurons:,.0f}" if neurons >= 10 else format_neurons(neurons)  # noqa: PLR2004


def format_estimate(typical: float, high: float) -> str:
    """Return the typical and the maximum number of neurons as text, or "0" if both are zero."""
    if not high:
        return "0"
    return _("≈ {typical}, at most {high}").format(
        typical=format_neurons(typical), high=format_neurons(high)
    )


def format_seconds(seconds: float) -> str:
    """Return a duration in seconds as text, with tenths if the duration is under a minute."""
    number = f"{seconds:.1f}" if seconds < 60 else f"{seconds:,.0f}"  # noqa: PLR2004 - a minute
    return _("{number} s").format(number=number)


def format_duration(seconds: float) -> str:
    """Return a duration, given in seconds, as text with hours and minutes."""
    hours, minutes = divmod(int(seconds // 60), 60)
    if hours:
        return _("{hours} h {minutes} min").format(hours=hours, minutes=minutes)
    return _("{minutes} min").format(minutes=minutes)


def format_retry_message(error: CfaiError, delay: float, attempt: int) -> str:
    """Return a line with the reason for a delay and the seconds until the next attempt."""
    cause = error.cause.rstrip(".。")
    if error.scope:
        cause = _("Waiting for the class… {cause}").format(cause=cause)
    if attempt == 1:  # the delay before the first attempt is due to the rate limit
        return _("{cause}; sending in {seconds:.0f} s").format(cause=cause, seconds=delay)
    return _("{cause}; attempt {attempt} in {seconds:.0f} s").format(
        cause=cause, attempt=attempt, seconds=delay
    )


def format_date(iso_date: str) -> str:
    """Return an ISO date in a format like 12 Oct 2026. Any other text is returned unchanged."""
    try:
        date = datetime.fromisoformat(iso_date)
    except ValueError:
        return iso_date
    return _("{day} {month} {year}").format(
        day=date.day, month=_(MONTH_NAMES[date.month - 1]), year=date.year
    )


def format_progress_bar(bytes_done: int, bytes_total: int, width: int = 30) -> str:
    """Return a progress bar of `width` characters, followed by the percentage and total size."""
    fraction = bytes_done / bytes_total if bytes_total else 0.0
    bar = "█" * round(fraction * width)
    return _("{bar} {percent} of {size:,.0f} MB").format(
        bar=f"{bar:░<{width}}", percent=format_percent(fraction), size=bytes_total / 1e6
    )
