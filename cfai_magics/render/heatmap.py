"""How near texts are to each other: a table whose cells are the darker the nearer two are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..escaping import html_text
from ..terminal import safe_line

Matrix = Sequence[Sequence[float]]
MOST_SHOWN = 40  # texts: beyond, a table says nothing to the eye
LONGEST_NAME = 40  # characters
NARROW = 6  # characters of a column in a terminal
RED, GREEN, BLUE = 0, 114, 178  # the blue that readers who see no red or no green know too
DARK = 0.6  # of the blue: from there on white is easier to read


@dataclass(frozen=True, slots=True, repr=False)
class HeatMap:
    """The similarities of some texts, from -1 to 1; `matrix` has a row and a column a text.

    `metadata` is what its output bears of where the vectors come from.
    """

    texts: tuple[str, ...]
    matrix: Matrix
    metadata: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def shown(self) -> int:
        """How many of the texts are shown."""
        return min(len(self.texts), MOST_SHOWN)

    @property
    def note(self) -> str:
        """What there is to remark."""
        if self.shown == len(self.texts):
            return ""
        return f"The first {self.shown} of {len(self.texts):,} texts; .matrix holds all."

    def __str__(self) -> str:
        names = [safe_line(_name(text)) for text in self.texts[: self.shown]]
        width = max(map(len, names), default=0) + 4
        head = " " * width + "".join(f"{at + 1:>{NARROW}}" for at in range(self.shown))
        rows = [
            f"{f'{at + 1:>2}  {name}':<{width}}"
            + "".join(f"{_number(one):>{NARROW}}" for one in self.matrix[at][: self.shown])
            for at, name in enumerate(names)
        ]
        return "\n".join([head, *rows, *([self.note] if self.note else [])])

    def __repr__(self) -> str:
        return str(self)

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"text/plain": str(self), "text/html": self.html}, dict(self.metadata)

    @property
    def html(self) -> str:
        """The map as a table: every colour has its number in it."""
        numbers = "".join(f"<th>{at + 1}</th>" for at in range(self.shown))
        rows = "".join(map(self._row, range(self.shown)))
        caption = '<caption style="text-align: left">How near each text is to each</caption>'
        table = f"<table>{caption}<thead><tr><th></th>{numbers}</tr></thead><tbody>{rows}</tbody>"
        return f"{table}</table>" + (f"<div>{html_text(self.note)}</div>" if self.note else "")

    def _row(self, at: int) -> str:
        name = html_text(f"{at + 1} {_name(self.texts[at])}")
        cells = "".join(map(_cell, self.matrix[at][: self.shown]))
        return f'<tr><th style="text-align: left" dir="auto">{name}</th>{cells}</tr>'


def _cell(value: float) -> str:
    """Return one cell: its number stands in it, so that its colour need not be seen."""
    share = max(0.0, min(1.0, value))
    colour = "#fff" if share > DARK else "#000"
    ground = ", ".join(f"{round(255 - share * (255 - part))}" for part in (RED, GREEN, BLUE))
    return f'<td style="background-color: rgb({ground}); color: {colour}">{_number(value)}</td>'


def _number(value: float) -> str:
    return f"{value:.2f}".replace("-0.00", "0.00")


def _name(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_NAME else f"{line[: LONGEST_NAME - 1]}…"
