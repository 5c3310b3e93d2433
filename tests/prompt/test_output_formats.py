"""Test how each output format parses the text of an answer."""

import pytest

from cfai_magics import settings
from cfai_magics.errors import InvalidOptionError
from cfai_magics.prompt.output_formats import OUTPUT_FORMATS, apply_format, get_format
from cfai_magics.types.messages import Answer

TABLE = "Here:\n\n| city | n | *p* |\n|---|--:|---|\n| Rome | 3 | 0.5 |\n| a \\| b | 4 | `x` |\n"


def parse_answer(name: str, text: str) -> object:
    return apply_format(Answer("m", text=text), OUTPUT_FORMATS[name]).parsed


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("code", "So:\n```python\nx = 1\n```\nand\n```\ny\n```", "x = 1\n"),
        ("code", "x = 1\ny = 2", "x = 1\ny = 2\n"),
        ("code", "````\n```\ninner\n```\n````", "```\ninner\n```\n"),
        ("block", "~~~sql\nselect 1\n~~~", "select 1\n"),
        ("json", ' {"a": [1]} ', {"a": [1]}),
        ("json", 'Sure:\n```json\n{"a": 1}\n```', {"a": 1}),
        ("json", "null", None),
        ("html", "```html\n<b>x</b>\n```", "<b>x</b>\n"),
        ("html", "<b>x</b>", "<b>x</b>"),
        ("latex", "```latex\nx^2\n```", "x^2\n"),
    ],
)
def test_each_format_extracts_its_value_from_the_answer(
    name: str, text: str, value: object
) -> None:
    assert parse_answer(name, text) == value


@pytest.mark.parametrize("text", [TABLE, f"```markdown\n{TABLE}\n```"], ids=["plain", "fenced"])
def test_a_table_is_a_data_frame_with_numbers(text: str) -> None:
    frame = parse_answer("table", text)
    assert list(frame.columns) == ["city", "n", "p"]
    assert frame["n"].tolist() == [3, 4]
    assert frame["city"].tolist() == ["Rome", "a | b"]
    assert frame["p"].tolist() == ["0.5", "x"]


@pytest.mark.parametrize(
    ("name", "text", "note"),
    [
        ("block", "Nothing", "The answer has no code block; it is shown in full."),
        ("json", "{a: 1}", "The answer is not valid JSON: Expecting property name"),
        ("json", "```json\n{a}\n```", "The answer is not valid JSON"),
        ("json", "[" * 100_000, "The answer is not valid JSON"),
        ("table", "no table", "The answer has no table."),
    ],
)
def test_an_answer_in_another_format_is_unchanged_and_noted(
    name: str, text: str, note: str
) -> None:
    answer = apply_format(Answer("m", text=text, notes=("first",)), OUTPUT_FORMATS[name])
    assert answer.text == text
    assert answer.parsed is None
    assert answer.notes[0] == "first"
    assert answer.notes[1].startswith(note)


def test_an_empty_answer_is_not_parsed() -> None:
    assert apply_format(Answer("m"), OUTPUT_FORMATS["json"]) == Answer("m")


def test_code_and_json_are_available_in_every_format() -> None:
    assert Answer("m", "a\n```\nb\n```").code == "b\n"
    assert Answer("m", "a").code is None
    assert Answer("m", "```json\n[1]\n```").json() == [1]
    with pytest.raises(ValueError, match="Expecting value"):
        Answer("m", "a").json()


@pytest.mark.parametrize("name", ["json", "html", "latex", "table", "raw"])
def test_extract_works_only_with_formats_that_allow_code(name: str) -> None:
    with pytest.raises(InvalidOptionError, match="can't be combined"):
        get_format(name, extract=True)
    assert get_format("text", extract=True).name == "block"
    assert get_format("code", extract=True).name == "code"


def test_every_public_format_is_a_valid_setting() -> None:
    assert set(settings.FORMATS) == set(OUTPUT_FORMATS) - {"block", "correction"}
