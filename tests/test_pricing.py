"""The price of a call, against what Cloudflare billed for such calls."""

import pytest

from cfai_magics.catalogue import resolve, shipped
from cfai_magics.pricing import guessed_prompt_tokens, guessed_tokens, price, with_price
from cfai_magics.values import Model, Usage


@pytest.mark.parametrize(
    ("name", "usage", "billed"),
    [
        pytest.param("gemma-4-26b-a4b-it", Usage(147, 16), 1.77273, id="gemma-4"),
        pytest.param("glm-5.2", Usage(376, 3, 320), 15.8909, id="cached tokens"),
        pytest.param("llama-3.3-70b-instruct-fp8-fast", Usage(388, 63), 23.2499, id="llama"),
    ],
)
def test_the_shipped_prices_give_what_was_billed(name: str, usage: Usage, billed: float) -> None:
    assert price(resolve(name, shipped()), usage) == pytest.approx(billed, rel=0.01)


def test_a_billed_figure_is_never_replaced() -> None:
    usage = Usage(1, 1, neurons=0.5, basis="billed")
    assert with_price(Model("m", neurons_in=9.0), usage) is usage


def test_an_estimate_says_that_it_is_one() -> None:
    priced = with_price(Model("m", neurons_in=1000.0, neurons_out=2000.0), Usage(2, 3))
    assert (priced.neurons, priced.basis) == (8.0, "estimated")


def test_without_a_price_there_is_no_figure() -> None:
    usage = Usage(2, 3)
    assert with_price(Model("m"), usage) is usage


def test_guesses_count_four_characters_a_token() -> None:
    assert guessed_tokens("") == 0
    assert guessed_tokens("abcde") == 2
    assert guessed_prompt_tokens(({"content": "abcd"}, {"content": "efgh"})) == 2
