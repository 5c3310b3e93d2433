"""Compare the bundled prices with those of PyPI's litellm and genai-prices.

Usage: python benchmarks/prices.py [--tolerance PERCENT]

Both packages copy Cloudflare's price list, are released weekly, and are not dependencies: install
them with `pip install litellm genai-prices`. A package that is missing is skipped. Each line has
a price that differs by more than the tolerance, in neurons per million tokens, or a model that
one of the lists lacks.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from cfai_magics.pricing.catalog import BUNDLED_DATE, load_bundled
from cfai_magics.pricing.prices import USD_PER_NEURON

KINDS = ("input", "output", "cached input")
LITELLM_FILE = "model_prices_and_context_window_backup.json"
LITELLM_KEYS = dict(
    zip(
        KINDS,
        ("input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost"),
        strict=True,
    )
)
GENAI_KEYS = dict(zip(KINDS, ("input_mtok", "output_mtok", "cache_read_mtok"), strict=True))
TOKENS = 1_000_000
DEFAULT_TOLERANCE = 2.0  # percent: lists in US dollars are rounded to three decimals
PriceList = dict[str, dict[str, float]]  # neurons per million tokens, by model and kind


def read_bundled() -> PriceList:
    """Return the prices that are bundled with this package."""
    return {
        model.name: without_unknown(
            zip(KINDS, (model.neurons_in, model.neurons_out, model.neurons_cached), strict=True),
            1_000,
        )
        for model in load_bundled().models
    }


def read_litellm() -> PriceList:
    """Return the prices in litellm's list for Cloudflare, without importing litellm."""
    spec = find_spec("litellm")
    assert spec is not None and spec.origin is not None  # noqa: PT018 - it is installed
    data = json.loads(Path(spec.origin).with_name(LITELLM_FILE).read_text(encoding="utf-8"))
    return {
        name.removeprefix("cloudflare/"): without_unknown(
            ((kind, entry.get(key)) for kind, key in LITELLM_KEYS.items()),
            TOKENS / USD_PER_NEURON,
        )
        for name, entry in data.items()
        if name.startswith("cloudflare/@")
    }


def read_genai_prices() -> PriceList:
    """Return the prices in the list of genai-prices for Cloudflare."""
    providers = import_module("genai_prices.data").providers
    provider = next(each for each in providers if each.id == "cloudflare")
    return {
        model.id: without_unknown(
            ((kind, getattr(get_latest(model), key, None)) for kind, key in GENAI_KEYS.items()),
            1 / USD_PER_NEURON,
        )
        for model in provider.models
    }


def get_latest(model: Any) -> Any:
    """Return the newest prices of a model in genai-prices, which may list earlier ones too."""
    return model.prices[-1].prices if isinstance(model.prices, list) else model.prices


def without_unknown(prices: Iterable[tuple[str, Any]], factor: float) -> dict[str, float]:
    """Return the prices above 0 times a factor; a price of 0 means unknown or not billed."""
    return {kind: float(price) * factor for kind, price in prices if price}


def compare(bundled: PriceList, other: PriceList, tolerance: float) -> Iterator[str]:
    """Yield a line for each difference between the bundled list and another one."""
    for name in sorted(bundled.keys() | other.keys()):
        if name not in other:
            if bundled[name]:
                yield f"{name}: only in the bundled list"
            continue
        if name not in bundled:
            yield f"{name}: not in the bundled list: {format_prices(other[name])}"
            continue
        for kind in KINDS:
            ours, theirs = bundled[name].get(kind), other[name].get(kind)
            if ours is None and theirs is None:
                continue
            if ours is None or theirs is None:
                yield f"{name}, {kind}: {format_price(ours)} bundled, {format_price(theirs)} there"
            elif abs(ours - theirs) > tolerance / 100 * theirs:
                change = 100 * (ours / theirs - 1)
                yield f"{name}, {kind}: {ours:,.0f} bundled, {theirs:,.0f} there ({change:+.1f} %)"


def format_price(price: float | None) -> str:
    """Return a price as text; None means no price."""
    return "none" if price is None else f"{price:,.0f}"


def format_prices(prices: dict[str, float]) -> str:
    """Return the prices of a model as text."""
    return ", ".join(f"{price:,.0f} {kind}" for kind, price in prices.items()) or "no price"


def main() -> None:
    """Print the differences between the bundled list and each installed list."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tolerance", type=float, default=DEFAULT_TOLERANCE, metavar="PERCENT")
    options = parser.parse_args()
    bundled = read_bundled()
    print(f"Bundled list of {BUNDLED_DATE}, {len(bundled)} models; neurons per million tokens")
    readers = {"litellm": read_litellm, "genai_prices": read_genai_prices}
    for package, read in readers.items():
        if find_spec(package) is None:
            print(f"\n{package}: not installed, skipped")
            continue
        other = read()
        lines = list(compare(bundled, other, options.tolerance))
        print(f"\n{package}: {len(other)} models, {len(lines)} differences")
        print("\n".join(lines))


if __name__ == "__main__":
    main()
