"""Several streamed answers: side by side in a notebook, one after the other as text."""

import io
from collections.abc import Mapping
from typing import Any

import pytest

from cfai_magics.display.grid import NotebookGrid, TextGrid
from cfai_magics.prompt.output_formats import OUTPUT_FORMATS
from cfai_magics.types.answer_set import AnswerSet, Variant, make_variants
from cfai_magics.types.messages import Answer, ReasoningDelta, TextDelta
from cfai_magics.types.usage import Usage

GEMMA, LLAMA = "@cf/google/gemma-4-26b-a4b-it", "@cf/meta/llama-3.2-3b-instruct"
TWO = tuple(make_variants([GEMMA, LLAMA], [None], 1))


class Screen:
    def __init__(self) -> None:
        self.outputs: dict[str, Mapping[str, str]] = {}
        self.sent: list[int] = []
        self.now = 0.0

    def publish(
        self, bundle: Mapping[str, str], display_id: str, update: bool, metadata: Mapping[str, Any]
    ) -> None:
        self.metadata = metadata
        assert update == (display_id in self.outputs)
        self.outputs[display_id] = bundle
        self.sent.append(sum(map(len, bundle.values())))

    def grid(self, variants: tuple[Variant, ...] = TWO, footer: str = "full") -> NotebookGrid:
        return NotebookGrid(
            variants, footer, OUTPUT_FORMATS["markdown"], self.publish, lambda: self.now
        )

    @property
    def html(self) -> list[str]:
        return [bundle["text/html"] for bundle in self.outputs.values()]


def answer(model: str, text: str, **fields: object) -> Answer:
    usage = Usage(3, 7, neurons=1.5, cost_basis="billed")
    times = {"seconds": 2.5, "first_token_seconds": 0.5}
    return Answer(model, text, finish_reason="stop", usage=usage, **{**times, **fields})  # type: ignore[arg-type]


def both(first: str, second: str, **fields: object) -> AnswerSet:
    answers = (answer(GEMMA, first, **fields), answer(LLAMA, second, **fields))
    return AnswerSet(TWO, answers, ("", ""))


def test_each_answer_has_a_column_with_its_title_and_usage() -> None:
    screen = Screen()
    live = screen.grid()
    live.add(1, TextDelta("Blue *sky*"))
    live.end(both("Grey", "Blue *sky*"), "2 answers")
    grid, summary = screen.html
    assert grid.count("border-top") == 2
    assert "<strong>gemma-4-26b-a4b-it</strong>" in grid
    assert "<em>sky</em>" in grid
    row = "3→7 tokens · 1.5 neurons billed · 0.5 s to first · 4 tokens/s"
    assert grid.count(row) == 2
    assert "2 answers" in summary
    plain = next(iter(screen.outputs.values()))["text/plain"]
    assert plain.startswith(f"--- gemma-4-26b-a4b-it\nGrey\n{row}\n\n--- llama")


def test_a_status_message_is_shown_immediately() -> None:
    screen = Screen()
    live = screen.grid()
    live.add(1, TextDelta("Blue"))
    live.show_status(0, "The model is busy; attempt 2 in 3 s")
    assert "attempt 2" in screen.html[0]


def test_columns_show_received_deltas_while_streaming() -> None:
    screen = Screen()
    live = screen.grid()
    live.show_status(0, "The model is busy; attempt 2 in 3 s")
    screen.now += 10
    live.add(1, ReasoningDelta("Hm, " * 10))
    assert "attempt 2" in screen.html[0]
    assert "Thinking… 40 characters" in screen.html[0]
    screen.now += 10
    live.add(1, TextDelta("Blue"))
    assert "Blue" in screen.html[0]


def test_a_finished_column_shows_its_usage_while_others_stream() -> None:
    screen = Screen()
    live = screen.grid()
    live.add(1, TextDelta("B"))
    screen.now += 10
    live.show_final_answer(0, answer(GEMMA, "Grey", reasoning="Let me <see>."), "")
    (html,) = screen.html
    assert "1.5 neurons billed" in html
    assert "Let me &lt;see&gt;." in html


def test_long_answers_are_updated_less_often() -> None:
    screen = Screen()
    live = screen.grid()
    for _ in range(4_000):  # ten seconds, 400 deltas per second
        screen.now += 0.0025
        live.add(0, TextDelta("word "))
        live.add(1, TextDelta("word "))
    assert max(screen.sent) > 30_000
    assert sum(screen.sent) < 10 * 2 * 12_000 + max(screen.sent)
    assert len(screen.sent) > 10


def test_without_a_footer_only_the_answers_are_shown() -> None:
    screen = Screen()
    screen.grid(footer="off").end(both("Grey", "Blue"), "2 answers")
    (html,) = screen.html
    assert "tokens" not in html


def test_each_column_counts_its_distinct_answers() -> None:
    variants = tuple(make_variants([GEMMA], [0.0, 1.3], 3))
    texts = ("Oder", "Oder", "Oder", "Oder", "Main", "Oder")
    answers = tuple(answer(GEMMA, text) for text in texts)
    screen = Screen()
    screen.grid(variants).end(AnswerSet(variants, answers, ("",) * 6), "6 answers")
    html = screen.html[0]
    assert html.count("border-top") == 2
    assert "<strong>temperature 0</strong> · 1 distinct answer in 3" in html
    assert "<strong>temperature 1.3</strong> · 2 distinct answers in 3" in html
    assert html.count("2 of 3 (same as 1)") == 1
    assert html.count("3 of 3 (same as 1)") == 2


def test_an_error_is_shown_in_place_of_its_answer() -> None:
    screen = Screen()
    answers = (answer(GEMMA, "Grey"), Answer(LLAMA, finish_reason="cut"))
    screen.grid().end(AnswerSet(TWO, answers, ("", "CapacityError: <busy>.")), "1 of 2")
    html = screen.html[0]
    assert "CapacityError: &lt;busy&gt;." in html
    assert html.count(" tokens ") == 1


def test_the_text_format_is_not_rendered() -> None:
    screen = Screen()
    live = NotebookGrid(TWO, "off", OUTPUT_FORMATS["text"], screen.publish, lambda: 0.0)
    live.end(both("*a* <b>", ""), "")
    assert "*a* &lt;b&gt;</pre>" in screen.html[0]


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


def test_text_answers_are_printed_one_after_the_other(out: io.StringIO) -> None:
    lines: list[str] = []
    live = TextGrid(TWO, "full", lines.append, out)
    live.add(1, TextDelta("Blue"))
    assert out.getvalue() == "--- gemma-4-26b-a4b-it\n"
    live.add(0, TextDelta("Gr"))
    live.show_final_answer(1, answer(LLAMA, "Blue"), "")
    live.add(0, TextDelta("ey"))
    assert out.getvalue() == "--- gemma-4-26b-a4b-it\nGrey"
    live.show_final_answer(0, answer(GEMMA, "Grey"), "")
    live.end(both("Grey", "Blue"), "2 answers")
    assert out.getvalue() == "--- gemma-4-26b-a4b-it\nGrey\n\n--- llama-3.2-3b-instruct\nBlue\n"
    assert [line.partition(" · ")[0] for line in lines] == [
        "3→7 tokens",
        "3→7 tokens",
        "2 answers",
    ]


def test_partial_answers_are_printed_at_the_end(out: io.StringIO) -> None:
    lines: list[str] = []
    live = TextGrid(TWO, "off", lines.append, out)
    live.show_status(0, "busy")
    live.add(0, TextDelta("Gr"))
    live.add(1, TextDelta("Bl"))
    live.end(both("Gr", "Bl"), "")
    assert out.getvalue().split() == [
        *("---", "gemma-4-26b-a4b-it", "Gr", "---", "llama-3.2-3b-instruct", "Bl"),
    ]
    assert lines == ["gemma-4-26b-a4b-it: busy"]
