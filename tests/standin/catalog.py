"""The models and prices of the stand-in, and the routes that list them.

The data is separate from the package's catalog. Cloudflare publishes no raw response in
OpenRouter's format and no recorded schema: those two are invented after clients that read them.
"""

import asyncio
import csv
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .errors import Refusal, Reply, enveloped, plain, refusal

if TYPE_CHECKING:
    from .state import Exchange

DATA = Path(__file__).parent / "data"
UNPRICED: Mapping[str, float] = MappingProxyType({})
DEFAULT_PER_PAGE = 100
LISTED_AFTER_RETIREMENT = timedelta(days=90)
SOURCES = MappingProxyType({"@cf": 1, "@hf": 2})


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


class Catalog:
    """The models by name."""

    def __init__(self, models: tuple[Model, ...] = ()) -> None:
        self.models = models or shipped_models()
        self._by_name = {model.name: model for model in self.models}

    def __iter__(self) -> Iterator[Model]:
        return iter(self.models)

    def get(self, name: object) -> Model | None:
        """Return the model with this name; an alias is resolved."""
        model = self._by_name.get(name) if isinstance(name, str) else None
        return self._by_name[model.alias] if model and model.alias else model


@cache
def shipped_models() -> tuple[Model, ...]:
    """Return the models of October 2026."""
    rates, prices = _load_figures("neurons"), _load_figures("usd")
    with (DATA / "models.csv").open(newline="", encoding="utf-8") as file:
        return tuple(_read_model(row, rates, prices) for row in csv.DictReader(file))


def _read_model(
    row: Mapping[str, str],
    rates: Mapping[str, Mapping[str, float]],
    prices: Mapping[str, Mapping[str, float]],
) -> Model:
    """Return the model of one row."""
    name = row["name"]
    texts = {key: row[key] for key in ("task", "shape", "reasoning", "access", "retires", "alias")}
    numbers = {key: int(row[key] or 0) for key in ("window", "max_input", "dimensions")}
    flags = {key: bool(row[key]) for key in ("vision", "tools", "beta", "lora", "async_queue")}
    known_rates, known_prices = rates.get(name, UNPRICED), prices.get(name, UNPRICED)
    values: dict[str, Any] = {**texts, **numbers, **flags}
    return Model(name, rates=known_rates, prices=known_prices, **values)


def _load_figures(column: str) -> dict[str, dict[str, float]]:
    """Return one column of the price list by model and unit."""
    figures: dict[str, dict[str, float]] = {}
    with (DATA / "neurons.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row[column]:
                figures.setdefault(row["model"], {})[row["unit"]] = float(row[column])
    return figures


def resolve_model(exchange: "Exchange", name: object) -> Model:
    """Return the model. Raises Refusal if it is unknown, retired or not available."""
    model = exchange.cloud.catalog.get(name)
    if model is None:
        # The native path has no such route; the OpenAI path has no such model.
        on_openai_path = "/ai/v1/" in exchange.received.path
        raise no_such_model(name) if on_openai_path else refusal(7000)
    _check_retired(exchange, model)
    _check_access(exchange, model)
    return model


def no_such_model(name: object) -> Refusal:
    """Return the error for a model that is unknown or has another task."""
    return refusal(5007, f"No such model {name} or task")


def _check_retired(exchange: "Exchange", model: Model) -> None:
    """Raise Refusal for a model that is retired by its date or by a switch."""
    today = exchange.cloud.today().isoformat()
    past = bool(model.retires) and model.retires <= today
    if past or model.name in exchange.switches.retired:
        raise refusal(
            5028,
            "Model has been deprecated: This model was deprecated on "
            f"{model.retires or today}. Please use an alternative model.",
        )


def _check_access(exchange: "Exchange", model: Model) -> None:
    """Raise Refusal for a model that needs the paid plan, a license or private access."""
    accounts = exchange.cloud.accounts
    if model.access == "paid" and accounts.plan == "free":
        raise refusal(
            5035,
            f"Model {model.name} is not available on the Workers Free plan: "
            "This model requires a Workers Paid plan.",
        )
    if model.access == "private":
        raise refusal(5018)
    if model.access == "license" and model.name not in accounts.licenses:
        if exchange.body.get("prompt") != "agree":
            raise refusal(5016)
        accounts.licenses.add(model.name)


async def search_models(exchange: "Exchange") -> Reply:
    """Answer GET /ai/models/search with one page of the matching models."""
    await asyncio.sleep(exchange.switches.delay_before_headers)
    query = exchange.received.query
    matching = [model for model in exchange.cloud.catalog if _matches(exchange, model)]
    if query.get("format") == "openrouter":
        return plain({"data": [_openrouter_entry(model) for model in matching]})
    page = _whole_number(query, "page", 1)
    size = _whole_number(query, "per_page", DEFAULT_PER_PAGE)
    shown = matching[(page - 1) * size : page * size]
    info = {"page": page, "per_page": size, "count": len(shown), "total_count": len(matching)}
    return enveloped([_list_entry(model) for model in shown], result_info=info)


def _matches(exchange: "Exchange", model: Model) -> bool:
    """Return True if a model matches the query."""
    query = exchange.received.query
    author = model.name.split("/")[1]
    return (
        query.get("search", "").lower() in model.name.lower()
        and query.get("task", model.task) == model.task
        and query.get("author", author) == author
        and query.get("source", "") in ("", str(_source(model)))
        and not (model.beta and query.get("hide_experimental") == "true")
        and _is_listed(exchange, model)
    )


def _is_listed(exchange: "Exchange", model: Model) -> bool:
    """Return True if a model is listed; retired ones are listed for 90 days on request."""
    if model.name in exchange.switches.retired:
        return False
    if not model.retires:
        return True
    gone = exchange.cloud.today() - date.fromisoformat(model.retires)
    include_retired = exchange.received.query.get("include_deprecated") == "true"
    return gone < timedelta() or (include_retired and gone < LISTED_AFTER_RETIREMENT)


def _whole_number(query: Mapping[str, str], name: str, default: int) -> int:
    """Return a number from the query, at least 1."""
    given = query.get(name, "")
    return max(1, int(given)) if given.isdecimal() else default


def _list_entry(model: Model) -> dict[str, Any]:
    """Return one list entry; `id` is a UUID, `name` is the model name."""
    task = {"id": _stable_id(model.task), "name": model.task, "description": model.task}
    return {
        "id": _stable_id(model.name),
        "source": _source(model),
        "name": model.name,
        "description": f"{model.name.rpartition('/')[2]} ({model.task})",
        "task": task,
        "created_at": "2026-08-26 14:21:42.917",
        "tags": [],
        "properties": _properties(model),
    }


def _stable_id(name: str) -> str:
    """Return a UUID that depends only on the name."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


def _source(model: Model) -> int:
    """Return the number of the model's origin."""
    return SOURCES.get(model.name.partition("/")[0], 1)


def _properties(model: Model) -> list[dict[str, Any]]:
    """Return a model's properties; booleans and numbers are text, the price is a list."""
    price = [
        {"unit": f"per {unit}", "price": dollars, "currency": "USD"}
        for unit, dollars in model.prices.items()
    ]
    properties = {
        "beta": _as_text(model.beta),
        "lora": _as_text(model.lora),
        "async_queue": _as_text(model.async_queue),
        "require_workers_paid": _as_text(model.access == "paid"),
        "context_window": _as_text(model.window),
        "max_input_tokens": _as_text(model.max_input),
        "output_dimensions": _as_text(model.dimensions),
        "function_calling": _as_text(model.tools),
        "reasoning": _as_text(bool(model.reasoning)),
        "vision": _as_text(model.vision),
        "planned_deprecation_date": model.retires,
        "price": price,
    }
    return [{"property_id": name, "value": value} for name, value in properties.items() if value]


def _as_text(value: int) -> str:
    """Return a number or boolean as text; "" for 0 and False."""
    if isinstance(value, bool):
        return "true" if value else ""
    return str(value or "")


def _openrouter_entry(model: Model) -> dict[str, Any]:
    """Return one model in OpenRouter's format, with the known fields."""
    names = {"prompt": "M input tokens", "completion": "M output tokens"}
    prices = {name: f"{model.prices.get(unit, 0) / 1e6:.12f}" for name, unit in names.items()}
    return {
        "id": f"workers-ai/{model.name}",
        "name": model.name.rpartition("/")[2],
        "context_length": model.window,
        "pricing": prices,
    }


async def model_schema(exchange: "Exchange") -> Reply:
    """Answer GET /ai/models/schema with minimal JSON schemas of a model's input and output."""
    if exchange.cloud.catalog.get(exchange.received.query.get("model")) is None:
        raise refusal(7000)
    text = {"type": "object", "properties": {"prompt": {"type": "string"}}}
    return enveloped(
        {"input": text, "output": {"type": "object", "contentType": "application/json"}}
    )
