"""Test several answers to one prompt: duplicates, total usage and the data frame."""

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
    answers = tuple(Answer(GEMMA, text, finish_reason="stop", **fields) for text in texts)  # type: ignore[arg-type]
    variants = tuple(Variant(GEMMA, repetition=number + 1) for number in range(len(texts)))
    return AnswerSet(variants, answers, errors or ("",) * len(texts))


def test_variants_combine_models_temperatures_and_repetitions() -> None:
    variants = make_variants([GEMMA, LLAMA], [0.0, 1.3], 2)
    assert len(variants) == len(set(variants)) == 8
    assert variants[:3] == [Variant(GEMMA, 0.0, 1), Variant(GEMMA, 0.0, 2), Variant(GEMMA, 1.3, 1)]


@pytest.mark.parametrize(
    ("arguments", "titles"),
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
def test_titles_contain_only_the_differences(
    arguments: tuple[list[str], list[float | None], int], titles: list[str]
) -> None:
    assert variant_titles(make_variants(*arguments)) == titles


def test_surrounding_spaces_are_ignored_when_texts_are_counted() -> None:
    answer_set = answers("Oder", "Main", " Oder\n", "oder")
    assert answer_set.duplicates == (0, 1, 0, 3)
    assert answer_set.distinct_counts == {(GEMMA, None): (3, 4)}


def test_failed_and_interrupted_answers_are_not_counted() -> None:
    three = answers("Oder", "Oder", "", errors=("", "", "CapacityError: busy"))
    cut = Answer(GEMMA, "Oder", finish_reason="interrupted")
    answer_set = AnswerSet(
        (*three.variants, Variant(GEMMA, repetition=4)),
        (*three.answers, cut),
        (*three.errors, ""),
    )
    assert answer_set.duplicates == (0, 0, 2, 3)
    assert answer_set.distinct_counts == {(GEMMA, None): (1, 2)}


def test_each_column_is_counted_separately() -> None:
    variants = (
        Variant(GEMMA, 0.0),
        Variant(GEMMA, 0.0, 2),
        Variant(GEMMA, 1.0),
        Variant(LLAMA, 1.0),
    )
    same = tuple(Answer(each.model, "Oder", finish_reason="stop") for each in variants)
    answer_set = AnswerSet(variants, same, ("",) * 4)
    assert answer_set.distinct_counts == {
        (GEMMA, 0.0): (1, 2),
        (GEMMA, 1.0): (1, 1),
        (LLAMA, 1.0): (1, 1),
    }


def test_the_total_is_billed_if_all_answers_are_billed() -> None:
    answer_set = answers("a", "b", usage=Usage(10, 5, neurons=1.5, cost_basis="billed"))
    assert (answer_set.neurons, answer_set.cost_basis) == (3.0, "billed")
    local = Answer(GEMMA, "b", usage=Usage(10, 5, neurons=0.0, cost_basis="local"))
    mixed = AnswerSet(answer_set.variants, (answer_set[0], local), ("", ""))
    assert (mixed.neurons, mixed.cost_basis) == (1.5, "billed")
    only_local = AnswerSet(answer_set.variants, (local, local), ("", ""))
    assert (only_local.neurons, only_local.cost_basis) == (0.0, "local")
    free = Answer(GEMMA, finish_reason="cut", usage=Usage(neurons=0.0, cost_basis="estimated"))
    failed = AnswerSet(answer_set.variants, (answer_set[0], free), ("", "CapacityError: busy"))
    assert (failed.neurons, failed.cost_basis) == (1.5, "billed")
    estimated = Answer(
        GEMMA, "b", finish_reason="cut", usage=Usage(neurons=1.0, cost_basis="estimated")
    )
    assert (
        AnswerSet(answer_set.variants, (answer_set[0], estimated), ("", "")).cost_basis
        == "estimated"
    )


def test_an_answer_set_is_a_sequence_and_has_a_data_frame() -> None:
    pytest.importorskip("pandas")
    answer_set = answers(
        *("Oder", "Main"),
        usage=Usage(10, 5, neurons=1.5, cost_basis="billed"),
        seconds=3.0,
        first_token_seconds=0.5,
    )
    assert (
        [answer.text for answer in answer_set]
        == [answer_set[0].text, answer_set[1].text]
        == ["Oder", "Main"]
    )
    assert answer_set[-1:] == (answer_set[1],)
    frame = answer_set.df()
    assert frame["text"].tolist() == ["Oder", "Main"]
    assert frame["tokens_per_second"].tolist() == [2.0, 2.0]
    assert set(frame["model"]) == {GEMMA}
    assert frame["basis"].tolist() == ["billed", "billed"]


def test_without_pandas_a_setup_error_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(SetupError, match="pandas"):
        answers("a").df()


def test_text_and_markdown_have_titles_and_load_no_images() -> None:
    answer_set = answers(
        "a", "![x](http://e.org/x.png)", "", errors=("", "", "CapacityError: busy.")
    )
    assert str(answer_set).startswith("--- 1 of 3\na\n\n--- 2 of 3\n")
    assert str(answer_set).endswith("--- 3 of 3\nCapacityError: busy.")
    assert "![" not in answer_set._repr_markdown_()
    assert "**2 of 3**" in answer_set._repr_markdown_()


def test_errors_and_model_names_are_escaped_in_markdown() -> None:
    error = "![x](http://e.org) <b> $x$ **c**\n\n# d"
    variants = (Variant("a/<img src=x>"), Variant("a/b|*c*"))
    markdown = AnswerSet(variants, (Answer("a"), Answer("b")), (error, "- e"))._repr_markdown_()
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown)
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


def test_an_unstreamed_answer_has_no_token_rate() -> None:
    usage = Usage(1, 10)
    streamed = Answer(GEMMA, "a", usage=usage, seconds=3.0, first_token_seconds=1.0)
    assert streamed.tokens_per_second == 5.0
    unstreamed = Answer(GEMMA, "a", usage=usage, seconds=3.0, first_token_seconds=3.0, raw={})
    assert unstreamed.tokens_per_second is None
    assert Answer(GEMMA).tokens_per_second is None
