"""Budgets admit, lower or reject calls."""

import pytest

from cfai_magics.errors import BudgetExceededError
from cfai_magics.pricing.limits import (
    Admission,
    admit,
    admit_group,
    format_limit_warnings,
    lowered_note,
)
from cfai_magics.pricing.prices import Cost
from cfai_magics.types.usage import Limit

COST = Cost(prompt_max=10.0, prompt_min=5.0, per_token=0.1, max_tokens=1_000)  # maximum 110


def day(neurons: float, spent: float = 0.0) -> Limit:
    return Limit("day", neurons, spent)


def test_without_a_limit_the_maximum_cost_is_reserved() -> None:
    assert admit(COST, []) == Admission(110.0, 1_000)


def test_a_call_that_fits_is_admitted_unchanged() -> None:
    assert admit(COST, [day(1_000, 890)]) == Admission(110.0, 1_000)


def test_a_call_that_does_not_fit_gets_fewer_tokens() -> None:
    limit = day(1_000, 940)
    admission = admit(COST, [day(5_000), limit])
    assert admission.max_tokens == 500
    assert admission.neurons <= limit.remaining
    assert lowered_note(admission, 1_000) == (
        "max_tokens was lowered from 1,000 to 500 to fit today's budget."
    )


@pytest.mark.parametrize("spent", [991.0, 990.0, 989.0, 1_000.0, 1_200.0])
def test_a_call_is_rejected_if_its_prompt_uses_the_limit(spent: float) -> None:
    with pytest.raises(BudgetExceededError, match=r"of 1,000 neurons are left in today's budget"):
        admit(COST, [day(1_000, spent)])


def test_the_tightest_limit_applies_and_is_named() -> None:
    with pytest.raises(BudgetExceededError, match=r"--max-neurons leaves 3\.0 neurons") as caught:
        admit(COST, [day(5_000), Limit("cell", 3.0)])
    assert "Raise --max-neurons" in caught.value.hint
    with pytest.raises(BudgetExceededError) as caught:
        admit(COST, [Limit("notebook", 3.0)])
    assert "%cfai budget --notebook N" in caught.value.hint
    with pytest.raises(BudgetExceededError) as caught:
        admit(COST, [Limit("free", 3.0)])
    assert "%cfai budget N" in caught.value.hint


def test_a_short_answer_may_be_below_the_minimum_tokens() -> None:
    short = Cost(prompt_max=1.0, prompt_min=1.0, per_token=1.0, max_tokens=3)
    assert admit(short, [day(4.0)]) == Admission(4.0, 3)
    with pytest.raises(BudgetExceededError):
        admit(short, [day(3.5)])


def test_a_call_of_unknown_price_reserves_the_whole_limit() -> None:
    assert admit(None, []) == Admission(0.0, 0)
    assert admit(None, [day(50, 20)]).neurons == 30
    with pytest.raises(BudgetExceededError):
        admit(None, [day(50, 50)])


def test_a_limit_used_by_80_percent_causes_a_warning() -> None:
    assert format_limit_warnings([day(1_000, 799)]) == []
    assert format_limit_warnings([day(1_000, 800), Limit("session", 50, 60)]) == [
        "80 % of today's budget (1,000 neurons) has been used.",
        "120 % of this session's budget (50 neurons) has been used.",
    ]


def test_calls_that_fit_together_are_admitted_unchanged() -> None:
    assert admit_group([COST, COST], [day(220.0)]) == [Admission(110.0, 1_000)] * 2


@pytest.mark.parametrize("room", [50.0, 219.0, 11.0 + 1.1 * 16.5])
def test_calls_that_do_not_fit_together_get_fewer_tokens(room: float) -> None:
    expensive = Cost(prompt_max=1.0, prompt_min=1.0, per_token=1.0, max_tokens=1_000)
    limit = day(1_000, 1_000 - room)
    admissions = admit_group([COST, expensive], [day(9_000), limit])
    assert {each.max_tokens for each in admissions} == {int((room - 11) / 1.1)}
    assert sum(each.neurons for each in admissions) <= limit.remaining
    assert all(each.lowered_by == limit for each in admissions)


def test_calls_are_rejected_together_if_their_prompts_use_the_limit() -> None:
    with pytest.raises(BudgetExceededError, match="these 4 calls may cost"):
        admit_group([COST] * 2 + [COST] * 2, [day(40.0)])


def test_unpriced_calls_share_the_rest_of_the_limit() -> None:
    admissions = admit_group([None, COST, None], [day(150.0)])
    assert [each.neurons for each in admissions] == [20.0, 110.0, 20.0]
    assert admit_group([None, None], []) == [Admission(0.0, 0)] * 2
    with pytest.raises(BudgetExceededError):
        admit_group([None, COST], [day(110.0)])


def test_a_group_does_not_raise_max_tokens_of_a_call() -> None:
    short = Cost(prompt_max=0.0, prompt_min=0.0, per_token=0.1, max_tokens=10)
    admissions = admit_group([COST, short], [day(61.0)])
    assert [each.max_tokens for each in admissions] == [255, 10]
    assert admissions[1].lowered_by is None


OPEN = Cost(prompt_max=1.0, prompt_min=1.0, per_token=0.1, max_tokens=0, longest=1_000)


@pytest.mark.parametrize(
    ("left", "neurons", "max_tokens"),
    [(101.0, 101.0, 0), (1_000.0, 101.0, 0), (51.0, 51.0, 500), (2.6, 2.6, 16)],
)
def test_a_call_without_max_tokens_gets_the_tokens_that_fit(
    left: float, neurons: float, max_tokens: int
) -> None:
    admission = admit(OPEN, [Limit("day", left)])
    assert admission.neurons == pytest.approx(neurons)
    assert admission.max_tokens == max_tokens
    note = f"max_tokens was set to {max_tokens} to fit today's budget."
    assert lowered_note(admission, OPEN.max_tokens) == (note if max_tokens else "")


def test_a_call_without_max_tokens_is_refused_if_only_a_few_tokens_fit() -> None:
    with pytest.raises(BudgetExceededError, match="even with a short answer"):
        admit(OPEN, [Limit("day", 2.5)])
    assert admit(OPEN, []) == (OPEN.high, 0, None)


def test_calls_with_and_without_max_tokens_share_a_limit() -> None:
    short = Cost(prompt_max=1.0, prompt_min=1.0, per_token=0.1, max_tokens=100)
    lowered, kept = admit_group([OPEN, short], [Limit("day", 52.0)])
    assert (lowered.max_tokens, kept.max_tokens, kept.lowered_by) == (250, 100, None)
    assert lowered.neurons + kept.neurons <= 52.0
    unlimited = admit_group([OPEN, short], [])
    assert [admission.max_tokens for admission in unlimited] == [0, 100]
    roomy = admit_group([OPEN, OPEN], [Limit("day", 500.0)])
    assert [(one.max_tokens, one.neurons) for one in roomy] == [(0, 101.0), (0, 101.0)]
