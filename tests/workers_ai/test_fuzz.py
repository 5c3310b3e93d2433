"""Any bytes raise only errors of this package; no text is lost or duplicated."""

import json
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cfai_magics.errors import CfaiError, IncompleteStreamError, ResponseFormatError
from cfai_magics.types.messages import Delta, FinishDelta, ReasoningDelta, TextDelta, ToolCall
from cfai_magics.types.usage import Usage
from tests.workers_ai.calls import DONE, REQUEST, Script, collect, cuts, streamed, text_event
from tests.workers_ai.nonsense import DEEP, FRAMES, JSON

pytestmark = pytest.mark.slow

LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r"])
# Without "<": test_thinking.py tests the tags.
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="<"), min_size=1)


class Piece(NamedTuple):
    """Lines of one event, and its expected name and data."""

    lines: str
    text: str = ""
    thought: str = ""


def data(frame: Any) -> str:
    return f"data: {json.dumps(frame, ensure_ascii=False)}\n\n"


def chunk(**delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": None}], "p": "pf8t"}


TEXTS: tuple[Callable[[str], dict[str, Any]], ...] = (
    lambda word: chunk(content=word),
    lambda word: chunk(content=word, reasoning_content=None) | {"usage": {"completion_tokens": 1}},
    lambda word: {"choices": [{"delta": {"content": word}}]},
    lambda word: {"choices": [{"delta": {"content": word}}], "response": word, "tool_calls": []},
    lambda word: {"response": word, "p": "abdefgh"},
    lambda word: {"choices": [{"index": 0, "text": word}]},
    lambda word: {"choices": [{"index": 0, "message": {"content": word}}]},
)
THOUGHTS: tuple[Callable[[str], dict[str, Any]], ...] = (
    lambda word: chunk(reasoning_content=word),
    lambda word: chunk(reasoning=word, content=None),
)
# Frames without text: valid, of the wrong type, or meaningless.
SILENT = st.one_of(
    st.sampled_from(
        [
            *(chunk(), chunk(content=""), chunk(role="assistant"), {"choices": []}, {}),
            *({"response": ""}, {"response": None}, {"type": "ping"}),
            *({"choices": None}, {"choices": 5}, {"choices": "text"}, {"choices": {"0": "a"}}),
            *({"choices": [None, 5, "text", []]}, {"choices": [{"delta": 5}]}),
            *({"choices": [{"delta": ["a"]}]}, {"choices": [{"index": 1, "text": "other"}]}),
            *(
                chunk(content=[]),
                chunk(reasoning=[1]),
                chunk(content=True),
                chunk(refusal=None),
            ),
        ]
    ),
    st.builds(lambda value: {"choices": [], "usage": value}, JSON),
    st.builds(lambda value: {"response": "", "tool_calls": value}, JSON),
    st.builds(lambda value: {"unknown": value, "p": value, "id": value}, JSON),
    st.builds(
        lambda value: {"choices": [{"delta": {}, "finish_reason": value}]},
        JSON.filter(lambda value: not isinstance(value, str)),  # any text ends the answer
    ),
)
NOISE = st.one_of(
    st.sampled_from(
        [
            *(": keep-alive\n\n", "event: ping\ndata: {}\n\n", "id: 7\nretry: 100\n\n", "\n\n"),
            *("data: null\n\n", "data: not json\n\n", "data:\n\n", "data\n\n", "unknown\n\n"),
            *('data: "text"\n\n', "data: [1,2]\n\n", 'data: {"response":\n\n', "data: NaN\n\n"),
            *("event: delta\n\n", "data: {]\n\n", 'data: ["content"]\n\n', ": \n"),
        ]
    ),
    SILENT.map(data),
)
PIECES = st.one_of(
    st.builds(lambda make, word: Piece(data(make(word)), word), st.sampled_from(TEXTS), WORDS),
    st.builds(
        lambda make, word: Piece(data(make(word)), "", word), st.sampled_from(THOUGHTS), WORDS
    ),
    NOISE.map(Piece),
)
STREAMS = st.lists(PIECES, max_size=12)


def answer_of(script: Script) -> Any:
    with script.client() as client, client.stream(REQUEST) as stream:
        return collect(stream)


@settings(deadline=None, derandomize=True, max_examples=300)
@given(STREAMS, LINE_ENDS, st.data())
def test_no_text_is_lost_or_duplicated(
    pieces: list[Piece], line_end: str, draw: st.DataObject
) -> None:
    lines = [data(chunk(role="assistant")), *(piece.lines for piece in pieces)]
    content = "".join(lines).replace("\n", line_end).encode() + DONE
    answer = answer_of(Script(streamed(*draw.draw(cuts(content)))))
    assert answer.text == "".join(piece.text for piece in pieces)
    assert answer.reasoning == "".join(piece.thought for piece in pieces)


@settings(deadline=None, derandomize=True, max_examples=200)
@given(STREAMS, LINE_ENDS, st.data())
def test_an_incomplete_stream_keeps_the_received_text(
    pieces: list[Piece], line_end: str, draw: st.DataObject
) -> None:
    received = pieces[: draw.draw(st.integers(0, len(pieces)))]
    content = "".join(piece.lines for piece in received).replace("\n", line_end).encode()
    rest = TEXTS[0]("lost")
    content += data(rest).encode()[: draw.draw(st.integers(0, len(data(rest)) - 2))]
    with pytest.raises((IncompleteStreamError, ResponseFormatError)) as caught:
        answer_of(Script(streamed(*draw.draw(cuts(content)))))
    assert caught.value.text == "".join(piece.text for piece in received)


def error_of(stream: Iterable[Delta], deltas: list[Delta]) -> CfaiError | None:
    """Return the error that ends the stream, or None; append the deltas before it."""
    try:
        deltas.extend(stream)
    except CfaiError as error:
        return error
    return None


EVENTS = st.one_of(
    *(FRAMES.map(data), NOISE),
    st.builds(lambda frame: "event: error\n" + data(frame), FRAMES),
)


@settings(deadline=None, derandomize=True, max_examples=400)
@given(st.lists(EVENTS, max_size=8), st.data())
def test_a_random_stream_yields_deltas_or_raises_a_package_error(
    frames: list[str], draw: st.DataObject
) -> None:
    content = "".join(frames).encode(errors="replace") + DONE
    pieces = draw.draw(cuts(content))
    deltas: list[Any] = []
    with Script(*(streamed(*pieces) for _ in range(5))).client() as client:
        error = error_of(client.stream(REQUEST), deltas)
    assert {*map(type, deltas)} <= {TextDelta, ReasoningDelta, ToolCall, Usage, FinishDelta}
    if error is None:
        assert isinstance(deltas[-1], FinishDelta)
    else:
        assert error.text == collect(deltas).text
        assert "HTTP None" not in str(error)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.lists(st.binary(max_size=40), max_size=8))
def test_random_bytes_raise_a_package_error(pieces: list[bytes]) -> None:
    # Hypothesis also tries literals of the package; a valid event would not raise an error.
    assume(b"data" not in b"".join(pieces))
    with pytest.raises(CfaiError):
        answer_of(Script(streamed(*pieces)))


@pytest.mark.parametrize("content", DEEP.values(), ids=DEEP)
def test_a_frame_nested_too_deeply_is_skipped(content: bytes) -> None:
    script = Script(streamed(b"data: ", content, b"\n\n", text_event("Hi"), DONE))
    assert answer_of(script).text == "Hi"
