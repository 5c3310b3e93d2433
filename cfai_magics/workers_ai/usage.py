"""Adds up what a call used, as Workers AI tells it: in each frame, at the end, or in a header."""

from collections.abc import Mapping
from typing import Any

from ..values import Basis, Usage
from ..values.usage import MOST_NEURONS, MOST_TOKENS
from .gateway import from_cache

NUMBERS = (int, float)


class Meter:
    """The usage of one call so far.

    Workers AI tells usage in each frame as what was added, or (until 2025) as the total so far,
    and in a last native frame as the total. A total counts the prompt's tokens and an addition
    does not: a usage with prompt tokens replaces what is known, and one without is added.
    """

    def __init__(self) -> None:
        self._prompt = 0
        self._completion = 0
        self._cached = 0
        self._neurons: float | None = None
        self.told = False
        self.from_cache = False  # a gateway's: then nothing is billed, whatever the copy tells

    @property
    def usage(self) -> Usage:
        """What the call used so far."""
        neurons = 0.0 if self.from_cache else self._neurons
        basis: Basis | None = None if neurons is None else "billed"
        return Usage(self._prompt, self._completion, self._cached, neurons, basis)

    def count(self, told: Any, *, is_total: bool) -> None:
        """Take in one usage object; `is_total` where it tells of the whole call in any case."""
        if not isinstance(told, dict):
            return
        prompt = _whole(told.get("prompt_tokens"))
        completion = _whole(told.get("completion_tokens"))
        details = told.get("prompt_tokens_details")
        cached = _whole(details.get("cached_tokens")) if isinstance(details, dict) else 0
        neurons = figure_of(told.get("neurons"))
        if prompt or (is_total and completion) or not self.told:
            self._prompt, self._completion, self._cached = prompt, completion, cached
            self._neurons = self._neurons if neurons is None else neurons
        else:
            self._completion += completion
            self._cached += cached
            if neurons is not None:
                self._neurons = (self._neurons or 0.0) + neurons
        self.told = True

    def end(self, neurons: float | None) -> None:
        """Take the figure of the reply's header, where the frames bore none."""
        if neurons is not None and self._neurons is None:
            self._neurons = neurons
            self.told = True


def usage_of(told: Any, headers: Mapping[str, str]) -> Usage:
    """Return the usage of a whole call, from its body and, where that tells none, its headers."""
    meter = Meter()
    meter.from_cache = from_cache(headers)
    meter.count(told, is_total=True)
    meter.end(header_neurons(headers))
    return meter.usage


def header_neurons(headers: Mapping[str, str]) -> float | None:
    """Return the billed neurons of the reply's header, if it bears them."""
    try:
        return figure_of(float(headers["cf-ai-neurons"]))
    except (KeyError, ValueError):
        return None


def figure_of(value: Any) -> float | None:
    """Return a number of neurons; None for what can be none."""
    is_number = isinstance(value, NUMBERS) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value < MOST_NEURONS else None


def _whole(value: Any) -> int:
    """Return a number of tokens; 0, which counts as unknown, for what can be none."""
    if type(value) is int:  # nearly always
        return value if 0 <= value <= MOST_TOKENS else 0
    if isinstance(value, float) and 0 <= value <= MOST_TOKENS:  # never true of infinity or NaN
        return int(value)
    return 0
