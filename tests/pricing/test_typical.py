"""The typical cost of an answer: its length, and the recorded answers it was chosen from."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from cfai_magics.pricing.catalog import find_model, load_bundled
from cfai_magics.pricing.prices import Estimate, Rates, catalog_rates, estimate_cost
from cfai_magics.pricing.typical import (
    MAX_DEFAULT_ANSWER_TOKENS,
    make_estimate,
    typical_answer_tokens,
)
from cfai_magics.types.messages import Request
from cfai_magics.types.usage import Usage

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
RATES = Rates(prompt=1.0, cached=1.0, completion=100.0)
# 20 characters, or 5 tokens, and 9 tokens of the chat template
QUESTION = ({"role": "user", "content": "Why is the sky blue?"},)
PROMPT_TOKENS = 14


def estimate(request: Request, recent: Sequence[int] = ()) -> Estimate:
    return make_estimate(request, estimate_cost(request, RATES), RATES, recent)


@pytest.mark.parametrize(
    ("recent", "max_tokens", "expected"),
    [
        pytest.param([], 2048, MAX_DEFAULT_ANSWER_TOKENS, id="no answers"),
        pytest.param([], 0, MAX_DEFAULT_ANSWER_TOKENS, id="no answers and no max_tokens"),
        pytest.param([], 60, 15, id="no answers and a small max_tokens"),
        pytest.param([], 1, 1, id="no answers and one token"),
        pytest.param([7], 2048, 7, id="one answer"),
        pytest.param([10, 500, 20], 2048, 20, id="the median"),
        pytest.param([10, 20], 2048, 15, id="between two"),
        pytest.param([500], 2048, 500, id="long answers"),
        pytest.param([500], 60, 60, id="at most max_tokens"),
    ],
)
def test_the_typical_length_is_the_median_of_recent_answers_or_a_default(
    recent: Sequence[int], max_tokens: int, expected: int
) -> None:
    assert typical_answer_tokens(recent, max_tokens) == expected


@pytest.mark.parametrize(
    ("request_", "completion_tokens"),
    [
        pytest.param(Request("m", QUESTION, max_tokens=2048), 40, id="typical"),
        pytest.param(Request("m", QUESTION, max_tokens=8), 8, id="at most max_tokens"),
        pytest.param(Request("m", QUESTION), 40, id="no max_tokens"),
        pytest.param(Request("m", QUESTION, max_tokens=50, extra={"n": 3}), 120, id="n answers"),
    ],
)
def test_the_typical_cost_has_the_prompt_and_answers_of_typical_length(
    request_: Request, completion_tokens: int
) -> None:
    cost = estimate(request_, [40])
    assert cost.typical == PROMPT_TOKENS + 100 * completion_tokens
    if request_.max_tokens:
        assert cost.high > cost.typical


def test_the_typical_cost_includes_functions() -> None:
    tools = [{"type": "function", "function": {"name": "f" * 400}}]
    plain, with_tools = (
        estimate(Request("m", QUESTION, max_tokens=8, extra=extra))
        for extra in ({}, {"tools": tools})
    )
    assert 100 < with_tools.typical - plain.typical < 150
    assert with_tools.high > plain.high + 150


def test_both_costs_include_images() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}
    text = {"type": "text", "text": "What is this?"}
    with_images, without = (
        estimate(Request("m", ({"role": "user", "content": content},), max_tokens=1))
        for content in ([text, image, image], [text])
    )
    assert with_images.typical - without.typical == 2 * 37 * 37  # of the largest size sent
    assert with_images.high - without.high == 3000


def test_a_sum_of_estimates_has_both_sums() -> None:
    one = estimate(Request("m", QUESTION, max_tokens=100), [40])
    two = one + one
    assert (two.typical, two.high) == (2 * one.typical, 2 * one.high)
    capped = two.capped(two.prompt_max + 450)
    assert capped.max_tokens == 2
    assert capped.typical == capped.high <= two.prompt_max + 450


def test_the_costs_of_recorded_answers_agree_with_their_estimates() -> None:
    rates = catalog_rates(find_model("gemma-4-26b-a4b-it", load_bundled()))
    assert rates is not None
    ratios = []
    for path in sorted(NOTEBOOKS.glob("*.cfai.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            recorded = json.loads(line)
            fields, usage = recorded["request"], recorded["usage"]
            if fields["task"] != "chat":
                continue
            extra = {key: fields[key] for key in ("response_format", "tools") if key in fields}
            request = Request(
                recorded["model"],
                fields["messages"],
                max_tokens=fields["max_tokens"],
                extra=extra,
            )
            cost = make_estimate(request, estimate_cost(request, rates), rates, ())
            bill = rates.price_usage(Usage(usage["prompt_tokens"], usage["completion_tokens"]))
            assert bill <= cost.high, path.name
            ratios.append(bill / cost.typical)
    assert len(ratios) > 20
    assert sum(0.5 <= ratio <= 2 for ratio in ratios) >= 0.8 * len(ratios)
