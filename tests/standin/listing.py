"""GET /ai/models/search and /ai/models/schema: the model list in the format of the API."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from .catalogue import Model
from .errors import refusal
from .exchange import Exchange
from .reply import Reply, enveloped, plain

DEFAULT_PER_PAGE = 100
LISTED_AFTER_RETIREMENT = timedelta(days=90)
SOURCES = MappingProxyType({"@cf": 1, "@hf": 2})
TEXT_SCHEMA = MappingProxyType({"type": "object", "properties": {"prompt": {"type": "string"}}})


async def search(exchange: Exchange) -> Reply:
    """Answer with one page of the matching models."""
    query = exchange.received.query
    fitting = [model for model in exchange.cloud.catalogue if fits(exchange, model)]
    page, size = whole(query, "page", 1), whole(query, "per_page", DEFAULT_PER_PAGE)
    if query.get("format") == "openrouter":
        return plain({"data": [as_openrouter(model) for model in fitting]})
    shown = fitting[(page - 1) * size : page * size]
    info = {"page": page, "per_page": size, "count": len(shown), "total_count": len(fitting)}
    return enveloped([item(model) for model in shown], result_info=info)


def fits(exchange: Exchange, model: Model) -> bool:
    """Return True if a model matches the query."""
    query = exchange.received.query
    author = model.name.split("/")[1]
    return (
        query.get("search", "").lower() in model.name.lower()
        and query.get("task", model.task) == model.task
        and query.get("author", author) == author
        and query.get("source", "") in ("", str(source(model)))
        and not (model.beta and query.get("hide_experimental") == "true")
        and listed(exchange, model)
    )


def listed(exchange: Exchange, model: Model) -> bool:
    """Return True if a model is listed; retired ones are listed for 90 days on request."""
    if model.name in exchange.switches.retired:
        return False
    if not model.retires:
        return True
    today = datetime.fromtimestamp(exchange.cloud.clock(), UTC).date()
    gone = today - datetime.fromisoformat(model.retires).date()
    include_retired = exchange.received.query.get("include_deprecated") == "true"
    return gone < timedelta() or (include_retired and gone < LISTED_AFTER_RETIREMENT)


def whole(query: Mapping[str, str], name: str, default: int) -> int:
    """Return a number from the query, at least 1."""
    given = query.get(name, "")
    return max(1, int(given)) if given.isdecimal() else default


def item(model: Model) -> dict[str, Any]:
    """Return one list entry; `id` is a UUID, `name` is the model name."""
    task = {"id": known_id(model.task), "name": model.task, "description": model.task}
    return {
        "id": known_id(model.name),
        "source": source(model),
        "name": model.name,
        "description": f"{model.name.rpartition('/')[2]} ({model.task})",
        "task": task,
        "created_at": "2026-08-26 14:21:42.917",
        "tags": [],
        "properties": properties(model),
    }


def known_id(name: str) -> str:
    """Return a UUID that depends only on the name."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


def source(model: Model) -> int:
    """Return the number of the model's origin."""
    return SOURCES.get(model.name.partition("/")[0], 1)


def properties(model: Model) -> list[dict[str, Any]]:
    """Return a model's properties; booleans and numbers are text, the price is a list."""
    found = {
        "beta": text(model.beta),
        "lora": text(model.lora),
        "async_queue": text(model.async_queue),
        "require_workers_paid": text(model.access == "paid"),
        "context_window": text(model.window),
        "max_input_tokens": text(model.max_input),
        "output_dimensions": text(model.dimensions),
        "function_calling": text(model.tools),
        "reasoning": text(bool(model.reasoning)),
        "vision": text(model.vision),
        "planned_deprecation_date": model.retires,
        "price": price(model),
    }
    return [{"property_id": name, "value": value} for name, value in found.items() if value]


def text(value: int) -> str:
    """Return a number or boolean as text; "" for 0 and False."""
    if isinstance(value, bool):
        return "true" if value else ""
    return str(value or "")


def price(model: Model) -> list[dict[str, Any]]:
    """Return the price in dollars."""
    return [
        {"unit": f"per {unit}", "price": dollars, "currency": "USD"}
        for unit, dollars in model.prices.items()
    ]


def as_openrouter(model: Model) -> dict[str, Any]:
    """Return one model in OpenRouter's format, with the known fields."""
    names = {"prompt": "M input tokens", "completion": "M output tokens"}
    prices = {name: f"{model.prices.get(unit, 0) / 1e6:.12f}" for name, unit in names.items()}
    return {
        "id": f"workers-ai/{model.name}",
        "name": model.name.rpartition("/")[2],
        "context_length": model.window,
        "pricing": prices,
    }


async def schema(exchange: Exchange) -> Reply:
    """Answer with minimal JSON schemas of a model's input and output."""
    model = exchange.cloud.catalogue.get(exchange.received.query.get("model"))
    if model is None:
        raise refusal(7000)
    output = {"type": "object", "contentType": "application/json"}
    return enveloped({"input": dict(TEXT_SCHEMA), "output": output})
