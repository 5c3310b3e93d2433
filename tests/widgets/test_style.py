"""Contrast of the panel's colors in the light and dark themes."""

import pytest

from cfai_magics.widgets.style import LEVEL_COLORS, render_stylesheet

LIGHT, DARK = "#ffffff", "#111111"  # JupyterLab's backgrounds


def luminance(color: str) -> float:
    channels = (int(color[place : place + 2], 16) / 255 for place in (1, 3, 5))
    linear = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return sum(
        share * value for share, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True)
    )


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted(map(luminance, (one, other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("level", LEVEL_COLORS)
def test_each_level_has_enough_contrast_in_both_themes(level: str) -> None:
    fill, text = LEVEL_COLORS[level]
    assert contrast(fill, LIGHT) >= 3
    assert contrast(fill, DARK) >= 3
    assert contrast(fill, text) >= 4.5
    assert fill in render_stylesheet()
