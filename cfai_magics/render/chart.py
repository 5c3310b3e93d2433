"""A chart of neurons as Vega-Lite, HTML and text: a bar a name, billed beside estimated."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..escaping import html_text
from ..terminal import safe_line
from .formats import neurons

VEGA_LITE = "application/vnd.vegalite.v5+json"
SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
BASES = ("billed", "estimated")
# Told apart in both themes, and by readers who see no red or no green.
COLOURS = {"billed": "#0072b2", "estimated": "#e69f00"}
WIDTH = 40  # characters of the longest bar


class Bar(NamedTuple):
    """One bar: its name and its neurons."""

    name: str
    billed: float
    estimated: float

    @property
    def total(self) -> float:
        """Both together."""
        return self.billed + self.estimated


class Chart:
    """The bars under a title; in time order where `by` is "day", else the largest first."""

    def __init__(self, title: str, by: str, bars: Sequence[Bar]) -> None:
        self._title = title
        self._by = by
        self._bars = bars

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {VEGA_LITE: self.vega_lite(), "text/html": self.html(), "text/plain": str(self)}

    def vega_lite(self) -> dict[str, Any]:
        """Return the chart as a Vega-Lite specification that holds its data."""
        return {
            "$schema": SCHEMA,
            "description": str(self),
            "title": self._title,
            "width": 480,
            "background": "transparent",
            "data": {"values": self._values()},
            "mark": {"type": "bar", "tooltip": True},
            "encoding": {
                "y": {"field": "name", "type": "nominal", "sort": None, "title": self._by},
                "x": {"field": "neurons", "type": "quantitative", "title": "neurons"},
                "color": {
                    "field": "basis",
                    "type": "nominal",
                    "title": None,
                    "scale": {"domain": list(BASES), "range": [COLOURS[b] for b in BASES]},
                },
            },
            "config": _quiet_colours(),
        }

    def _values(self) -> list[dict[str, Any]]:
        return [
            {"name": bar.name, "basis": basis, "neurons": getattr(bar, basis)}
            for bar in self._bars
            for basis in BASES
        ]

    def html(self) -> str:
        """Return the chart as HTML without script, for where Vega-Lite is not shown."""
        longest = self._longest()
        rows = "".join(
            f'<tr><td style="text-align: left" dir="auto">{html_text(bar.name)}</td>'
            f'<td style="text-align: left; width: 30em">{_html_bar(bar, longest)}</td></tr>'
            for bar in self._bars
        )
        caption = f'<caption style="text-align: left">{html_text(self._title)}</caption>'
        return f"<table>{caption}{rows}</table>"

    def __str__(self) -> str:
        longest, names = self._longest(), [safe_line(bar.name) for bar in self._bars]
        width = max(map(len, names), default=0)
        lines = [
            f"{name:<{width}}  {_text_bar(bar, longest)}"
            for name, bar in zip(names, self._bars, strict=True)
        ]
        return "\n".join([f"{safe_line(self._title)} (█ billed, ░ estimated)", *lines])

    def _longest(self) -> float:
        return max((bar.total for bar in self._bars), default=0.0) or 1.0


def _text_bar(bar: Bar, longest: float) -> str:
    billed, estimated = (round(part / longest * WIDTH) for part in (bar.billed, bar.estimated))
    return f"{'█' * billed}{'░' * estimated} {neurons(bar.total)}"


def _html_bar(bar: Bar, longest: float) -> str:
    blocks = "".join(
        f'<span title="{neurons(getattr(bar, basis))} {basis}" style="display: inline-block; '
        f"height: 0.8em; width: {getattr(bar, basis) / longest * 75:.1f}%; "
        f'background: {COLOURS[basis]}"></span>'
        for basis in BASES
    )
    return f"{blocks} {neurons(bar.total)}"


def _quiet_colours() -> dict[str, Any]:
    """Return colours that can be read on a light ground and on a dark one."""
    grey = "#808080"
    axis = {"labelColor": grey, "titleColor": grey, "gridColor": "#80808040", "labelLimit": 400}
    return {
        "axis": axis,
        "title": {"color": grey},
        "legend": {"labelColor": grey},
        "view": {"stroke": None},
    }
