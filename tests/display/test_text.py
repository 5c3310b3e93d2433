"""An answer printed as text, streamed or after the last delta."""

import io
import json
from collections.abc import Mapping
from typing import Any

from cfai_magics.display.text import FinalOnlyDisplay, TextStreamDisplay
from cfai_magics.types.messages import Answer, ReasoningDelta, TextDelta
from cfai_magics.types.provenance import Provenance


def test_text_is_streamed_and_followed_by_the_footer() -> None:
    out, lines = io.StringIO(), []
    live = TextStreamDisplay("short", lines.append, out)
    live.show_status("waiting")
    live.add(ReasoningDelta("Hm"))
    live.add(TextDelta("One "))
    live.add(TextDelta("two"))
    assert out.getvalue() == "One two"
    live.end(Answer("m", text="One two", finish_reason="stop", seconds=1.0))
    assert out.getvalue() == "One two\n"
    assert lines == [
        "waiting",
        "(Thinking: 2 characters → _cfai.reasoning)",
        "m · 0→0 tokens · neurons not reported · 1.0 s",
    ]


def test_nothing_is_printed_without_an_answer_or_footer() -> None:
    lines: list[str] = []
    TextStreamDisplay("full", lines.append, io.StringIO()).end(None)
    TextStreamDisplay("off", lines.append, io.StringIO()).end(Answer("m"))
    assert lines == []


def test_raw_shows_the_unchanged_json_response() -> None:
    shown, lines = [], []
    live = FinalOnlyDisplay("short", lines.append, lambda answer: shown.append(answer.raw))
    live.show_status("waiting")
    live.add(TextDelta("Hi"))
    live.end(None)
    assert shown == []
    live.end(Answer("m", text="Hi", finish_reason="stop", raw={"choices": []}))
    assert json.dumps(shown) == '[{"choices": []}]'
    assert lines == ["waiting", "m · 0→0 tokens · neurons not reported · 0.0 s"]


def test_control_characters_are_removed_in_a_terminal() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    TextStreamDisplay("off", print, out).add(TextDelta("\x1b]0;title\x07red\x9b31m\n\tté"))
    assert out.getvalue() == "]0;titlered31m\n\tté"


def test_raw_shows_nothing_without_a_response() -> None:
    shown: list[object] = []
    FinalOnlyDisplay("off", print, shown.append).end(Answer("m", finish_reason="interrupted"))
    assert shown == []


def test_a_restart_starts_a_new_line() -> None:
    out, lines = io.StringIO(), []
    live = TextStreamDisplay("off", lines.append, out)
    live.add(TextDelta("One"))
    live.restart("Retrying.")
    live.add(TextDelta("Two"))
    live.end(Answer("m", text="Two", finish_reason="stop"))
    assert out.getvalue() == "One\nTwo\n"
    assert lines == ["Retrying."]


def test_tool_steps_are_printed_on_separate_lines() -> None:
    out, lines = io.StringIO(), []
    live = TextStreamDisplay("off", lines.append, out)
    live.add(TextDelta("Look."))
    live.show_tool_step("Step 1")
    live.add(TextDelta("2"))
    live.end(Answer("m", text="2", finish_reason="stop"))
    assert out.getvalue() == "Look.\n2\n"
    final_only = FinalOnlyDisplay("off", lines.append, print)
    final_only.show_tool_step("Step 2")
    assert lines == ["Step 1", "Step 2"]


def test_the_footer_of_a_printed_answer_has_the_provenance() -> None:
    fingerprints: list[Any] = []
    answer = Answer("m", "Blue.", provenance=Provenance("abc"))

    def print_footer(_footer: object, metadata: Mapping[str, Any]) -> None:
        fingerprints.append(metadata["application/vnd.cfai+json"]["request"])

    TextStreamDisplay("short", print, io.StringIO(), print_footer).end(answer)
    FinalOnlyDisplay("short", print, lambda _: None, print_footer).end(answer)
    assert fingerprints == ["abc", "abc"]
