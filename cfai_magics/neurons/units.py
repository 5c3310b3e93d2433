"""Owns the units of the price list: what Cloudflare calls them, and what work costs in them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..values import Model

USD_PER_NEURON = 0.000011
TILE = 512 * 512  # pixels
MEGAPIXEL = 1024 * 1024  # pixels

# The shipped list and the live one word the same units differently.
TOKEN_FIELDS = (
    (re.compile(r"^M cached input tokens$"), "neurons_cached"),
    (re.compile(r"^M input tokens$"), "neurons_in"),
    (re.compile(r"^M output tokens$"), "neurons_out"),
)
UNITS = (
    (re.compile(r"^input 512\D+512 tile, per step"), "input tile step"),
    (re.compile(r"^output 512\D+512 tile, per step"), "output tile step"),
    (re.compile(r"^input 512\D+512 tile"), "input tile"),
    (re.compile(r"^output 512\D+512 tile"), "output tile"),
    (re.compile(r"^512\D+512 tile"), "tile"),
    (re.compile(r"^step"), "step"),
    (re.compile(r"^first MP"), "first megapixel"),
    (re.compile(r"^subsequent MP"), "next megapixel"),
    (re.compile(r"^input image MP"), "input megapixel"),
    (re.compile(r"^audio minute"), "audio minute"),
    (re.compile(r"^1k characters"), "1k characters"),
    (re.compile(r"^M images"), "M images"),
    (re.compile(r"^inference request"), "request"),
)
WORDS = {"tile": "512×512 tile", "step": "step and tile"}  # what is not plain without the list
DEFAULT_SIDE = 1024  # pixels of an image where the request names no size


def prices(listed: Iterable[tuple[str, float]]) -> dict[str, Any]:
    """Return a model's prices as fields of Model, out of neurons by unit as the lists name it.

    Tokens are priced by the 1,000 there, and by the million in the lists.
    """
    fields: dict[str, Any] = {}
    units: dict[str, float] = {}
    for unit, neurons in listed:
        field, name = _named(TOKEN_FIELDS, unit), _named(UNITS, unit)
        if field:
            fields[field] = neurons / 1000
        elif name:
            units[name] = neurons
    return {**fields, "units": units}


def _named(table: Iterable[tuple[re.Pattern[str], str]], unit: str) -> str:
    return next((name for pattern, name in table if pattern.match(unit)), "")


@dataclass(frozen=True, slots=True)
class Work:
    """What a native task works on, as far as it decides the price.

    `pixels` and `input_pixels` are of the image made and of those given, `seconds` of sound,
    `characters` of text to speak, `images` to classify.
    """

    pixels: int = DEFAULT_SIDE * DEFAULT_SIDE
    input_pixels: int = 0
    steps: int = 4
    seconds: float = 0.0
    characters: int = 0
    images: int = 1


def work_price(model: Model, work: Work) -> float | None:
    """Return the neurons that work costs by the price list; None where no price fits.

    For images the price of a step is that of each 512x512 tile, and tiles count in fractions: so
    fit three bills to the last digit (flux-1-schnell, 1024x1024, 4 steps: 172.8).
    """
    units = model.units
    if not units:
        return None
    tiles, input_tiles = work.pixels / TILE, work.input_pixels / TILE
    return (
        tiles * (_of(units, "tile") + work.steps * _of(units, "step"))
        + work.steps * tiles * _of(units, "output tile step")
        + work.steps * input_tiles * _of(units, "input tile step")
        + tiles * _of(units, "output tile")
        + input_tiles * _of(units, "input tile")
        + _megapixels(units, work)
        + work.seconds / 60 * _of(units, "audio minute")
        + work.characters / 1000 * _of(units, "1k characters")
        + work.images / 1e6 * _of(units, "M images")
        + _of(units, "request")
    )


def _megapixels(units: Mapping[str, float], work: Work) -> float:
    """Return the price where the first megapixel costs otherwise than the next ones."""
    if "first megapixel" not in units:
        return 0.0
    further = max(0.0, work.pixels / MEGAPIXEL - 1)
    return (
        units["first megapixel"]
        + further * _of(units, "next megapixel")
        + work.input_pixels / MEGAPIXEL * _of(units, "input megapixel")
    )


def _of(units: Mapping[str, float], name: str) -> float:
    return units.get(name, 0.0)


def unit_prices(model: Model) -> str:
    """Return a model's prices in the units that they are in; "" where none is known."""
    tokens = {"input": model.neurons_in, "output": model.neurons_out}
    found = [f"{price:,.4g} per 1,000 {name} tokens" for name, price in tokens.items() if price]
    found += [f"{price:,.6g} per {WORDS.get(unit, unit)}" for unit, price in model.units.items()]
    return f"{', '.join(found)} (neurons)" if found else ""


def dollars(neurons: float) -> float:
    """Return what neurons cost in US dollars beyond the free allowance."""
    return neurons * USD_PER_NEURON
