"""The typical cost of an answer: its length, and the recorded answers it was chosen from."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from cfai_magics.pricing.catalog import find_model, load_bundled
from cfai_magics.pricing.prices import Rates, catalog_rates, estimate_cost
from cfai_magics.pricing.typical import (
    TYPICAL_ANSWER_TOKENS,
    estimate_typical_neurons,
    typical_answer_tokens,
)
from cfai_magics.types.messages import Request
from cfai_magics.types.usage import Usage

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
RATES = Rates(prompt=1.0, cached=1.0, completion=100.0)
QUESTION = ({"role": "user", "content": "Why is the sky blue?"},)  # 20 characters, 5 tokens


@pytest.mark.parametrize(
    ("recent", "expected"),
    [
        pytest.param([], TYPICAL_ANSWER_TOKENS, id="no answers"),
        pytest.param([7], 7, id="one answer"),
        pytest.param([10, 500, 20], 20, id="the median"),
        pytest.param([10, 20], 15, id="between two"),
    ],
)
def test_the_typical_length_is_the_median_of_recent_answers(
    recent: Sequence[int], expected: int
) -> None:
    assert typical_answer_tokens(recent) == expected


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
    assert estimate_typical_neurons(request_, RATES, [40]) == 5 + 100 * completion_tokens
    if request_.max_tokens:
        assert estimate_cost(request_, RATES).high >= 5 + 100 * completion_tokens


def test_the_typical_cost_includes_images() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}
    text = {"type": "text", "text": "What is this?"}
    request = Request("m", ({"role": "user", "content": [text, image, image]},), max_tokens=1)
    without = Request("m", ({"role": "user", "content": [text]},), max_tokens=1)
    difference = estimate_typical_neurons(request, RATES, []) - estimate_typical_neurons(
        without, RATES, []
    )
    assert 1000 < difference < 3000
    assert estimate_cost(request, RATES).high > estimate_typical_neurons(request, RATES, [])


def test_most_recorded_answers_cost_between_half_and_twice_the_typical_cost() -> None:
    rates = catalog_rates(find_model("gemma-4-26b-a4b-it", load_bundled()))
    assert rates is not None
    ratios = []
    for path in sorted(NOTEBOOKS.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            recorded = json.loads(line)
            fields, usage = recorded["request"], recorded["usage"]
            if fields["task"] == "chat":
                request = Request("m", fields["messages"], max_tokens=fields.get("max_tokens"))
                cost = rates.price_usage(Usage(usage["prompt_tokens"], usage["completion_tokens"]))
                ratios.append(cost / estimate_typical_neurons(request, rates, []))
    assert len(ratios) > 20
    assert sum(0.5 <= ratio <= 2 for ratio in ratios) > len(ratios) / 2
