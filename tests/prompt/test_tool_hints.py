"""Test the JSON Schema of type hints, and the conversion of arguments."""

import enum
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Optional

import pydantic
import pytest

from cfai_magics.prompt.tools import ArgumentTypeError, coerce, hint_to_schema


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class City(pydantic.BaseModel):
    name: str
    people: int


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        (str, {"type": "string"}),
        (int, {"type": "integer"}),
        (float, {"type": "number"}),
        (bool, {"type": "boolean"}),
        (None, {"type": "null"}),
        (Any, {}),
        (object, {}),
        (list, {"type": "array"}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (tuple[str, ...], {"type": "array", "items": {"type": "string"}}),
        (Sequence[float], {"type": "array", "items": {"type": "number"}}),
        (dict, {"type": "object"}),
        (
            Mapping[str, int],
            {"type": "object", "additionalProperties": {"type": "integer"}},
        ),
        (Literal["a", 2], {"enum": ["a", 2]}),
        (Color, {"enum": ["red", "blue"]}),
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (Optional[str], {"anyOf": [{"type": "string"}, {"type": "null"}]}),  # noqa: UP045
        (Annotated[int, 7, "in meters"], {"type": "integer", "description": "in meters"}),
        (City, City.model_json_schema()),
        ("City", {}),
    ],
    ids=repr,
)
def test_a_type_hint_becomes_a_json_schema(hint: Any, schema: dict[str, Any]) -> None:
    assert hint_to_schema(hint) == schema


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        ("a", str, "a"),
        (3, int, 3),
        (3.0, int, 3),
        ("3", int, 3),
        ("-2.5", float, -2.5),
        (3, float, 3.0),
        (0, int, 0),
        (1.0, int, 1),
        (True, bool, True),
        ("True", bool, True),
        (None, None, None),
        ({"a": [1]}, Any, {"a": [1]}),
        ([1, "2"], list[int], [1, 2]),
        ([1, 2, 2], set[int], {1, 2}),
        (["a"], tuple[str, ...], ("a",)),
        (["a"], Sequence[str], ["a"]),
        ({"a": "1"}, dict[str, float], {"a": 1.0}),
        ("a", Literal["a", 2], "a"),
        ("red", Color, Color.RED),
        (None, int | None, None),
        ("7", int | str, "7"),
        ("7", int | None, 7),
        ("3", Annotated[int, "in meters"], 3),
        ({"name": "Rome", "people": 3}, City, City(name="Rome", people=3)),
    ],
    ids=repr,
)
def test_a_value_is_converted_to_the_type_of_the_hint(
    value: Any, hint: Any, expected: Any
) -> None:
    converted = coerce(value, hint)
    assert converted == expected
    assert type(converted) is type(expected)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (3, str),
        ("three", int),
        (2.5, int),
        ("2.5", int),
        (True, int),
        (True, float),
        (1, bool),
        ("yes", bool),
        ("", None),
        (None, int),
        ([], int),
        ({}, float),
        (1e400, int),
        ("nan", int),
        ("a", list[str]),
        ([1, "b"], list[int]),
        ([], dict),
        ({"a": "b"}, dict[str, int]),
        ("2", Literal["a", 2]),
        ("green", Color),
        ([], int | None),
        ({"name": "Rome"}, City),
    ],
    ids=repr,
)
def test_an_unconvertible_value_raises_an_argument_type_error(value: Any, hint: Any) -> None:
    with pytest.raises(ArgumentTypeError):
        coerce(value, hint)
