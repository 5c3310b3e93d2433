"""Sort models by task, name, price or context window."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from ..types.usage import CHAT_TASK, Model

DIGITS = re.compile(r"(\d+)")


def _price_key(model: Model) -> float:
    """Return the price of 1,000 tokens of input and output, or infinity if it is unknown."""
    prices = [price for price in (model.neurons_in, model.neurons_out) if price is not None]
    return sum(prices) if prices else math.inf


SORT_KEYS: Mapping[str, Callable[[Model], float]] = {
    "name": lambda _model: 0.0,
    "price": _price_key,
    "window": lambda model: -(model.context_window or 0),
}


def sort_models(models: Iterable[Model], sort_by: str, recent: Sequence[str] = ()) -> list[Model]:
    """Return the models in the order of a list.

    Args:
        models: The models.
        sort_by: A key of SORT_KEYS. Models with equal values are sorted by name.
        recent: The names of the models to return first, in this order.
    """
    places = {name: place for place, name in enumerate(recent)}
    sort_key = SORT_KEYS[sort_by]
    return sorted(
        models,
        key=lambda model: (
            places.get(model.name, len(places)),
            sort_key(model),
            _name_key(model),
        ),
    )


def sort_by_task(models: Iterable[Model]) -> list[Model]:
    """Return the models by task, chat models first, and those on the free plan first in each."""
    return sorted(
        models,
        key=lambda model: (
            model.task != CHAT_TASK,
            model.task,
            model.paid_plan_only,
            _name_key(model),
        ),
    )


def _name_key(model: Model) -> tuple[tuple[str | int, ...], str]:
    """Return a sort key that compares the numbers in names as numbers, so that 3b precedes 11b."""
    parts = DIGITS.split(model.short_name.lower())
    words_and_numbers = (int(part) if place % 2 else part for place, part in enumerate(parts))
    return tuple(words_and_numbers), model.name
