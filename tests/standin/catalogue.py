"""Models and prices of the stand-in; a separate copy of the package's catalog."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType

DATA = Path(__file__).parent / "data"
UNPRICED: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Model:
    """One model; `access` is "", "paid", "private" or "license", `shape` "openai" or "native".

    `rates` are neurons per unit and `prices` dollars per unit, with the units of the price list.
    The rates match the recorded bills: they are not rounded like the list.
    """

    name: str
    task: str
    shape: str = ""
    window: int = 0
    max_input: int = 0
    dimensions: int = 0
    vision: bool = False
    tools: bool = False
    reasoning: str = ""
    access: str = ""
    beta: bool = False
    lora: bool = False
    async_queue: bool = False
    retires: str = ""
    alias: str = ""
    rates: Mapping[str, float] = field(default_factory=lambda: UNPRICED)
    prices: Mapping[str, float] = field(default_factory=lambda: UNPRICED)

    def cost(self, work: Mapping[str, float]) -> float:
        """Return the neurons for amounts of work by unit; unpriced units cost nothing."""
        return sum(self.rates.get(unit, 0.0) * amount for unit, amount in work.items())

    def token_cost(self, prompt: int, completion: int, cached: int = 0) -> float:
        """Return the neurons for tokens; cached tokens without a price have the input price."""
        cached_rate = "M cached input tokens"
        if cached_rate not in self.rates:
            cached = 0
        work = {
            "M input tokens": (prompt - cached) / 1e6,
            cached_rate: cached / 1e6,
            "M output tokens": completion / 1e6,
        }
        return self.cost(work)


class Catalogue:
    """The models by name."""

    def __init__(self, models: tuple[Model, ...] = ()) -> None:
        self.models = models or shipped()
        self._by_name = {model.name: model for model in self.models}

    def __iter__(self) -> Iterator[Model]:
        return iter(self.models)

    def get(self, name: object) -> Model | None:
        """Return the model with this name; an alias is resolved."""
        model = self._by_name.get(name) if isinstance(name, str) else None
        return self._by_name[model.alias] if model and model.alias else model


@cache
def shipped() -> tuple[Model, ...]:
    """Return the models of October 2026."""
    rates, prices = figures("neurons"), figures("usd")
    with (DATA / "models.csv").open(newline="", encoding="utf-8") as file:
        return tuple(read(row, rates, prices) for row in csv.DictReader(file))


def read(
    row: Mapping[str, str],
    rates: Mapping[str, Mapping[str, float]],
    prices: Mapping[str, Mapping[str, float]],
) -> Model:
    """Return the model of one row."""
    return Model(
        name=row["name"],
        task=row["task"],
        shape=row["shape"],
        window=int(row["window"] or 0),
        max_input=int(row["max_input"] or 0),
        dimensions=int(row["dimensions"] or 0),
        vision=bool(row["vision"]),
        tools=bool(row["tools"]),
        reasoning=row["reasoning"],
        access=row["access"],
        beta=bool(row["beta"]),
        lora=bool(row["lora"]),
        async_queue=bool(row["async_queue"]),
        retires=row["retires"],
        alias=row["alias"],
        rates=rates.get(row["name"], UNPRICED),
        prices=prices.get(row["name"], UNPRICED),
    )


def figures(column: str) -> dict[str, dict[str, float]]:
    """Return one column of the price list by model and unit."""
    found: dict[str, dict[str, float]] = {}
    with (DATA / "neurons.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row[column]:
                found.setdefault(row["model"], {})[row["unit"]] = float(row[column])
    return found
