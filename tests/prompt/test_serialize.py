"""Test the serialization of values for a prompt."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pydantic
import pytest

from cfai_magics.prompt.serialize import SerializedValue, SizeLimits, to_text
from cfai_magics.types.answer_set import Variant
from cfai_magics.types.messages import Answer, Request, ToolResult
from cfai_magics.types.provenance import Provenance, RecordingInfo
from cfai_magics.types.results import Embeddings, TaskResult
from cfai_magics.types.usage import AccountFigure, DayUsage, Limit, Model, Usage


class City(pydantic.BaseModel):
    name: str
    people: int


@dataclass
class Point:
    x: object
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
        ({np.int64(1): 2, np.str_("a"): 3, np.bool_(0): 4}, '{"1": 2, "a": 3, "false": 4}'),
        ({np.float64(0.5): np.float32(0.5)}, '{"0.5": 0.5}'),
        ({date(2026, 1, 2): 1}, '{"2026-01-02": 1}'),
        ({datetime(2026, 1, 2, 3, tzinfo=UTC): 1}, '{"2026-01-02 03:00:00+00:00": 1}'),
        ({pd.Timestamp("2026-01-02"): 1}, '{"2026-01-02 00:00:00": 1}'),
        ({np.datetime64("2026-01-02"): 1}, '{"2026-01-02": 1}'),
        ({Decimal("1.50"): Decimal("2.50")}, '{"1.50": "2.50"}'),
        (
            [{"a": ({date(2026, 1, 2): {np.int64(3): {4}}},)}],
            '[{"a": [{"2026-01-02": {"3": [4]}}]}]',
        ),
        (Point({np.int64(1): 2}, 3), '{"x": {"1": 2}, "y": 3}'),
        ({2: 2, None: 3, True: 4}, '{"2": 2, "null": 3, "true": 4}'),
        (
            {"a": np.datetime64("2026-01-02T03:04:05.000000000")},
            '{"a": "2026-01-02T03:04:05.000000000"}',
        ),
        (np.array(["2026-01-02"], "datetime64[ns]"), '["2026-01-02T00:00:00.000000000"]'),
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
def test_each_type_has_its_text_form(value: object, text: str) -> None:
    assert to_text(value) == SerializedValue(text)


USAGE = Usage(1, 2, 3, 4.0, "billed")
PROVENANCE = Provenance(
    "f", {"a": 1}, "2026", "1", RecordingInfo("d", 1.0, "v", "m", is_local=True)
)
DAY_USAGE = DayUsage(1, 2, 3, 4, 5, is_closed=True, account=AccountFigure(1, 2))
PACKAGE_TYPES = (
    [USAGE],
    ToolResult("n", "a", "r", "k", is_error=True),
    TaskResult({"x": [1, (2, 3)]}, None, "", USAGE, ("n",), DAY_USAGE, PROVENANCE),
    Embeddings("m", ((1.0,),), USAGE),
    Request("m", ({"role": "user", "content": "x"},)),
    Model("m", units={"a": 1.0}),
    Limit("day", 1.0, 2.0, from_course=True),
    Variant("m", 1.0, 2),
)
TEXTS_0_1_0 = Path(__file__).with_name("types_0_1_0.jsonl").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("value", "text"),
    [*zip(PACKAGE_TYPES, TEXTS_0_1_0.splitlines(), strict=True)],
    ids=lambda value: type(value).__name__,
)
def test_package_types_keep_the_keys_of_0_1_0(value: object, text: str) -> None:
    """Recordings are found by the text of the prompt, so the keys must not change."""
    assert to_text(value) == SerializedValue(text)


def test_a_recursive_value_is_written_like_its_repr() -> None:
    value: list[object] = []
    value.append(value)
    assert to_text(value).text == "[[...]]"


TABLE = "| a | b\\|c |\n| --- | --- |\n| 1 | x y |\n| 2 | z |"


@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
def test_a_data_frame_is_a_markdown_table(library: object) -> None:
    frame = library.DataFrame({"a": [1, 2], "b|c": ["x\ny", "z"]})
    assert to_text(frame) == SerializedValue(TABLE)


def test_a_named_index_is_included_in_the_table() -> None:
    frame = pd.DataFrame({"n": [1]}, index=pd.Index(["Rome"], name="city"))
    assert to_text(frame).text == "| city | n |\n| --- | --- |\n| Rome | 1 |"
    assert to_text(frame["n"]).text == to_text(frame).text
    assert to_text(pl.Series("n", [1])).text == "| n |\n| --- |\n| 1 |"


def test_a_subclass_of_a_data_frame_is_a_table() -> None:
    class Subclass(pd.DataFrame):
        pass

    assert to_text(Subclass({"a": [1]})).text == "| a |\n| --- |\n| 1 |"


def test_a_long_table_is_truncated_with_a_marker() -> None:
    value = to_text(pd.DataFrame({"a": range(1_000)}), SizeLimits(rows=2))
    assert value.text.splitlines()[2:] == ["| 0 |", "| 1 |", "", "[the first 2 of 1,000 rows]"]
    assert value.truncated_to == "2 of 1,000 rows"


def test_a_table_with_long_rows_is_truncated_by_characters() -> None:
    value = to_text(pd.DataFrame({"a": ["x" * 90] * 20}), SizeLimits(characters=500))
    assert value.truncated_to == "5 of 20 rows"
    assert to_text(
        pd.DataFrame({"a" * 900: [1]}), SizeLimits(characters=500)
    ).truncated_to.endswith("characters")


@pytest.mark.parametrize("value", ["x" * 1_000, [12345] * 1_000, object], ids=type)
def test_any_long_value_is_truncated_with_a_marker(value: object) -> None:
    limit = 5
    full = to_text(value).text
    truncated = to_text(value, SizeLimits(characters=limit))
    assert truncated.text.startswith(full[:limit] + "\n[the first 5 of ")
    assert truncated.truncated_to == f"5 of {len(full):,} characters"


def test_a_short_value_is_valid_json() -> None:
    assert json.loads(to_text({"d": pd.Timestamp("2026-03-02")}).text) == {
        "d": "2026-03-02 00:00:00"
    }
