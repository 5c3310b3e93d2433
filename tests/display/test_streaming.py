"""The streaming display, tested with a front end that records its outputs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from cfai_magics.display.streaming import MAX_TAIL_CHARS, NotebookStream
from cfai_magics.types.messages import Answer, FinishDelta, ReasoningDelta, TextDelta
from cfai_magics.types.provenance import Provenance, RecordingInfo
from cfai_magics.types.usage import Usage

PARAGRAPH = "A paragraph of some words without much content. " * 4


@dataclass
class FrontEnd:
    """The outputs of a cell, with the number of messages and characters sent for them."""

    outputs: dict[str, Mapping[str, str]] = field(default_factory=dict)
    metadata: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    messages: int = 0
    characters: int = 0

    def publish(
        self, bundle: Mapping[str, str], display_id: str, update: bool, metadata: Mapping[str, Any]
    ) -> None:
        assert update == (display_id in self.outputs)
        self.metadata[display_id] = metadata
        self.outputs[display_id] = dict(bundle)
        self.messages += 1
        self.characters += sum(map(len, bundle.values()))

    @property
    def shown(self) -> list[str]:
        return [
            bundle.get("text/markdown") or bundle["text/plain"] for bundle in self.outputs.values()
        ]


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def stream(live: NotebookStream, clock: Clock, text: str, pause: float) -> None:
    for start in range(0, len(text), 5):
        live.add(TextDelta(text[start : start + 5]))
        clock.now += pause


@pytest.fixture
def front_end() -> FrontEnd:
    return FrontEnd()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def live(front_end: FrontEnd, clock: Clock) -> NotebookStream:
    return NotebookStream("full", publish=front_end.publish, clock=clock)


def test_an_answer_ends_as_one_markdown_output_and_one_footer(
    live: NotebookStream, front_end: FrontEnd, clock: Clock
) -> None:
    text = "\n\n".join(f"{number}. {PARAGRAPH}" for number in range(60))
    stream(live, clock, text, 0.004)
    live.end(Answer("@cf/x/m", text=text, finish_reason="stop"))
    answer, footer = front_end.outputs.values()
    start = " ".join(text.split())[:60]
    assert answer == {
        "text/markdown": text,
        "text/plain": f"{start}… ({len(text):,} characters)",
    }
    assert footer["text/plain"].startswith("m · ")
    assert set(footer) == {"text/html", "text/plain"}


def test_each_update_shows_all_received_text(
    live: NotebookStream, front_end: FrontEnd, clock: Clock
) -> None:
    text = "\n\n".join(PARAGRAPH for _ in range(40))
    for start in range(0, len(text), 50):
        clock.now += 10
        live.add(TextDelta(text[start : start + 50]))
        assert "".join(front_end.shown) == text[: start + 50]


def test_updates_are_sent_at_most_twelve_times_per_second(
    live: NotebookStream, front_end: FrontEnd, clock: Clock
) -> None:
    stream(live, clock, "word " * 1_000, 0.004)
    assert 10 < front_end.messages <= 12 * clock.now


def test_sent_characters_grow_linearly_with_the_answer(clock: Clock) -> None:
    sent = []
    for paragraphs in (100, 200):
        front_end = FrontEnd()
        live = NotebookStream("full", publish=front_end.publish, clock=clock)
        stream(live, clock, "\n\n".join([PARAGRAPH] * paragraphs), 0.004)
        sent.append(front_end.characters)
    assert sent[1] < 3 * sent[0]


def test_a_long_open_block_is_sent_less_often(front_end: FrontEnd, clock: Clock) -> None:
    live = NotebookStream("full", publish=front_end.publish, clock=clock)
    stream(live, clock, "```\n" + "x = 1\n" * 5_000, 0.004)
    assert front_end.characters < 15_000 * clock.now


def test_complete_blocks_are_not_sent_again(
    live: NotebookStream, front_end: FrontEnd, clock: Clock
) -> None:
    stream(live, clock, f"{PARAGRAPH}\n\n" * (MAX_TAIL_CHARS // len(PARAGRAPH) + 2) + "last", 1.0)
    settled, below = front_end.shown
    assert settled.endswith("\n\n")
    assert below.endswith("last")
    assert len(below) < MAX_TAIL_CHARS


def test_reasoning_is_collapsed_above_the_answer(
    live: NotebookStream, front_end: FrontEnd, clock: Clock
) -> None:
    live.add(ReasoningDelta("First <b>this</b>"))
    assert front_end.shown == ["Thinking… 17 characters"]
    clock.now += 3
    live.add(TextDelta("So."))
    live.end(Answer("m", text="So.", reasoning="First <b>this</b>", finish_reason="stop"))
    reasoning, answer, _ = front_end.outputs.values()
    assert reasoning["text/html"].startswith("<details><summary>Thought for 3.0 s</summary>")
    assert "First &lt;b&gt;this&lt;/b&gt;" in reasoning["text/html"]
    assert answer["text/markdown"] == "So."


def test_the_answer_replaces_a_status_message(live: NotebookStream, front_end: FrontEnd) -> None:
    live.show_status("No capacity; attempt 2 in 3 s")
    live.add(TextDelta("Here."))
    live.end(Answer("m", text="Here.", finish_reason="stop"))
    assert front_end.shown[0] == "Here."
    assert len(front_end.outputs) == 2


def test_reasoning_replaces_a_status_message(live: NotebookStream, front_end: FrontEnd) -> None:
    live.show_status("No capacity; attempt 2 in 3 s")
    live.add(ReasoningDelta("Hm"))
    live.add(TextDelta("Here."))
    live.end(Answer("m", text="Here.", reasoning="Hm", finish_reason="stop"))
    assert [text.partition(" ")[0] for text in front_end.shown] == ["(Thought", "Here.", "m"]


def test_a_missing_answer_is_reported_only_after_a_status_message(
    live: NotebookStream, front_end: FrontEnd
) -> None:
    live.end(None)
    assert front_end.outputs == {}
    live.show_status("No capacity; attempt 2 in 3 s")
    live.end(None)
    assert front_end.shown == ["No answer received."]


def test_without_a_footer_the_answer_is_the_only_output(front_end: FrontEnd, clock: Clock) -> None:
    live = NotebookStream("off", publish=front_end.publish, clock=clock)
    text = f"{PARAGRAPH}\n\n" * 20
    stream(live, clock, text, 0.1)
    live.end(Answer("m", text=text, finish_reason="stop"))
    assert front_end.shown == [text]


def test_remote_images_are_removed_while_streaming(
    live: NotebookStream, front_end: FrontEnd, clock: Clock
) -> None:
    stream(live, clock, "See ![a](https://example.com/track.png) here.", 1.0)
    assert "![a](" not in front_end.shown[0]


def test_deltas_without_text_show_nothing(live: NotebookStream, front_end: FrontEnd) -> None:
    live.add(Usage(1, 2))
    live.add(FinishDelta("stop"))
    assert front_end.outputs == {}


def test_a_restart_replaces_the_shown_text(
    live: NotebookStream, front_end: FrontEnd, clock: Clock
) -> None:
    stream(live, clock, f"{PARAGRAPH}\n\n" * 20, 1.0)
    live.restart("The answer does not match; retrying.")
    assert front_end.shown[0] == "The answer does not match; retrying."
    clock.now += 10
    live.add(TextDelta("Again."))
    live.end(Answer("m", text="Again.", finish_reason="stop"))
    assert front_end.shown[0] == "Again."
    assert len(front_end.outputs) == 2


def test_text_after_a_tool_step_is_shown_below_it(
    live: NotebookStream, front_end: FrontEnd, clock: Clock
) -> None:
    live.add(TextDelta("Let me "))
    live.add(TextDelta("look."))
    live.show_tool_step("Step 1")
    live.show_tool_step("add(a=1) → 2")
    clock.now += 10
    live.add(TextDelta("It is 2."))
    live.end(Answer("m", text="It is 2.", finish_reason="stop"))
    assert front_end.shown[:4] == ["Let me look.", "Step 1", "add(a=1) → 2", "It is 2."]
    assert len(front_end.outputs) == 5


def test_a_tool_step_replaces_a_status_message(live: NotebookStream, front_end: FrontEnd) -> None:
    live.show_status("busy; attempt 2")
    live.show_tool_step("Step 1")
    assert front_end.shown == ["Step 1"]


def test_reasoning_stays_above_its_tool_step(live: NotebookStream, front_end: FrontEnd) -> None:
    live.add(ReasoningDelta("Hm."))
    live.show_tool_step("Step 1")
    assert front_end.shown[0].startswith("(Thought for")
    assert front_end.shown[1] == "Step 1"


def test_answer_metadata_has_the_provenance_without_the_prompt(
    front_end: FrontEnd, clock: Clock
) -> None:
    live = NotebookStream("full", publish=front_end.publish, clock=clock)
    live.add(TextDelta("Blue."))
    live.end(
        Answer("m", "Blue.", provenance=Provenance("abc", {"max_tokens": 5}, "2026-10-12", "1.0"))
    )
    answer, footer = front_end.metadata.values()
    assert footer == {}
    assert answer == {
        "application/vnd.cfai+json": {
            "model": "m",
            "parameters": {"max_tokens": 5},
            "request": "abc",
            "usage": {
                "prompt_tokens": 0,
                "completion_tokens": 0,
                "neurons": None,
            },
            "basis": None,
            "finish": "unknown",
            "date": "2026-10-12",
            "version": "1.0",
        }
    }


def test_without_text_the_footer_has_the_provenance(front_end: FrontEnd, clock: Clock) -> None:
    live = NotebookStream("full", publish=front_end.publish, clock=clock)
    live.end(Answer("m", finish_reason="tool_calls", provenance=Provenance("abc")))
    (footer,) = front_end.metadata.values()
    assert footer["application/vnd.cfai+json"]["request"] == "abc"


def test_an_answer_as_cell_result_has_its_provenance() -> None:
    recorded = RecordingInfo("2026-10-12", 12.0, "1.0")
    data, metadata = Answer(
        "m", "Blue.", provenance=Provenance("abc", recording=recorded)
    )._repr_mimebundle_()
    assert data == {"text/markdown": "Blue.", "text/plain": "Blue."}
    assert metadata["application/vnd.cfai+json"]["recorded"] == {
        "date": "2026-10-12",
        "neurons": 12.0,
        "version": "1.0",
    }
