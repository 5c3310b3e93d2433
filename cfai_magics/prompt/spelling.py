"""Owns how a Python value is written into a prompt; what is too big is shortened visibly."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from itertools import accumulate
from typing import Any, NamedTuple

FRAMES = {"pandas": {"DataFrame", "Series"}, "polars": {"DataFrame", "Series"}}


class Limits(NamedTuple):
    """How much of one value is written: rows of a table, and characters of anything."""

    rows: int = 30
    characters: int = 20_000


@dataclass(frozen=True, slots=True)
class Spelled:
    """A value as text; `kept` tells how much of it that is, where it is not all."""

    text: str
    kept: str = ""


def is_missing(value: Any) -> bool:
    """Whether a cell of a table has no value: None, NaN, or the NA and NaT of pandas."""
    nan = isinstance(value, float) and math.isnan(value)
    return value is None or nan or type(value).__name__ in {"NAType", "NaTType"}


def spelled(value: Any, limits: Limits = Limits()) -> Spelled:  # noqa: B008 - it is immutable
    """Return a value as a prompt holds it.

    Text as it is, data frames and series as a Markdown table, dicts, lists, arrays and models as
    JSON, everything else as str() writes it.
    """
    library = _library(value)
    if library:
        return _table(value if hasattr(value, "columns") else value.to_frame(), library, limits)
    return _cut(_text(value), limits.characters)


def _library(value: Any) -> str:
    """Return whose data frame a value is; none of those libraries is imported for it."""
    for kind in type(value).__mro__:
        library = kind.__module__.partition(".")[0]
        if kind.__name__ in FRAMES.get(library, ()):
            return library
    return ""


# --- tables


def _table(frame: Any, library: str, limits: Limits) -> Spelled:
    head, rows = _pandas_rows(frame, limits) if library == "pandas" else _polars(frame, limits)
    lines = [_row(head), _row(["---"] * len(head)), *map(_row, rows)]
    sizes = list(accumulate(len(line) + 1 for line in lines))
    fitting = max(2, sum(size <= limits.characters for size in sizes))
    text, total, kept = "\n".join(lines[:fitting]), len(frame), fitting - 2
    if len(text) > limits.characters:
        return _cut(text, limits.characters)
    if kept >= total:
        return Spelled(text)
    told = f"{kept:,} of {total:,} rows"
    return Spelled(f"{text}\n\n[the first {told}]", told)


def _pandas_rows(frame: Any, limits: Limits) -> tuple[list[str], Iterable[Sequence[Any]]]:
    """Return the columns and first rows; with the index, unless it only counts."""
    index = type(frame.index).__name__ != "RangeIndex"
    names = [str(column) for column in frame.columns]
    return (
        [str(frame.index.name or ""), *names] if index else names,
        frame.head(limits.rows).itertuples(index=index, name=None),
    )


def _polars(frame: Any, limits: Limits) -> tuple[list[str], Iterable[Sequence[Any]]]:
    return list(frame.columns), frame.head(limits.rows).rows()


def _row(cells: Iterable[Any]) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(value: Any) -> str:
    return " ".join(str(value).replace("|", r"\|").splitlines())


# --- everything else


def _text(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, (Mapping, list, tuple, set, frozenset)) or _plain(value) is not None:
        try:
            return json.dumps(value, ensure_ascii=False, default=_jsonable)
        except (TypeError, ValueError, RecursionError):  # such as keys that JSON has no form for
            return repr(value)
    return str(value)


def _jsonable(value: Any) -> Any:
    plain = _plain(value)
    return str(value) if plain is None else plain


def _plain(value: Any) -> Any:
    """Return sets, arrays, models and data classes as JSON's kinds of values; None for others."""
    if isinstance(value, (set, frozenset)):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    shows_itself = "__str__" in vars(type(value))
    if is_dataclass(value) and not isinstance(value, type) and not shows_itself:
        return asdict(value)
    if "model_dump" in dir(type(value)):  # pydantic
        return value.model_dump(mode="json")
    is_numpy = type(value).__module__.partition(".")[0] == "numpy"
    return value.tolist() if is_numpy and hasattr(value, "tolist") else None


def _cut(text: str, most: int) -> Spelled:
    if len(text) <= most:
        return Spelled(text)
    told = f"{most:,} of {len(text):,} characters"
    return Spelled(f"{text[:most]}\n[the first {told}]", told)
