"""An answer printed as text, streamed or at its end."""

import io
import json
from collections.abc import Mapping
from typing import Any

from cfai_magics.display.text import FinalOnlyDisplay, TextStreamDisplay
from cfai_magics.types.messages import Answer, ReasoningDelta, TextDelta
from cfai_magics.types.provenance import Provenance


def test_text_is_written_as_it_comes_and_the_receipt_is_told() -> None:
    out, told = io.StringIO(), []
    live = TextStreamDisplay("short", told.append, out)
    live.show_status("waiting")
    live.add(ReasoningDelta("Hm"))
    live.add(TextDelta("One "))
    live.add(TextDelta("two"))
    assert out.getvalue() == "One two"
    live.end(Answer("m", text="One two", finish_reason="stop", seconds=1.0))
    assert out.getvalue() == "One two\n"
    assert told == [
        "waiting",
        "(Thinking: 2 characters → _cfai.reasoning)",
        "neurons not reported · 1.0 s",
    ]


def test_text_without_an_answer_or_footer_tells_nothing() -> None:
    told: list[str] = []
    TextStreamDisplay("full", told.append, io.StringIO()).end(None)
    TextStreamDisplay("off", told.append, io.StringIO()).end(Answer("m"))
    assert told == []


def test_raw_shows_the_json_as_it_was_sent() -> None:
    shown, told = [], []
    live = FinalOnlyDisplay("short", told.append, lambda answer: shown.append(answer.raw))
    live.show_status("waiting")
    live.add(TextDelta("Hi"))
    live.end(None)
    assert shown == []
    live.end(Answer("m", text="Hi", finish_reason="stop", raw={"choices": []}))
    assert json.dumps(shown) == '[{"choices": []}]'
    assert told == ["waiting", "neurons not reported · 0.0 s"]


def test_a_terminal_is_not_commanded_by_an_answer() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    TextStreamDisplay("off", print, out).add(TextDelta("\x1b]0;title\x07red\x9b31m\n\tté"))
    assert out.getvalue() == "]0;titlered31m\n\tté"


def test_raw_shows_no_json_where_none_came() -> None:
    shown: list[object] = []
    FinalOnlyDisplay("off", print, shown.append).end(Answer("m", finish_reason="interrupted"))
    assert shown == []


def test_beginning_anew_in_text_starts_a_new_line() -> None:
    out, told = io.StringIO(), []
    live = TextStreamDisplay("off", told.append, out)
    live.add(TextDelta("One"))
    live.restart("Once more.")
    live.add(TextDelta("Two"))
    live.end(Answer("m", text="Two", finish_reason="stop"))
    assert out.getvalue() == "One\nTwo\n"
    assert told == ["Once more."]


def test_steps_in_text_are_lines_of_their_own() -> None:
    out, told = io.StringIO(), []
    live = TextStreamDisplay("off", told.append, out)
    live.add(TextDelta("Look."))
    live.show_tool_step("Step 1")
    live.add(TextDelta("2"))
    live.end(Answer("m", text="2", finish_reason="stop"))
    assert out.getvalue() == "Look.\n2\n"
    whole = FinalOnlyDisplay("off", told.append, print)
    whole.show_tool_step("Step 2")
    assert told == ["Step 1", "Step 2"]


def test_under_a_printed_answer_the_receipt_bears_the_origin() -> None:
    borne: list[Any] = []
    answer = Answer("m", "Blue.", provenance=Provenance("abc"))

    def under(_line: str, metadata: Mapping[str, Any]) -> None:
        borne.append(metadata["application/vnd.cfai+json"]["request"])

    TextStreamDisplay("short", print, io.StringIO(), under).end(answer)
    FinalOnlyDisplay("short", print, lambda _: None, under).end(answer)
    assert borne == ["abc", "abc"]
