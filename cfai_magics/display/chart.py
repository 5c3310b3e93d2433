"""Draw a bar chart of billed and estimated neurons in Vega-Lite, HTML and text."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..i18n import _, mark
from ..markdown.escaping import escape_html
from ..terminal import sanitize_line
from ..texts import pad_right, text_width
from ..types.usage import CostBasis
from .tables import format_cost, format_neurons

VEGA_LITE_MIME_TYPE = "application/vnd.vegalite.v5+json"
VEGA_LITE_SCHEMA_URL = "https://vega.github.io/schema/vega-lite/v5.json"
COST_BASES: tuple[CostBasis, ...] = ("billed", "estimated")
BASIS_LABELS: Mapping[CostBasis, str] = {"billed": mark("billed"), "estimated": mark("estimated")}
# These colors are distinguishable in light and dark themes and by color-blind readers.
COLOR_BY_BASIS: Mapping[CostBasis, str] = {"billed": "#0072b2", "estimated": "#e69f00"}
MAX_BAR_CHARS = 40


class Bar(NamedTuple):
    """The name of a bar, and the billed and estimated neurons that the bar shows."""

    name: str
    billed: float
    estimated: float

    @property
    def total(self) -> float:
        """The total number of billed and estimated neurons."""
        return self.billed + self.estimated


class Chart:
    """A bar chart of neurons. `group_by` is the title of the vertical axis."""

    def __init__(self, title: str, group_by: str, bars: Sequence[Bar]) -> None:
        self._title = title
        self._group_by = group_by
        self._bars = bars

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {
            VEGA_LITE_MIME_TYPE: self.build_vega_lite_spec(),
            "text/html": self.render_html(),
            "text/plain": str(self),
        }

    def build_vega_lite_spec(self) -> dict[str, Any]:
        """Return a Vega-Lite specification of the chart, including the data."""
        return {
            "$schema": VEGA_LITE_SCHEMA_URL,
            "description": str(self),
            "title": self._title,
            "width": 480,
            "background": "transparent",
            "data": {"values": self._build_data_values()},
            "mark": {"type": "bar", "tooltip": True},
            "encoding": {
                "y": {"field": "name", "type": "nominal", "sort": None, "title": self._group_by},
                "x": {"field": "neurons", "type": "quantitative", "title": _("neurons")},
                "color": {
                    "field": "basis",
                    "type": "nominal",
                    "title": None,
                    "scale": {
                        "domain": [_(BASIS_LABELS[basis]) for basis in COST_BASES],
                        "range": [COLOR_BY_BASIS[basis] for basis in COST_BASES],
                    },
                },
            },
            "config": _build_neutral_config(),
        }

    def _build_data_values(self) -> list[dict[str, Any]]:
        return [
            {"name": bar.name, "basis": _(BASIS_LABELS[basis]), "neurons": getattr(bar, basis)}
            for bar in self._bars
            for basis in COST_BASES
        ]

    def render_html(self) -> str:
        """Return the chart as HTML without scripts, for front ends without Vega-Lite."""
        max_total = self._max_total()
        rows = "".join(
            f'<tr><td style="text-align: left" dir="auto">{escape_html(bar.name)}</td>'
            '<td style="text-align: left; width: 30em">'
            f"{_render_html_bar(bar, max_total)}</td></tr>"
            for bar in self._bars
        )
        caption = f'<caption style="text-align: left">{escape_html(self._title)}</caption>'
        return f"<table>{caption}{rows}</table>"

    def __str__(self) -> str:
        max_total, names = self._max_total(), [sanitize_line(bar.name) for bar in self._bars]
        width = max(map(text_width, names), default=0)
        lines = [
            f"{pad_right(name, width)}  {_format_text_bar(bar, max_total)}"
            for name, bar in zip(names, self._bars, strict=True)
        ]
        header = _("{title} (█ billed, ░ estimated)").format(title=sanitize_line(self._title))
        return "\n".join([header, *lines])

    def _max_total(self) -> float:
        return max((bar.total for bar in self._bars), default=0.0) or 1.0


def _format_text_bar(bar: Bar, max_total: float) -> str:
    billed, estimated = (
        round(neurons / max_total * MAX_BAR_CHARS) for neurons in (bar.billed, bar.estimated)
    )
    return f"{'█' * billed}{'░' * estimated} {format_neurons(bar.total)}"


def _render_html_bar(bar: Bar, max_total: float) -> str:
    spans = "".join(
        f'<span title="{escape_html(format_cost(getattr(bar, basis), basis))}" style="display: '
        f"inline-block; height: 0.8em; width: {getattr(bar, basis) / max_total * 75:.1f}%; "
        f'background: {COLOR_BY_BASIS[basis]}"></span>'
        for basis in COST_BASES
    )
    return f"{spans} {format_neurons(bar.total)}"


def _build_neutral_config() -> dict[str, Any]:
    """Return a Vega-Lite config with colors that are legible in light and dark themes."""
    gray = "#808080"
    axis = {"labelColor": gray, "titleColor": gray, "gridColor": "#80808040", "labelLimit": 400}
    return {
        "axis": axis,
        "title": {"color": gray},
        "legend": {"labelColor": gray},
        "view": {"stroke": None},
    }
