"""The price of a call, against what Cloudflare billed for such calls."""

import struct

import pytest

from cfai_magics.catalogue import resolve, shipped
from cfai_magics.media.images import Image
from cfai_magics.neurons.pricing import (
    Rates,
    cost,
    fewest_prompt_tokens,
    guessed_image_tokens,
    guessed_prompt_tokens,
    guessed_tokens,
    list_rates,
    most_prompt_tokens,
    most_tokens,
    rates,
    with_most_tokens,
    with_price,
)
from cfai_magics.values import Message, Model, Request, Usage

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 280, 56)  # as far as its size
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


TEXTS = [
    pytest.param("Why is the sky blue? Please answer in three short points.", 13, id="English"),
    pytest.param("为什么天空是蓝色的。请用三点简短回答。", 13, id="Chinese"),
    pytest.param("لماذا السماء زرقاء؟ أجب في ثلاث نقاط قصيرة.", 14, id="Arabic"),
]


@pytest.mark.parametrize(("text", "tokens"), TEXTS)
def test_what_is_reserved_for_a_prompt_covers_its_tokens(text: str, tokens: int) -> None:
    messages: list[Message] = [{"role": "user", "content": text}]
    assert fewest_prompt_tokens(messages) <= tokens <= most_prompt_tokens(messages)


def test_an_image_is_no_text() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 9_000}}
    content = [{"type": "text", "text": "What is this?"}, image]
    messages: list[Message] = [{"role": "user", "content": content}]
    assert guessed_prompt_tokens(messages) == guessed_tokens("What is this?") == 4
    assert 1_000 < most_prompt_tokens(messages) < 2_000


@pytest.mark.parametrize(
    ("url", "tokens"),
    [
        (Image("it", PNG, "png", 280, 56).url, 10 * 2),
        ("https://example.com/a.png", 37 * 37),  # the most that is sent
        ("data:image/png;base64,A", 1_500),
    ],
    ids=["its size", "unknown size", "no base64"],
)
def test_an_image_is_guessed_by_its_size(url: str, tokens: int) -> None:
    content = [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": url}}]
    assert guessed_image_tokens([{"role": "user", "content": content}]) == tokens


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
