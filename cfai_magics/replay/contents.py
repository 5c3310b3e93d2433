"""The lines of a cassette, and its interactions indexed by fingerprint."""

import json
import re
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ..i18n import _, ngettext
from .fingerprint import RecordedRequest
from .interaction import CorruptLineError, Interaction, parse_line
from .line_order import LineOrder

MAX_LISTED_LINES = 5  # maximum number of lines listed per error
BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # added at the start of a file by some editors
PENDING_FIELD = re.compile(rb'\{"replace_from":(null|\d{1,9}),')  # at the start of a line


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a cassette.

    Attributes:
        content: The bytes of the line, including the line feed, if any.
        interaction: The parsed interaction, or None if the line is corrupt or empty.
        error: The untranslated message of the CorruptLineError, or "" if the line is not corrupt.
        is_pending: Whether the line was appended and has not yet been moved to its final position.
        replace_from: If set, the line replaces earlier lines for the same request that have the
            same index or an index of at least `replace_from`.
    """

    content: bytes
    interaction: Interaction | None = None
    error: str = ""
    is_pending: bool = False
    replace_from: int | None = None

    def in_place(self) -> "Line":
        """Return the line without its `replace_from` field."""
        if not self.is_pending:
            return self
        return Line(PENDING_FIELD.sub(b"{", self.content, count=1), self.interaction)


def to_pending_line(interaction: Interaction, replace_from: int | None = None) -> bytes:
    """Serialize an interaction as a pending line."""
    field = b'{"replace_from":%s,' % json.dumps(replace_from).encode()
    return interaction.to_line().replace(b"{", field, 1)


class Contents:
    """The lines of a cassette, and its interactions indexed by fingerprint.

    `parsed_lines` contains lines that need not be parsed again. Each key is the content of a line
    without the `replace_from` field.
    """

    def __init__(
        self, content: bytes = b"", parsed_lines: Mapping[bytes, Line] | None = None
    ) -> None:
        self._lines: list[Line] = []
        self._ordered_lines: tuple[Line, ...] | None = None
        self._by_fingerprint: dict[str, list[Interaction]] = {}
        self._by_portable_fingerprint: dict[str, list[Interaction]] = {}
        self._line_numbers_by_error: dict[str, list[int]] = defaultdict(list)
        self._models_by_short_name: dict[str, list[str]] = {}
        self.has_pending_lines = False
        self._max_sort_key = ("", 0)  # no line has a greater sort key
        lines = content.removeprefix(BYTE_ORDER_MARK).splitlines(keepends=True)
        for line in _read_lines(lines, parsed_lines or {}):
            self._add_line(line)
        for matches in (*self._by_fingerprint.values(), *self._by_portable_fingerprint.values()):
            matches.sort(key=_sort_key)

    @property
    def lines(self) -> tuple[Line, ...]:
        """All lines, in the order in which they appear in the file."""
        return tuple(self._lines)

    @property
    def ordered_lines(self) -> tuple[Line, ...]:
        """The lines in their final order, without replaced lines."""
        if self._ordered_lines is None:
            self._ordered_lines = tuple(_order_lines(self.lines))
        return self._ordered_lines

    @property
    def interactions(self) -> tuple[Interaction, ...]:
        """The interactions, in the order of `ordered_lines`."""
        return tuple(line.interaction for line in self.ordered_lines if line.interaction)

    def lookup(
        self, request: RecordedRequest, index: int
    ) -> tuple[Interaction | None, Interaction | None]:
        """Return a request's recording with the given index, and an alternative recording.

        Either value is None if there is no such recording. The alternative is a recording of the
        same request with any index. If the request was recorded only with another backend
        (Workers AI or any local model), the alternative comes from that backend.
        """
        matches = self._by_fingerprint.get(request.fingerprint, [])
        alternatives = matches or self._by_portable_fingerprint.get(
            request.portable_fingerprint, []
        )
        exact = _find_index(matches, index)
        return exact, alternatives[index % len(alternatives)] if alternatives else None

    def find(self, fingerprint: str) -> Sequence[Interaction]:
        """Return the recordings of the request with this fingerprint, sorted by index.

        If it was recorded only with another backend, the recordings come from that backend.
        """
        matches = self._by_fingerprint.get(fingerprint)
        return matches or self._by_portable_fingerprint.get(fingerprint, [])

    def find_full_model_name(self, short_name: str) -> str:
        """Return the full name of a recorded model, or "" if no model has this short name."""
        return min(self._models_by_short_name.get(short_name, ()), default="")

    def is_last(self, interaction: Interaction) -> bool:
        """Return whether an interaction belongs at the end of the file."""
        return interaction.sort_key >= self._max_sort_key

    def would_replace(self, interaction: Interaction, replace_from: int) -> bool:
        """Return whether adding an interaction would replace existing interactions."""
        matches = self._by_fingerprint.get(interaction.request.fingerprint, [])
        return any(_is_replaced(match, interaction, replace_from) for match in matches)

    @property
    def has_complete_end(self) -> bool:
        """Whether the file is empty or ends with a line feed."""
        return not self._lines or self._lines[-1].content.endswith(b"\n")

    @property
    def last_line(self) -> bytes:
        """The content of the last line, or b"" if there are no lines."""
        return self._lines[-1].content if self._lines else b""

    def append(self, content: bytes) -> None:
        """Add lines that were appended to the file."""
        if not self.has_complete_end:
            self._lines[-1] = _with_newline(self._lines[-1])
        for line in _read_lines(content.splitlines(keepends=True), {}):
            self._add_line(line, is_sorted=True)

    def _add_line(self, line: Line, *, is_sorted: bool = False) -> None:
        """Add the next line, and add its interaction to the indexes.

        If `is_sorted` is true, each affected list in the indexes is replaced with a new sorted
        list, because other threads may be reading the old list. Otherwise, the caller must sort
        the lists.
        """
        self._lines.append(line)
        self._ordered_lines = None
        self.has_pending_lines |= line.is_pending
        if line.error:
            self._line_numbers_by_error[line.error].append(len(self._lines))
        interaction = line.interaction
        if interaction is None:
            return
        self._max_sort_key = max(self._max_sort_key, interaction.sort_key)
        for index, fingerprint in self._indexes(interaction):
            matches = index.get(fingerprint, [])
            if line.replace_from is not None:
                matches = [
                    match
                    for match in matches
                    if not _is_replaced(match, interaction, line.replace_from)
                ]
            if is_sorted:
                matches = [*matches]
                insort(matches, interaction, key=_sort_key)
            else:
                matches.append(interaction)
            index[fingerprint] = matches
        model = interaction.request.model
        names = self._models_by_short_name.setdefault(model.rpartition("/")[2], [])
        if model not in names:
            names.append(model)

    def _indexes(
        self, interaction: Interaction
    ) -> Iterator[tuple[dict[str, list[Interaction]], str]]:
        """Yield each index, with the key under which it lists the interaction."""
        yield self._by_fingerprint, interaction.request.fingerprint
        yield self._by_portable_fingerprint, interaction.request.portable_fingerprint

    @property
    def corruption_notes(self) -> list[str]:
        """One note per kind of error, with the numbers of the corrupt lines."""
        return [
            ngettext("line {numbers} ({error})", "lines {numbers} ({error})", len(numbers)).format(
                numbers=_format_line_numbers(numbers), error=_(error)
            )
            for error, numbers in self._line_numbers_by_error.items()
        ]


def _sort_key(interaction: Interaction) -> tuple[str, int]:
    return interaction.sort_key


def _find_index(matches: Sequence[Interaction], index: int) -> Interaction | None:
    """Return the first interaction with this index, or None if there is none.

    `matches` contains the interactions of one request, sorted by index.
    """
    position = bisect_left(matches, index, key=lambda interaction: interaction.index)
    found = matches[position] if position < len(matches) else None
    return found if found is not None and found.index == index else None


def _is_replaced(old: Interaction, interaction: Interaction, replace_from: int) -> bool:
    if old.request.fingerprint != interaction.request.fingerprint:
        return False
    return old.index == interaction.index or old.index >= replace_from


def _order_lines(lines: Sequence[Line]) -> Iterable[Line]:
    """Return the lines in their final order, without replaced lines."""
    if not any(line.is_pending for line in lines):
        return lines
    order = LineOrder[Line]()
    for line in map(_with_newline, lines):
        sort_key = line.interaction.sort_key if line.interaction else None
        if not line.is_pending or sort_key is None:
            order.append(line, sort_key)
            continue
        if line.replace_from is not None:
            order.remove(sort_key, line.replace_from)
        order.insert(line.in_place(), sort_key)
    return order


def _format_line_numbers(numbers: Sequence[int]) -> str:
    listed = ", ".join(f"{number:,}" for number in numbers[:MAX_LISTED_LINES])
    if len(numbers) <= MAX_LISTED_LINES:
        return listed
    return _("{numbers} and {count:,} more").format(
        numbers=listed, count=len(numbers) - MAX_LISTED_LINES
    )


def _join_lines(lines: list[bytes]) -> Iterator[bytes]:
    """Rejoin lines that were split at carriage returns. Yield lines split only at line feeds."""
    buffer = b""
    for line in lines:
        buffer += line
        if line.endswith(b"\n"):
            yield buffer
            buffer = b""
    if buffer:
        yield buffer


def _read_lines(lines: list[bytes], parsed_lines: Mapping[bytes, Line]) -> Iterator[Line]:
    for content in _join_lines(lines):
        field = PENDING_FIELD.match(content)
        if field is None:
            yield parsed_lines.get(content) or _read_line(content)
            continue
        final_content = b"{" + content[field.end() :]
        line = parsed_lines.get(final_content) or _read_line(final_content)
        replace_from = None if field[1] == b"null" else int(field[1])
        is_pending = line.interaction is not None
        yield replace(line, content=content, is_pending=is_pending, replace_from=replace_from)


def _read_line(content: bytes) -> Line:
    if not content.strip():
        return Line(content)
    try:
        return Line(content, parse_line(content))
    except CorruptLineError as error:
        return Line(content, error=str(error))


def _with_newline(line: Line) -> Line:
    """Return the line, with a line feed added at the end if it is missing."""
    has_newline = line.content.endswith(b"\n")
    return line if has_newline else replace(line, content=line.content + b"\n")
