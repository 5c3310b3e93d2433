"""Tables and numbers as text, Markdown and HTML."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Any

from ..errors import CfaiError
from ..escaping import html_text
from ..markdown import without_remote_content
from ..terminal import safe_line, safe_text
from ..values import AccountFigure

Bundle = Mapping[str, Any]  # MIME types with their texts
LEAST = 1e-9  # neurons
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
FOOTER_STYLE = "color: var(--jp-ui-font-color2, GrayText); font-size: var(--jp-ui-font-size1, 90%)"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under column names, with a note below: readable in every front end."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        lines = [tuple(map(safe_line, line)) for line in (self.columns, *self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        texts = [_aligned(line, widths) for line in lines]
        return "\n".join([*texts, *([safe_text(self.note)] if self.note else [])])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        head = _cells("th", self.columns)
        body = "".join(f"<tr>{_cells('td', row)}</tr>" for row in self.rows)
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return table + (muted(self.note) if self.note else "")


@dataclass(frozen=True, slots=True)
class Markdown:
    """A text of Markdown that may hold a model's words: nothing in it is loaded or run."""

    text: str

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return safe_text(self.text)

    def _repr_markdown_(self) -> str:
        return without_remote_content(self.text)


def _aligned(line: Sequence[str], widths: Iterable[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def _cells(tag: str, row: Iterable[str]) -> str:
    return "".join(
        f'<{tag} style="text-align: left" dir="auto">{html_text(cell)}</{tag}>' for cell in row
    )


def muted(text: str) -> str:
    """Return text as an HTML line in the front end's quiet colour; runs of spaces stay."""
    lines = "<br>".join(html_text(line).replace("  ", " &nbsp;") for line in text.splitlines())
    return f'<div style="{FOOTER_STYLE}">{lines}</div>'


def folded(summary: str, text: str) -> str:
    """Return text as HTML that opens when its summary is clicked."""
    style = "white-space: pre-wrap; font-family: inherit"
    return (
        f"<details><summary>{html_text(summary)}</summary>"
        f'<pre style="{style}">{escape(text)}</pre></details>'
    )


def unfolded(summary: str, code: str) -> str:
    """Return code as HTML that closes when its summary is clicked."""
    return (
        f"<details open><summary>{html_text(summary)}</summary>"
        f'<pre style="white-space: pre-wrap">{escape(code)}</pre></details>'
    )


def neurons(amount: float) -> str:
    """Return a number of neurons with as many digits as matter."""
    if abs(amount) < LEAST:  # what sums of fractions leave behind is nothing
        return "0"
    if amount >= 100:  # noqa: PLR2004 - from here on a tenth says nothing
        return f"{amount:,.0f}"
    return f"{amount:.1f}" if amount >= 1 else f"{amount:.2g}"


def counted(figure: AccountFigure) -> str:
    """Return what Cloudflare itself counted for an account, and when it said so."""
    return f"{neurons(figure.neurons)} at {datetime.fromtimestamp(figure.told, UTC):%H:%M} UTC"


def about(amount: float) -> str:
    """Return a number of neurons that is not known to the tenth."""
    return f"{amount:,.0f}" if amount >= 10 else neurons(amount)  # noqa: PLR2004


def between(low: float, high: float) -> str:
    """Return a range of neurons."""
    return f"{neurons(low)} to {neurons(high)}"


def seconds(amount: float) -> str:
    """Return a duration in seconds, to the tenth below a minute."""
    return f"{amount:.1f} s" if amount < 60 else f"{amount:,.0f} s"  # noqa: PLR2004 - a minute


def duration(amount: float) -> str:
    """Return a time given in seconds in hours and minutes."""
    hours, minutes = divmod(int(amount // 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def next_try(error: CfaiError, pause: float, number: int) -> str:
    """Return the line that tells why nothing has come yet, and when it is tried again."""
    cause = error.cause.rstrip(".")
    if number == 1:  # it waits for its turn
        return f"{cause}; this one is sent in {pause:.0f} s"
    return f"{cause}; try {number} follows in {pause:.0f} s"


def day(iso: str) -> str:
    """Return an ISO date as 12 Oct 2026; what is no date as it is."""
    try:
        date = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    return f"{date.day} {MONTHS[date.month - 1]} {date.year}"


def bar(done: int, total: int, width: int = 30) -> str:
    """Return how far something is, in bytes, as text."""
    share = done / total if total else 0.0
    filled = "█" * round(share * width)
    return f"{filled:░<{width}} {share:.0%} of {total / 1e6:,.0f} MB".replace("%", " %")
