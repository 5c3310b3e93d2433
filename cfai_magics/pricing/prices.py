"""Prices of tokens, images, audio and requests in neurons, and cost estimates for calls."""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add
from typing import Any, NamedTuple, Self

from ..i18n import _, mark
from ..types.messages import Request
from ..types.usage import Model, Usage
from .tokens import MIN_BYTES_PER_TOKEN, prompt_token_bounds

USD_PER_NEURON = 0.000011
PIXELS_PER_TILE = 512 * 512
PIXELS_PER_MEGAPIXEL = 1024 * 1024

# The bundled and live price lists use different names for the same units.
TOKEN_PRICE_FIELDS = {
    "M cached input tokens": "neurons_cached",
    "M input tokens": "neurons_in",
    "M output tokens": "neurons_out",
}
UNIT_NAMES = {  # keyed by the start of the unit; the first match is used
    "input 512x512 tile, per step": mark("input tile step"),
    "output 512x512 tile, per step": mark("output tile step"),
    "input 512x512 tile": mark("input tile"),
    "output 512x512 tile": mark("output tile"),
    "512x512 tile": mark("tile"),
    "step": mark("step"),
    "first MP": mark("first megapixel"),
    "subsequent MP": mark("next megapixel"),
    "input image MP": mark("input megapixel"),
    "audio minute": mark("audio minute"),
    "1k characters": mark("1k characters"),
    "M images": mark("M images"),
    "inference request": mark("request"),
}
TILE_SIZE = r"512\D+512"  # price lists spell it in several ways
# Labels for units whose names may be unclear to users.
UNIT_LABELS = {"tile": mark("512×512 tile"), "step": mark("step and tile")}
DEFAULT_IMAGE_SIDE = 1024  # in pixels, if the request does not set a size
MIN_BILLED_CALLS = 3  # billed calls required to calibrate the rates of a model
MIN_PRICE_DECIMALS, MAX_PRICE_DECIMALS = 3, 9  # of a price in US dollars in Cloudflare's list
LONGEST_ANSWER = 131_072  # tokens in the longest answers of any model
MAX_TOKENS_FIELDS = ("max_completion_tokens", "max_tokens")


def parse_prices(price_list: Iterable[tuple[str, float]]) -> dict[str, Any]:
    """Convert the (unit, neurons) pairs in a price list to the price fields of Model.

    Token prices are converted from neurons per million tokens to neurons per 1,000 tokens.
    """
    fields: dict[str, Any] = {}
    units: dict[str, float] = {}
    for unit, neurons in price_list:
        if unit in TOKEN_PRICE_FIELDS:
            fields[TOKEN_PRICE_FIELDS[unit]] = neurons / 1000
        elif name := _find_unit_name(unit):
            units[name] = neurons
    return {**fields, "units": units}


def restore_exact_prices(model: Model, exact: Model) -> Model:
    """Return a model from Cloudflare's list with the exact prices of the bundled model.

    Cloudflare's list has prices in US dollars, rounded to three or more decimals. A price that
    does not match the bundled price within this rounding has changed, and is kept.
    """

    def choose(listed: float | None, bundled: float | None, tokens: int = 1) -> float | None:
        is_same = listed is not None and bundled is not None
        is_same = is_same and _matches_rounded(listed, bundled, tokens)  # type: ignore[arg-type]
        return bundled if is_same else listed

    neurons_in = choose(model.neurons_in, exact.neurons_in, 1_000)
    is_unlisted = model.neurons_cached is None and neurons_in == exact.neurons_in
    return replace(
        model,
        neurons_in=neurons_in,
        neurons_out=choose(model.neurons_out, exact.neurons_out, 1_000),
        neurons_cached=exact.neurons_cached
        if is_unlisted
        else choose(model.neurons_cached, exact.neurons_cached, 1_000),
        units={
            unit: choose(listed, exact.units.get(unit)) or 0.0
            for unit, listed in model.units.items()
        },
    )


def _matches_rounded(listed: float, bundled: float, tokens: int) -> bool:
    """Return whether a listed price is the bundled price, rounded in US dollars.

    The prices are in neurons. `tokens` converts prices per 1,000 tokens to prices per million.
    """
    dollars = round(listed * tokens * USD_PER_NEURON, MAX_PRICE_DECIMALS)
    decimals = next(
        (
            count
            for count in range(MIN_PRICE_DECIMALS, MAX_PRICE_DECIMALS)
            if round(dollars, count) == dollars
        ),
        MAX_PRICE_DECIMALS,
    )
    return round(bundled * tokens * USD_PER_NEURON, decimals) == dollars


def _find_unit_name(unit: str) -> str:
    if "512" in unit:
        unit = re.sub(TILE_SIZE, "512x512", unit, count=1)
    return next((name for start, name in UNIT_NAMES.items() if unit.startswith(start)), "")


class WorkUnits(NamedTuple):
    """The quantities that determine the price of a native task.

    Attributes:
        pixels: Number of pixels in the generated image.
        input_pixels: Total number of pixels in the input images.
        steps: Number of steps used to generate the image.
        seconds: Duration of the audio in seconds.
        characters: Number of characters in the text to convert to speech.
        images: Number of images to classify.
    """

    pixels: int = DEFAULT_IMAGE_SIDE * DEFAULT_IMAGE_SIDE
    input_pixels: int = 0
    steps: int = 4
    seconds: float = 0.0
    characters: int = 0
    images: int = 1


def price_work_units(model: Model, work: WorkUnits) -> float | None:
    """Return the list price of a native task in neurons, or None if no price is known.

    For images, the price per step applies to each 512x512 tile, including fractions of tiles.
    This matches three bills exactly (flux-1-schnell, 1024x1024, 4 steps: 172.8 neurons).
    """
    units = model.units
    if not units:
        return None
    tiles, input_tiles = work.pixels / PIXELS_PER_TILE, work.input_pixels / PIXELS_PER_TILE
    return (
        tiles * (_unit_price(units, "tile") + work.steps * _unit_price(units, "step"))
        + work.steps * tiles * _unit_price(units, "output tile step")
        + work.steps * input_tiles * _unit_price(units, "input tile step")
        + tiles * _unit_price(units, "output tile")
        + input_tiles * _unit_price(units, "input tile")
        + _megapixel_price(units, work)
        + work.seconds / 60 * _unit_price(units, "audio minute")
        + work.characters / 1000 * _unit_price(units, "1k characters")
        + work.images / 1e6 * _unit_price(units, "M images")
        + _unit_price(units, "request")
    )


def _megapixel_price(units: Mapping[str, float], work: WorkUnits) -> float:
    """Return the price in neurons of an image that is billed by the megapixel.

    Return 0 for models that do not have a separate price for the first megapixel.
    """
    if "first megapixel" not in units:
        return 0.0
    extra_megapixels = max(0.0, work.pixels / PIXELS_PER_MEGAPIXEL - 1)
    return (
        units["first megapixel"]
        + extra_megapixels * _unit_price(units, "next megapixel")
        + work.input_pixels / PIXELS_PER_MEGAPIXEL * _unit_price(units, "input megapixel")
    )


def _unit_price(units: Mapping[str, float], name: str) -> float:
    return units.get(name, 0.0)


def format_unit_prices(model: Model) -> str:
    """Return text that lists a model's prices with their units, or "" if none are known."""
    token_prices = {
        _("{price:,.4g} per 1,000 input tokens"): model.neurons_in,
        _("{price:,.4g} per 1,000 output tokens"): model.neurons_out,
    }
    parts = [text.format(price=price) for text, price in token_prices.items() if price]
    parts += [
        _("{price:,.6g} per {unit}").format(price=price, unit=_(UNIT_LABELS.get(unit, unit)))
        for unit, price in model.units.items()
    ]
    return _("{prices} (neurons)").format(prices=", ".join(parts)) if parts else ""


def to_usd(neurons: float) -> float:
    """Return the price of neurons beyond the free allowance, in US dollars."""
    return neurons * USD_PER_NEURON


class Rates(NamedTuple):
    """The prices of one model in neurons per token.

    Attributes:
        prompt: Price of a prompt token.
        cached: Price of a cached prompt token.
        completion: Price of a completion token.
        billed_calls: Number of billed calls used for calibration, or 0 for list prices.
    """

    prompt: float
    cached: float
    completion: float
    billed_calls: int = 0

    def price_usage(self, usage: Usage) -> float:
        """Return the price of the tokens in a usage record, in neurons."""
        cached_tokens = min(usage.cached_tokens, usage.prompt_tokens)
        return (
            (usage.prompt_tokens - cached_tokens) * self.prompt
            + cached_tokens * self.cached
            + usage.completion_tokens * self.completion
        )


def catalog_rates(model: Model) -> Rates | None:
    """Return a model's list prices per token, or None if there are none."""
    if model.neurons_in is None and model.neurons_out is None:
        return None
    prompt_rate = (model.neurons_in or 0.0) / 1000
    cached_rate = prompt_rate if model.neurons_cached is None else model.neurons_cached / 1000
    return Rates(prompt_rate, cached_rate, (model.neurons_out or 0.0) / 1000)


def calibrate_rates(model: Model, billed_usages: Sequence[Usage] = ()) -> Rates | None:
    """Return the rates of a model, calibrated if there are enough billed calls.

    `billed_usages` contains the usage of each billed call. A model without a list price gets the
    same rate for all tokens. Return None if there is neither a list price nor enough billed calls.
    """
    base_rates = catalog_rates(model)
    if len(billed_usages) < MIN_BILLED_CALLS:
        return base_rates
    billed_neurons = sum(usage.neurons or 0.0 for usage in billed_usages)
    if not billed_neurons:
        return base_rates
    if base_rates is None:
        tokens = sum(usage.prompt_tokens + usage.completion_tokens for usage in billed_usages)
        return (
            Rates(
                billed_neurons / tokens,
                billed_neurons / tokens,
                billed_neurons / tokens,
                len(billed_usages),
            )
            if tokens
            else None
        )
    expected_neurons = sum(base_rates.price_usage(usage) for usage in billed_usages)
    return (
        _scale_rates(base_rates, billed_neurons / expected_neurons, len(billed_usages))
        if expected_neurons
        else base_rates
    )


def _scale_rates(base_rates: Rates, factor: float, billed_calls: int) -> Rates:
    return Rates(
        base_rates.prompt * factor,
        base_rates.cached * factor,
        base_rates.completion * factor,
        billed_calls,
    )


def with_estimate(model_rates: Rates | None, usage: Usage) -> Usage:
    """Return the usage. If its number of neurons is missing, add an estimate."""
    if usage.neurons is not None or model_rates is None:
        return usage
    return replace(usage, neurons=model_rates.price_usage(usage), cost_basis="estimated")


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a call in neurons, as estimated before the call is sent.

    Attributes:
        prompt_max: Upper bound on the cost of the prompt.
        prompt_min: Lower bound on the cost of the prompt.
        per_token: Cost of one additional token in each answer.
        max_tokens: Maximum number of tokens in each answer; 0 if the request sets none.
        longest: Number of tokens in the longest possible answer to a chat request without
            max_tokens; 0 for other requests.
    """

    prompt_max: float
    prompt_min: float
    per_token: float
    max_tokens: int
    longest: int = 0

    def __add__(self, other: Self) -> Self:
        """Return the combined cost of both calls, using the larger max_tokens for both."""
        return replace(
            self,
            prompt_max=self.prompt_max + other.prompt_max,
            prompt_min=self.prompt_min + other.prompt_min,
            per_token=self.per_token + other.per_token,
            max_tokens=max(self.max_tokens, other.max_tokens),
            longest=max(self.longest, other.longest),
        )

    @property
    def high(self) -> float:
        """The maximum cost, assuming `max_tokens` tokens in each answer."""
        return self.prompt_max + self.per_token * self.max_tokens

    @property
    def bounded(self) -> Self:
        """The cost with the longest possible answer if the request sets no max_tokens."""
        is_open = self.longest and self.per_token and not self.max_tokens
        return replace(self, max_tokens=self.longest) if is_open else self

    @property
    def fixed(self) -> "Cost":
        """The same range of costs for a call whose answer cannot be shortened."""
        return Cost(self.high, self.prompt_min + self.per_token, 0.0, 0)

    def capped(self, limit: float) -> Self:
        """Return the cost with max_tokens lowered so that the call fits a limit in neurons."""
        remaining = max(0.0, limit - self.prompt_max)
        max_tokens = int(min(self.max_tokens, remaining / self.per_token)) if self.per_token else 0
        return replace(self, max_tokens=max_tokens)


@dataclass(frozen=True, slots=True)
class Estimate(Cost):
    """The cost of one or more calls in neurons, as shown to users before the calls are sent.

    Attributes:
        typical: The cost of answers of typical length. `high` is the maximum cost.
    """

    typical: float = field(kw_only=True)

    def __add__(self, other: Self) -> Self:
        """Return the combined cost of both calls."""
        return replace(Cost.__add__(self, other), typical=self.typical + other.typical)

    def capped(self, limit: float) -> Self:
        """Return the cost with max_tokens lowered so that the call fits a limit in neurons."""
        capped = Cost.capped(self.bounded, limit)
        return replace(capped, typical=min(self.typical, capped.high))


def sum_estimates(costs: Sequence[Estimate | None]) -> Estimate | None:
    """Return the total cost of one or more calls, or None if the cost of a call is unknown.

    The maximum includes the longest answers to requests that set no max_tokens.
    """
    known_costs = [cost.bounded for cost in costs if cost is not None]
    return reduce(add, known_costs) if len(known_costs) == len(costs) else None


class RequestSize(NamedTuple):
    """The size of a request, which determines its price.

    Attributes:
        prompt_tokens_min: Estimated minimum number of tokens in the prompt.
        prompt_tokens_max: Estimated maximum number of tokens in the prompt.
        max_tokens: Maximum number of tokens in each answer.
        answer_count: Number of answers.
    """

    prompt_tokens_min: int
    prompt_tokens_max: int
    max_tokens: int
    answer_count: int = 1


def request_size(request: Request) -> RequestSize:
    """Return the size of a request."""
    minimum, maximum = prompt_token_bounds(request)
    if not request.extra:
        return RequestSize(minimum, maximum, request.max_tokens or 0)
    return RequestSize(
        minimum,
        maximum + _max_extra_tokens(request),
        get_max_tokens(request),
        count_answers(request.extra),
    )


def estimate_cost(
    request: Request, base_rates: Rates, calibrated_rates: Rates | None = None
) -> Cost:
    """Return the estimated cost of a request. Calibrated rates never lower the maximum cost."""
    size = request_size(request)
    model_rates = calibrated_rates or base_rates
    prompt_rate, completion_rate = (
        max(base_rates.prompt, model_rates.prompt),
        max(base_rates.completion, model_rates.completion),
    )
    return Cost(
        prompt_max=size.prompt_tokens_max * prompt_rate,
        prompt_min=size.prompt_tokens_min * min(model_rates.prompt, model_rates.cached),
        per_token=completion_rate * size.answer_count,
        max_tokens=size.max_tokens,
    )


def longest_answer(request: Request, model: Model) -> int:
    """Return the number of tokens in the longest answer that the context window allows."""
    window = min(model.context_window or LONGEST_ANSWER, LONGEST_ANSWER)
    return max(0, window - request_size(request).prompt_tokens_max)


def _max_extra_tokens(request: Request) -> int:
    """Return the maximum number of tokens in the `extra` fields.

    These fields include tools and schemas, which are also billed.
    """
    text = json.dumps(dict(request.extra), ensure_ascii=False)
    return math.ceil(len(text.encode(errors="replace")) / MIN_BYTES_PER_TOKEN)


def count_answers(fields: Mapping[str, Any]) -> int:
    """Return the number of answers requested by the `n` field of a request."""
    count = fields.get("n")
    return count if isinstance(count, int) and count > 1 else 1


def get_max_tokens(request: Request) -> int:
    """Return max_tokens from a request or its `extra` fields, or 0 if there is no limit."""
    return get_max_tokens_field({"max_tokens": request.max_tokens, **request.extra})


def get_max_tokens_field(fields: Mapping[str, Any]) -> int:
    """Return the limit set by one of MAX_TOKENS_FIELDS, or 0 if there is no limit."""
    for name in MAX_TOKENS_FIELDS:
        limit = fields.get(name)
        if isinstance(limit, int) and not isinstance(limit, bool) and limit > 0:
            return limit
    return 0


def with_max_tokens(body: Mapping[str, Any], max_tokens: int) -> dict[str, Any]:
    """Return a copy of a request body with `max_tokens` and any equivalent fields set."""
    names = [name for name in MAX_TOKENS_FIELDS if name in body]
    return {**body, **dict.fromkeys([*names, "max_tokens"], max_tokens)}
