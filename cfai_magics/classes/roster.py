"""Read the students of a class from a CSV file, as spreadsheets and teachers write it."""

import codecs
import csv
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from ..errors import InvalidOptionError
from ..i18n import _, get_language, mark, ngettext
from ..state_files import describe_error

MAX_BYTES = 1_000_000
MAX_NAME_CHARS = 64  # as the class server
MAX_LISTED = 5  # lines in an error message
MAX_NEURONS = 1e9  # as the class server
MAX_ANSWER_TOKENS = 131_072  # as the class server
NAME_HEADERS = {"name", "names", "student", "students", "full name", "姓名", "名字", "学生"}
DELIMITERS = ",;\t"
FORMULA_STARTS = "=+-@"  # a spreadsheet would run the name in keys.csv as a formula
JOINERS = "\u200c\u200d"  # invisible, but part of names in some scripts
HOURS_PATTERN = re.compile(r"([01]?\d|2[0-3]):([0-5]\d) ?[-\u2013] ?([01]?\d|2[0-3]):([0-5]\d)")
NO_SETTINGS: Mapping[str, Any] = MappingProxyType({})


class NewStudent(NamedTuple):
    """A student to add.

    `settings` has the names of the class server, such as "budget" in neurons per day. The settings
    of the class apply to what it does not have.
    """

    name: str
    settings: Mapping[str, Any] = NO_SETTINGS

    @property
    def budget(self) -> float | None:
        """The student's neurons per day; None is the share of the class."""
        return self.settings.get("budget")


class _Row(NamedTuple):
    line: int
    cells: Sequence[str]


class _Column(NamedTuple):
    """A column with a setting of each student. `parse` raises ValueError for a wrong cell."""

    setting: str
    headers: set[str]
    parse: Callable[[str], object]
    problem: str


def normalize_name(text: str) -> str:
    """Return a name with single spaces and composed letters, as it is stored."""
    return unicodedata.normalize("NFC", " ".join(text.replace("\ufeff", "").split()))


def find_name_problem(name: str) -> str:
    """Return why a name can't be used, or "" if it can."""
    if not name:
        return _("the name is missing")
    if len(name) > MAX_NAME_CHARS:
        return _("the name has more than {count} characters").format(count=MAX_NAME_CHARS)
    if "/" in name or name in (".", ".."):
        return _("{name!r} has a slash, or only dots").format(name=name)
    if any(unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in JOINERS for c in name):
        return _("{name!r} has an invisible character").format(name=name)
    if name[0] in FORMULA_STARTS:
        return _("{name!r} starts like a formula of a spreadsheet").format(name=name)
    return ""


def parse_names(names: Sequence[str]) -> list[NewStudent]:
    """Return students with these names, as typed in a command.

    Raises:
        InvalidOptionError: A name is not valid, or is given twice.
    """
    students = [NewStudent(normalize_name(name)) for name in names]
    for position, student in enumerate(students):
        problem = find_name_problem(student.name)
        if not problem and student in students[:position]:
            problem = _("{name!r} is given twice").format(name=student.name)
        if problem:
            raise InvalidOptionError(
                _("Not a valid name: {problem}").format(problem=problem), _("Change the name.")
            )
    return students


def read_students(path: Path) -> list[NewStudent]:
    """Return the students in a CSV file, in its order.

    The delimiter is a comma, semicolon or tab, and the encoding UTF-8, UTF-16 or that of Excel. A
    header is optional if the file has only names. Columns with the headers of `COLUMNS` are
    settings of the students; other columns are ignored. The names of models are not checked.

    Raises:
        InvalidOptionError: The file can't be read, or some lines are not valid. The message lists
            the lines.
    """
    rows = _parse_rows(_read_text(path))
    if not rows:
        raise _empty_error(path)
    header = [cell.strip().casefold() for cell in rows[0].cells]
    name_column = _find_column(header, NAME_HEADERS)
    positions = [(column, _find_column(header, column.headers)) for column in COLUMNS]
    if name_column is not None:
        rows = rows[1:]
    elif any(cell.strip() for row in rows for cell in row.cells[1:]):
        raise InvalidOptionError(
            _("{path} has several columns, and none is called “name”").format(path=path),
            _("Put the names of the students in a column with the header “name”."),
        )
    columns = [(column, at) for column, at in positions if at is not None]
    students, problems = _collect(rows, name_column or 0, columns)
    if problems:
        raise _lines_error(path, problems)
    if not students:
        raise _empty_error(path)
    return students


def _empty_error(path: Path) -> InvalidOptionError:
    return InvalidOptionError(
        _("{path} has no names").format(path=path), _("Put the name of a student in each line.")
    )


def _lines_error(path: Path, problems: Sequence[str]) -> InvalidOptionError:
    listed = "; ".join(problems[:MAX_LISTED])
    return InvalidOptionError(
        ngettext(
            "{path} has {count} line that is not valid: {lines}",
            "{path} has {count} lines that are not valid: {lines}",
            len(problems),
        ).format(
            path=path,
            count=len(problems),
            lines=f"{listed}; …" if len(problems) > MAX_LISTED else listed,
        ),
        _("Correct the file, and run the command again. Nothing was written or sent."),
    )


def _read_text(path: Path) -> str:
    try:
        if not path.is_file():
            raise InvalidOptionError(
                _("There is no file {path}").format(path=path),
                _("Write the names of the students there, one in each line."),
            )
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InvalidOptionError(
            _("{path} can't be read: {error}").format(path=path, error=describe_error(error)),
            _("Check the file."),
        ) from None
    text = None if len(data) > MAX_BYTES else _decode(data)
    if text is None:
        raise InvalidOptionError(
            _("{path} is not a list of names").format(path=path),
            _("Save it as CSV with the encoding UTF-8."),
        )
    return text


def _decode(data: bytes) -> str | None:
    """Return the text of a file in one of the encodings that spreadsheets write."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ["utf-16"]
    elif b"\0" in data:
        encodings = ["utf-16-le" if data[1:2] == b"\0" else "utf-16-be"]
    else:
        # Excel writes "CSV" in the encoding of Windows.
        encodings = ["utf-8-sig", "gb18030" if get_language().startswith("zh") else "cp1252"]
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return None


def _parse_rows(text: str) -> list[_Row]:
    """Return the rows that are not blank."""
    lines = text.splitlines()
    first_line = next((line for line in lines if line.strip()), "")
    delimiter = max(DELIMITERS, key=first_line.count)
    if first_line.lower().startswith("sep="):  # a hint for Excel, not a row
        delimiter = first_line[4:5] or delimiter
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    return [
        _Row(reader.line_num, row)
        for row in reader
        if any(cell.strip() for cell in row) and not delimiter.join(row).lower().startswith("sep=")
    ]


def _find_column(header: Sequence[str], names: set[str]) -> int | None:
    return next((position for position, cell in enumerate(header) if cell in names), None)


def _collect(
    rows: Sequence[_Row], name_column: int, columns: Sequence[tuple[_Column, int]]
) -> tuple[list[NewStudent], list[str]]:
    """Return the students, and the problems with their line numbers."""
    students: list[NewStudent] = []
    problems: list[str] = []
    line_by_name: dict[str, int] = {}
    for row in rows:
        name = normalize_name(_get_cell(row, name_column))
        settings: dict[str, object] = {}
        found = [
            *_iter_name_problems(name, line_by_name),
            *_read_settings(row, columns, settings),
        ]
        problems += [
            _("line {line}: {problem}").format(line=row.line, problem=problem) for problem in found
        ]
        if not found:
            line_by_name[name.casefold()] = row.line
            students.append(NewStudent(name, settings))
    return students, problems


def _get_cell(row: _Row, column: int) -> str:
    return row.cells[column] if column < len(row.cells) else ""


def _iter_name_problems(name: str, line_by_name: Mapping[str, int]) -> Iterator[str]:
    problem = find_name_problem(name)
    if problem:
        yield problem
    elif name.casefold() in line_by_name:
        yield _("{name!r} is also in line {line}").format(
            name=name, line=line_by_name[name.casefold()]
        )


def _read_settings(
    row: _Row, columns: Sequence[tuple[_Column, int]], settings: dict[str, object]
) -> Iterator[str]:
    """Add the settings in the cells of a row to `settings`, and yield the problems."""
    for column, position in columns:
        text = _get_cell(row, position).strip()
        if not text:
            continue
        try:
            settings[column.setting] = column.parse(text)
        except ValueError:
            yield _(column.problem).format(text=text)


def _parse_budget(text: str) -> float:
    return _within(float(text), 0, MAX_NEURONS)


def _parse_count(text: str) -> int:
    return int(_within(int(text), 1, MAX_ANSWER_TOKENS))


def _within(number: float, low: float, high: float) -> float:
    if not low <= number <= high:
        raise ValueError
    return number


def _parse_expiry(text: str) -> str:
    """Return an ISO time. A time without a time zone is in UTC, and a day is its start."""
    time = datetime.fromisoformat(text)
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).isoformat()


def _parse_hours(text: str) -> Mapping[str, str]:
    hours = HOURS_PATTERN.fullmatch(text)
    if hours is None:
        raise ValueError
    start, end = f"{hours[1]:0>2}:{hours[2]}", f"{hours[3]:0>2}:{hours[4]}"
    if start == end:
        raise ValueError
    return {"from": start, "to": end}


COLUMNS = (
    _Column(
        "budget",
        {"budget", "neurons", "预算", "额度"},
        _parse_budget,
        mark("{text!r} is not a number of neurons"),
    ),
    _Column(
        "expires",
        {"expires", "有效期"},
        _parse_expiry,
        mark("{text!r} is not a date such as 2027-02-01"),
    ),
    _Column(
        "window",
        {"hours", "时段"},
        _parse_hours,
        mark("{text!r} is not a time range such as 08:00-16:00"),
    ),
    _Column("models", {"models"}, str.split, ""),
    _Column(
        "max_tokens",
        {"max_tokens", "max-tokens"},
        _parse_count,
        mark("{text!r} is not a number of tokens"),
    ),
    _Column(
        "requests_per_minute",
        {"requests_per_minute", "requests-per-minute"},
        _parse_count,
        mark("{text!r} is not a number of requests"),
    ),
)
