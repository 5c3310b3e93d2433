"""Calls of tools come whole, in pieces and in the native shape, and are told once and whole."""

from typing import Any

import pytest

from cfai_magics.values import ToolCall
from cfai_magics.workers_ai.tool_calls import ToolCalls

ADD = ToolCall("call_7", "add", '{"a": 1, "b": 3}')


def start(index: int, name: str, identity: str | None = "call_7", **more: Any) -> dict[str, Any]:
    function = {"name": name, **more}
    return {"index": index, "id": identity, "type": "function", "function": function}


def piece(arguments: str | None, index: int = 0) -> dict[str, Any]:
    function = {"arguments": arguments, "name": None}
    return {"function": function, "id": None, "index": index, "type": "function"}


def native(name: str, arguments: Any) -> dict[str, Any]:
    return {"name": name, "arguments": arguments}


def calls(*frames: Any) -> list[ToolCall]:
    found = ToolCalls()
    for frame in frames:
        found.add(frame)
    return found.whole()


RECORDED = {
    "whole": ([[start(0, "add", arguments='{"a": 1, "b": 3}')]], [ADD]),
    "in pieces": ([[start(0, "add")], [piece('{"a": 1')], [piece(', "b": 3}')]], [ADD]),
    "in pieces, with an empty end": (
        ([start(0, "add")], [piece('{"a": 1, "b": 3}')], [piece(None)]),
        [ADD],
    ),
    "native": (
        [[native("add", {"a": 1, "town": "Łódź"})]],
        [ToolCall("call_0", "add", '{"a": 1, "town": "Łódź"}')],
    ),
    "native with arguments as text": (
        [[native("add", '{"a": 1}')]],
        [ToolCall("call_0", "add", '{"a": 1}')],
    ),
    "native, two at once": (
        [[native("add", {}), native("sub", [1])]],
        [ToolCall("call_0", "add", "{}"), ToolCall("call_1", "sub", "[1]")],
    ),
    "without an id": (
        [[start(3, "add", None)], [piece("{}", 3)]],
        [ToolCall("call_3", "add", "{}")],
    ),
    "without arguments": ([[start(0, "now")]], [ToolCall("call_7", "now", "{}")]),
    "two, their pieces mixed": (
        (
            *([start(1, "sub", "b")], [start(0, "add", "a")]),
            *([piece("[1", 1), piece('{"x"', 0)], [piece(": 2}", 0), piece("]", 1)]),
        ),
        [ToolCall("a", "add", '{"x": 2}'), ToolCall("b", "sub", "[1]")],
    ),
}


@pytest.mark.parametrize(("frames", "found"), RECORDED.values(), ids=RECORDED)
def test_a_recorded_call_is_told_whole(frames: Any, found: list[ToolCall]) -> None:
    assert calls(*frames) == found


@pytest.mark.parametrize(
    "frames",
    [
        [None],
        ["add"],
        [{"name": "add"}],
        [[]],
        [[None, 7, "add", []]],
        [[{"function": "add"}]],
        [[{"function": {"arguments": "{}"}}]],
        [[start(0, "add")], [piece('{"a": ')]],
        [[start(0, "add", arguments="no JSON")]],
    ],
    ids=repr,
)
def test_what_is_no_whole_call_is_not_told(frames: Any) -> None:
    assert calls(*frames) == []


def test_arguments_of_another_type_are_none() -> None:
    assert calls([start(0, "add", arguments=7)]) == [ToolCall("call_7", "add", "{}")]
