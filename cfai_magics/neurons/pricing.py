"""Owns the price of a call's tokens in neurons, where Cloudflare has not, or not yet, told it."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..values import Model, Request, Usage
from .tokens import (
    FEWEST_BYTES_PER_TOKEN,
    fewest_prompt_tokens,
    fewest_tokens,
    most_prompt_tokens,
    most_tokens_of,
)

FEWEST_BILLED_CALLS = 3  # before a model's own bills say more than the price list
LIMIT_FIELDS = ("max_completion_tokens", "max_tokens")


@dataclass(frozen=True, slots=True)
class Rates:
    """Neurons per token of one model: of the prompt, of what the cache holds of it, of the answer.

    `calls` is how many billed calls they were calibrated on; 0 for the price list's own.
    """

    prompt: float
    cached: float
    completion: float
    calls: int = 0

    def neurons(self, usage: Usage) -> float:
        """Return what these tokens cost."""
        return (
            (usage.prompt_tokens - usage.cached_tokens) * self.prompt
            + usage.cached_tokens * self.cached
            + usage.completion_tokens * self.completion
        )


def list_rates(model: Model) -> Rates | None:
    """Return the price list's rates; None where it has no price for tokens."""
    if model.neurons_in is None and model.neurons_out is None:
        return None
    prompt = (model.neurons_in or 0.0) / 1000
    cached = prompt if model.neurons_cached is None else model.neurons_cached / 1000
    return Rates(prompt, cached, (model.neurons_out or 0.0) / 1000)


def rates(model: Model, billed: Sequence[Usage] = ()) -> Rates | None:
    """Return a model's rates, calibrated on the bills of earlier calls where there are enough.

    `billed` are usages with billed neurons. A model without a price gets one rate for all tokens.
    """
    listed = list_rates(model)
    told = sum(usage.neurons or 0.0 for usage in billed)
    if len(billed) < FEWEST_BILLED_CALLS or not told:
        return listed
    if listed is None:
        tokens = sum(usage.prompt_tokens + usage.completion_tokens for usage in billed)
        return Rates(told / tokens, told / tokens, told / tokens, len(billed)) if tokens else None
    reckoned = sum(listed.neurons(usage) for usage in billed)
    return _scaled(listed, told / reckoned, len(billed)) if reckoned else listed


def _scaled(known: Rates, factor: float, calls: int) -> Rates:
    return Rates(known.prompt * factor, known.cached * factor, known.completion * factor, calls)


def with_price(known: Rates | None, usage: Usage) -> Usage:
    """Return the usage with its billed neurons, or else with an estimate labelled as such."""
    if usage.neurons is not None or known is None:
        return usage
    return replace(usage, neurons=known.neurons(usage), basis="estimated")


@dataclass(frozen=True, slots=True)
class Cost:
    """What a call may cost in neurons before it is made.

    `prompt` is the most that what is sent may cost, `least` the least; `per_token` is the price of
    one token of the answers, all of them together; `max_tokens` the most tokens of each.
    """

    prompt: float
    least: float
    per_token: float
    max_tokens: int

    def __add__(self, other: "Cost") -> "Cost":
        """Return the cost of both calls as one sum, under the larger max_tokens for both."""
        return Cost(
            self.prompt + other.prompt,
            self.least + other.least,
            self.per_token + other.per_token,
            max(self.max_tokens, other.max_tokens),
        )

    @property
    def low(self) -> float:
        """The least it may cost: the prompt at its fewest tokens, and one token of answer."""
        return self.least + self.per_token

    @property
    def high(self) -> float:
        """The most it may cost."""
        return self.prompt + self.per_token * self.max_tokens

    def within(self, limit: float) -> "Cost":
        """Return the cost under a limit, which lets the answer have fewer tokens."""
        room = max(0.0, limit - self.prompt)
        tokens = int(min(self.max_tokens, room / self.per_token)) if self.per_token else 0
        return replace(self, max_tokens=tokens)


@dataclass(frozen=True, slots=True)
class Extent:
    """All of a request that its price depends on.

    `fewest` and `most` are tokens of the prompt, `max_tokens` the most of each answer.
    """

    fewest: int
    most: int
    max_tokens: int
    answers: int = 1

    @classmethod
    def of_sizes(
        cls, texts: Sequence[tuple[int, int]], *, images: int = 0, max_tokens: int = 0
    ) -> "Extent":
        """Return the extent of a request with a message for each text: its characters, bytes."""
        size = sum(weight for _, weight in texts)
        fewest = fewest_tokens(count for count, _ in texts)
        return cls(fewest, most_tokens_of(size, len(texts), images), max_tokens)


def extent(request: Request) -> Extent:
    """Return the extent of a request."""
    return Extent(
        fewest_prompt_tokens(request.messages),
        most_prompt_tokens(request.messages) + _most_tokens_beside(request),
        most_tokens(request),
        answers(request),
    )


def cost(request: Request | Extent, listed: Rates, calibrated: Rates | None = None) -> Cost:
    """Return what a request may cost; a calibration may raise the most, and never lowers it."""
    asked = request if isinstance(request, Extent) else extent(request)
    known = calibrated or listed
    prompt, completion = (
        max(listed.prompt, known.prompt),
        max(listed.completion, known.completion),
    )
    return Cost(
        prompt=asked.most * prompt,
        least=asked.fewest * min(known.prompt, known.cached),
        per_token=completion * asked.answers,
        max_tokens=asked.max_tokens,
    )


def _most_tokens_beside(request: Request) -> int:
    """Return how many tokens the further fields may have: tools and schemas are billed too."""
    text = json.dumps(dict(request.extra), ensure_ascii=False) if request.extra else ""
    return math.ceil(len(text.encode(errors="replace")) / FEWEST_BYTES_PER_TOKEN)


def answers(request: Request) -> int:
    """Return how many answers a request asks for."""
    wanted = request.extra.get("n")
    return wanted if isinstance(wanted, int) and wanted > 1 else 1


def most_tokens(request: Request) -> int:
    """Return the most tokens that a request lets an answer have; 0 where it sets no limit."""
    for name in LIMIT_FIELDS:
        limit = request.extra.get(name)
        if isinstance(limit, int) and not isinstance(limit, bool) and limit > 0:
            return limit
    return request.max_tokens or 0


def with_most_tokens(request: Request, limit: int) -> Request:
    """Return the request with another limit, wherever its own stood."""
    extra = {name: limit if name in LIMIT_FIELDS else v for name, v in request.extra.items()}
    return replace(request, max_tokens=limit, extra=extra)
