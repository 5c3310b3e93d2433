"""Read the answers that were displayed in a notebook back from its file."""

import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any, NamedTuple

from ..notebook import ASK_LINE, read_notebook, split_cell, to_valid_text
from ..types.provenance import METADATA_MIME_TYPE, split_group_metadata

FIRST_YEAR, LAST_YEAR = 1970, 9998  # of dates in a notebook's metadata
MEDIA_TYPES = ("image/png", "image/jpeg")
MEDIA_URL = re.compile(r'src="data:[\w.+-]+/[\w.+-]+;base64,([A-Za-z0-9+/=]+)"')
FOOTER_START = '<div style="color:var(--jp-ui-font-color2'  # of MUTED_STYLE, in all versions
TAG = re.compile(r"</?([a-zA-Z][a-zA-Z0-9]*+)[^<>]*+>")
BLOCK_TAGS = frozenset(
    (
        *("blockquote", "br", "details", "div", "hr", "li", "ol", "p", "pre", "summary"),
        *("h1", "h2", "h3", "h4", "h5", "h6", "table", "tr", "ul"),
    )
)
CELL_TAGS = frozenset(("td", "th"))


class SavedAnswer(NamedTuple):
    """An answer in the outputs of a notebook file. All values come from the file, unchecked.

    Attributes:
        cell: The position of the cell among all cells, from 1.
        source: The source of the cell. It may have been edited after the answer.
        metadata: The metadata of the answer; empty if the output has none.
        text: The text that the output shows. It may be empty.
        media: The bytes of a generated image or audio clip, or b"".
        is_shared: Whether `text` is the text of all answers of an output with several answers.
        error: The error that the cell ended with, or "".
    """

    cell: int
    source: str
    metadata: Mapping[str, Any]
    text: str
    media: bytes = b""
    is_shared: bool = False
    error: str = ""


def read_saved_answers(path: Path) -> list[SavedAnswer]:
    """Return the answers in a notebook's outputs, in order.

    An answer without metadata is returned if its cell is a `%%cfai` cell or has a line with
    `%cfai ask`.

    Raises:
        InvalidOptionError: The file can't be read or is not a notebook.
    """
    answers: list[SavedAnswer] = []
    for number, cell in enumerate(read_notebook(path)["cells"], start=1):
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            outputs = cell.get("outputs")
            outputs = outputs if isinstance(outputs, list) else []
            outputs = [output for output in outputs if isinstance(output, dict)]
            found = list(_iter_cell_answers(number, _join(cell.get("source")), outputs))
            error = next(filter(None, map(_get_error, outputs)), "")
            answers += [answer._replace(error=error) for answer in found]
    return answers


def _iter_cell_answers(
    number: int, source: str, outputs: list[dict[str, Any]]
) -> Iterator[SavedAnswer]:
    printed = ""  # an answer with -f text is printed, and its footer has the metadata
    shown: list[str] = []
    has_metadata = False
    for output in outputs:
        if output.get("output_type") == "stream" and output.get("name") == "stdout":
            printed += _join(output.get("text"))
            continue
        data = output.get("data")
        data = data if isinstance(data, dict) else {}
        entry = _get_metadata(output)
        if entry is None:
            shown.append(_join(data.get("text/markdown")))
            continue
        is_shared = isinstance(entry, dict) and isinstance(entry.get("answers"), list)
        text, media = _read_bundle(data, printed, is_shared=is_shared)
        for metadata in split_group_metadata(entry):
            if isinstance(metadata, dict):
                yield SavedAnswer(number, source, metadata, text, media, is_shared)
        printed, has_metadata = "", True
    if has_metadata:
        return
    is_cell = split_cell(source) is not None
    text = "\n\n".join(filter(None, shown)) or (printed if is_cell else "")
    if text.strip() and (is_cell or ASK_LINE.search(source)):
        yield SavedAnswer(number, source, {}, text)


def _get_metadata(output: Mapping[str, Any]) -> Any:
    metadata = output.get("metadata")
    return metadata.get(METADATA_MIME_TYPE) if isinstance(metadata, dict) else None


def _read_bundle(data: Mapping[str, Any], printed: str, *, is_shared: bool) -> tuple[str, bytes]:
    """Return the text and the media of a MIME bundle, from the form with the whole answer."""
    markdown, html, plain = (
        _join(data.get(f"text/{kind}")) for kind in ("markdown", "html", "plain")
    )
    if markdown:
        return markdown, b""
    if is_shared and html:
        return convert_html_to_text(html), b""
    encoded = next((_join(data[mime]) for mime in MEDIA_TYPES if mime in data), "")
    if not encoded and html:
        match = MEDIA_URL.search(html)
        encoded = match[1] if match else ""
    if encoded:
        return plain, _decode(encoded)
    if html.startswith(FOOTER_START):
        return printed, b""
    return plain or _join(data.get("text/latex")) or convert_html_to_text(html), b""


def _decode(encoded: str) -> bytes:
    try:
        return b64decode(encoded)
    except ValueError:
        return b""


def _get_error(output: Mapping[str, Any]) -> str:
    if output.get("output_type") != "error":
        return ""
    return to_valid_text(output.get("ename"))


def _join(value: Any) -> str:
    """Return a text in a notebook file, which is a string or a list of lines."""
    lines = value if isinstance(value, list) else [value]
    return "".join(map(to_valid_text, lines))


def convert_html_to_text(html: str) -> str:
    """Return the text of HTML, with its blocks on separate lines.

    The HTML is that of this package, in which all text is escaped. For other HTML, the time is
    proportional to the length too, unlike that of Python's HTMLParser.
    """
    text = unescape(TAG.sub(_replace_tag, html))
    lines = (line.strip("\t ") for line in text.split("\n"))
    return "\n".join(filter(None, lines))


def _replace_tag(tag: re.Match[str]) -> str:
    name = tag[1].lower()
    return "\n" if name in BLOCK_TAGS else "\t" if name in CELL_TAGS else ""


def parse_timestamp(date: Any) -> float:
    """Return the time of an ISO date in seconds since the epoch, or 0 if it is not valid.

    Dates without an offset are in UTC. Years before 1970 and after 9998 are not valid, because
    the report could not show them in every time zone.
    """
    try:
        moment = datetime.fromisoformat(to_valid_text(date))
    except ValueError:
        return 0.0
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        return 0.0
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def parse_number(value: Any, maximum: float) -> float | None:
    """Return a number from JSON, or None if it is not between 0 and `maximum`."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value <= maximum else None
