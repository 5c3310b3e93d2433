"""Display pairwise text similarities as a heat map."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..i18n import _
from ..markdown.escaping import escape_html
from ..terminal import sanitize_line
from ..texts import pad_right, shorten_line, text_width

Matrix = Sequence[Sequence[float]]
MAX_TEXTS_SHOWN = 40  # a larger table would not be readable
MAX_NAME_CHARS = 40
COLUMN_WIDTH = 6  # in characters, for plain text
COLOR = "0, 114, 178"  # a blue that color-blind readers can distinguish
# The color is transparent, so that the background of the theme shows through. The theme's text
# color then has a contrast of at least 4.5 to 1 in light and dark themes.
MAX_OPACITY = 0.75


@dataclass(frozen=True, slots=True, repr=False)
class HeatMap:
    """A heat map of pairwise similarities between texts.

    Attributes:
        texts: The texts.
        matrix: The similarities, from -1 to 1, with one row and one column for each text.
        metadata: The output metadata, including the provenance of the vectors.
    """

    texts: tuple[str, ...]
    matrix: Matrix
    metadata: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def shown_count(self) -> int:
        """The number of texts shown."""
        return min(len(self.texts), MAX_TEXTS_SHOWN)

    @property
    def note(self) -> str:
        """A note that not all texts are shown, or "" if all texts are shown."""
        if self.shown_count == len(self.texts):
            return ""
        return _(
            "Showing the first {count} of {total:,} texts. {attribute} contains all of them."
        ).format(count=self.shown_count, total=len(self.texts), attribute=".matrix")

    def __str__(self) -> str:
        names = [
            sanitize_line(shorten_line(text, MAX_NAME_CHARS))
            for text in self.texts[: self.shown_count]
        ]
        width = max(map(text_width, names), default=0) + 4
        header = " " * width + "".join(
            f"{column + 1:>{COLUMN_WIDTH}}" for column in range(self.shown_count)
        )
        rows = [
            pad_right(f"{index + 1:>2}  {name}", width)
            + "".join(
                f"{_format_value(value):>{COLUMN_WIDTH}}"
                for value in self.matrix[index][: self.shown_count]
            )
            for index, name in enumerate(names)
        ]
        return "\n".join([header, *rows, *([self.note] if self.note else [])])

    def __repr__(self) -> str:
        return str(self)

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"text/plain": str(self), "text/html": self.html}, dict(self.metadata)

    @property
    def html(self) -> str:
        """The heat map as an HTML table. Each cell also shows the similarity as a number."""
        header_cells = "".join(f"<th>{column + 1}</th>" for column in range(self.shown_count))
        rows = "".join(map(self._render_row, range(self.shown_count)))
        title = escape_html(_("Similarity of each pair of texts"))
        caption = f'<caption style="text-align: left">{title}</caption>'
        table = (
            f"<table>{caption}<thead><tr><td></td>{header_cells}</tr></thead><tbody>{rows}</tbody>"
        )
        return f"{table}</table>" + (f"<div>{escape_html(self.note)}</div>" if self.note else "")

    def _render_row(self, index: int) -> str:
        name = escape_html(f"{index + 1} {shorten_line(self.texts[index], MAX_NAME_CHARS)}")
        cells = "".join(map(_render_cell, self.matrix[index][: self.shown_count]))
        return f'<tr><th style="text-align: left" dir="auto">{name}</th>{cells}</tr>'


def _render_cell(value: float) -> str:
    """Return an HTML cell with the value on a background that shows it."""
    opacity = MAX_OPACITY * max(0.0, min(1.0, value))
    return f'<td style="background: rgba({COLOR}, {opacity:.2f})">{_format_value(value)}</td>'


def _format_value(value: float) -> str:
    return f"{value:.2f}".replace("-0.00", "0.00")
