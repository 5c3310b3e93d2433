"""Several streamed answers: side by side in a notebook, one after the other as text."""

import io
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from cfai_magics.display.footer import Footer
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

    def grid(self, variants: tuple[Variant, ...] = TWO, footer: str = "short") -> NotebookGrid:
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
    live.end(both("Grey", "Blue *sky*"), Footer("2 answers"))
    grid, summary = screen.html
    assert grid.count("border-top") == 2
    assert "<strong>gemma-4-26b-a4b-it</strong>" in grid
    assert "<em>sky</em>" in grid
    row = "3→7 tokens · 1.5 neurons billed · 2.5 s"
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
    screen.grid(footer="off").end(both("Grey", "Blue"), Footer("2 answers"))
    (html,) = screen.html
    assert "tokens" not in html


def spread(texts: tuple[str, ...], temperatures: list[float | None]) -> AnswerSet:
    variants = tuple(make_variants([GEMMA], temperatures, len(texts) // len(temperatures)))
    answers = tuple(answer(GEMMA, text) for text in texts)
    return AnswerSet(variants, answers, ("",) * len(texts))


def test_identical_answers_of_a_column_are_shown_once() -> None:
    answers = spread(("Oder", "Oder", "Oder", "Oder", "Main", "Oder"), [0.0, 1.3])
    screen = Screen()
    screen.grid(answers.variants).end(answers, Footer("6 answers"))
    html = screen.html[0]
    assert html.count("border-top") == 2
    assert (html.count("Oder"), html.count("Main")) == (2, 1)
    assert "<strong>temperature 0</strong> · ×3<" in html
    assert "<strong>temperature 1.3</strong> · 2 distinct answers in 3<" in html
    assert ">×2 (1, 3)<" in html
    assert ">2 of 3<" in html
    plain = next(iter(screen.outputs.values()))["text/plain"]
    assert "--- temperature 1.3 · 1 of 3\nOder\n×2 (1, 3)\neach 3→7 tokens" in plain


def test_shared_facts_are_shown_once_in_the_heading_of_a_column() -> None:
    answers = spread(("Oder", "Oder", "Oder", "Main"), [0.0, 1.3])
    screen = Screen()
    screen.grid(answers.variants).end(answers, Footer("4 answers"))
    shared = "each 3→7 tokens · 1.5 neurons billed"
    assert screen.html[0].count(shared) == 2  # below the only answer, and in a heading
    heading = screen.html[0].partition("2 distinct answers in 2")[2]
    assert heading.index(shared) < heading.index("Oder")
    assert "neurons" not in heading[heading.index("Oder") :]


def test_facts_that_differ_are_shown_below_their_answers() -> None:
    first = answer(GEMMA, "Oder")
    longer = Usage(3, 9, neurons=1.5, cost_basis="billed")
    second = replace(answer(GEMMA, "Main", seconds=9.0), usage=longer)
    variants = tuple(make_variants([GEMMA, LLAMA], [None], 2))
    answers = AnswerSet(variants, (first, second, first, first), ("",) * 4)
    screen = Screen()
    screen.grid(variants).end(answers, Footer("4 answers"))
    html = screen.html[0]
    assert ">each 1.5 neurons billed<" in html
    assert ">3→7 tokens<" in html
    assert ">3→9 tokens<" in html


def test_a_single_column_shows_its_distinct_answers_side_by_side() -> None:
    answers = spread(("Oder", "Main", "Oder"), [None])
    screen = Screen()
    screen.grid(answers.variants).end(answers, Footer("3 answers"))
    html = screen.html[0]
    assert html.count("border-top") == 2
    assert html.index("×2 (1, 3)") < html.index("Oder") < html.index("2 of 3") < html.index("Main")


def test_a_full_footer_has_a_line_for_each_identical_answer() -> None:
    answers = spread(("Oder", "Oder"), [None])
    screen = Screen()
    screen.grid(answers.variants, "full").end(answers, Footer("2 answers"))
    line = "3→7 tokens · 1.5 neurons billed · 2.5 s · 0.5 s to first token · 4 tokens/s"
    assert f"1 of 2: {line}<br>2 of 2: {line}" in screen.html[0]


def test_an_error_is_shown_in_place_of_its_answer() -> None:
    screen = Screen()
    answers = (answer(GEMMA, "Grey"), Answer(LLAMA, finish_reason="cut"))
    screen.grid().end(AnswerSet(TWO, answers, ("", "CapacityError: <busy>.")), Footer("1 of 2"))
    html = screen.html[0]
    assert "CapacityError: &lt;busy&gt;." in html
    assert html.count(" tokens ") == 1


def test_the_text_format_is_not_rendered() -> None:
    screen = Screen()
    live = NotebookGrid(TWO, "off", OUTPUT_FORMATS["text"], screen.publish, lambda: 0.0)
    live.end(both("*a* <b>", ""), Footer(""))
    assert "*a* &lt;b&gt;</pre>" in screen.html[0]


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


def test_text_answers_are_printed_one_after_the_other(out: io.StringIO) -> None:
    lines: list[str] = []
    live = TextGrid(TWO, "short", lines.append, out)
    live.add(1, TextDelta("Blue"))
    assert out.getvalue() == "--- gemma-4-26b-a4b-it\n"
    live.add(0, TextDelta("Gr"))
    live.show_final_answer(1, answer(LLAMA, "Blue"), "")
    live.add(0, TextDelta("ey"))
    assert out.getvalue() == "--- gemma-4-26b-a4b-it\nGrey"
    live.show_final_answer(0, answer(GEMMA, "Grey"), "")
    live.end(both("Grey", "Blue"), Footer("2 answers"))
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
    live.end(both("Gr", "Bl"), Footer(""))
    assert out.getvalue().split() == [
        *("---", "gemma-4-26b-a4b-it", "Gr", "---", "llama-3.2-3b-instruct", "Bl"),
    ]
    assert lines == ["gemma-4-26b-a4b-it: busy"]


def test_identical_answers_are_printed_once(out: io.StringIO) -> None:
    lines: list[str] = []
    answers = spread(("Oder", "Main", "Oder", "Main"), [None])
    live = TextGrid(answers.variants, "short", lines.append, out)
    for index, each in enumerate(answers):
        live.add(index, TextDelta(each.text))
        live.show_final_answer(index, each, "")
    live.end(answers, Footer("4 answers"))
    assert out.getvalue() == ("--- 1 of 4\nOder\n×2 (1, 3)\n\n--- 2 of 4\nMain\n×2 (2, 4)\n")
    assert lines == ["each 3→7 tokens · 1.5 neurons billed"] * 2 + ["4 answers"]
