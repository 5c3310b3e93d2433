"""The footer that several answers share."""

from dataclasses import replace

import pytest

from cfai_magics.display.columns import format_group_footer
from cfai_magics.types.answer_set import AnswerSet, Variant, make_variants
from cfai_magics.types.messages import Answer
from cfai_magics.types.provenance import Provenance, RecordingInfo
from cfai_magics.types.usage import DayUsage, Usage

ANSWER = Answer(
    "@cf/google/gemma-4-26b-a4b-it",
    text="Because.",
    finish_reason="stop",
    usage=Usage(10, 20, neurons=2.0, cost_basis="billed"),
    seconds=2.5,
    first_token_seconds=0.5,
)
REPLAYED = replace(
    ANSWER,
    usage=Usage(10, 20, neurons=0.0, cost_basis="replayed"),
    provenance=Provenance(recording=RecordingInfo("2026-10-12", 2.0)),
)
DAY = DayUsage(3_000, 0, 0, 10_000, 4 * 3600)


def answer_set(*answers: Answer) -> AnswerSet:
    variants = make_variants(list(dict.fromkeys(each.model for each in answers)), [None], 1)
    if len(variants) < len(answers):
        variants = [Variant(ANSWER.model, repetition=n + 1) for n in range(len(answers))]
    return AnswerSet(tuple(variants), answers, ("",) * len(answers), 3.0)


def test_a_short_group_footer_has_the_speed_of_each_answer_as_details() -> None:
    footer = format_group_footer(answer_set(ANSWER, ANSWER), DAY, ("A note.",), "short")
    assert str(footer).splitlines() == [
        (
            "gemma-4-26b-a4b-it · 2 answers, 1 distinct · 20→40 tokens · "
            "4.0 neurons in total, billed · 3.0 s"
        ),
        "A note.",
    ]
    assert footer.details == (
        "1 of 2: 0.5 s to first token · 10 tokens/s",
        "2 of 2: 0.5 s to first token · 10 tokens/s",
        "today 3,000 of 10,000, resets in 4 h 0 min",
    )


@pytest.mark.parametrize(("style", "billed"), [("full", 3_000), ("short", 8_000)])
def test_a_group_footer_shows_the_day_usage_openly(style: str, billed: float) -> None:
    day = replace(DAY, billed=billed)
    footer = format_group_footer(answer_set(ANSWER, ANSWER), day, (), style)
    assert f" · 3.0 s · today {billed:,.0f} of 10,000" in footer.line


def test_a_group_footer_names_a_model_only_if_all_answers_share_it() -> None:
    answers = answer_set(ANSWER, replace(ANSWER, model="@cf/meta/llama-3.2-3b-instruct"))
    assert format_group_footer(answers, None, (), "short").line.startswith("2 answers · 20→40")


def test_a_group_footer_of_replayed_answers_shows_no_time() -> None:
    footer = format_group_footer(answer_set(REPLAYED, REPLAYED), None, (), "short")
    assert footer.line.endswith("20→40 tokens · 0 neurons in total (replayed)")
    assert footer.details == ()
