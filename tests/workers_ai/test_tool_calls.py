"""Tool calls are yielded once and complete, from whole, split and native formats."""

from typing import Any

import pytest

from cfai_magics.types.messages import FinishDelta, ToolCall
from cfai_magics.workers_ai.frame_decoder import FrameDecoder, ToolCallAssembler

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
    assembler = ToolCallAssembler()
    for frame in frames:
        assembler.add(frame)
    return assembler.finish()


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
    "native, two calls": (
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


@pytest.mark.parametrize(("frames", "expected"), RECORDED.values(), ids=RECORDED)
def test_a_recorded_call_is_returned_complete(frames: Any, expected: list[ToolCall]) -> None:
    assert calls(*frames) == expected


@pytest.mark.parametrize(
    "frames",
    [
        [None],
        ["add"],
        [{"type": "function"}],
        [[]],
        [[None, 7, "add", []]],
        [[{"function": "add"}]],
        [[{"function": {"arguments": "{}"}}]],
        [[{"id": "call_7", "function": {"name": None, "arguments": None}}]],
    ],
    ids=repr,
)
def test_a_call_without_a_name_is_not_returned(frames: Any) -> None:
    assert calls(*frames) == []


@pytest.mark.parametrize(
    ("frames", "arguments"),
    [
        ([[start(0, "add")], [piece('{"a": ')]], '{"a":'),
        ([[start(0, "add", arguments="no JSON")]], "no JSON"),
        ([[start(0, "add", arguments='{"a": 1}{"b": 2}')]], '{"a": 1}{"b": 2}'),
    ],
    ids=repr,
)
def test_arguments_with_invalid_json_are_returned_unchanged(frames: Any, arguments: str) -> None:
    assert calls(*frames) == [ToolCall("call_7", "add", arguments)]


def test_arguments_of_another_type_become_an_empty_object() -> None:
    assert calls([start(0, "add", arguments=7)]) == [ToolCall("call_7", "add", "{}")]


F, G, H = ("f", '{"a": 1}'), ("g", '{"b": 2}'), ("h", "{}")
ABSENT = "absent"


def entry(
    name: str | None, arguments: Any, identity: Any = ABSENT, index: Any = ABSENT
) -> dict[str, Any]:
    """Return one entry of a frame's list in OpenAI's format."""
    given = {"id": identity, "index": index}
    known = {key: value for key, value in given.items() if value != ABSENT}
    return {**known, "type": "function", "function": {"name": name, "arguments": arguments}}


def names_and_arguments(found: list[ToolCall]) -> list[tuple[str, str]]:
    assert len({call.id for call in found}) == len(found), "each call has a unique id"
    return [(call.name, call.arguments) for call in found]


@pytest.mark.parametrize("index", [ABSENT, None, 0, "", True, [], {}], ids=repr)
@pytest.mark.parametrize(
    "ids",
    [("c1", "c2", "c3"), (None, None, None), (ABSENT,) * 3, ("", "", ""), ("c", "c", "c")],
    ids=["ids", "null", "no ids", "empty", "one id for all"],
)
@pytest.mark.parametrize("together", [False, True], ids=["one per frame", "one frame"])
def test_complete_calls_stay_separate_with_any_index_and_id(
    index: Any, ids: tuple[Any, ...], together: bool
) -> None:
    entries = [
        entry(name, arguments, identity, index)
        for (name, arguments), identity in zip((F, G, H), ids, strict=True)
    ]
    frames = [entries] if together else [[each] for each in entries]
    assert names_and_arguments(calls(*frames)) == [F, G, H]


@pytest.mark.parametrize("shape", [entry, native], ids=["OpenAI", "native"])
@pytest.mark.parametrize("together", [False, True], ids=["one per frame", "one frame"])
def test_the_same_function_can_be_called_twice(shape: Any, together: bool) -> None:
    entries = [shape("f", {"a": 1}), shape("f", {"a": 2}), shape("f", {"a": 2})]
    frames = [entries] if together else [[each] for each in entries]
    assert names_and_arguments(calls(*frames)) == [
        ("f", '{"a": 1}'),
        ("f", '{"a": 2}'),
        ("f", '{"a": 2}'),
    ]


@pytest.mark.parametrize("shape", [entry, native], ids=["OpenAI", "native"])
@pytest.mark.parametrize("arguments", [{"a": 1}, '{"a": 1}'], ids=repr)
def test_a_list_that_grows_in_each_frame_is_read_once(shape: Any, arguments: Any) -> None:
    f, g, h = shape("f", arguments), shape("g", {"b": 2}), shape("h", {})
    for frames in ([[f], [f, g], [f, g, h]], [[f, g], [f, g]], [[f], [f, g, h]]):
        found = names_and_arguments(calls(*frames))
        assert found == [F, G, H][: len(frames[-1])]


def test_the_arguments_may_be_named_parameters() -> None:
    assert names_and_arguments(calls([{"name": "f", "parameters": {"a": 1}}])) == [F]
    assert names_and_arguments(calls([{"function": {"name": "f", "parameters": '{"a": 1}'}}])) == [
        F
    ]


def test_one_call_may_be_an_object() -> None:
    assert names_and_arguments(calls(native("f", {"a": 1}))) == [F]
    assert names_and_arguments(calls(entry("f", '{"a"', "c"), entry(None, ": 1}", "c"))) == [F]


@pytest.mark.parametrize("name", ["delta", "message"])
def test_calls_in_other_fields_of_a_choice_are_returned(name: str) -> None:
    function = {"name": "f", "arguments": '{"a": 1}'}
    for choice in (
        {name: {"content": None, "function_call": function}},
        {name: {"content": ""}, "tool_calls": [entry(*F)]},
        {name: {"content": "", "tool_calls": entry(*F)}},
    ):
        decoder = FrameDecoder()
        assert [*decoder.decode({"choices": [choice]})] == []
        (call, finish) = decoder.finish()
        assert finish == FinishDelta("tool_calls")
        assert isinstance(call, ToolCall)
        assert (call.name, call.arguments) == F


def test_a_legacy_call_may_come_in_pieces() -> None:
    decoder = FrameDecoder()
    for function in ({"name": "f", "arguments": ""}, {"arguments": '{"a"'}, {"arguments": ": 1}"}):
        assert [*decoder.decode({"choices": [{"delta": {"function_call": function}}]})] == []
    assert next(iter(decoder.finish())) == ToolCall("call_0", *F)


@pytest.mark.parametrize("arguments", ["", None, "null", "{}", {}], ids=repr)
def test_calls_without_arguments_are_returned(arguments: Any) -> None:
    frames = [[entry("f", arguments, index=0)], [entry("g", arguments, index=0)]]
    assert names_and_arguments(calls(*frames)) == [("f", "{}"), ("g", "{}")]


@pytest.mark.parametrize("index", [ABSENT, None, 0], ids=repr)
@pytest.mark.parametrize("name", ["f", None, ""], ids=repr)
@pytest.mark.parametrize("identity", ["c1", None, ""], ids=repr)
@pytest.mark.parametrize("end", [[], [(None, None)], [("f", "")], [("f", None)], [(None, "")]])
def test_pieces_that_repeat_the_name_and_id_form_one_call(
    index: Any, name: str | None, identity: str | None, end: list[tuple[Any, Any]]
) -> None:
    first = [[entry("f", "", "c1", index)]]
    pieces = [[entry(name, text, identity, index)] for text in ('{"a"', ": {", '"b": "}"', "}}")]
    last = [[entry(named, text, None, index)] for named, text in end]
    assert calls(*first, *pieces, *last) == [ToolCall("c1", "f", '{"a": {"b": "}"}}')]


@pytest.mark.parametrize("index", [ABSENT, None, 0], ids=repr)
@pytest.mark.parametrize("repeat", ["name", "id", "nothing"])
@pytest.mark.parametrize("ids", [("c1", "c2"), (None, None)], ids=["ids", "null"])
def test_calls_in_pieces_stay_separate_without_an_index(
    index: Any, repeat: str, ids: tuple[Any, Any]
) -> None:
    frames = []
    for (name, _), identity, pieces in zip(
        (F, G), ids, (['{"a"', ": 1}"], ['{"b"', ": 2}"]), strict=True
    ):
        frames.append([entry(name, "", identity, index)])
        repeated = (name if repeat == "name" else None, identity if repeat == "id" else None)
        frames += [[entry(repeated[0], text, repeated[1], index)] for text in pieces]
        frames.append([entry(None, None, None, index)])
    assert names_and_arguments(calls(*frames)) == [F, G]


def test_two_calls_of_one_function_in_pieces_stay_separate_without_ids() -> None:
    frames = [
        [entry(name, text, None, 0)]
        for value in (1, 2)
        for name, text in (("f", ""), (None, '{"a": '), (None, f"{value}}}"))
    ]
    assert names_and_arguments(calls(*frames)) == [("f", '{"a": 1}'), ("f", '{"a": 2}')]


@pytest.mark.parametrize("indexes", [("0", "1"), (0.0, 1.0), ("a", "b"), (5, 9)], ids=repr)
def test_pieces_are_added_to_the_call_with_their_index(indexes: tuple[Any, Any]) -> None:
    first, second = indexes
    frames = (
        *([entry("f", "", None, first)], [entry("g", "", None, second)]),
        *([entry(None, '{"a"', None, first)], [entry(None, '{"b"', None, second)]),
        *([entry(None, ": 1}", None, first)], [entry(None, ": 2}", None, second)]),
    )
    assert names_and_arguments(calls(*frames)) == [F, G]


def test_pieces_are_added_to_the_call_with_their_id() -> None:
    frames = (
        *([entry("f", "", "c1", 0)], [entry("g", "", "c2", 0)]),
        *([entry(None, '{"a"', "c1", 0)], [entry(None, '{"b"', "c2", 0)]),
        *([entry(None, ": 1}", "c1", 0)], [entry(None, ": 2}", "c2", 0)]),
    )
    assert names_and_arguments(calls(*frames)) == [F, G]


def test_a_piece_with_a_new_id_but_no_name_continues_the_call() -> None:
    frames = ([entry("f", "", "r1", 0)], [entry(None, '{"a"', "r2", 0)])
    assert names_and_arguments(calls(*frames, [entry(None, ": 1}", "r3", 0)])) == [F]


@pytest.mark.parametrize("repeated", [('{"a": 1}', "c1"), ('{"a": 1}', None), (" ", None)])
def test_a_final_piece_that_repeats_the_arguments_adds_nothing(
    repeated: tuple[str, str | None],
) -> None:
    arguments, identity = repeated
    frames = ([entry("f", '{"a": 1}', "c1", 0)], [entry(None, arguments, identity, 0)])
    assert names_and_arguments(calls(*frames)) == [F]


def test_an_empty_object_is_replaced_by_the_arguments_in_pieces() -> None:
    frames = ([entry("f", "{}", "c1", 0)], [entry(None, '{"a": ', None, 0)])
    assert names_and_arguments(calls(*frames, [entry(None, "1}", None, 0)])) == [F]


def test_split_surrogate_pairs_are_joined() -> None:
    frames = ([entry("f", '{"a": "\ud83d')], [entry(None, '\ude00"}')])
    assert names_and_arguments(calls(*frames)) == [("f", '{"a": "\U0001f600"}')]


@pytest.mark.parametrize("position", ["one frame", "the end"])
def test_a_call_in_both_fields_of_hybrid_frames_is_returned_once(position: str) -> None:
    first, copies = ToolCallAssembler(), ToolCallAssembler()
    first.add([entry("f", "", "c1", 0)])
    first.add([entry(None, '{"a":1}', None, 0)])
    copies.add([native("f", {"a": 1})])
    if position == "the end":
        copies.add([native("f", {"a": 1}), native("g", {"b": 2})])
    expected = [F] if position == "one frame" else [F, G]
    assert [
        (n, a.replace('":1', '": 1')) for n, a in names_and_arguments(first.finish(copies))
    ] == expected
    assert names_and_arguments(ToolCallAssembler().finish(copies))[0] == F


def test_long_arguments_in_small_pieces_form_one_call() -> None:
    assembler = ToolCallAssembler()
    assembler.add([entry("f", '{"a": "', "c1", 0)])
    for _ in range(200_000):
        assembler.add([entry("f", "xy}", "c1", 0)])
    assembler.add([entry("f", '"}', "c1", 0)])
    (call,) = assembler.finish()
    assert len(call.arguments) == len('{"a": ""}') + 600_000
