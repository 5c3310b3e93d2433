"""The price of native tasks, compared with Cloudflare's bills."""

import pytest

from cfai_magics.pricing.catalog import find_model, load_bundled
from cfai_magics.pricing.prices import WorkUnits, parse_prices, price_work_units, to_usd
from cfai_magics.types.usage import Model


@pytest.mark.parametrize(
    ("name", "work", "neurons"),
    [
        pytest.param("flux-1-schnell", WorkUnits(1024 * 1024, steps=4), 172.8, id="flux, billed"),
        pytest.param(
            "lucid-origin", WorkUnits(1120 * 1120, steps=15), 3904.69, id="lucid, billed"
        ),
        pytest.param(
            "phoenix-1.0", WorkUnits(1024 * 1024, steps=25), 3120.0, id="phoenix, billed"
        ),
        pytest.param("flux-2-klein-9b", WorkUnits(1024 * 1024), 1363.64, id="one megapixel"),
        pytest.param("flux-2-klein-9b", WorkUnits(2 * 1024 * 1024), 1545.46, id="two megapixels"),
        pytest.param(
            "flux-2-klein-4b", WorkUnits(512 * 512, 512 * 512), 31.42, id="image in and out"
        ),
        pytest.param("flux-2-dev", WorkUnits(512 * 512, steps=20), 750.0, id="tiles by step"),
        pytest.param(
            "whisper-large-v3-turbo", WorkUnits(seconds=90), 69.945, id="a minute and a half"
        ),
        pytest.param("aura-1", WorkUnits(characters=500), 681.82, id="half a thousand characters"),
        pytest.param("resnet-50", WorkUnits(images=1), 0.228055, id="one image"),
    ],
)
def test_the_bundled_prices_match_the_bill(name: str, work: WorkUnits, neurons: float) -> None:
    assert price_work_units(find_model(name, load_bundled()), work) == pytest.approx(
        neurons, rel=1e-5
    )


def test_unit_names_of_the_live_list_are_normalized() -> None:
    named = ["512 by 512 tile", "step", "audio minute (websocket)", "1k characters", "M images"]
    assert parse_prices((name, 2.0) for name in named)["units"] == {
        "tile": 2.0,
        "step": 2.0,
        "audio minute": 2.0,
        "1k characters": 2.0,
        "M images": 2.0,
    }


def test_an_unknown_unit_has_no_price() -> None:
    fields = parse_prices([("per moon phase", 3.0)])
    assert price_work_units(Model("m", **fields), WorkUnits()) is None


def test_a_thousand_neurons_cost_1_1_cents() -> None:
    assert to_usd(1_000) == pytest.approx(0.011)
