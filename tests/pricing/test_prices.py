"""The price of a call matches the bills of Cloudflare."""

from typing import Any

import pytest

from cfai_magics.pricing.catalog import find_model, load_bundled
from cfai_magics.pricing.prices import (
    Rates,
    calibrate_rates,
    catalog_rates,
    estimate_cost,
    get_max_tokens,
    get_max_tokens_field,
    with_estimate,
    with_max_tokens,
)
from cfai_magics.types.messages import Request
from cfai_magics.types.usage import Model, Usage
from cfai_magics.workers_ai.endpoints import chat_body

PRICED = Model("m", neurons_in=1000.0, neurons_out=2000.0)


@pytest.mark.parametrize(
    ("name", "usage", "billed"),
    [
        pytest.param("gemma-4-26b-a4b-it", Usage(147, 16), 1.77273, id="gemma-4"),
        pytest.param("glm-5.2", Usage(376, 3, 320), 15.8909, id="cached tokens"),
        pytest.param("llama-3.3-70b-instruct-fp8-fast", Usage(388, 63), 23.2499, id="llama"),
    ],
)
def test_the_bundled_prices_match_the_bill(name: str, usage: Usage, billed: float) -> None:
    rates = catalog_rates(find_model(name, load_bundled()))
    assert rates is not None
    assert rates.price_usage(usage) == pytest.approx(billed, rel=0.01)


def test_billed_neurons_are_not_replaced_by_an_estimate() -> None:
    usage = Usage(1, 1, neurons=0.5, cost_basis="billed")
    assert with_estimate(Rates(9.0, 9.0, 9.0), usage) is usage


def test_a_price_is_never_negative() -> None:
    assert Rates(1.0, 0.5, 2.0).price_usage(Usage(10, 1, 100_000)) == 7.0


def test_an_estimate_is_marked_as_estimated() -> None:
    priced = with_estimate(catalog_rates(PRICED), Usage(2, 3))
    assert (priced.neurons, priced.cost_basis) == (8.0, "estimated")


def test_without_a_price_neurons_are_unknown() -> None:
    assert with_estimate(catalog_rates(Model("m")), Usage(5, 5)).neurons is None


def bills(*neurons: float) -> list[Usage]:
    return [Usage(10, 5, neurons=figure, cost_basis="billed") for figure in neurons]


def test_bills_of_a_model_correct_its_list_price() -> None:
    rates = calibrate_rates(PRICED, bills(30.0, 30.0, 30.0))  # 20 in the price list
    assert rates == Rates(1.5, 1.5, 3.0, billed_calls=3)


def test_too_few_bills_do_not_change_the_price() -> None:
    assert calibrate_rates(PRICED, bills(30.0, 30.0)) == catalog_rates(PRICED)


def test_a_model_without_a_price_gets_one_from_its_bills() -> None:
    assert calibrate_rates(Model("m"), bills(3.0, 3.0, 3.0)) == Rates(
        0.2, 0.2, 0.2, billed_calls=3
    )
    assert calibrate_rates(Model("m")) is None


def request(**fields: object) -> Request:
    return Request("m", ({"role": "user", "content": "Hi"},), **fields)  # type: ignore[arg-type]


def test_the_maximum_cost_includes_all_answers_and_tools() -> None:
    plain = estimate_cost(request(max_tokens=100), Rates(1.0, 1.0, 2.0))
    assert plain.high == plain.prompt_max + 200
    several = estimate_cost(request(max_tokens=100, extra={"n": 3}), Rates(1.0, 1.0, 2.0))
    assert several.high >= plain.prompt_max + 600
    tools = estimate_cost(
        request(max_tokens=100, extra={"tools": ["x" * 400]}), Rates(1.0, 1.0, 2.0)
    )
    assert tools.prompt_max > plain.prompt_max + 200


def test_a_calibration_never_lowers_the_maximum_cost() -> None:
    listed, cheap = Rates(1.0, 1.0, 2.0), Rates(0.1, 0.1, 0.2, billed_calls=9)
    assert (
        estimate_cost(request(max_tokens=9), listed, cheap).high
        == estimate_cost(request(max_tokens=9), listed).high
    )
    expensive = Rates(2.0, 2.0, 4.0, billed_calls=9)
    assert estimate_cost(request(max_tokens=9), listed, expensive).per_token == 4.0


@pytest.mark.parametrize(
    ("extra", "expected"), [({"max_tokens": None}, 0), ({"max_completion_tokens": None}, 2048)]
)
def test_null_for_max_tokens_in_extra_removes_the_maximum(
    extra: dict[str, Any], expected: int
) -> None:
    original = request(max_tokens=2048, extra=extra)
    assert get_max_tokens(original) == get_max_tokens_field(chat_body(original)) == expected


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_max_tokens_in_extra_fields_takes_precedence(name: str) -> None:
    original = request(max_tokens=2048, extra={name: 50})
    assert get_max_tokens(original) == 50
    lowered = with_max_tokens(chat_body(original), 20)
    assert (lowered[name], lowered["max_tokens"]) == (20, 20)
    assert set(lowered) == {*chat_body(original)}
