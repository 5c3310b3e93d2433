"""Test how tables are shown as text and as HTML."""

import re

from cfai_magics.display.tables import Table

TABLE = Table(("model", "calls"), (("gemma", "1,234"), ("模型", "5")), "A note.", (1,))


def test_numbers_are_aligned_on_the_right_in_text() -> None:
    assert str(TABLE).splitlines() == [
        "model  calls",
        "gemma  1,234",
        "模型       5",
        "A note.",
    ]


def test_numbers_are_aligned_on_the_right_in_html() -> None:
    sides = re.findall(r"text-align: (\w+)", TABLE._repr_html_())
    assert sides == ["left", "right"] * 3


def test_a_table_without_rows_is_shown_as_its_note() -> None:
    assert str(Table((), (), "No calls yet.")) == "No calls yet."
