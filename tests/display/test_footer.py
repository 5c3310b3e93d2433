"""The footer under an answer."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cfai_magics.display.footer import format_usage_footer
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


DAY = DayUsage(3_000, 0, 0, 10_000, 4 * 3600 + 12 * 60)
DAY_TEXT = "today 3,000 of 10,000, resets in 4 h 12 min"


def test_a_full_footer_shows_all_on_one_line() -> None:
    footer = format_usage_footer(replace(ANSWER, day_usage=DAY), "full")
    assert str(footer) == (
        "gemma-4-26b-a4b-it · 214→388 tokens · 12.5 neurons billed · 1.9 s · "
        f"0.3 s to first token · 238 tokens/s · {DAY_TEXT}"
    )
    assert footer.details == ()


def test_a_short_footer_has_a_line_and_collapsed_details() -> None:
    line = "gemma-4-26b-a4b-it · 214→388 tokens · 12.5 neurons billed · 1.9 s"
    answer = replace(ANSWER, day_usage=DAY, details=("Conversation tea, turn 2.",))
    footer = format_usage_footer(answer, "short")
    assert str(footer) == line
    assert footer.details == (
        "0.3 s to first token · 238 tokens/s",
        DAY_TEXT,
        "Conversation tea, turn 2.",
    )
    bundle = footer.render()
    assert bundle["text/plain"] == line
    assert f"<details><summary>{line}</summary>" in bundle["text/html"]
    assert DAY_TEXT in bundle["text/html"]


@pytest.mark.parametrize(
    "day",
    [
        replace(DAY, billed=8_000),
        replace(DAY, billed=7_000, estimated=500, reserved=500),
        replace(DAY, limit=3_500),
        replace(DAY, is_closed=True),
        replace(DAY, account=AccountFigure(8_001, 0)),
    ],
    ids=["billed", "reserved", "budget", "closed", "account"],
)
def test_a_short_footer_shows_the_day_usage_above_80_percent_of_a_limit(day: DayUsage) -> None:
    footer = format_usage_footer(replace(ANSWER, day_usage=day), "short")
    assert " · 1.9 s · today " in str(footer)
    assert footer.details == ("0.3 s to first token · 238 tokens/s",)


def test_a_high_account_figure_does_not_count_against_the_own_budget() -> None:
    day = replace(DAY, billed=10, limit=2_000, account=AccountFigure(3_500, 0))
    footer = format_usage_footer(replace(ANSWER, day_usage=day), "short")
    assert "today" not in str(footer)


def test_a_short_footer_shows_another_endpoint_and_why_an_answer_is_incomplete() -> None:
    cut = replace(ANSWER, endpoint="gateway class, cache miss", finish_reason="cut")
    assert str(format_usage_footer(cut, "short")).splitlines() == [
        (
            "gemma-4-26b-a4b-it · 214→388 tokens · 12.5 neurons billed · 1.9 s · "
            "gateway class, cache miss"
        ),
        "The response ended early. The answer is incomplete.",
    ]


def test_text_of_a_model_is_escaped_in_the_html_of_a_footer() -> None:
    answer = replace(ANSWER, model="<b>", notes=("<i>\x1b[1m",), details=("<u>",))
    html = format_usage_footer(answer, "short").render()["text/html"]
    assert [text for text in ("<b>", "<i>", "<u>", "\x1b") if text in html] == []


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
def test_a_footer_describes_usage_and_finish_reason(
    changes: dict[str, object], expected: str
) -> None:
    answer = replace(ANSWER, **changes)
    assert expected in str(format_usage_footer(answer, "full"))
    assert expected in str(format_usage_footer(answer, "short"))


def test_the_day_usage_shows_estimated_neurons_and_the_account_figure() -> None:
    reported_at = datetime(2026, 11, 25, 14, 5, tzinfo=UTC).timestamp()
    day = replace(DAY, estimated=120, account=AccountFigure(3_500, reported_at))
    assert "today 3,120 (120 estimated) of 10,000 (account 3,500 at 14:05 UTC)" in str(
        format_usage_footer(replace(ANSWER, day_usage=day), "full")
    )


REPLAYED = replace(
    ANSWER,
    usage=Usage(214, 388, neurons=0.0, cost_basis="replayed"),
    provenance=Provenance(recording=RecordingInfo("2026-10-12", 12.3)),
)


def test_a_replayed_answer_shows_its_date_and_cost_of_resending_but_no_time() -> None:
    line = (
        "gemma-4-26b-a4b-it · 214→388 tokens · replayed, recorded 12 Oct 2026 · ≈ 12 "
        "neurons if sent again"
    )
    assert str(format_usage_footer(REPLAYED, "full")) == line
    assert format_usage_footer(REPLAYED, "short") == (line, (), ())


@pytest.mark.parametrize(
    ("neurons", "local", "expected"),
    [
        (0.42, False, " · ≈ 0.42 neurons if sent again"),
        (None, False, "recorded 12 Oct 2026"),
        (0.0, True, "it (local) · 214→388 tokens · replayed, recorded 12 Oct 2026 · free"),
    ],
)
def test_a_replayed_answer_shows_only_a_known_cost(
    neurons: float | None, local: bool, expected: str
) -> None:
    provenance = Provenance(recording=RecordingInfo("2026-10-12", neurons))
    answer = replace(REPLAYED, provenance=provenance, is_local=local)
    assert str(format_usage_footer(answer, "full")).endswith(expected)


def test_an_incomplete_answer_shows_approximate_tokens() -> None:
    cut = replace(
        ANSWER, finish_reason="cut", usage=Usage(10, 20, neurons=1.0, cost_basis="estimated")
    )
    assert "about 10→20 tokens" in str(format_usage_footer(cut, "full"))
