"""Owns the list of models: cached on disk with its date, else the one shipped with the package."""

import csv
import json
import math
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any

from . import state_files
from .errors import BadOption, UnknownModel
from .neurons.units import prices
from .values import Catalogue, Model

SHIPPED_DATE = "2026-10-09"
CACHE_NAME = "catalogue.json"
# Types of the values in catalogue.json, by its keys: they stay, whatever the fields are called.
NUMBERS = {"neurons_in", "neurons_out", "neurons_cached"}
OTHERS = {"name": str, "task": str, "retires": str | None, "context_window": int | None}
FLAGS = {"vision", "tools", "reasoning", "paid_plan_only", "queues"}
TRAITS: Mapping[str, Callable[[Model], bool]] = {
    "free": lambda model: not model.paid_plan_only,
    "paid": lambda model: model.paid_plan_only,
    "vision": lambda model: model.vision,
    "tools": lambda model: model.tools,
    "reasoning": lambda model: model.reasoning,
}


def shipped() -> Catalogue:
    """Return the list that came with the package."""
    listed: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for row in _rows("neurons.csv"):
        listed[row["model"]].append((row["unit"], float(row["neurons_per_unit"])))
    models = tuple(_model(row, prices(listed[row["name"]])) for row in _rows("models.csv"))
    return Catalogue(models, SHIPPED_DATE, "shipped")


def _rows(name: str) -> list[dict[str, str]]:
    text = files("cfai_magics").joinpath("data", name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _model(row: Mapping[str, str], priced: Mapping[str, Any]) -> Model:
    return Model(
        name=row["name"],
        task=row["task"],
        context_window=int(row["context_window"]) if row["context_window"] else None,
        vision=row["vision"] == "yes",
        tools=row["tools"] == "yes",
        reasoning=row["reasoning"] == "yes",
        paid_plan_only=row["paid_plan_only"] == "yes",
        retires=row["retires"] or None,
        queues=row["queues"] == "yes",
        **priced,
    )


def cached(home: Path) -> Catalogue | None:
    """Return the list kept in the folder, or None when there is none that can be read."""
    state_files.tighten(home / CACHE_NAME)
    try:
        kept = json.loads(state_files.read(home / CACHE_NAME))
        models = tuple(map(_model_kept, kept["models"]))
        return Catalogue(models, date.fromisoformat(kept["date"]).isoformat(), "cached")
    except (state_files.Unreadable, ValueError, TypeError, KeyError, RecursionError):
        return None


def damage(home: Path) -> str:
    """Return the path of a kept list that can't be read; an empty text if all is well."""
    path = home / CACHE_NAME
    return str(path) if os.path.lexists(path) and cached(home) is None else ""


def _model_kept(item: Any) -> Model:
    """Return a model as it was kept; TypeError or ValueError if a value is not of its type."""
    if not isinstance(item, dict):
        raise TypeError("a model is no object")
    wrong = [
        name
        for name, value in item.items()
        if (name in NUMBERS and not _is_price(value))
        or (name in OTHERS and not isinstance(value, OTHERS[name]))
        or (name in FLAGS and not isinstance(value, bool))
    ]
    units = item.get("units", {})
    if wrong or not isinstance(units, dict) or not all(map(_is_price, units.values())):
        raise ValueError(", ".join(wrong) or "units")
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
        retires=item.get("retires"),
        queues=item.get("queues", False),
        units=units,
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
        "retires": model.retires,
        "queues": model.queues,
        "units": dict(model.units),
    }


def _is_price(value: object) -> bool:
    if value is None:
        return True
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def keep(home: Path, models: Iterable[Model], today: str) -> Catalogue:
    """Write the list into the folder, whole or not at all, and return it as live.

    Where the folder takes nothing, the list serves this session alone.
    """
    catalogue = Catalogue(tuple(models), today, "live")
    body = {"date": today, "models": list(map(_to_json, catalogue.models))}
    with suppress(OSError):
        state_files.write(home / CACHE_NAME, json.dumps(body, indent=1))
    return catalogue


def fits(model: Model, word: str) -> bool:
    """Whether a word, in lower case, is a trait of the model or stands in its name or task."""
    if word in TRAITS:
        return TRAITS[word](model)
    return word in f"{model.name} {model.task}".lower()


class Known:
    """The list of models as one session knows it: fetched, else as kept, else as shipped."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._catalogue: Catalogue | None = None

    def all(self) -> Catalogue:
        """Return the list without asking the network."""
        if self._catalogue is None:
            self._catalogue = cached(self._home) or shipped()
        return self._catalogue

    def take(self, models: Iterable[Model]) -> Catalogue:
        """Take what was fetched for the list, and keep it on disk with its date."""
        self._catalogue = keep(self._home, models, datetime.now(UTC).date().isoformat())
        return self._catalogue


def resolve(name: str, catalogue: Catalogue) -> Model:
    """Return the model a user means by a name.

    A full name (@cf/… or @hf/…) stands as typed, listed or not; a short one is enough where
    exactly one listed name ends in it. Raises UnknownModel or BadOption.
    """
    if name.startswith("@"):
        return as_typed(name, catalogue)
    ending = [m for m in catalogue.models if m.short == name] or [
        m for m in catalogue.models if name and m.name.endswith(name)
    ]
    if len(ending) == 1:
        return ending[0]
    if ending:
        names = ", ".join(m.name for m in ending)
        raise BadOption(f"Several models end in {name!r}: {names}", "Type more of the name.")
    raise unknown(name, catalogue)


def as_typed(name: str, catalogue: Catalogue) -> Model:
    """Return the model of exactly this name, listed or not."""
    return next((m for m in catalogue.models if m.name == name), Model(name))


def unknown(name: str, catalogue: Catalogue) -> UnknownModel:
    """Return the error for a name that is no model, with the nearest names that are."""
    near = nearest(name, catalogue)
    hint = f"Nearest: {', '.join(near)}. " if near else ""
    return UnknownModel(
        f"There is no model {name!r} in the list of {catalogue.date}",
        hint + UnknownModel.default_hint,
    )


def nearest(name: str, catalogue: Catalogue) -> list[str]:
    """Return up to three short names of other models that look like the given one, or hold it."""
    wanted = name.rpartition("/")[2].lower()
    others = [model for model in catalogue.models if model.name != name]
    shorts = {model.short.lower(): model.short for model in others}
    close = get_close_matches(wanted, shorts, n=3, cutoff=0.5)
    holding = [short for short in shorts if wanted and wanted in short]
    return [shorts[short] for short in dict.fromkeys(close + holding)][:3]
