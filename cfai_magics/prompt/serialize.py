"""Serialize Python values for a prompt, and truncate large values with a visible marker."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from itertools import accumulate
from typing import Any, NamedTuple

from ..i18n import _

# In prompts, these keys replace the field names of this package's types. They are the names that
# version 0.1.0 used, and must not change, because prompts are used to find recordings.
_PROVENANCE_KEYS = {"day_usage": "standing", "provenance": "origin"}
PROMPT_KEYS: Mapping[str, Mapping[str, str]] = {
    "AccountFigure": {"reported_at": "told"},
    "Answer": {
        "reasoning": "thought",
        "tool_results": "called",
        "finish_reason": "finish",
        "is_local": "local",
        "endpoint": "via",
        "work_summary": "work",
        **_PROVENANCE_KEYS,
    },
    "DayUsage": {"is_closed": "closed"},
    "Embeddings": {"is_local": "local", **_PROVENANCE_KEYS},
    "Limit": {"from_course": "of_course"},
    "Model": {"deprecation_date": "retires", "supports_batch_api": "queues"},
    "Provenance": {"request_fingerprint": "request", "asked_at": "asked", "recording": "recorded"},
    "RecordingInfo": {"is_local": "local"},
    "Request": {"requested_model": "instead_of"},
    "TaskResult": _PROVENANCE_KEYS,
    "ToolResult": {"truncation": "kept", "is_error": "failed"},
    "Usage": {"cost_basis": "basis"},
    "Variant": {"repetition": "number"},
}
# Fields that were added later, and are not part of prompts for the same reason.
NEW_FIELDS = {
    "Model": {"reasoning_efforts"},
    "RecordingInfo": {"is_instant"},
    "Usage": {"has_estimated_tokens"},
}
DATE_KINDS = "mM"  # numpy's kinds for durations and dates
DATA_FRAME_TYPES = {"pandas": {"DataFrame", "Series"}, "polars": {"DataFrame", "Series"}}


class SizeLimits(NamedTuple):
    """The size limits for one value, in table rows and in characters."""

    rows: int = 30
    characters: int = 20_000


class SerializedValue(NamedTuple):
    """A value as text.

    `truncated_to` says how much of the value is included, such as "30 of 200 rows". It is "" if
    the value is complete. It is also sent to the model, so it is not translated.
    """

    text: str
    truncated_to: str = ""


def format_truncation(truncated_to: str) -> str:
    """Translate a `truncated_to` value into the user's language."""
    included, _of, total, unit = truncated_to.split()
    message = (
        _("{included} of {total} rows")
        if unit == "rows"
        else _("{included} of {total} characters")
    )
    return message.format(included=included, total=total)


def is_missing(value: Any) -> bool:
    """Return whether a value is None, NaN, or the pandas value NA or NaT."""
    nan = isinstance(value, float) and math.isnan(value)
    return value is None or nan or type(value).__name__ in {"NAType", "NaTType"}


def to_text(value: Any, limits: SizeLimits = SizeLimits()) -> SerializedValue:  # noqa: B008 - immutable
    """Return a value as text for a prompt.

    Strings are unchanged. Data frames and series become Markdown tables. Dicts, lists, arrays,
    dataclasses and pydantic models become JSON. Other values are converted with str().
    """
    library = _find_library(value)
    if library:
        return _serialize_table(
            value if hasattr(value, "columns") else value.to_frame(), library, limits
        )
    return _truncate(_value_to_text(value), limits.characters)


def _find_library(value: Any) -> str:
    """Return a data frame's library, "pandas" or "polars", without importing it.

    Returns "" if the value is not a data frame or series.
    """
    for base_class in type(value).__mro__:
        library = base_class.__module__.partition(".")[0]
        if base_class.__name__ in DATA_FRAME_TYPES.get(library, ()):
            return library
    return ""


# --- tables


def _serialize_table(frame: Any, library: str, limits: SizeLimits) -> SerializedValue:
    header, rows = (
        _pandas_rows(frame, limits) if library == "pandas" else _polars_rows(frame, limits)
    )
    lines = [_format_row(header), _format_row(["---"] * len(header)), *map(_format_row, rows)]
    sizes = list(accumulate(len(line) + 1 for line in lines))
    fitting_lines = max(2, sum(size <= limits.characters for size in sizes))
    text, total, row_count = "\n".join(lines[:fitting_lines]), len(frame), fitting_lines - 2
    if len(text) > limits.characters:
        return _truncate(text, limits.characters)
    if row_count >= total:
        return SerializedValue(text)
    truncated_to = f"{row_count:,} of {total:,} rows"
    return SerializedValue(f"{text}\n\n[the first {truncated_to}]", truncated_to)


def _pandas_rows(frame: Any, limits: SizeLimits) -> tuple[list[str], Iterable[Sequence[Any]]]:
    """Return the column names and first rows, including the index unless it is a RangeIndex."""
    index = type(frame.index).__name__ != "RangeIndex"
    names = [str(column) for column in frame.columns]
    return (
        [str(frame.index.name or ""), *names] if index else names,
        frame.head(limits.rows).itertuples(index=index, name=None),
    )


def _polars_rows(frame: Any, limits: SizeLimits) -> tuple[list[str], Iterable[Sequence[Any]]]:
    return list(frame.columns), frame.head(limits.rows).rows()


def _format_row(cells: Iterable[Any]) -> str:
    return f"| {' | '.join(map(_format_cell, cells))} |"


def _format_cell(value: Any) -> str:
    return " ".join(str(value).replace("|", r"\|").splitlines())


# --- other values


def _value_to_text(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    if (
        isinstance(value, (Mapping, list, tuple, set, frozenset))
        or _to_plain_value(value) is not None
    ):
        try:
            return _to_json(value)
        except TypeError:  # keys that are not strings or numbers
            return _with_text_keys(value)
        except (ValueError, RecursionError):  # the value contains itself
            return repr(value)
    return str(value)


def _to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=_to_jsonable)


def _with_text_keys(value: Any) -> str:
    try:
        return _to_json(_convert_keys(value))
    except (TypeError, ValueError, RecursionError):
        return repr(value)


def _convert_keys(value: Any) -> Any:
    """Return a JSON value whose keys, such as dates and numpy numbers, are strings or numbers."""
    plain_value = _to_plain_value(value)
    value = value if plain_value is None else plain_value
    if isinstance(value, Mapping):
        return {_to_json_key(key): _convert_keys(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_convert_keys(item) for item in value]
    return value


def _to_json_key(key: Any) -> Any:
    """Return a key as a string or number. Raises TypeError for a tuple, which has no such form."""
    if isinstance(key, tuple):
        raise TypeError
    plain_key = _to_plain_value(key)
    if isinstance(plain_key, str | int | float):
        return plain_key
    return key if key is None or isinstance(key, str | int | float) else str(key)


def _to_jsonable(value: Any) -> Any:
    json_value = _to_plain_value(value)
    return str(value) if json_value is None else json_value


def _to_plain_value(value: Any) -> Any:
    """Convert a set, mapping, array, pydantic model or dataclass to a JSON value.

    Returns None for other values.
    """
    if isinstance(value, (set, frozenset)):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    has_own_str = "__str__" in vars(type(value))
    if is_dataclass(value) and not isinstance(value, type) and not has_own_str:
        return _dataclass_to_dict(value)
    if "model_dump" in dir(type(value)):  # pydantic
        return value.model_dump(mode="json")
    is_numpy = type(value).__module__.partition(".")[0] == "numpy"
    return _numpy_to_plain_value(value) if is_numpy and hasattr(value, "tolist") else None


def _numpy_to_plain_value(value: Any) -> Any:
    if value.dtype.kind in DATE_KINDS:  # as a list, these may become numbers of nanoseconds
        return value.astype(str).tolist()
    return value.tolist()


def _dataclass_to_dict(value: Any) -> dict[str, Any]:
    is_ours = type(value).__module__.startswith("cfai_magics.")
    name = type(value).__name__ if is_ours else ""
    keys, new_fields = PROMPT_KEYS.get(name, {}), NEW_FIELDS.get(name, ())
    return {
        keys.get(field.name, field.name): _convert_dataclasses(getattr(value, field.name))
        for field in fields(value)
        if field.name not in new_fields
    }


def _convert_dataclasses(value: Any) -> Any:
    """Return a value with all dataclasses that it contains converted to dicts."""
    if is_dataclass(value) and not isinstance(value, type):
        return _dataclass_to_dict(value)
    if isinstance(value, list | tuple):
        return [_convert_dataclasses(item) for item in value]
    if isinstance(value, dict):
        return {key: _convert_dataclasses(item) for key, item in value.items()}
    return value


def _truncate(text: str, max_chars: int) -> SerializedValue:
    if len(text) <= max_chars:
        return SerializedValue(text)
    truncated_to = f"{max_chars:,} of {len(text):,} characters"
    return SerializedValue(f"{text[:max_chars]}\n[the first {truncated_to}]", truncated_to)
