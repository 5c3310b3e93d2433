"""The footer under an answer."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cfai_magics.display.footer import (
    format_column_footer,
    format_group_footer,
    format_usage_footer,
)
from cfai_magics.types.answer_set import AnswerSet, Variant
from cfai_magics.types.messages import Answer, ToolCall
from cfai_magics.types.provenance import Provenance, RecordingInfo
from cfai_magics.types.usage import AccountFigure, DayUsage, Usage

ANSWER = Answer(
    "@cf/google/gemma-4-26b-a4b-it",
    text="Because.",
    finish_reason="stop",
    usage=Usage(214, 388, neurons=12.527, cost_basis="billed"),
    seconds=1.94,
    first_token_seconds=0.31,
)


def test_a_full_footer_shows_model_tokens_neurons_and_time() -> None:
    line = "gemma-4-26b-a4b-it · 214→388 tokens · 12.5 neurons billed · 1.9 s (0.3 s to first)"
    assert format_usage_footer(ANSWER, "full") == line


def test_a_short_footer_shows_neurons_and_time() -> None:
    assert format_usage_footer(ANSWER, "short") == "12.5 neurons billed · 1.9 s"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"usage": Usage(1, 2, neurons=3.0, cost_basis="estimated")}, "3.0 neurons estimated"),
        ({"usage": Usage(1, 2)}, "neurons not reported"),
        ({"usage": Usage(1, 2, has_estimated_tokens=True)}, "about 1→2 tokens · neurons not"),
        (
            {"is_local": True, "model": "SmolLM2"},
            "SmolLM2 on this machine · 214→388 tokens · no neu",
        ),
        ({"finish_reason": "length"}, "Stopped at the limit of 388 tokens. Raise --max-tokens"),
        (
            {"finish_reason": "length", "text": ""},
            "The limit of 388 tokens was used up by thinking, which is billed",
        ),
        ({"finish_reason": "stop", "text": ""}, "The answer is empty."),
        (
            {"text": "", "reasoning": "hm"},
            "The answer is empty. The thinking above is billed.",
        ),
        ({"finish_reason": "error"}, "The model reported an error. The answer is incomplete."),
        ({"finish_reason": "cut", "text": ""}, "The response ended before the answer started."),
        ({"tool_calls": (ToolCall("1", "add", "{}"),)}, "requested by the model: add."),
        ({"usage": Usage(1, 2, neurons=1234.6, cost_basis="billed")}, "1,235 neurons billed"),
        ({"usage": Usage(1, 2, neurons=0.0032, cost_basis="billed")}, "0.0032 neurons billed"),
        ({"seconds": 75.0}, "75 s"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_full_footer_describes_usage_and_finish_reason(
    changes: dict[str, object], expected: str
) -> None:
    assert expected in format_usage_footer(replace(ANSWER, **changes), "full")


def test_a_full_footer_ends_with_the_day_usage() -> None:
    reported_at = datetime(2026, 11, 25, 14, 5, tzinfo=UTC).timestamp()
    day = DayUsage(
        3_000, 120, 0, 10_000, 4 * 3600 + 12 * 60, account=AccountFigure(3_500, reported_at)
    )
    line = format_usage_footer(
        replace(ANSWER, day_usage=replace(day, estimated=0, account=None)), "full"
    )
    assert line.endswith(" · today 3,000 of 10,000, resets in 4 h 12 min")
    assert (
        "today 3,120 (120 estimated) of 10,000 (account 3,500 at 14:05 UTC)"
        in format_usage_footer(replace(ANSWER, day_usage=day), "full")
    )


REPLAYED = replace(
    ANSWER,
    usage=Usage(214, 388, neurons=0.0, cost_basis="replayed"),
    provenance=Provenance(recording=RecordingInfo("2026-10-12", 12.3)),
)


def test_a_replayed_answer_shows_its_date_and_cost_of_resending() -> None:
    line = (
        "gemma-4-26b-a4b-it · 214→388 tokens · replayed, recorded 12 Oct 2026 · ≈ 12 "
        "neurons if sent again · 1.9 s (0.3 s to first)"
    )
    assert format_usage_footer(REPLAYED, "full") == line
    assert format_usage_footer(REPLAYED, "short").startswith("replayed, recorded 12 Oct 2026")


@pytest.mark.parametrize(
    ("neurons", "local", "expected"),
    [
        (0.42, False, "≈ 0.42 neurons if sent again ·"),
        (None, False, "recorded 12 Oct 2026 · 1.9 s"),
        (0.0, True, "it (local) · 214→388 tokens · replayed, recorded 12 Oct 2026 · free"),
    ],
)
def test_a_replayed_answer_shows_only_a_known_cost(
    neurons: float | None, local: bool, expected: str
) -> None:
    provenance = Provenance(recording=RecordingInfo("2026-10-12", neurons))
    assert expected in format_usage_footer(
        replace(REPLAYED, provenance=provenance, is_local=local), "full"
    )


def test_an_incomplete_answer_shows_approximate_tokens() -> None:
    cut = replace(
        ANSWER, finish_reason="cut", usage=Usage(10, 20, neurons=1.0, cost_basis="estimated")
    )
    assert "about 10→20 tokens" in format_usage_footer(cut, "full")


def test_a_column_footer_marks_a_replay_of_a_local_model() -> None:
    replayed = replace(ANSWER, model="it", is_local=True, provenance=REPLAYED.provenance)
    assert format_column_footer(replayed).startswith("it (local) · 214→388 tokens · replayed")
    assert "(local)" not in format_column_footer(REPLAYED)
    without_cost = replace(replayed, usage=Usage(1, 2, neurons=0.0, cost_basis="replayed"))
    both = AnswerSet((Variant("it"),) * 2, (without_cost, without_cost), ("", ""), 1.0)
    assert "0 neurons in total (replayed)" in format_group_footer(both, None, (), "full")
