"""Serialize Python values for a prompt, and truncate large values with a visible marker."""

import json
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from itertools import accumulate
from typing import Any, NamedTuple

from ..errors import VariableError
from ..i18n import _, mark

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
    "Limit": {"source": "of_course"},
    "Model": {"deprecation_date": "retires", "supports_batch_api": "queues"},
    "Provenance": {"request_fingerprint": "request", "asked_at": "asked", "recording": "recorded"},
    "RecordingInfo": {"is_local": "local"},
    "Request": {"requested_model": "instead_of"},
    "TaskResult": _PROVENANCE_KEYS,
    "ToolResult": {"truncation": "kept", "is_error": "failed"},
    "Usage": {"cost_basis": "basis"},
    "Variant": {"repetition": "number"},
}
# Fields whose values were others in version 0.1.0.
PROMPT_VALUES: Mapping[str, Mapping[str, Callable[[Any], Any]]] = {
    "Limit": {"source": lambda source: source == "course"},
}
# Fields that were added later, and are not part of prompts for the same reason.
NEW_FIELDS = {
    "DayUsage": {"limit_source", "is_class", "class_figure", "elsewhere"},
    "Model": {"reasoning_efforts"},
    "RecordingInfo": {"is_instant"},
    "Usage": {"has_estimated_tokens"},
}
DATE_KINDS = "mM"  # numpy's kinds for durations and dates
PARTIAL_VALUE_HINT = mark("Send a part of it, or its text with str(…).")
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

    Strings are unchanged. Data frames and series become Markdown tables. Dicts, lists and other
    collections, arrays, dataclasses and pydantic models become valid JSON, in which NaN is null
    and infinity is a string. Other values are converted with str().

    Raises:
        VariableError: The value is an iterator or contains one, contains itself, or has two keys
            with the same text.
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
    try:
        plain_value = _to_plain_value(value)
        if plain_value is None:
            return str(value)
        json_value = _plain_to_json_value(plain_value, frozenset({id(value)}))
        return json.dumps(json_value, ensure_ascii=False)
    except RecursionError:
        raise VariableError(_("The value is nested too deeply"), _(PARTIAL_VALUE_HINT)) from None


def _to_json_value(value: Any, parents: frozenset[int]) -> Any:
    """Return a value that json.dumps writes as valid JSON.

    Args:
        value: Any value.
        parents: The ids of the values that contain this value.

    Raises:
        VariableError: The value contains itself or an iterator, or keys with the same text.
    """
    if value is None or isinstance(value, str | int):
        return value
    if is_missing(value):
        return None
    if isinstance(value, float):  # JSON does not have infinity
        return value if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"
    if id(value) in parents:
        raise VariableError(_("The value contains itself"), _(PARTIAL_VALUE_HINT))
    plain_value = _to_plain_value(value)
    if plain_value is None:
        return str(value)
    return _plain_to_json_value(plain_value, parents | {id(value)})


def _plain_to_json_value(plain_value: Any, parents: frozenset[int]) -> Any:
    if isinstance(plain_value, dict):
        return {key: _to_json_value(item, parents) for key, item in plain_value.items()}
    if isinstance(plain_value, list):
        return [_to_json_value(item, parents) for item in plain_value]
    return _to_json_value(plain_value, parents)


def _to_plain_value(value: Any) -> Any:
    """Convert a value to a dict with text keys, a list or a scalar, but not the values in it.

    Returns None if the value is not a collection, array, data frame, dataclass or pydantic model.

    Raises:
        VariableError: The value is an iterator, or two of its keys have the same text.
    """
    if isinstance(value, Mapping):
        return _build_dict((key, value[key]) for key in value)
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    library = _find_library(value)
    if library:
        return _table_to_plain_value(value, library)
    if hasattr(type(value), "tolist") and not isinstance(value, memoryview):
        return _array_to_plain_value(value)
    return _object_to_plain_value(value)


def _object_to_plain_value(value: Any) -> Any:
    has_own_str = "__str__" in vars(type(value))
    if is_dataclass(value) and not isinstance(value, type) and not has_own_str:
        return _dataclass_to_dict(value)
    if "model_dump" in dir(type(value)):  # pydantic
        return value.model_dump(mode="json")
    if isinstance(value, type | memoryview) or _defines_str(value):
        return None
    if isinstance(value, Iterator):
        raise VariableError(
            _("A value of type {type} can be read only once").format(type=type(value).__name__),
            _("Convert it to a list with list(…)."),
        )
    return list(value) if isinstance(value, Collection) else None


def _defines_str(value: Any) -> bool:
    """Return whether the value's class, or a base class other than object, defines __str__."""
    return any("__str__" in vars(base_class) for base_class in type(value).__mro__[:-1])


def _build_dict(pairs: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        text_key = _to_text_key(key)
        if text_key in result:
            raise VariableError(
                _('Two keys, columns or index labels have the same text "{key}"').format(
                    key=text_key
                ),
                _("Rename one of them."),
            )
        result[text_key] = value
    return result


def _to_text_key(key: Any) -> str:
    """Return a key as text: a tuple like its repr, as pandas does, and a number as in JSON."""
    if isinstance(key, tuple):
        return repr(_to_scalar_key(key))
    scalar = _to_scalar_key(key)
    return scalar if isinstance(scalar, str) else json.dumps(scalar)


def _to_scalar_key(key: Any) -> Any:
    if isinstance(key, tuple):
        return tuple(map(_to_scalar_key, key))
    if hasattr(type(key), "tolist"):
        key = _array_to_plain_value(key)
    return key if key is None or isinstance(key, str | int | float) else str(key)


def _table_to_plain_value(table: Any, library: str) -> list[Any] | dict[str, Any]:
    """Return a data frame as a list of dicts, and a series as a list or, with an index, a dict."""
    is_series = not hasattr(table, "columns")
    if library == "polars":
        return list(table.to_list() if is_series else table.to_dicts())
    has_index = type(table.index).__name__ != "RangeIndex"
    if is_series:
        return _build_dict(table.items()) if has_index else list(table)
    frame = table.reset_index(allow_duplicates=True) if has_index else table
    names = list(_build_dict((column, None) for column in frame.columns))
    return [dict(zip(names, row, strict=True)) for row in frame.itertuples(index=False, name=None)]


def _array_to_plain_value(array: Any) -> Any:
    dtype_kind = getattr(getattr(array, "dtype", None), "kind", "")
    is_numpy = type(array).__module__.partition(".")[0] == "numpy"
    if is_numpy and dtype_kind in DATE_KINDS:  # a list may have numbers of nanoseconds
        return array.astype(str).tolist()
    plain_value = array.tolist()
    # np.longdouble stays the same type.
    return str(array) if type(plain_value) is type(array) else plain_value


def _dataclass_to_dict(value: Any) -> dict[str, Any]:
    is_ours = type(value).__module__.startswith("cfai_magics.")
    name = type(value).__name__ if is_ours else ""
    keys, new_fields = PROMPT_KEYS.get(name, {}), NEW_FIELDS.get(name, ())
    values = PROMPT_VALUES.get(name, {})
    return {
        keys.get(field.name, field.name): values.get(field.name, _convert_dataclasses)(
            getattr(value, field.name)
        )
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
