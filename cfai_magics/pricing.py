"""Owns the price of a call in neurons where Cloudflare did not report one."""

import math
from dataclasses import replace

from .values import Message, Model, Usage

CHARACTERS_PER_TOKEN = 4  # what Cloudflare itself counts with before a call


def guessed_tokens(text: str) -> int:
    """Return about how many tokens a text has."""
    return math.ceil(len(text) / CHARACTERS_PER_TOKEN)


def guessed_prompt_tokens(messages: tuple[Message, ...]) -> int:
    """Return about how many tokens the texts of the messages have."""
    return sum(guessed_tokens(str(message.get("content", ""))) for message in messages)


def price(model: Model, usage: Usage) -> float | None:
    """Return the neurons a call's tokens cost by the price list; None without a price."""
    if model.neurons_in is None and model.neurons_out is None:
        return None
    rate_in = model.neurons_in or 0.0
    rate_out = model.neurons_out or 0.0
    rate_cached = rate_in if model.neurons_cached is None else model.neurons_cached
    uncached = usage.prompt_tokens - usage.cached_tokens
    return (
        uncached * rate_in + usage.cached_tokens * rate_cached + usage.completion_tokens * rate_out
    ) / 1000


def with_price(model: Model, usage: Usage) -> Usage:
    """Return the usage with its billed neurons, or else with an estimate labelled as such."""
    if usage.neurons is not None:
        return usage
    neurons = price(model, usage)
    return usage if neurons is None else replace(usage, neurons=neurons, basis="estimated")
