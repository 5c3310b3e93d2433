"""Read the students of a class from a CSV file, as spreadsheets and teachers write it."""

import codecs
import csv
import unicodedata
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from ..errors import InvalidOptionError
from ..i18n import _, get_language, ngettext
from ..state_files import describe_error

MAX_BYTES = 1_000_000
MAX_NAME_CHARS = 64  # as the class server
MAX_LISTED = 5  # lines in an error message
MAX_NEURONS = 1e9  # as the class server
NAME_HEADERS = {"name", "names", "student", "students", "full name", "姓名", "名字", "学生"}
BUDGET_HEADERS = {"budget", "neurons", "预算", "额度"}
DELIMITERS = ",;\t"
FORMULA_STARTS = "=+-@"  # a spreadsheet would run the name in keys.csv as a formula
JOINERS = "\u200c\u200d"  # invisible, but part of names in some scripts


class NewStudent(NamedTuple):
    """A student to add. `budget` is in neurons per day; None is the share of the class."""

    name: str
    budget: float | None = None


class _Row(NamedTuple):
    line: int
    cells: Sequence[str]


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
    header is optional if the file has only names. The column "budget" has neurons per day.

    Raises:
        InvalidOptionError: The file can't be read, or some lines are not valid. The message lists
            the lines.
    """
    rows = _parse_rows(_read_text(path))
    if not rows:
        raise _empty_error(path)
    header = [cell.strip().casefold() for cell in rows[0].cells]
    name_column = _find_column(header, NAME_HEADERS)
    budget_column = _find_column(header, BUDGET_HEADERS)
    if name_column is not None:
        rows = rows[1:]
    elif any(cell.strip() for row in rows for cell in row.cells[1:]):
        raise InvalidOptionError(
            _("{path} has several columns, and none is called “name”").format(path=path),
            _("Put the names of the students in a column with the header “name”."),
        )
    students, problems = _collect(rows, name_column or 0, budget_column)
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
    rows: Sequence[_Row], name_column: int, budget_column: int | None
) -> tuple[list[NewStudent], list[str]]:
    """Return the students, and the problems with their line numbers."""
    students: list[NewStudent] = []
    problems: list[str] = []
    line_by_name: dict[str, int] = {}
    for row in rows:
        name = normalize_name(_get_cell(row, name_column))
        budget_text = "" if budget_column is None else _get_cell(row, budget_column).strip()
        found = list(_iter_problems(name, budget_text, line_by_name))
        problems += [
            _("line {line}: {problem}").format(line=row.line, problem=problem) for problem in found
        ]
        if not found:
            line_by_name[name.casefold()] = row.line
            students.append(NewStudent(name, _parse_budget(budget_text)))
    return students, problems


def _get_cell(row: _Row, column: int) -> str:
    return row.cells[column] if column < len(row.cells) else ""


def _iter_problems(name: str, budget_text: str, line_by_name: dict[str, int]) -> Iterator[str]:
    problem = find_name_problem(name)
    if problem:
        yield problem
    elif name.casefold() in line_by_name:
        yield _("{name!r} is also in line {line}").format(
            name=name, line=line_by_name[name.casefold()]
        )
    if budget_text and _parse_budget(budget_text) is None:
        yield _("{text!r} is not a number of neurons").format(text=budget_text)


def _parse_budget(text: str) -> float | None:
    """Return the number of neurons in a cell, or None if the cell has no valid number."""
    try:
        budget = float(text)
    except ValueError:
        return None
    return budget if 0 <= budget <= MAX_NEURONS else None
