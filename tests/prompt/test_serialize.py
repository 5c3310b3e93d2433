"""Test the serialization of values for a prompt."""

import json
import math
from array import array
from collections import deque
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pydantic
import pytest

from cfai_magics.errors import VariableError
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
        ({(1, np.int64(2)): 3}, '{"(1, 2)": 3}'),
        ({("a", (date(2026, 1, 2), None)): 3}, """{"('a', ('2026-01-02', None))": 3}"""),
        ({"a": {(1, 2): {np.int64(3)}}}, '{"a": {"(1, 2)": [3]}}'),
        ({math.nan: math.nan, math.inf: -math.inf}, '{"NaN": null, "Infinity": "-Infinity"}'),
        ([np.float64("nan"), np.float32("inf"), pd.NaT, pd.NA], '[null, "Infinity", null, null]'),
        (np.array([1, np.nan, np.inf]), '[1.0, null, "Infinity"]'),
        (Point(math.nan, 3), '{"x": null, "y": 3}'),
        (deque([1, "b"]), '[1, "b"]'),
        (range(3), "[0, 1, 2]"),
        ({"a": 1}.keys(), '["a"]'),
        ({"a": 1}.values(), "[1]"),
        ({"a": math.nan}.items(), '[["a", null]]'),
        ([range(2), deque([1]), {"a": 1}.keys()], '[[0, 1], [1], ["a"]]'),
        (pd.Index(["a", "b"]), '["a", "b"]'),
        (pd.RangeIndex(2), "[0, 1]"),
        (pd.MultiIndex.from_tuples([("a", 1), ("b", 2)]), '[["a", 1], ["b", 2]]'),
        (pd.date_range("2026-01-02", periods=1), '["2026-01-02 00:00:00"]'),
        (pd.Categorical(["a", "b", "a"]), '["a", "b", "a"]'),
        (pd.array([1, None], dtype="Int64"), "[1, null]"),
        ({"i": pd.Index([1]), "c": pd.Categorical(["a"])}, '{"i": [1], "c": ["a"]}'),
        (array("i", [1, 2]), "[1, 2]"),
        ([np.longdouble(1)], '["1.0"]'),
        ([1j, b"a", Point], f'["1j", "b\'a\'", "{Point}"]'),
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
    Limit("day", 1.0, 2.0, source="course"),
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


def recursive_list() -> object:
    value: list[object] = []
    value.append({"a": value})
    return value


def deep_list() -> object:
    value: list[object] = []
    for _level in range(100_000):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({1: "a", "1": "b"}, 'Two keys, columns or index labels have the same text "1".'),
        ([{None: 1, "null": 2}], 'Two keys, columns or index labels have the same text "null".'),
        ({date(2026, 1, 2): 1, "2026-01-02": 2}, 'have the same text "2026-01-02".'),
        ({(1, 2): 1, "(1, 2)": 2}, 'have the same text "(1, 2)".'),
        ([pd.DataFrame([[1, 2]], columns=["a", "a"])], 'have the same text "a".'),
        ([pd.Series([1, 2], index=["a", "a"])], 'have the same text "a".'),
        (recursive_list(), "The value contains itself.\nSend a part of it"),
        (deep_list(), "The value is nested too deeply.\nSend a part of it"),
        ({"a": map(str, [1])}, "A value of type map can be read only once.\nConvert it to a list"),
        ((n for n in [1]), "A value of type generator can be read only once."),
    ],
    ids=[
        *("a number and a string", "None", "a date", "a tuple", "columns", "index labels"),
        *("recursive", "deep", "iterator in a dict", "generator"),
    ],
)
def test_a_value_without_a_json_form_is_one_clear_error(value: object, message: str) -> None:
    with pytest.raises(VariableError) as caught:
        to_text(value)
    assert message in str(caught.value)


FRAME = pd.DataFrame({"n": [1, 2], "x": [0.5, math.nan]})
RECORDS = [{"n": 1, "x": 0.5}, {"n": 2, "x": None}]
INDEXED = FRAME.set_index(pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["k", "i"]))


@pytest.mark.parametrize(
    ("value", "json_value"),
    [
        ({"d": FRAME}, {"d": RECORDS}),
        ([FRAME["n"], FRAME["x"]], [[1, 2], [0.5, None]]),
        ({"d": pl.from_pandas(FRAME), "s": pl.Series([1])}, {"d": RECORDS, "s": [1]}),
        (
            [INDEXED],
            [[{"k": "a", "i": 1, "n": 1, "x": 0.5}, {"k": "b", "i": 2, "n": 2, "x": None}]],
        ),
        ([INDEXED["n"]], [{"('a', 1)": 1, "('b', 2)": 2}]),
        (INDEXED["n"].to_dict(), {"('a', 1)": 1, "('b', 2)": 2}),
        ({"s": FRAME["n"].value_counts().sort_index()}, {"s": {"1": 1, "2": 1}}),
        (Point(FRAME, 3), {"x": RECORDS, "y": 3}),
        (FRAME.groupby("n").groups, {"1": [0], "2": [1]}),
    ],
    ids=[
        *("data frame", "series", "polars", "MultiIndex", "indexed series", "to_dict"),
        *("counts", "dataclass", "groups"),
    ],
)
def test_a_table_in_another_value_is_json(value: object, json_value: object) -> None:
    assert json.loads(to_text(value).text, parse_constant=pytest.fail) == json_value


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
