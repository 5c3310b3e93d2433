"""Read and write cassettes: files of recorded interactions, one per line.

A recorded answer is one line at the end of the file, so that its cost does not grow with the file.
Such a pending line begins with the field `replace_from`. When the session ends, or on `%cfai
replay`, pending lines lose that field and are moved to their places, so that diffs stay small.
"""

import atexit
import json
import os
import re
import sys
import threading
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from errno import EACCES, EINVAL, ENOSPC
from hashlib import sha256
from io import FileIO
from math import isnan
from pathlib import Path
from secrets import token_hex
from typing import Any, BinaryIO, overload

from filelock import FileLock, Timeout

from .. import state_files
from ..errors import StorageError
from ..types.messages import ReasoningDelta, TextDelta
from ..types.usage import Usage
from ..workers_ai.frame_decoder import FrameDecoder, unwrap_envelope
from .fingerprint import RecordedRequest, canonical_json
from .line_order import LineOrder

RecordedResponse = Mapping[str, Any]
CAPTURE_EXTENSION = "cfai.take"  # request extension: the Capture of the response
CONFLICT_MARKERS = (b"<<<<<<<", b"=======", b">>>>>>>")
SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")
MAX_DELAY_MS = 86_400_000  # ms, one day: longer delays are invalid
RESPONSE_KINDS = frozenset({"stream", "json", "vectors", "base64"})
LOCK_TIMEOUT = 30.0  # s to wait for the lock of another kernel
EXIT_LOCK_TIMEOUT = 3.0  # s: Jupyter kills a kernel that has not ended after 5 s
PENDING_FIELD = re.compile(rb'\{"replace_from":(null|\d{1,9}),')  # at the start of a line
NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)  # missing on Windows
MAX_LISTED_LINES = 5  # line numbers listed per error
BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # some editors write it at the start of a file


class CorruptLineError(ValueError):
    """A cassette line is not a valid interaction; the message says why."""


@dataclass(frozen=True, slots=True)
class Interaction:
    """One recorded call: a request and its responses.

    `index` numbers the recordings of the same request from 0. `date` is ISO, `version` is the
    package version. Each of the `responses` has one of RESPONSE_KINDS as a key, and `ms`: the
    milliseconds until it was complete.
    """

    request: RecordedRequest
    index: int
    date: str
    version: str
    finish_reason: str
    usage: Usage
    responses: Sequence[RecordedResponse]

    @property
    def sort_key(self) -> tuple[str, int]:
        """The key by which interactions are sorted: fingerprint and index."""
        return self.request.fingerprint, self.index

    @property
    def model(self) -> str:
        """The model that answered."""
        return self.request.local_model or self.request.model

    @property
    def text(self) -> str:
        """The answer's text, from streamed or single responses."""
        return "".join(self._iter_text("text"))

    @property
    def reasoning_and_text(self) -> tuple[str, str]:
        """The answer's reasoning and its text, joined from all responses."""
        return "".join(self._iter_text("thought")), self.text

    def _iter_text(self, stream_key: str) -> Iterator[str]:
        for response in self.responses:
            if "stream" in response:
                yield from (text for _, text in response["stream"][stream_key])
            elif "json" in response:
                delta_type = TextDelta if stream_key == "text" else ReasoningDelta
                deltas = FrameDecoder().decode(unwrap_envelope(response["json"]))
                yield from (delta.text for delta in deltas if isinstance(delta, delta_type))

    def to_line(self) -> bytes:
        """Serialize to a cassette line; equal interactions give the same bytes."""
        data = {
            "key": self.request.fingerprint,
            "nth": self.index,
            "date": self.date,
            "version": self.version,
            "model": self.model,
            "local": bool(self.request.local_model),
            "finish": self.finish_reason,
            "usage": _usage_to_json(self.usage),
            "request": _sort_keys(self.request.fields),
            "replies": list(self.responses),
        }
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        return text.encode(errors="replace") + b"\n"


def _usage_to_json(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "cached_tokens": usage.cached_tokens,
        "completion_tokens": usage.completion_tokens,
        "neurons": usage.neurons,
    }


def _sort_keys(value: Any) -> Any:
    """Return the value with all keys sorted, so that equal requests serialize equally."""
    if isinstance(value, Mapping):
        return {name: _sort_keys(value[name]) for name in sorted(value)}
    return [_sort_keys(item) for item in value] if isinstance(value, list) else value


class StoredResponses(Sequence[RecordedResponse]):
    """The responses of a line, which is parsed each time they are read.

    Most recordings are never played, and the pieces of 10,000 answers are a million objects.
    """

    __slots__ = ("_line",)

    def __init__(self, line: bytes) -> None:
        self._line = line

    def _parse(self) -> list[RecordedResponse]:
        responses: list[RecordedResponse] = json.loads(self._line)["replies"]
        return responses

    @overload
    def __getitem__(self, index: int) -> RecordedResponse: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[RecordedResponse]: ...
    def __getitem__(self, index: int | slice) -> RecordedResponse | Sequence[RecordedResponse]:
        return self._parse()[index]

    def __len__(self) -> int:
        return len(self._parse())

    def __iter__(self) -> Iterator[RecordedResponse]:
        return iter(self._parse())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._parse() == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self._parse())


def parse_line(line: bytes) -> Interaction:
    """Parse a cassette line; raises CorruptLineError if it is not a valid interaction."""
    if line.startswith(CONFLICT_MARKERS):
        raise CorruptLineError("is a mark of git's, where a merge has not been settled")
    try:
        data = json.loads(line)
        if SURROGATE_ESCAPE.search(line):
            canonical_json(data).encode()  # an unpaired surrogate is not valid text
    except (ValueError, RecursionError):
        raise CorruptLineError("is no JSON") from None
    try:
        interaction = _parse_interaction(data, line)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise CorruptLineError("lacks a part of a recorded answer") from None
    if data["key"] != interaction.request.fingerprint:
        raise CorruptLineError("was changed: its question does not fit its key")
    return interaction


def _parse_interaction(data: Any, line: bytes) -> Interaction:
    usage = data["usage"]
    names = ("prompt_tokens", "completion_tokens", "cached_tokens")
    prompt_tokens, completion_tokens, cached_tokens = (int(usage[name]) for name in names)
    neurons = None if usage["neurons"] is None else float(usage["neurons"])
    responses = data["replies"]
    if not responses or not all(_is_valid_response(response) for response in responses):
        raise KeyError("replies")
    return Interaction(
        RecordedRequest(dict(data["request"])),
        int(data["nth"]),
        str(data["date"]),
        str(data["version"]),
        str(data["finish"]),
        Usage(
            prompt_tokens,
            completion_tokens,
            cached_tokens,
            neurons,
            None if neurons is None else "billed",
        ),
        StoredResponses(line),
    )


def _is_valid_response(response: Any) -> bool:
    """Return whether a response has all fields that playback reads, with valid types."""
    (kind,) = RESPONSE_KINDS & response.keys()
    if kind == "stream":
        stream = response["stream"]
        chunks = [*stream["thought"], *stream["text"], (response["ms"], "")]
        delays, texts = zip(*chunks, strict=True)
        return _are_valid_delays(delays) and set(map(type, texts)) == {str}
    if not _are_valid_delays((response["ms"],)):
        return False
    return kind != "base64" or isinstance(response["base64"] + response["type"], str)


def _are_valid_delays(delays: Sequence[Any]) -> bool:
    """Return whether delays are numbers of ms from 0 to MAX_DELAY_MS."""
    return (
        set(map(type, delays)) <= {int, float, bool}
        and 0 <= min(delays) <= max(delays) <= MAX_DELAY_MS
        and not isnan(sum(delays))  # a NaN may be neither the least nor the greatest
    )


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a cassette; `interaction` is None if the line is corrupt or empty.

    A pending line was appended and is not yet in its place. If its `replace_from` is not None, it
    replaces the earlier lines of its request with the same index or one of at least
    `replace_from`.
    """

    content: bytes
    interaction: Interaction | None = None
    error: str = ""
    is_pending: bool = False
    replace_from: int | None = None

    def in_place(self) -> "Line":
        """Return the line as it is once it has been moved to its place."""
        if not self.is_pending:
            return self
        return Line(PENDING_FIELD.sub(b"{", self.content, count=1), self.interaction)


def to_pending_line(interaction: Interaction, replace_from: int | None = None) -> bytes:
    """Serialize to the line of an interaction that is not yet in its place."""
    field = b'{"replace_from":%s,' % json.dumps(replace_from).encode()
    return interaction.to_line().replace(b"{", field, 1)


class Contents:
    """The contents of a cassette: its lines, and its interactions by fingerprint.

    Lines in `parsed_lines` (by their content in place) are not parsed again.
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
        self._max_sort_key = ("", 0)  # of all lines; no line has a greater one
        lines = content.removeprefix(BYTE_ORDER_MARK).splitlines(keepends=True)
        for line in _read_lines(lines, parsed_lines or {}):
            self._add_line(line)
        for matches in (*self._by_fingerprint.values(), *self._by_portable_fingerprint.values()):
            matches.sort(key=_sort_key)

    @property
    def lines(self) -> tuple[Line, ...]:
        """All lines, as they are in the file."""
        return tuple(self._lines)

    @property
    def ordered_lines(self) -> tuple[Line, ...]:
        """The lines with all pending lines in their places, and without those they replace."""
        if self._ordered_lines is None:
            self._ordered_lines = tuple(_order_lines(self.lines))
        return self._ordered_lines

    @property
    def interactions(self) -> tuple[Interaction, ...]:
        """The interactions in the order of their lines."""
        return tuple(line.interaction for line in self.ordered_lines if line.interaction)

    def lookup(
        self, request: RecordedRequest, index: int
    ) -> tuple[Interaction | None, Interaction | None]:
        """Return the interaction of a request with this index, and an alternative, or None each.

        The alternative is any recording of the same request, or of the same request with another
        backend (Workers AI or any local model).
        """
        matches = self._by_fingerprint.get(request.fingerprint, [])
        alternatives = matches or self._by_portable_fingerprint.get(
            request.portable_fingerprint, []
        )
        exact = _find_index(matches, index)
        return exact, alternatives[index % len(alternatives)] if alternatives else None

    def find_full_model_name(self, short_name: str) -> str:
        """Return the full name of a recorded model by its short name; empty if there is none."""
        return min(self._models_by_short_name.get(short_name, ()), default="")

    def is_last(self, interaction: Interaction) -> bool:
        """Return whether the place of an interaction is at the end."""
        return interaction.sort_key >= self._max_sort_key

    def would_replace(self, interaction: Interaction, replace_from: int) -> bool:
        """Return whether there are interactions that this one would replace."""
        matches = self._by_fingerprint.get(interaction.request.fingerprint, [])
        return any(_is_replaced(match, interaction, replace_from) for match in matches)

    @property
    def has_complete_end(self) -> bool:
        """Whether the next line can be appended without a line feed before it."""
        return not self._lines or self._lines[-1].content.endswith(b"\n")

    @property
    def last_line(self) -> bytes:
        """The content of the last line; empty without lines."""
        return self._lines[-1].content if self._lines else b""

    def append(self, content: bytes) -> None:
        """Add the lines that were appended to the file."""
        if not self.has_complete_end:
            self._lines[-1] = _with_newline(self._lines[-1])
        for line in _read_lines(content.splitlines(keepends=True), {}):
            self._add_line(line, is_sorted=True)

    def _add_line(self, line: Line, *, is_sorted: bool = False) -> None:
        """Add the next line; without `is_sorted`, the caller sorts the lists of the indexes.

        With it, other threads may be reading these lists: they are replaced, not changed.
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
        """Yield each index with the fingerprint of an interaction in it."""
        yield self._by_fingerprint, interaction.request.fingerprint
        yield self._by_portable_fingerprint, interaction.request.portable_fingerprint

    @property
    def corruption_notes(self) -> list[str]:
        """One note per kind of error, with the numbers of the corrupt lines."""
        return [
            f"{_format_line_numbers(numbers)} {error}"
            for error, numbers in self._line_numbers_by_error.items()
        ]


def _sort_key(interaction: Interaction) -> tuple[str, int]:
    return interaction.sort_key


def _find_index(matches: Sequence[Interaction], index: int) -> Interaction | None:
    """Return the first of the interactions of one request, sorted by index, with this index."""
    position = bisect_left(matches, index, key=lambda interaction: interaction.index)
    found = matches[position] if position < len(matches) else None
    return found if found is not None and found.index == index else None


def _is_replaced(old: Interaction, interaction: Interaction, replace_from: int) -> bool:
    if old.request.fingerprint != interaction.request.fingerprint:
        return False
    return old.index == interaction.index or old.index >= replace_from


def _order_lines(lines: Sequence[Line]) -> Iterable[Line]:
    """Return the lines with the pending ones in their places."""
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
    more = (
        f" and {len(numbers) - MAX_LISTED_LINES:,} more" if len(numbers) > MAX_LISTED_LINES else ""
    )
    return f"line {listed}{more}"


def _join_lines(lines: list[bytes]) -> Iterator[bytes]:
    """Yield lines that end in a line feed: `splitlines` also splits at carriage returns."""
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
    """Return the line with a final line feed."""
    has_newline = line.content.endswith(b"\n")
    return line if has_newline else replace(line, content=line.content + b"\n")


@dataclass(frozen=True, slots=True)
class _FileVersion:
    """What tells one state of a file from another without reading it."""

    inode: int
    size: int
    modified_ns: int

    @classmethod
    def of(cls, file_stat: os.stat_result) -> "_FileVersion":
        return cls(file_stat.st_ino, file_stat.st_size, file_stat.st_mtime_ns)


class Cassette:
    """A cassette file shared by all kernels; `lock_dir` is the folder of their lock files.

    Lines appended by this process are moved to their places by `sort` or `close`, or when the
    process ends.
    """

    def __init__(self, path: Path, lock_dir: Path) -> None:
        self.path = path
        self._lock_dir = lock_dir
        self._thread_lock = threading.Lock()
        self._contents = Contents()
        self._version: _FileVersion | None = None  # of the file when it was last read
        self._appending_process: int | None = None  # whose exit will sort the file

    def after_fork_in_child(self) -> None:
        """Replace the lock; read the file again if a thread of the parent was changing lines."""
        if self._thread_lock.locked():
            self._contents, self._version = Contents(), None
        self._thread_lock = threading.Lock()

    def exists(self) -> bool:
        """Return whether the file exists."""
        return self.path.is_file()

    def contents(self) -> Contents:
        """Return the current contents of the file; empty if it does not exist."""
        with self._thread_lock:
            return self._refresh()

    def _refresh(self) -> Contents:
        """Read what has changed in the file: lines that were appended, or all lines."""
        try:
            version = _FileVersion.of(self.path.stat())
            if version != self._version:
                self._read(version)
        except FileNotFoundError:
            self._contents, self._version = Contents(), None
        except OSError as error:
            raise self._storage_error(error) from None
        return self._contents

    def _read(self, version: _FileVersion) -> None:
        if not self.exists():  # a device would be replaced, a pipe would block
            raise OSError(EINVAL, "it is no file")
        old_version, self._version = self._version, None
        with self.path.open("rb") as file:
            version = _FileVersion.of(os.fstat(file.fileno()))
            tail = self._read_tail(file, old_version, version)
            if tail is not None:
                self._contents.append(tail)
            else:
                file.seek(0)
                lines = (line.in_place() for line in self._contents.lines)
                parsed_lines = {line.content: line for line in lines}
                self._contents = Contents(file.read(version.size), parsed_lines)
        self._version = version

    def _read_tail(
        self, file: BinaryIO, old: _FileVersion | None, version: _FileVersion
    ) -> bytes | None:
        """Return what was appended to the file; None if it may have changed in other ways.

        Only the last line is compared: an edit that leaves it at its place is seen when the file
        is sorted, which reads all of it.
        """
        last_line = self._contents.last_line
        if old is None or old.inode != version.inode or old.size >= version.size:
            return None
        if not last_line.endswith(b"\n"):  # what was appended may belong to it
            return None
        start = old.size - len(last_line)
        file.seek(start)
        content = file.read(version.size - start)
        return content[len(last_line) :] if content.startswith(last_line) else None

    def check_writable(self) -> None:
        """Raise StorageError if the file cannot be written.

        Symbolic links are not followed: in a shared folder they may point anywhere.
        """
        if self.path.is_symlink():
            raise self._storage_error(OSError(EINVAL, "it is a link to another file"))
        if self.path.exists() and not os.access(self.path, os.W_OK):
            raise self._storage_error(OSError(EACCES, "it may be read only"))
        if not os.access(self.path.parent, os.W_OK):
            raise self._storage_error(OSError(EACCES, "its folder may be read only"))

    def add(self, interaction: Interaction, *, replace_from: int | None = None) -> None:
        """Append an interaction; one with the same index stays unchanged.

        With `replace_from`, the interaction replaces it, and recordings of the same request with
        an index of at least `replace_from`. No other line changes.
        """
        with self._exclusive_lock(), self._thread_lock:
            self.check_writable()
            contents = self._refresh()
            if replace_from is not None and contents.would_replace(interaction, replace_from):
                self._append(to_pending_line(interaction, replace_from))
            elif contents.lookup(interaction.request, interaction.index)[0] is None:
                is_last = contents.is_last(interaction)
                self._append(interaction.to_line() if is_last else to_pending_line(interaction))

    def _append(self, line: bytes) -> None:
        """Append a line to the file and to the contents in memory."""
        contents, is_new = self._contents, self._version is None
        self._version = None  # until both have the line
        content = line if contents.has_complete_end else b"\n" + line
        if not is_new and self.path.stat().st_nlink > 1:
            # An archive can bring a second name of any file: only this one gets the line.
            self._replace_file(self.path.read_bytes())
        size = self._append_content(content, is_new=is_new)
        contents.append(line)
        version = _FileVersion.of(self.path.stat())
        if version.size == size + len(content):  # else another program has written, too
            self._version = version
        if self._appending_process != os.getpid():
            self._appending_process = os.getpid()
            atexit.register(self.close)

    def _append_content(self, content: bytes, *, is_new: bool) -> int:
        """Append in one write; return the file's size before, which it keeps if that fails."""
        with open(self.path, "ab", buffering=0, opener=_open_without_following) as file:
            size = os.fstat(file.fileno()).st_size
            try:
                _write_all(file, content)
            except OSError:
                file.truncate(size)
                raise
            finally:
                if is_new and not os.fstat(file.fileno()).st_size:
                    self.path.unlink()
        if self._is_in_state_folder():
            state_files.restrict_file(self.path)
        return size

    # --- the stable order

    def sort(self, lock_timeout: float = LOCK_TIMEOUT) -> None:
        """Move pending lines to their places; a file without any stays untouched."""
        if not self.contents().has_pending_lines:
            return
        with self._exclusive_lock(lock_timeout), self._thread_lock:
            self._version = None  # read all of it: nothing that others have changed may be lost
            contents = self._refresh()
            if contents.has_pending_lines:
                self.check_writable()
                self._version = None
                self._replace_file(b"".join(line.content for line in contents.ordered_lines))

    def close(self) -> None:
        """Sort the file if this process, not only its parent, has appended to it.

        If it can't be written now, its lines stay pending, and the next session sorts them.
        """
        if self._appending_process == os.getpid():
            self._appending_process = None
            atexit.unregister(self.close)
            with suppress(StorageError):
                self.sort(EXIT_LOCK_TIMEOUT)

    @contextmanager
    def _exclusive_lock(self, timeout: float = LOCK_TIMEOUT) -> Iterator[None]:
        """Lock the cassette against writes of other kernels."""
        name = sha256(str(self.path.resolve()).encode()).hexdigest()[:32]
        try:
            state_files.create_folder(self._lock_dir)
            path = self._lock_dir / f"{name}.lock"
            lock = FileLock(path, timeout=timeout, mode=state_files.FILE_MODE)
            with lock, _lock_folder(self.path.parent):
                yield
        except Timeout:
            raise StorageError(
                f"Another kernel has been writing to {self.path} for {timeout:.0f} s",
                "Run the cell again.",
            ) from None
        except OSError as error:
            raise self._storage_error(error) from None

    def _is_in_state_folder(self) -> bool:
        """Return whether the file is private; next to a notebook it may be shared."""
        return self.path.resolve().is_relative_to(self._lock_dir.parent.resolve())

    def _replace_file(self, content: bytes) -> None:
        """Replace the file atomically."""
        partial = self.path.with_name(f".{self.path.name}.{token_hex(4)}")
        try:
            partial.write_bytes(content)
            if self.path.exists():
                partial.chmod(self.path.stat().st_mode)
            if self._is_in_state_folder():
                state_files.restrict_file(partial)
            partial.replace(self.path)
        finally:
            partial.unlink(missing_ok=True)

    def _storage_error(self, error: OSError) -> StorageError:
        return StorageError(
            f"{self.path} can't be used: {error.strerror or error}",
            "Make room or rights there, or give another path: %cfai replay auto PATH.",
        )


def _write_all(file: FileIO, content: bytes) -> None:
    if file.write(content) != len(content):  # a write across the limit of the disk is cut
        raise OSError(ENOSPC, os.strerror(ENOSPC))


def _open_without_following(path: str, flags: int) -> int:
    """Open a file for `open`, but not through a symbolic link."""
    return os.open(path, flags | NO_FOLLOW, 0o666)


@contextmanager
def _lock_folder(folder: Path) -> Iterator[None]:
    """Lock the folder itself (POSIX only), against kernels with another state folder."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network disks do not support it
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        with suppress(OSError):  # closing is not enough: a forked child may have a copy
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)
