"""How values are written into a prompt."""

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd
import polars as pl
import pydantic
import pytest

from cfai_magics.prompt.spelling import Limits, Spelled, spelled
from cfai_magics.values import Answer


class City(pydantic.BaseModel):
    name: str
    people: int


@dataclass
class Point:
    x: int
    y: int


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ('as {it} "is"\n', 'as {it} "is"\n'),
        ({"a": [1, None], "ä": True}, '{"a": [1, null], "ä": true}'),
        ([1, "b"], '[1, "b"]'),
        ((1, 2), "[1, 2]"),
        ({3}, "[3]"),
        ({(1, 2): 3}, "{(1, 2): 3}"),
        (np.array([[1, 2], [3, 4]]), "[[1, 2], [3, 4]]"),
        (np.float64(0.5), "0.5"),
        (City(name="Rome", people=3), '{"name": "Rome", "people": 3}'),
        ([City(name="Rome", people=3)], '[{"name": "Rome", "people": 3}]'),
        (Point(1, 2), '{"x": 1, "y": 2}'),
        (Answer("m", text="**Blue**"), "**Blue**"),
        (None, "None"),
        (1.5, "1.5"),
        (Point, str(Point)),
    ],
    ids=repr,
)
def test_a_value_is_written_in_its_form(value: object, text: str) -> None:
    assert spelled(value) == Spelled(text)


def test_what_holds_itself_is_written_as_python_does() -> None:
    value: list[object] = []
    value.append(value)
    assert spelled(value).text == "[[...]]"


TABLE = "| a | b\\|c |\n| --- | --- |\n| 1 | x y |\n| 2 | z |"


@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
def test_a_data_frame_is_a_markdown_table(library: object) -> None:
    frame = library.DataFrame({"a": [1, 2], "b|c": ["x\ny", "z"]})
    assert spelled(frame) == Spelled(TABLE)


def test_an_index_that_says_something_is_in_the_table() -> None:
    frame = pd.DataFrame({"n": [1]}, index=pd.Index(["Rome"], name="city"))
    assert spelled(frame).text == "| city | n |\n| --- | --- |\n| Rome | 1 |"
    assert spelled(frame["n"]).text == spelled(frame).text
    assert spelled(pl.Series("n", [1])).text == "| n |\n| --- |\n| 1 |"


def test_what_derives_from_a_data_frame_is_one() -> None:
    class Mine(pd.DataFrame):
        pass

    assert spelled(Mine({"a": [1]})).text == "| a |\n| --- |\n| 1 |"


def test_a_long_table_is_shortened_visibly() -> None:
    value = spelled(pd.DataFrame({"a": range(1_000)}), Limits(rows=2))
    assert value.text.splitlines()[2:] == ["| 0 |", "| 1 |", "", "[the first 2 of 1,000 rows]"]
    assert value.kept == "2 of 1,000 rows"


def test_a_table_of_long_rows_is_shortened_to_its_characters() -> None:
    value = spelled(pd.DataFrame({"a": ["x" * 90] * 20}), Limits(characters=500))
    assert value.kept == "5 of 20 rows"
    assert spelled(pd.DataFrame({"a" * 900: [1]}), Limits(characters=500)).kept.endswith(
        "characters"
    )


@pytest.mark.parametrize("value", ["x" * 1_000, [12345] * 1_000, object], ids=type)
def test_anything_long_is_shortened_visibly(value: object) -> None:
    limit = 5
    whole = spelled(value).text
    cut = spelled(value, Limits(characters=limit))
    assert cut.text.startswith(whole[:limit] + "\n[the first 5 of ")
    assert cut.kept == f"5 of {len(whole):,} characters"


def test_json_stays_json_where_it_fits() -> None:
    assert json.loads(spelled({"d": pd.Timestamp("2026-03-02")}).text) == {
        "d": "2026-03-02 00:00:00"
    }
