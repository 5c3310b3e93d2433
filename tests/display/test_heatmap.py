"""The heat map is legible in every theme."""

import re
from itertools import product

import pytest

from cfai_magics.display.heatmap import HeatMap

RGB = tuple[float, float, float]
WHITE, BLACK = (255.0, 255.0, 255.0), (0.0, 0.0, 0.0)
# The backgrounds of even and odd table rows and the text color of JupyterLab's themes.
THEMES = {
    "light": ((WHITE, (245.0,) * 3), BLACK, 0.87),
    "dark": (((17.0,) * 3, (33.0,) * 3), WHITE, 1),
}
CELL = re.compile(r'<td style="background: rgba\((\d+), (\d+), (\d+), ([\d.]+)\)">(-?[\d.]+)</td>')


def blend(color: RGB, opacity: float, background: RGB) -> RGB:
    mixed = (
        opacity * new + (1 - opacity) * old for new, old in zip(color, background, strict=True)
    )
    red, green, blue = mixed
    return red, green, blue


def luminance(color: RGB) -> float:
    """Return the relative luminance of WCAG 2."""
    red, green, blue = (
        value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4
        for value in (channel / 255 for channel in color)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(color: RGB, other: RGB) -> float:
    darker, lighter = sorted((luminance(color), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", THEMES)
def test_numbers_have_enough_contrast_and_no_cell_is_glaring(theme: str) -> None:
    backgrounds, text_color, text_opacity = THEMES[theme]
    values = [number / 10 for number in range(-10, 11)]
    cells = CELL.findall(HeatMap(("a",) * len(values), [values] * len(values)).html)
    assert [float(cell[4]) for cell in cells[: len(values)]] == values
    for (red, green, blue, opacity, _value), row in product(cells[: len(values)], backgrounds):
        cell_color = blend((float(red), float(green), float(blue)), float(opacity), row)
        assert contrast(cell_color, blend(text_color, text_opacity, cell_color)) >= 4.5
        assert luminance(cell_color) <= max(luminance(row), 0.2)


def test_a_higher_similarity_is_more_opaque() -> None:
    values = (-1.0, 0.0, 0.2, 0.5, 0.9, 1.0)
    cells = CELL.findall(HeatMap(("a",) * 6, [values] * 6).html)[:6]
    opacities = [float(cell[3]) for cell in cells]
    assert opacities == sorted(opacities)
    assert opacities[0] == opacities[1] == 0
    assert len(set(opacities)) == 5
