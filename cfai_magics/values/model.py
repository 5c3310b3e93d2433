"""Models, as the catalogue lists them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Model:
    """One model of the catalogue. Prices are neurons per 1,000 tokens; None where unknown.

    `units` are the prices of what is not tokens, in neurons by unit: see `units.py`. A model that
    `queues` takes batches.
    """

    name: str
    task: str = ""
    neurons_in: float | None = None
    neurons_out: float | None = None
    neurons_cached: float | None = None
    context_window: int | None = None
    vision: bool = False
    tools: bool = False
    reasoning: bool = False
    paid_plan_only: bool = False
    retires: str | None = None
    queues: bool = False
    units: Mapping[str, float] = field(default_factory=dict)

    @property
    def short(self) -> str:
        """The name without its author: what people type and footers show."""
        return self.name.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A list of models with its date (ISO) and its source: live, cached or shipped."""

    models: tuple[Model, ...]
    date: str
    source: Literal["live", "cached", "shipped"]
