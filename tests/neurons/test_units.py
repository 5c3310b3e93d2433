"""What native tasks cost, against what Cloudflare billed for them."""

import pytest

from cfai_magics.catalogue import resolve, shipped
from cfai_magics.neurons.units import Work, dollars, prices, work_price
from cfai_magics.values import Model


@pytest.mark.parametrize(
    ("name", "work", "neurons"),
    [
        pytest.param("flux-1-schnell", Work(1024 * 1024, steps=4), 172.8, id="flux, billed"),
        pytest.param("lucid-origin", Work(1120 * 1120, steps=15), 3904.69, id="lucid, billed"),
        pytest.param("phoenix-1.0", Work(1024 * 1024, steps=25), 3120.0, id="phoenix, billed"),
        pytest.param("flux-2-klein-9b", Work(1024 * 1024), 1363.64, id="one megapixel"),
        pytest.param("flux-2-klein-9b", Work(2 * 1024 * 1024), 1545.46, id="two megapixels"),
        pytest.param("flux-2-klein-4b", Work(512 * 512, 512 * 512), 31.42, id="image in and out"),
        pytest.param("flux-2-dev", Work(512 * 512, steps=20), 750.0, id="tiles by step"),
        pytest.param("whisper-large-v3-turbo", Work(seconds=90), 69.945, id="a minute and a half"),
        pytest.param("aura-1", Work(characters=500), 681.82, id="half a thousand characters"),
        pytest.param("resnet-50", Work(images=1), 0.228055, id="one image"),
    ],
)
def test_the_shipped_prices_give_the_bill(name: str, work: Work, neurons: float) -> None:
    assert work_price(resolve(name, shipped()), work) == pytest.approx(neurons, rel=1e-5)


def test_the_live_lists_words_mean_the_same_units() -> None:
    named = ["512 by 512 tile", "step", "audio minute (websocket)", "1k characters", "M images"]
    assert prices((name, 2.0) for name in named)["units"] == {
        "tile": 2.0,
        "step": 2.0,
        "audio minute": 2.0,
        "1k characters": 2.0,
        "M images": 2.0,
    }


def test_an_unknown_unit_is_no_price() -> None:
    fields = prices([("per moon phase", 3.0)])
    assert work_price(Model("m", **fields), Work()) is None


def test_a_thousand_neurons_cost_a_little_over_a_cent() -> None:
    assert dollars(1_000) == pytest.approx(0.011)
