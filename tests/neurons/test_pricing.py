"""The price of a call, against what Cloudflare billed for such calls."""

import pytest

from cfai_magics.catalogue import resolve, shipped
from cfai_magics.neurons.pricing import (
    Rates,
    cost,
    list_rates,
    most_tokens,
    rates,
    with_most_tokens,
    with_price,
)
from cfai_magics.values import Model, Request, Usage

PRICED = Model("m", neurons_in=1000.0, neurons_out=2000.0)


@pytest.mark.parametrize(
    ("name", "usage", "billed"),
    [
        pytest.param("gemma-4-26b-a4b-it", Usage(147, 16), 1.77273, id="gemma-4"),
        pytest.param("glm-5.2", Usage(376, 3, 320), 15.8909, id="cached tokens"),
        pytest.param("llama-3.3-70b-instruct-fp8-fast", Usage(388, 63), 23.2499, id="llama"),
    ],
)
def test_the_shipped_prices_give_what_was_billed(name: str, usage: Usage, billed: float) -> None:
    known = list_rates(resolve(name, shipped()))
    assert known is not None
    assert known.neurons(usage) == pytest.approx(billed, rel=0.01)


def test_a_billed_figure_is_never_replaced() -> None:
    usage = Usage(1, 1, neurons=0.5, basis="billed")
    assert with_price(Rates(9.0, 9.0, 9.0), usage) is usage


def test_an_estimate_says_that_it_is_one() -> None:
    priced = with_price(list_rates(PRICED), Usage(2, 3))
    assert (priced.neurons, priced.basis) == (8.0, "estimated")


def test_without_a_price_there_is_no_figure() -> None:
    assert with_price(list_rates(Model("m")), Usage(5, 5)).neurons is None


def bills(*neurons: float) -> list[Usage]:
    return [Usage(10, 5, neurons=figure, basis="billed") for figure in neurons]


def test_a_models_own_bills_correct_its_list_price() -> None:
    known = rates(PRICED, bills(30.0, 30.0, 30.0))  # the list says 20
    assert known == Rates(1.5, 1.5, 3.0, calls=3)


def test_too_few_bills_correct_nothing() -> None:
    assert rates(PRICED, bills(30.0, 30.0)) == list_rates(PRICED)


def test_a_model_without_a_price_learns_one_from_its_bills() -> None:
    assert rates(Model("m"), bills(3.0, 3.0, 3.0)) == Rates(0.2, 0.2, 0.2, calls=3)
    assert rates(Model("m")) is None


def request(**fields: object) -> Request:
    return Request("m", ({"role": "user", "content": "Hi"},), **fields)  # type: ignore[arg-type]


def test_the_most_a_call_may_cost_holds_every_answer_and_tool() -> None:
    plain = cost(request(max_tokens=100), Rates(1.0, 1.0, 2.0))
    assert plain.high == plain.prompt + 200
    several = cost(request(max_tokens=100, extra={"n": 3}), Rates(1.0, 1.0, 2.0))
    assert several.high >= plain.prompt + 600
    tools = cost(request(max_tokens=100, extra={"tools": ["x" * 400]}), Rates(1.0, 1.0, 2.0))
    assert tools.prompt > plain.prompt + 200


def test_a_calibration_never_lowers_the_most_a_call_may_cost() -> None:
    listed, cheap = Rates(1.0, 1.0, 2.0), Rates(0.1, 0.1, 0.2, calls=9)
    assert (
        cost(request(max_tokens=9), listed, cheap).high == cost(request(max_tokens=9), listed).high
    )
    dear = Rates(2.0, 2.0, 4.0, calls=9)
    assert cost(request(max_tokens=9), listed, dear).per_token == 4.0


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_limit_among_the_further_fields_is_the_one_that_counts(name: str) -> None:
    asked = request(max_tokens=2048, extra={name: 50})
    assert most_tokens(asked) == 50
    lowered = with_most_tokens(asked, 20)
    assert (most_tokens(lowered), lowered.max_tokens, lowered.extra) == (20, 20, {name: 20})
