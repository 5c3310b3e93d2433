"""What a call used, in tokens and neurons, and where that figure comes from."""

from dataclasses import dataclass
from typing import Literal

# More than that in one call is nonsense: it is taken as unknown wherever it comes from.
MOST_NEURONS = 1e12  # ten million dollars
MOST_TOKENS = 10**12  # so that sums stay within SQLite's 64 bits
Basis = Literal["billed", "estimated", "replayed"]


@dataclass(frozen=True, slots=True)
class Usage:
    """What one whole call used so far: tokens, and neurons with the origin of that figure.

    `cached_tokens` is a part of `prompt_tokens`. `neurons` is None where no figure is known.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    neurons: float | None = None
    basis: Basis | None = None

    def __add__(self, other: "Usage") -> "Usage":
        """Return the sum; where one of two figures is no bill, neither is their sum."""
        known = [each for each in (self, other) if each.neurons is not None]
        bases = {each.basis for each in known}
        if len(bases) > 1:
            bases.discard("replayed")  # of which nothing was asked
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            sum(each.neurons or 0.0 for each in known) if known else None,
            (bases.pop() if len(bases) == 1 else "estimated") if known else None,
        )


class Used:
    """What bears a usage, and tells its neurons with where that figure comes from."""

    __slots__ = ()
    usage: Usage

    @property
    def neurons(self) -> float | None:
        """Neurons of this call, or None where no figure is known; `basis` says where from."""
        return self.usage.neurons

    @property
    def basis(self) -> Basis | None:
        """Origin of `neurons`: billed, estimated or replayed."""
        return self.usage.basis
