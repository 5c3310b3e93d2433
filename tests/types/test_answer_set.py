"""Several answers to one prompt: duplicates, total usage, and their data frame."""

import sys
from html import unescape

import pytest
from markdown_it import MarkdownIt

from cfai_magics.errors import SetupError
from cfai_magics.types.answer_set import AnswerSet, Variant, make_variants, variant_titles
from cfai_magics.types.messages import Answer
from cfai_magics.types.usage import Usage

GEMMA, LLAMA = "@cf/google/gemma-4-26b-a4b-it", "@cf/meta/llama-3.2-3b-instruct"


def answers(*texts: str, errors: tuple[str, ...] = (), **fields: object) -> AnswerSet:
    made = tuple(Answer(GEMMA, text, finish_reason="stop", **fields) for text in texts)  # type: ignore[arg-type]
    asked = tuple(Variant(GEMMA, repetition=number + 1) for number in range(len(texts)))
    return AnswerSet(asked, made, errors or ("",) * len(texts))


def test_every_model_is_asked_at_every_temperature_so_many_times() -> None:
    made = make_variants([GEMMA, LLAMA], [0.0, 1.3], 2)
    assert len(made) == len(set(made)) == 8
    assert made[:3] == [Variant(GEMMA, 0.0, 1), Variant(GEMMA, 0.0, 2), Variant(GEMMA, 1.3, 1)]


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        (([GEMMA, LLAMA], [None], 1), ["gemma-4-26b-a4b-it", "llama-3.2-3b-instruct"]),
        (([GEMMA], [None], 2), ["1 of 2", "2 of 2"]),
        (([GEMMA], [0.0, 0.7], 1), ["temperature 0", "temperature 0.7"]),
        (
            ([GEMMA], [None, 0.7], 2),
            [
                "default temperature · 1 of 2",
                "default temperature · 2 of 2",
                "temperature 0.7 · 1 of 2",
                "temperature 0.7 · 2 of 2",
            ],
        ),
    ],
)
def test_a_title_says_only_what_tells_them_apart(
    asked: tuple[list[str], list[float | None], int], named: list[str]
) -> None:
    assert variant_titles(make_variants(*asked)) == named


def test_texts_are_counted_apart_from_spaces_around_them() -> None:
    made = answers("Oder", "Main", " Oder\n", "oder")
    assert made.duplicates == (0, 1, 0, 3)
    assert made.distinct_counts == {(GEMMA, None): (3, 4)}


def test_what_failed_or_was_cut_is_like_nothing_and_not_counted() -> None:
    whole = answers("Oder", "Oder", "", errors=("", "", "CapacityError: busy"))
    cut = Answer(GEMMA, "Oder", finish_reason="interrupted")
    made = AnswerSet(
        (*whole.variants, Variant(GEMMA, repetition=4)), (*whole.answers, cut), (*whole.errors, "")
    )
    assert made.duplicates == (0, 0, 2, 3)
    assert made.distinct_counts == {(GEMMA, None): (1, 2)}


def test_columns_are_counted_each_for_itself() -> None:
    asked = (Variant(GEMMA, 0.0), Variant(GEMMA, 0.0, 2), Variant(GEMMA, 1.0), Variant(LLAMA, 1.0))
    same = tuple(Answer(each.model, "Oder", finish_reason="stop") for each in asked)
    made = AnswerSet(asked, same, ("",) * 4)
    assert made.distinct_counts == {
        (GEMMA, 0.0): (1, 2),
        (GEMMA, 1.0): (1, 1),
        (LLAMA, 1.0): (1, 1),
    }


def test_the_sum_is_billed_where_all_are_billed() -> None:
    made = answers("a", "b", usage=Usage(10, 5, neurons=1.5, cost_basis="billed"))
    assert (made.neurons, made.cost_basis) == (3.0, "billed")
    free = Answer(GEMMA, finish_reason="cut", usage=Usage(neurons=0.0, cost_basis="estimated"))
    failed = AnswerSet(made.variants, (made[0], free), ("", "CapacityError: busy"))
    assert (failed.neurons, failed.cost_basis) == (1.5, "billed")
    guessed = Answer(
        GEMMA, "b", finish_reason="cut", usage=Usage(neurons=1.0, cost_basis="estimated")
    )
    assert AnswerSet(made.variants, (made[0], guessed), ("", "")).cost_basis == "estimated"


def test_they_are_a_sequence_and_a_data_frame() -> None:
    made = answers(
        *("Oder", "Main"),
        usage=Usage(10, 5, neurons=1.5, cost_basis="billed"),
        seconds=3.0,
        first_token_seconds=0.5,
    )
    assert [answer.text for answer in made] == [made[0].text, made[1].text] == ["Oder", "Main"]
    assert made[-1:] == (made[1],)
    frame = made.df()
    assert frame["text"].tolist() == ["Oder", "Main"]
    assert frame["tokens_per_second"].tolist() == [2.0, 2.0]
    assert set(frame["model"]) == {GEMMA}
    assert frame["basis"].tolist() == ["billed", "billed"]


def test_without_pandas_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(SetupError, match="pandas"):
        answers("a").df()


def test_as_text_and_markdown_each_has_its_title_and_loads_nothing() -> None:
    made = answers("a", "![x](http://e.org/x.png)", "", errors=("", "", "CapacityError: busy."))
    assert str(made).startswith("--- 1 of 3\na\n\n--- 2 of 3\n")
    assert str(made).endswith("--- 3 of 3\nCapacityError: busy.")
    assert "![" not in made._repr_markdown_()
    assert "**2 of 3**" in made._repr_markdown_()


def test_errors_and_names_of_models_are_text_in_markdown() -> None:
    error = "![x](http://e.org) <b> $x$ **c**\n\n# d"
    asked = (Variant("a/<img src=x>"), Variant("a/b|*c*"))
    shown = AnswerSet(asked, (Answer("a"), Answer("b")), (error, "- e"))._repr_markdown_()
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(shown)
    text = unescape(html.replace("<span>", "").replace("</span>", ""))
    for each in (
        "<p>![x](http://e.org) <b> $x$ **c**  # d</p>",
        "<p>- e</p>",
        "<img src=x>",
        "b|*c*",
    ):
        assert each in text
    assert "$x$" not in html
    assert "<img" not in html


def test_an_answer_that_came_at_once_has_no_pace() -> None:
    usage = Usage(1, 10)
    streamed = Answer(GEMMA, "a", usage=usage, seconds=3.0, first_token_seconds=1.0)
    assert streamed.tokens_per_second == 5.0
    whole = Answer(GEMMA, "a", usage=usage, seconds=3.0, first_token_seconds=3.0, raw={})
    assert whole.tokens_per_second is None
    assert Answer(GEMMA).tokens_per_second is None
