"""Read the open notebook: its path, `%%cfai` cells, output metadata and errors."""

import json
import re
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from traceback import TracebackException
from typing import Any, NamedTuple

from .errors import CfaiError, InvalidOptionError
from .i18n import _
from .magic_line import join_words, split_magic_line
from .state_files import UnreadableFileError, read_text
from .types.provenance import METADATA_MIME_TYPE, split_group_metadata

NOTEBOOK_PATH_VARIABLE = "JPY_SESSION_NAME"  # set by Jupyter Server: the path at kernel start
FRONT_END_VARIABLES = {
    "COLAB_RELEASE_TAG": "Colab",
    "VSCODE_PID": "VS Code",
    "VSCODE_CWD": "VS Code",
}
VS_CODE_PATH_NAME = "__vsc_ipynb_file__"  # a variable in the notebook's namespace
FILE_PATTERN = re.compile(r'File "([^"\n]+)"')
IPYTHON_PATHS = ("/IPython/core/", "/ipykernel/")
FindCellName = Callable[[str], tuple[str, str] | None]
CELL_MAGIC = "%%cfai"
# A line such as `answer = %cfai ask Why?` in a cell of code.
ASK_LINE = re.compile(r"^[ \t]*(?:[\w., ]+=[ \t]*)?%cfai[ \t]+ask\b(.*)$", re.MULTILINE)
WRAPPER_MAGICS = ("%%time", "%%capture", "%%prun")  # they run the rest of the cell once
MAX_NOTEBOOK_BYTES = 200_000_000  # including the images in outputs


def find_notebook_path(environ: Mapping[str, str], namespace: Mapping[str, Any]) -> str:
    """Return the path of the notebook, or "" if neither VS Code nor Jupyter Server sets it."""
    return str(namespace.get(VS_CODE_PATH_NAME) or environ.get(NOTEBOOK_PATH_VARIABLE) or "")


def describe_front_end(environ: Mapping[str, str], shell: object) -> str:
    """Return the name of the user's front end, detected from the environment and the shell."""
    if shell is None:
        return _("a shell")
    if not hasattr(shell, "kernel"):
        return _("IPython in a terminal")
    detected = (name for variable, name in FRONT_END_VARIABLES.items() if variable in environ)
    return _("a {frontend} kernel").format(frontend=next(detected, "Jupyter"))


class CellError(NamedTuple):
    """A failed cell: its execution count, its source and its formatted traceback."""

    number: int
    source: str
    traceback: str

    @property
    def last_line(self) -> str:
        """The last line of the traceback, which names the error."""
        return self.traceback.rpartition("\n")[2]


class CellErrors:
    """The tracebacks of failed cells by execution count, as in `Err[3]`.

    str() returns the most recent traceback.
    """

    def __init__(self, find_cell_name: FindCellName) -> None:
        self._find_cell_name = find_cell_name
        self._errors_by_number: dict[int, CellError] = {}
        self._last_value: BaseException | None = getattr(sys, "last_value", None)

    def on_post_run_cell(self, result: Any) -> None:
        """Store the error of a failed cell. IPython calls this after each cell (post_run_cell).

        The execution count is taken from `result` because some IPython versions have already
        incremented the shell's counter at this point.
        """
        displayed_error = self._new_last_value()
        error = result.error_before_exec or result.error_in_exec or displayed_error
        is_excluded = isinstance(error, (CfaiError, KeyboardInterrupt, SystemExit))
        if error is None or is_excluded or not result.execution_count:
            return
        self._errors_by_number.pop(result.execution_count, None)  # keep errors in order
        traceback = format_traceback(error, self._find_cell_name)
        self._errors_by_number[result.execution_count] = CellError(
            result.execution_count, result.info.raw_cell, traceback
        )

    def _new_last_value(self) -> BaseException | None:
        """Return `sys.last_value` if it is new, or None.

        Magics such as IPython 8's %%time catch and show errors, so `result` does not contain them.
        """
        value = getattr(sys, "last_value", None)
        new_value, self._last_value = (None if value is self._last_value else value), value
        return new_value

    def find(self, number: int | None = None) -> CellError | None:
        """Return the error of a cell, by default the most recent one, or None if there is none."""
        if number is not None:
            return self._errors_by_number.get(number)
        return next(reversed(self._errors_by_number.values()), None)

    def __getitem__(self, number: int) -> str:
        if number not in self._errors_by_number:
            raise LookupError(_("In[{number}] did not fail").format(number=number))
        return self._errors_by_number[number].traceback

    def __str__(self) -> str:
        last = self.find()
        if last is None:
            raise LookupError(_("no cell has failed so far"))
        return last.traceback


def format_traceback(error: BaseException, find_cell_name: FindCellName) -> str:
    """Return the traceback without IPython's frames, with cells as In[N] and home as ~."""
    formatted = TracebackException.from_exception(error)
    _remove_ipython_frames(formatted)
    home = str(Path.home())

    def replace_path(match: re.Match[str]) -> str:
        cell_name = find_cell_name(match[1])
        return f'File "{cell_name[1] if cell_name else match[1].replace(home, "~", 1)}"'

    return FILE_PATTERN.sub(replace_path, "".join(formatted.format())).rstrip()


def _remove_ipython_frames(formatted: TracebackException) -> None:
    frames = [
        f
        for f in formatted.stack
        if not any(p in _to_posix_path(f.filename) for p in IPYTHON_PATHS)
    ]
    formatted.stack[:] = frames
    for chained in (formatted.__cause__, formatted.__context__, *(formatted.exceptions or ())):
        if chained is not None:
            _remove_ipython_frames(chained)


def _to_posix_path(path: str) -> str:
    return path.replace("\\", "/")


class CfaiCell(NamedTuple):
    """A `%%cfai` cell or a line with `%cfai ask`, with its options and its prompt.

    `number` is the position among all cells, from 1. If the line can't be parsed, `options` is
    None and `error` is the reason.
    """

    number: int
    options: Namespace | None
    text: str
    error: str = ""


def read_cfai_cells(
    path: Path, cell_parser: ArgumentParser, line_parser: ArgumentParser
) -> list[CfaiCell]:
    """Return the `%%cfai` cells and the lines with `%cfai ask` in a notebook file.

    Args:
        path: The notebook.
        cell_parser: The parser of the options of a cell.
        line_parser: The parser of the words of a line.

    Raises:
        InvalidOptionError: The file can't be read or is not a notebook.
    """
    cells = []
    for number, source in _iter_code_sources(path):
        parts = split_cell(source)
        if parts:
            cells.append(_parse_cell(number, *parts, cell_parser))
        elif not _has_other_magic(source):
            lines = (match[1] for match in ASK_LINE.finditer(source))
            cells += [_parse_line(number, line, line_parser) for line in lines]
    return cells


def _has_other_magic(source: str) -> bool:
    """Return whether a cell magic such as `%%writefile` reads the cell as text."""
    name = split_magic(source)[0]
    return name.startswith("%%") and name not in WRAPPER_MAGICS


def read_provenances(path: Path) -> list[dict[str, Any]]:
    """Return the provenance entries in a notebook's output metadata, in order.

    Raises:
        InvalidOptionError: The file can't be read or is not a notebook.
    """
    outputs = (
        output
        for cell in read_notebook(path)["cells"]
        if isinstance(cell, dict)
        for output in _get_outputs(cell)
    )
    metadata_items = (output.get("metadata") for output in outputs if isinstance(output, dict))
    entries = (
        metadata.get(METADATA_MIME_TYPE)
        for metadata in metadata_items
        if isinstance(metadata, dict)
    )
    return [
        provenance
        for entry in entries
        for provenance in split_group_metadata(entry)
        if isinstance(provenance, dict)
    ]


def _get_outputs(cell: dict[str, Any]) -> list[Any]:
    outputs = cell.get("outputs")
    return outputs if isinstance(outputs, list) else []


def split_cell(source: str) -> tuple[str, str] | None:
    """Return the line and the body of a `%%cfai` cell, as IPython passes them to the magic.

    A magic such as `%%time` above it runs the rest of the cell. Returns None for other cells.
    """
    while True:
        name, line, source = split_magic(source)
        if name not in WRAPPER_MAGICS:
            return (line, source) if name == CELL_MAGIC else None


def split_magic(source: str) -> tuple[str, str, str]:
    """Return the first word of a cell, the rest of its line, and the lines below.

    IPython ignores empty lines above a cell magic and the indentation of its line.
    """
    first_line = ""
    while source and not first_line.strip():
        first_line, _newline, source = source.partition("\n")
    indent = first_line[: len(first_line) - len(first_line.lstrip())]
    if indent:
        source = re.sub(f"^{indent}", "", source, flags=re.MULTILINE)
    name, _space, line = first_line.strip().partition(" ")
    return name, line, source


def _parse_cell(number: int, line: str, text: str, parser: ArgumentParser) -> CfaiCell:
    try:
        return CfaiCell(number, parser.parse_args(split_magic_line(line)), text)
    except CfaiError as error:
        return CfaiCell(number, None, text, error.cause)


def _parse_line(number: int, line: str, parser: ArgumentParser) -> CfaiCell:
    try:
        options = parser.parse_args(split_magic_line(line))
        return CfaiCell(number, options, join_words(options.prompt))
    except CfaiError as error:
        return CfaiCell(number, None, line.strip(), error.cause)


def _iter_code_sources(path: Path) -> Iterator[tuple[int, str]]:
    for number, cell in enumerate(read_notebook(path)["cells"], start=1):
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            source = cell.get("source")
            lines = source if isinstance(source, list) else [source]
            yield number, "".join(map(to_valid_text, lines))


def read_cell_ids(path: Path) -> list[str]:
    """Return the IDs of the cells in a notebook file, in order. Cells without an ID are left out.

    Raises:
        InvalidOptionError: The file can't be read or is not a notebook.
    """
    cells = (cell for cell in read_notebook(path)["cells"] if isinstance(cell, dict))
    return [cell["id"] for cell in cells if isinstance(cell.get("id"), str)]


def read_notebook(path: Path) -> dict[str, Any]:
    """Return the content of a notebook file. "cells" is a list, but its items are not checked.

    Raises:
        InvalidOptionError: The file can't be read or is not a notebook.
    """
    try:
        notebook = json.loads(read_text(path, MAX_NOTEBOOK_BYTES))
    except UnreadableFileError as error:
        raise InvalidOptionError(
            _("{path} can't be read: {reason}").format(path=path, reason=error),
            _("Check the path."),
        ) from None
    except (ValueError, RecursionError):
        notebook = None
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise InvalidOptionError(
            _("{path} is not a notebook in the current format").format(path=path),
            _("Open and save it in JupyterLab."),
        )
    return notebook


def to_valid_text(value: Any) -> str:
    """Return a string from JSON with lone surrogates replaced, or "" for any other value."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else ""
