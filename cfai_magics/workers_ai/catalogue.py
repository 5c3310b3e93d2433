"""How to read the pages of /ai/models/search."""

from collections.abc import Mapping
from typing import Any

from ..neurons.units import USD_PER_NEURON, prices
from ..values import Model

PAGE_SIZE = 100


def is_last_page(reply: Any, page: int) -> bool:
    """Whether no page follows this one."""
    result = _items(reply)
    info = reply.get("result_info") if result else None
    total = info.get("total_count") if isinstance(info, dict) else None
    if isinstance(total, int):
        return page * PAGE_SIZE >= total
    return len(result) < PAGE_SIZE


def models(reply: Any) -> list[Model]:
    """Return the models of one page; an item that makes no sense is skipped."""
    return [model for model in map(_model_if_any, _items(reply)) if model]


def _items(reply: Any) -> list[Any]:
    result = reply.get("result") if isinstance(reply, dict) else None
    return result if isinstance(result, list) else []


def _model_if_any(item: Any) -> Model | None:
    try:
        return _model(item) if item["name"] and isinstance(item["name"], str) else None
    except (AttributeError, KeyError, TypeError, OverflowError):
        return None


def _model(item: Mapping[str, Any]) -> Model:
    properties = {
        each["property_id"]: each.get("value")
        for each in item.get("properties") or []
        if isinstance(each, dict) and "property_id" in each
    }
    return Model(
        name=item["name"],
        task=str((item.get("task") or {}).get("name") or ""),
        context_window=_whole(
            properties.get("context_window") or properties.get("max_input_tokens")
        ),
        vision=_true(properties.get("vision")),
        tools=_true(properties.get("function_calling")),
        reasoning=_true(properties.get("reasoning")),
        paid_plan_only=_true(properties.get("require_workers_paid")),
        retires=properties.get("planned_deprecation_date") or None,
        queues=_true(properties.get("async_queue")),
        **_prices(properties.get("price")),
    )


def _prices(listed: Any) -> dict[str, Any]:
    """Return the prices of a model, out of US dollars by unit."""
    return prices(
        (str(item["unit"]).removeprefix("per "), item["price"] / USD_PER_NEURON)
        for item in listed or []
        if isinstance(item, dict) and {"unit", "price"} <= item.keys()
    )


def _true(value: Any) -> bool:
    return str(value).lower() == "true"


def _whole(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None
