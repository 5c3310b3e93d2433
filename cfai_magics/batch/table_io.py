"""Read rows from data frames and lists, fill prompt templates, and add result columns."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import InvalidOptionError, VariableError
from ..i18n import _, mark
from ..prompt.serialize import SizeLimits, is_missing, to_text
from ..prompt.template import PROGRAM_EXITS, describe_error

PLACEHOLDER_PATTERN = re.compile(r"\{\{([^{}]*)\}\}|\{([^{}]*)\}")
MAX_LISTED_COLUMNS = 10  # in an error hint
TEXT_COLUMN = "text"  # column name for a list of strings
ROWS_HINT = mark("Use a data frame, a list of dicts or a list of strings.")


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows and column names of `source`, which is a data frame, series or list."""

    column_names: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    source: Any

    def __len__(self) -> int:
        return len(self.rows)

    def with_columns(self, new_columns: Mapping[str, Sequence[Any]]) -> Any:
        """Return the rows with columns added.

        The result is a data frame from the same library as `source`, or a list of dicts if
        `source` is a list.
        """
        library_name = _detect_library(self.source)
        if library_name == "pandas":
            return _add_pandas_columns(self.source, self.column_names, new_columns)
        if library_name == "polars":
            return _add_polars_columns(self.source, self.column_names, new_columns)
        row_dicts = [dict(zip(self.column_names, row, strict=True)) for row in self.rows]
        return [
            {**row, **{name: values[index] for name, values in new_columns.items()}}
            for index, row in enumerate(row_dicts)
        ]


def read_rows(data: Any) -> Rows:
    """Return the rows of a data frame, series, list of dicts or list of strings.

    Raises:
        InvalidOptionError: The type of `data` is not supported.
    """
    library_name = _detect_library(data)
    if library_name == "pandas":
        frame = data if hasattr(data, "columns") else data.to_frame(data.name or TEXT_COLUMN)
        column_values = [frame.iloc[:, index].tolist() for index in range(frame.shape[1])]
        rows = tuple(zip(*column_values, strict=True))
        return Rows(tuple(map(str, frame.columns)), rows, data)
    if library_name == "polars":
        frame = data if hasattr(data, "columns") else data.to_frame(data.name or TEXT_COLUMN)
        return Rows(tuple(frame.columns), tuple(frame.rows()), data)
    if isinstance(data, str | bytes | Mapping) or not isinstance(data, Iterable):
        raise InvalidOptionError(
            _("A value of type {type} has no rows").format(type=type(data).__name__),
            _(ROWS_HINT),
        )
    return _rows_from_list(list(data))


def _rows_from_list(items: list[Any]) -> Rows:
    if items and all(isinstance(item, Mapping) for item in items):
        column_names = tuple(dict.fromkeys(str(name) for item in items for name in item))
        return Rows(
            column_names, tuple(tuple(map(item.get, column_names)) for item in items), items
        )
    return Rows((TEXT_COLUMN,), tuple((item,) for item in items), items)


def _detect_library(value: Any) -> str:
    for cls in type(value).__mro__:
        library_name = cls.__module__.partition(".")[0]
        if library_name in {"pandas", "polars"} and cls.__name__ in {"DataFrame", "Series"}:
            return library_name
    return ""


def _add_pandas_columns(
    source: Any, column_names: Sequence[str], new_columns: Mapping[str, Sequence[Any]]
) -> Any:
    import pandas as pd

    frame = source.copy() if hasattr(source, "columns") else source.to_frame(column_names[0])
    for name, values in new_columns.items():
        frame[name] = pd.Series(
            list(values), index=frame.index, dtype=_choose_pandas_dtype(values)
        )
    return frame


def _choose_pandas_dtype(values: Sequence[Any]) -> str:
    return "float64" if all(isinstance(value, float) for value in values) else "object"


def _add_polars_columns(
    source: Any, column_names: Sequence[str], new_columns: Mapping[str, Sequence[Any]]
) -> Any:
    import polars as pl

    frame = source if hasattr(source, "columns") else source.to_frame(column_names[0])
    native_types = {str, float, type(None)}

    def make_series(name: str, values: Sequence[Any]) -> Any:
        dtype = None if set(map(type, values)) <= native_types else pl.Object
        return pl.Series(name, list(values), dtype=dtype, strict=False)

    return frame.with_columns([make_series(name, values) for name, values in new_columns.items()])


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """A prompt with placeholders for columns.

    `texts` are the fixed parts of the prompt, and `placeholders` are the column names between
    these parts.
    """

    texts: tuple[str, ...]
    placeholders: tuple[str, ...]  # one fewer than `texts`

    def fill(self, row: Mapping[str, Any], size_limits: SizeLimits) -> str:
        """Return the prompt for one row.

        Raises:
            ValueError: A value is missing or can't be converted to text, or the prompt is empty.
                The message is meant for the row's error column.
        """
        values = [self._format_value(name, row[name], size_limits) for name in self.placeholders]
        pairs = zip(self.texts, [*values, ""], strict=True)
        prompt = "".join(text + value for text, value in pairs)
        if not prompt.strip():
            raise ValueError(_("The prompt for this row is empty; no request was sent"))
        return prompt

    def _format_value(self, name: str, value: Any, size_limits: SizeLimits) -> str:
        if is_missing(value):
            raise ValueError(
                _("{name} has no value in this row; no request was sent").format(name=name)
            )
        try:
            return to_text(value, size_limits).text
        except VariableError as error:
            raise ValueError(f"{name}: {error.format_line()}") from None
        except PROGRAM_EXITS:
            raise
        except BaseException as error:  # noqa: BLE001 - the user's class can raise any error
            raise ValueError(f"{name}: {describe_error(error)}") from None


def parse_template(template: str, column_names: Sequence[str]) -> PromptTemplate:
    """Parse a prompt template.

    {name} or {{name}} is a placeholder for a column. Other braces stay as typed.

    Raises:
        InvalidOptionError: A placeholder does not name a column, or the prompt has no placeholder.
    """
    texts: list[str] = [""]
    placeholders: list[str] = []
    text_start = 0
    for match in PLACEHOLDER_PATTERN.finditer(template):
        name = (match[1] or match[2] or "").strip()
        if name in column_names:
            texts[-1] += template[text_start : match.start()]
            texts.append("")
            placeholders.append(name)
            text_start = match.end()
        elif name.isidentifier():
            raise InvalidOptionError(
                _("{placeholder} is not a column of the data").format(placeholder=match[0]),
                _format_columns_hint(column_names),
            )
    texts[-1] += template[text_start:]
    if not placeholders:
        raise InvalidOptionError(
            _("The prompt has no placeholder for a column, such as {example}").format(
                example="{text}"
            ),
            _format_columns_hint(column_names),
        )
    return PromptTemplate(tuple(texts), tuple(placeholders))


def _format_columns_hint(column_names: Sequence[str]) -> str:
    listed_names = [
        *column_names[:MAX_LISTED_COLUMNS],
        *(["…"] if len(column_names) > MAX_LISTED_COLUMNS else []),
    ]
    return _("Columns: {names}.").format(names=", ".join(listed_names))
