"""Short forms of texts and fractions."""

import pytest

from cfai_magics.texts import format_percent, shorten, shorten_line


@pytest.mark.parametrize(("text", "short"), [("", ""), ("12345", "12345"), ("123456", "1234…")])
def test_a_text_is_shortened_to_its_limit(text: str, short: str) -> None:
    assert shorten(text, 5) == short


def test_a_line_has_single_spaces() -> None:
    assert shorten_line(" a\n b ", 9) == "a b"
    assert shorten_line("a  b  c", 4) == "a b…"


@pytest.mark.parametrize(
    ("fraction", "percent"), [(0.0, "0 %"), (0.5, "50 %"), (0.999, "100 %"), (12.0, "1200 %")]
)
def test_a_fraction_is_shown_as_a_whole_percentage(fraction: float, percent: str) -> None:
    assert format_percent(fraction) == percent
