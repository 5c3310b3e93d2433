"""Load, cache and search the model catalog.

If no catalog is cached, the one bundled with the package is used.
"""

import json
import math
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from .. import state_files
from ..arguments import format_suggestions
from ..errors import InvalidOptionError, ModelNotFoundError
from ..i18n import _, mark
from ..types.usage import Catalog, Model
from .prices import parse_prices, restore_exact_prices

BUNDLED_DATE = "2026-11-26"
SOURCE_LABELS = {"live": mark("latest"), "cached": mark("cached"), "shipped": mark("built-in")}
GATEWAY_PREFIX = "workers-ai/"  # before the names of Workers AI models in an AI Gateway
MAX_LISTED_MODELS = 5  # maximum number of models in an error message
CACHE_FILE_NAME = "catalogue.json"
# Types of the values in catalogue.json, by key. Do not rename the keys of this file format.
NUMBERS = {"neurons_in", "neurons_out", "neurons_cached"}
FIELD_TYPES = {"name": str, "task": str, "retires": str | None, "context_window": int | None}
BOOLEAN_FIELDS = {"vision", "tools", "reasoning", "paid_plan_only", "queues"}
TRAITS: Mapping[str, Callable[[Model], bool]] = {
    "free": lambda model: not model.paid_plan_only,
    "paid": lambda model: model.paid_plan_only,
    "vision": lambda model: model.vision,
    "tools": lambda model: model.tools,
    "reasoning": lambda model: model.reasoning,
}


def load_bundled() -> Catalog:
    """Return the catalog bundled with the package."""
    prices_by_model: dict[str, list[tuple[str, float]]] = {}
    _header, *price_lines = _read_lines("neurons.csv")
    # Importing the csv module would take 2 ms. Only units may be quoted.
    for line in price_lines:
        model, _comma, price = line.partition(",")
        unit, _comma, neurons = price.rpartition(",")
        prices_by_model.setdefault(model, []).append((unit.strip('"'), float(neurons)))
    header, *model_lines = [line.split(",") for line in _read_lines("models.csv")]
    # Most models have no efforts, which are the last column.
    rows = [dict(zip(header, line, strict=False)) for line in model_lines]
    models = tuple(
        _model_from_row(row, parse_prices(prices_by_model.get(row["name"], ()))) for row in rows
    )
    return Catalog(models, BUNDLED_DATE, "shipped")


def _read_lines(name: str) -> list[str]:
    path = Path(__file__).parents[1] / "data" / name
    return path.read_text(encoding="utf-8").splitlines()


def _model_from_row(row: Mapping[str, str], price_fields: Mapping[str, Any]) -> Model:
    return Model(
        name=row["name"],
        task=row["task"],
        context_window=int(row["context_window"]) if row["context_window"] else None,
        vision=row["vision"] == "yes",
        tools=row["tools"] == "yes",
        reasoning=row["reasoning"] == "yes",
        paid_plan_only=row["paid_plan_only"] == "yes",
        deprecation_date=row["retires"] or None,
        supports_batch_api=row["queues"] == "yes",
        reasoning_efforts=tuple(row.get("efforts", "").split()),
        **price_fields,
    )


def load_cached(data_dir: Path) -> Catalog | None:
    """Return the catalog cached in the folder, or None if it is missing, empty or damaged."""
    state_files.restrict_file(data_dir / CACHE_FILE_NAME)
    try:
        data = json.loads(state_files.read_text(data_dir / CACHE_FILE_NAME))
        models = tuple(map(_model_from_json, data["models"]))
        if not models:
            return None
        return Catalog(models, date.fromisoformat(data["date"]).isoformat(), "cached")
    except (state_files.UnreadableFileError, ValueError, TypeError, KeyError, RecursionError):
        return None


def find_damaged_cache(home: Path) -> str:
    """Return the path to the cached catalog if the file is damaged, or "" otherwise."""
    path = home / CACHE_FILE_NAME
    return str(path) if os.path.lexists(path) and load_cached(home) is None else ""


def _model_from_json(item: Any) -> Model:
    """Convert an item in the cache file to a model.

    Raises:
        TypeError: The item is not an object.
        ValueError: A field has an invalid value.
        KeyError: The name is missing.
    """
    if not isinstance(item, dict):
        raise TypeError("a model is not an object")
    invalid_names = [
        name
        for name, value in item.items()
        if (name in NUMBERS and not _is_price(value))
        or (name in FIELD_TYPES and not isinstance(value, FIELD_TYPES[name]))
        or (name in BOOLEAN_FIELDS and not isinstance(value, bool))
    ]
    units = item.get("units", {})
    efforts = item.get("reasoning_efforts", [])
    if not isinstance(efforts, list) or not all(isinstance(effort, str) for effort in efforts):
        raise ValueError("reasoning_efforts")
    if invalid_names or not isinstance(units, dict) or not all(map(_is_price, units.values())):
        raise ValueError(", ".join(invalid_names) or "units")
    if item.get("retires"):
        date.fromisoformat(item["retires"])
    return Model(
        item["name"],
        task=item.get("task", ""),
        neurons_in=item.get("neurons_in"),
        neurons_out=item.get("neurons_out"),
        neurons_cached=item.get("neurons_cached"),
        context_window=item.get("context_window"),
        vision=item.get("vision", False),
        tools=item.get("tools", False),
        reasoning=item.get("reasoning", False),
        paid_plan_only=item.get("paid_plan_only", False),
        deprecation_date=item.get("retires"),
        supports_batch_api=item.get("queues", False),
        units=units,
        reasoning_efforts=tuple(efforts),
    )


def _to_json(model: Model) -> dict[str, Any]:
    return {
        "name": model.name,
        "task": model.task,
        "neurons_in": model.neurons_in,
        "neurons_out": model.neurons_out,
        "neurons_cached": model.neurons_cached,
        "context_window": model.context_window,
        "vision": model.vision,
        "tools": model.tools,
        "reasoning": model.reasoning,
        "paid_plan_only": model.paid_plan_only,
        "retires": model.deprecation_date,
        "queues": model.supports_batch_api,
        "units": dict(model.units),
        "reasoning_efforts": list(model.reasoning_efforts),
    }


def _is_price(value: object) -> bool:
    if value is None:
        return True
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def save_cached(data_dir: Path, models: Iterable[Model], today: str) -> Catalog:
    """Write the models to the cache file atomically, and return them as a live catalog.

    If the file cannot be written, the catalog is available only in this session.
    """
    catalog = Catalog(tuple(models), today, "live")
    body = {"date": today, "models": list(map(_to_json, catalog.models))}
    with suppress(OSError):
        state_files.write_text(data_dir / CACHE_FILE_NAME, json.dumps(body, indent=1))
    return catalog


def matches(model: Model, word: str) -> bool:
    """Return whether a word is a trait of the model or part of its name or task.

    `word` must be lowercase.
    """
    if word in TRAITS:
        return TRAITS[word](model)
    return word in f"{model.name} {model.task}".lower()


class CatalogStore:
    """The model catalog for one session.

    If no catalog has been fetched, the cached catalog is used, or the bundled catalog if none is
    cached.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._catalog: Catalog | None = None

    def current(self) -> Catalog:
        """Return the catalog without sending a network request."""
        if self._catalog is None:
            self._catalog = load_cached(self._data_dir) or load_bundled()
        return self._catalog

    def update(self, models: Iterable[Model]) -> Catalog:
        """Replace the catalog with fetched models, write it to the cache, and return it.

        Fetched prices are rounded, so the exact bundled prices are kept where they match.
        """
        bundled = {model.name: model for model in load_bundled().models}
        exact_models = [
            restore_exact_prices(model, bundled[model.name]) if model.name in bundled else model
            for model in models
        ]
        today = datetime.now(UTC).date().isoformat()
        self._catalog = save_cached(self._data_dir, exact_models, today)
        return self._catalog

    def select(self, models: Iterable[Model]) -> Catalog:
        """Return a catalog of these models as of today, with the properties in this catalog."""
        listed = {model.name: model for model in self.current().models}
        today = datetime.now(UTC).date().isoformat()
        return Catalog(tuple(listed.get(m.name, m) for m in models), today, "live")


def find_model(name: str, catalog: Catalog) -> Model:
    """Return the model with the given full name, or the only model whose name ends with `name`.

    A full name (@cf/… or @hf/…) is used as typed, even if it is not in the catalog. The prefix
    workers-ai/ of an AI Gateway is removed. A short
    name must match the end of exactly one name in the catalog.

    Raises:
        ModelNotFoundError: No model matches.
        InvalidOptionError: Several models match.
    """
    full_name = name.removeprefix(GATEWAY_PREFIX)
    if full_name.startswith("@"):
        return exact_or_unlisted(full_name, catalog)
    candidates = [m for m in catalog.models if m.short_name == name] or [
        m for m in catalog.models if name and m.name.endswith(name)
    ]
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        names = ", ".join(m.name for m in candidates)
        raise InvalidOptionError(
            _("Several model names end in {name!r}: {names}").format(name=name, names=names),
            _("Type more of the name."),
        )
    raise unknown_model_error(name, catalog)


def exact_or_unlisted(name: str, catalog: Catalog) -> Model:
    """Return the model with exactly this name, or a new Model if the name is not listed.

    A model that an AI Gateway names workers-ai/@cf/… has the properties of the listed model.
    """
    listed_name = name.removeprefix(GATEWAY_PREFIX)
    for model in catalog.models:
        if model.name == listed_name:
            return model if name == listed_name else replace(model, name=name)
    return Model(name)


def unknown_model_error(name: str, catalog: Catalog) -> ModelNotFoundError:
    """Return the error for an unknown model name, with the most similar names in its hint."""
    suggestion = format_suggestions(suggest_models(name, catalog))
    return ModelNotFoundError(
        _("The model {name!r} is not in the list of {date}").format(name=name, date=catalog.date),
        f"{suggestion} {_(ModelNotFoundError.default_hint)}".lstrip(),
    )


def suggest_models(name: str, catalog: Catalog) -> list[str]:
    """Return up to three short names of other models that resemble or contain the given name."""
    from difflib import get_close_matches

    query = name.rpartition("/")[2].lower()
    others = [model for model in catalog.models if model.name != name]
    short_names = {model.short_name.lower(): model.short_name for model in others}
    close_matches = get_close_matches(query, short_names, n=3, cutoff=0.5)
    containing = [short for short in short_names if query and query in short]
    return [short_names[short] for short in dict.fromkeys(containing + close_matches)][:3]
