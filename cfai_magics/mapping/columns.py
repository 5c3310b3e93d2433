"""Owns rows of named values: read out of data frames and lists, put into prompts, given back."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import BadOption
from ..prompt.spelling import Limits, is_missing, spelled

PLACE = re.compile(r"\{\{([^{}]*)\}\}|\{([^{}]*)\}")
ONLY = "text"  # the one column of a list of texts
ROWS = "Give a data frame, a list of dicts, or a list of texts."


@dataclass(frozen=True, slots=True)
class Columns:
    """Rows under names, out of `source`, in whose kind they are given back."""

    names: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    source: Any

    def __len__(self) -> int:
        return len(self.rows)

    def with_columns(self, more: Mapping[str, Sequence[Any]]) -> Any:
        """Return the rows with further columns: a data frame of the same library, or dicts."""
        library = _library(self.source)
        if library == "pandas":
            return _with_pandas(self.source, self.names, more)
        if library == "polars":
            return _with_polars(self.source, self.names, more)
        named = [dict(zip(self.names, row, strict=True)) for row in self.rows]
        return [
            {**row, **{name: values[at] for name, values in more.items()}}
            for at, row in enumerate(named)
        ]


def columns_of(data: Any) -> Columns:
    """Return the rows of a data frame, a series, a list of dicts or of texts.

    Raises BadOption for anything else.
    """
    library = _library(data)
    if library == "pandas":
        frame = data if hasattr(data, "columns") else data.to_frame(data.name or ONLY)
        values = [frame.iloc[:, at].tolist() for at in range(frame.shape[1])]
        rows = tuple(zip(*values, strict=True))
        return Columns(tuple(map(str, frame.columns)), rows, data)
    if library == "polars":
        frame = data if hasattr(data, "columns") else data.to_frame(data.name or ONLY)
        return Columns(tuple(frame.columns), tuple(frame.rows()), data)
    if isinstance(data, str | bytes | Mapping) or not isinstance(data, Iterable):
        raise BadOption(f"A value of type {type(data).__name__} holds no rows", ROWS)
    return _of_list(list(data))


def _of_list(items: list[Any]) -> Columns:
    if items and all(isinstance(item, Mapping) for item in items):
        names = tuple(dict.fromkeys(str(name) for item in items for name in item))
        return Columns(names, tuple(tuple(map(item.get, names)) for item in items), items)
    return Columns((ONLY,), tuple((item,) for item in items), items)


def _library(value: Any) -> str:
    for kind in type(value).__mro__:
        library = kind.__module__.partition(".")[0]
        if library in {"pandas", "polars"} and kind.__name__ in {"DataFrame", "Series"}:
            return library
    return ""


def _with_pandas(source: Any, names: Sequence[str], more: Mapping[str, Sequence[Any]]) -> Any:
    import pandas as pd

    frame = source.copy() if hasattr(source, "columns") else source.to_frame(names[0])
    for name, values in more.items():
        frame[name] = pd.Series(list(values), index=frame.index, dtype=_dtype(values))
    return frame


def _dtype(values: Sequence[Any]) -> str:
    return "float64" if all(isinstance(value, float) for value in values) else "object"


def _with_polars(source: Any, names: Sequence[str], more: Mapping[str, Sequence[Any]]) -> Any:
    import polars as pl

    frame = source if hasattr(source, "columns") else source.to_frame(names[0])
    plain = {str, float, type(None)}

    def series(name: str, values: Sequence[Any]) -> Any:
        kind = None if set(map(type, values)) <= plain else pl.Object
        return pl.Series(name, list(values), dtype=kind, strict=False)

    return frame.with_columns([series(name, values) for name, values in more.items()])


@dataclass(frozen=True, slots=True)
class Pattern:
    """A prompt with places for columns: texts as typed, and the columns between them."""

    texts: tuple[str, ...]
    places: tuple[str, ...]  # one fewer

    def filled(self, row: Mapping[str, Any], limits: Limits) -> str:
        """Return the prompt of one row; ValueError where it has no value for a place."""
        values = [self._value(name, row[name], limits) for name in self.places]
        pairs = zip(self.texts, [*values, ""], strict=True)
        return "".join(text + value for text, value in pairs)

    def _value(self, name: str, value: Any, limits: Limits) -> str:
        if is_missing(value):
            raise ValueError(f"{name} has no value here, so nothing was asked")
        return spelled(value, limits).text


def pattern_of(template: str, names: Sequence[str]) -> Pattern:
    """Return the pattern of a prompt: {name} or {{name}} is a place, other braces are as typed.

    Raises BadOption for a place that is no column, and where there is none at all.
    """
    texts: list[str] = [""]
    places: list[str] = []
    done = 0
    for match in PLACE.finditer(template):
        name = (match[1] or match[2] or "").strip()
        if name in names:
            texts[-1] += template[done : match.start()]
            texts.append("")
            places.append(name)
            done = match.end()
        elif name.isidentifier():
            raise BadOption(f"{match[0]} is none of the columns", _named(names))
    texts[-1] += template[done:]
    if not places:
        raise BadOption("The prompt has no place for a column, such as {text}", _named(names))
    return Pattern(tuple(texts), tuple(places))


def _named(names: Sequence[str]) -> str:
    return f"There are: {', '.join(names[:10])}{'…' if len(names) > 10 else ''}."  # noqa: PLR2004
