"""Test tools: their declarations, their calls, and how calls are displayed."""

import json
from asyncio import CancelledError
from collections.abc import Callable
from typing import Annotated, Any, Literal

import pydantic
import pytest

from cfai_magics.errors import InvalidOptionError
from cfai_magics.prompt.serialize import SizeLimits
from cfai_magics.prompt.tools import (
    build_tool_messages,
    call_tool,
    format_call,
    make_tool,
)
from cfai_magics.types.messages import ToolCall, ToolResult


class Point(pydantic.BaseModel):
    x: int


class Line(pydantic.BaseModel):
    ends: list[Point]


def weather(
    town: str, unit: Literal["C", "F"] = "C", days: Annotated[int, "at most 7"] = 1
) -> str:
    """Return the weather of a town.

    It is always the same.
    """
    return f"{town}: 20 {unit} for {days} days"


def drawn(line: Line, **style: str) -> str:
    return f"{len(line.ends)} {style}"


def broken() -> None:
    raise ValueError("two\nlines")


class WithoutText(Exception):
    def __str__(self) -> str:
        return None  # type: ignore[return-value]  # noqa: PLE0307


def call(function: Callable[..., Any], arguments: str, name: str = "f") -> ToolResult:
    return call_tool(
        ToolCall("1", name, arguments), [make_tool("f", function)], SizeLimits(30, 100)
    )


def test_a_tool_is_declared_from_its_hints_and_docstring() -> None:
    assert make_tool("weather", weather).declaration == {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "Return the weather of a town.\n\nIt is always the same.",
            "parameters": {
                "type": "object",
                "properties": {
                    "town": {"type": "string"},
                    "unit": {"enum": ["C", "F"], "default": "C"},
                    "days": {"type": "integer", "description": "at most 7", "default": 1},
                },
                "required": ["town"],
            },
        },
    }


def anything(a, *more, b=None, **others):  # type: ignore[no-untyped-def]
    return a, more, b, others


def test_a_function_without_hints_accepts_any_argument() -> None:
    parameters = make_tool("f", anything).declaration["function"]["parameters"]
    assert parameters == {"type": "object", "properties": {"a": {}, "b": {}}, "required": ["a"]}
    assert call(anything, '{"a": 1, "c": 2}').result == '[1, [], null, {"c": 2}]'


def test_shared_pydantic_definitions_are_at_the_schema_root() -> None:
    parameters = make_tool("drawn", drawn).declaration["function"]["parameters"]
    assert parameters["$defs"]["Point"]["properties"] == {"x": {"title": "X", "type": "integer"}}
    assert "#/$defs/Point" in json.dumps(parameters["properties"])
    assert "$defs" not in parameters["properties"]["line"]
    result = call(drawn, '{"line": {"ends": [{"x": 1}]}, "color": "red"}')
    assert result.result == "1 {'color': 'red'}"


@pytest.mark.parametrize(
    ("arguments", "result"),
    [
        ('{"town": "Łódź"}', "Łódź: 20 C for 1 days"),
        ('{"town": "Rome", "unit": "F", "days": "3"}', "Rome: 20 F for 3 days"),
        ("{}", "Error: f was not called: missing a required argument: 'town'"),
        (
            '{"town": "Rome", "hour": 3}',
            "Error: f was not called: got an unexpected keyword argument 'hour'",
        ),
        (
            '{"town": "Rome", "unit": "K"}',
            "Error: f was not called: unit: 'K' is none of 'C', 'F'",
        ),
        (
            '{"town": "Rome", "days": "three"}',
            "Error: f was not called: days: 'three' is no integer",
        ),
        ('["Rome"]', "Error: f was not called: the arguments are no JSON object"),
    ],
)
def test_a_call_returns_its_result_or_the_error_as_text(arguments: str, result: str) -> None:
    tool_result = call(weather, arguments)
    assert tool_result.result == result
    assert tool_result.is_error == result.startswith("Error: ")


def test_an_exception_of_the_function_becomes_an_error_text() -> None:
    assert call(broken, "{}") == ToolResult(
        "f", "{}", "Error: ValueError: two\nlines", is_error=True
    )


@pytest.mark.parametrize("error", [CancelledError(), GeneratorExit(), WithoutText()], ids=type)
def test_any_exception_of_the_function_becomes_an_error_text(error: BaseException) -> None:
    def failing() -> None:
        raise error

    assert call(failing, "{}").result == f"Error: {type(error).__name__}: "


@pytest.mark.parametrize("error_type", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_and_the_end_of_the_program_are_not_caught(
    error_type: type[BaseException],
) -> None:
    def interrupted() -> None:
        raise error_type

    with pytest.raises(error_type):
        call(interrupted, "{}")


def test_an_unknown_function_is_reported_with_the_available_ones() -> None:
    tool_result = call(weather, "{}", "forecast")
    assert tool_result.result == "Error: there is no function 'forecast'; there are: f"
    assert tool_result.is_error


def test_results_are_serialized_and_truncated_like_variables() -> None:
    assert call(lambda: {"a": [1, 2]}, "{}").result == '{"a": [1, 2]}'
    long = call(lambda: "x" * 500, "{}")
    assert long.result.endswith("\n[the first 100 of 500 characters]")
    assert long.truncation == "100 of 500 characters"
    assert call(lambda: None, "{}").result == "None"


def test_builtins_and_methods_can_be_called() -> None:
    assert call(len, '{"obj": [1, 2]}').result == "2"
    assert call(sum, '{"iterable": [1, 2], "start": 4}').result == "7"
    assert call(divmod, '{"x": 7, "y": 3}').result == "[2, 1]"
    assert call(divmod, '{"y": 3}').is_error
    assert call("a b".split, "{}").result == '["a", "b"]'


async def async_tool() -> None: ...


def hinted(x: "Undefined") -> None: ...  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    ("name", "function", "message"),
    [
        ("f", 3, "f is not a function: its type is int"),
        ("größe", weather, "not a function name that models can call"),
        ("f", async_tool, "f is an async function"),
        ("f", hinted, "The parameters of f can't be read"),
        ("f", dict, "The parameters of f can't be read"),
    ],
)
def test_an_unsupported_tool_is_rejected(name: str, function: Any, message: str) -> None:
    with pytest.raises(InvalidOptionError, match=message):
        make_tool(name, function)


def test_calls_and_results_become_messages_in_openai_format() -> None:
    calls = [ToolCall("7", "add", '{"a": 1}'), ToolCall("8", "sub", "{}")]
    results = [ToolResult("add", '{"a": 1}', "3"), ToolResult("sub", "{}", "Error: no")]
    assistant, first, second = build_tool_messages("Let me see.", calls, results)
    assert assistant["role"] == "assistant"
    assert assistant["content"] == "Let me see."
    assert [each["id"] for each in assistant["tool_calls"]] == ["7", "8"]
    assert assistant["tool_calls"][0]["function"] == {"name": "add", "arguments": '{"a": 1}'}
    assert first == {"role": "tool", "tool_call_id": "7", "name": "add", "content": "3"}
    assert second["content"] == "Error: no"


def test_a_call_is_formatted_as_python_with_escapes() -> None:
    assert format_call("add", '{"a": 1, "b": "x\\u001b[2J"}') == r"add(a=1, b='x\x1b[2J')"
    assert format_call("a\x1bdd", '{"a b": null}') == r"'a\x1bdd'('a b'=None)"
    assert format_call("add", "[1]") == "add([1])"
    assert format_call("add", json.dumps({"a": "x" * 900})).endswith("x'…(900 characters))")


@pytest.mark.parametrize(
    "others",
    [
        pytest.param({"path": "/etc/passwd"}, id="after a long text"),
        pytest.param({"path": ["a" * 2100, "/etc/passwd"]}, id="in a list"),
        pytest.param({"how": {"deep": {"path": "/etc/passwd"}, "b": "b" * 3000}}, id="nested"),
        pytest.param(
            {f"a{n}": "x" * 90 for n in range(300)} | {"p": "/etc/passwd"}, id="many arguments"
        ),
        pytest.param({"n" * 2100: "/etc/passwd"}, id="under a long name"),
    ],
)
@pytest.mark.parametrize("max_chars", [200, 2000])
def test_a_long_argument_does_not_hide_other_arguments(
    others: dict[str, Any], max_chars: int
) -> None:
    shown = format_call("write", json.dumps({"text": "a" * 2100, **others}), max_chars)
    assert "'/etc/passwd'" in shown
    assert "a'…(2,100 characters)" in shown
    for name in others:
        assert name[:50] in shown
    assert shown.endswith(")")


def test_short_arguments_leave_space_for_a_long_one() -> None:
    shown = format_call("run", json.dumps({"code": "c" * 1900, "n": 1, "s": "short"}), 2000)
    assert shown == f"run(code='{'c' * 1900}', n=1, s='short')"


def test_spaces_are_kept_and_invisible_characters_are_escaped() -> None:
    text = (
        "rm  -rf   /\n\t\r\x08\x1b[1A\x9b\u202ex\u2066\u200b\u200d\u00a0\u2028"
        "\u3164\u2800\ufe0f\U000e0101é"
    )
    assert format_call("f", json.dumps({"a": text})) == (
        r"f(a='rm  -rf   /\n\t\r\x08\x1b[1A\x9b\u202ex\u2066\u200b\u200d\xa0\u2028\u3164\u2800"
        r"\ufe0f\U000e0101é')"
    )


@pytest.mark.parametrize("name", ["a\u3164b", "ab\u200d", "a b", "n" * 65, "x\u202ey", "a=1, b"])
def test_a_misleading_name_is_quoted(name: str) -> None:
    shown = format_call("f", json.dumps({name: 1}))
    assert shown.startswith("f('")
    assert shown.isprintable()


@pytest.mark.parametrize(
    ("arguments", "end"),
    [
        pytest.param("[" * 900 + "]" * 900, "nested too deeply", id="deep nesting"),
        pytest.param(json.dumps({"a": list(range(1000))}), "…(900 more items)])", id="long list"),
        pytest.param(json.dumps({"a": 10**4000}), "…(4,001 characters))", id="long number"),
        pytest.param("{broken", "f('{broken')", id="invalid JSON"),
    ],
)
def test_truncation_is_reported_with_its_size(arguments: str, end: str) -> None:
    assert end in format_call("f", arguments)
