"""Read and write cassettes: files of recorded interactions, one per line."""

import json
import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from errno import EACCES, EINVAL
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Any

from filelock import FileLock, Timeout

from .. import state_files
from ..errors import StorageError
from ..types.messages import ReasoningDelta, TextDelta
from ..types.usage import Usage
from ..workers_ai.frame_decoder import FrameDecoder, unwrap_envelope
from .fingerprint import RecordedRequest, canonical_json

RecordedResponse = Mapping[str, Any]
CAPTURE_EXTENSION = "cfai.take"  # request extension: the Capture of the response
CONFLICT_MARKERS = (b"<<<<<<<", b"=======", b">>>>>>>")
SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")
MAX_DELAY_MS = 86_400_000  # ms, one day: longer delays are invalid
RESPONSE_KINDS = frozenset({"stream", "json", "vectors", "base64"})
LOCK_TIMEOUT = 30.0  # s to wait for the lock of another kernel
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
            "replies": self.responses,
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
        interaction = _parse_interaction(data)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise CorruptLineError("lacks a part of a recorded answer") from None
    if data["key"] != interaction.request.fingerprint:
        raise CorruptLineError("was changed: its question does not fit its key")
    return interaction


def _parse_interaction(data: Any) -> Interaction:
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
        tuple(responses),
    )


def _is_valid_response(response: Any) -> bool:
    """Return whether a response has all fields that playback reads, with valid types."""
    (kind,) = RESPONSE_KINDS & response.keys()
    if kind == "stream":
        stream = response["stream"]
        chunks = [*stream["thought"], *stream["text"], (response["ms"], "")]
        return all(_is_valid_delay(ms) and isinstance(text, str) for ms, text in chunks)
    if not _is_valid_delay(response["ms"]):
        return False
    return kind != "base64" or isinstance(response["base64"] + response["type"], str)


def _is_valid_delay(ms: Any) -> bool:
    """Return whether a delay is a number of ms from 0 to MAX_DELAY_MS."""
    return isinstance(ms, int | float) and 0 <= ms <= MAX_DELAY_MS


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a cassette; `interaction` is None if the line is corrupt or empty."""

    content: bytes
    interaction: Interaction | None = None
    error: str = ""


class Contents:
    """The contents of a cassette: its lines, and its interactions by fingerprint.

    Lines in `parsed_lines` (by their bytes) are not parsed again.
    """

    def __init__(self, content: bytes, parsed_lines: Mapping[bytes, Line] | None = None) -> None:
        lines = content.removeprefix(BYTE_ORDER_MARK).splitlines(keepends=True)
        cached_lines = parsed_lines or {}
        self.lines = tuple(
            cached_lines.get(line) or _read_line(line) for line in _join_lines(lines)
        )
        self.interactions = tuple(
            line.interaction for line in self.lines if line.interaction is not None
        )
        self._by_fingerprint: dict[str, list[Interaction]] = defaultdict(list)
        self._by_portable_fingerprint: dict[str, list[Interaction]] = defaultdict(list)
        for interaction in sorted(self.interactions, key=lambda item: item.sort_key):
            self._by_fingerprint[interaction.request.fingerprint].append(interaction)
            self._by_portable_fingerprint[interaction.request.portable_fingerprint].append(
                interaction
            )

    def lookup(
        self, request: RecordedRequest, index: int
    ) -> tuple[Interaction | None, Interaction | None]:
        """Return the interaction of a request with this index, and an alternative, or None each.

        The alternative is any recording of the same request, or of the same request with another
        backend (Workers AI or any local model).
        """
        matches = self._by_fingerprint.get(request.fingerprint, [])
        exact = next((interaction for interaction in matches if interaction.index == index), None)
        alternatives = matches or self._by_portable_fingerprint.get(
            request.portable_fingerprint, []
        )
        return exact, alternatives[index % len(alternatives)] if alternatives else None

    @property
    def corruption_notes(self) -> list[str]:
        """One note per kind of error, with the numbers of the corrupt lines."""
        lines_by_error: dict[str, list[int]] = defaultdict(list)
        for number, line in enumerate(self.lines, 1):
            if line.error:
                lines_by_error[line.error].append(number)
        return [
            f"{_format_line_numbers(numbers)} {error}" for error, numbers in lines_by_error.items()
        ]


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


def _read_line(content: bytes) -> Line:
    if not content.strip():
        return Line(content)
    try:
        return Line(content, parse_line(content))
    except CorruptLineError as error:
        return Line(content, error=str(error))


class Cassette:
    """A cassette file shared by all kernels; `lock_dir` is the folder of their lock files."""

    def __init__(self, path: Path, lock_dir: Path) -> None:
        self.path = path
        self._lock_dir = lock_dir
        self._cached_contents: tuple[tuple[int, int], Contents] | None = None
        self._parsed_lines: Mapping[bytes, Line] = {}

    def exists(self) -> bool:
        """Return whether the file exists."""
        return self.path.is_file()

    def contents(self) -> Contents:
        """Return the current contents of the file; empty if it does not exist."""
        try:
            file_stat = self.path.stat()
        except FileNotFoundError:
            return Contents(b"")
        except OSError as error:
            raise self._storage_error(error) from None
        version = (file_stat.st_mtime_ns, file_stat.st_size)
        if self._cached_contents is None or self._cached_contents[0] != version:
            self._cached_contents = version, self._read_contents()
        return self._cached_contents[1]

    def _read_contents(self) -> Contents:
        if (
            self.path.exists() and not self.exists()
        ):  # a device would be replaced, a pipe would block
            raise self._storage_error(OSError(EINVAL, "it is no file"))
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            content = b""
        except OSError as error:
            raise self._storage_error(error) from None
        contents = Contents(content, self._parsed_lines)
        self._parsed_lines = {line.content: line for line in contents.lines}
        return contents

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
        """Insert an interaction in sort order; one with the same index stays unchanged.

        With `replace_from`, the interaction replaces it, and recordings of the same request with
        an index of at least `replace_from` are removed. All other lines keep their bytes.
        """
        with self._exclusive_lock():
            self.check_writable()
            lines = list(self._read_contents().lines)
            if replace_from is not None:
                lines = [
                    line for line in lines if not _is_replaced(line, interaction, replace_from)
                ]
            sort_keys = [line.interaction.sort_key for line in lines if line.interaction]
            if interaction.sort_key not in sort_keys:
                self._write_lines(_insert_interaction(lines, interaction))

    @contextmanager
    def _exclusive_lock(self) -> Iterator[None]:
        """Lock the cassette against writes of other kernels."""
        name = sha256(str(self.path.resolve()).encode()).hexdigest()[:32]
        try:
            state_files.create_folder(self._lock_dir)
            path = self._lock_dir / f"{name}.lock"
            lock = FileLock(path, timeout=LOCK_TIMEOUT, mode=state_files.FILE_MODE)
            with lock, _lock_folder(self.path.parent):
                yield
        except Timeout:
            raise StorageError(
                f"Another kernel has been writing to {self.path} for {LOCK_TIMEOUT:.0f} s",
                "Run the cell again.",
            ) from None
        except OSError as error:
            raise self._storage_error(error) from None

    def _write_lines(self, lines: Sequence[Line]) -> None:
        """Replace the file atomically."""
        partial = self.path.with_name(f".{self.path.name}.{token_hex(4)}")
        try:
            partial.write_bytes(b"".join(line.content for line in lines))
            if self.path.exists():
                partial.chmod(self.path.stat().st_mode)
            if self.path.resolve().is_relative_to(self._lock_dir.parent.resolve()):
                state_files.restrict_file(partial)  # next to a notebook it may be shared
            partial.replace(self.path)
        finally:
            partial.unlink(missing_ok=True)

    def _storage_error(self, error: OSError) -> StorageError:
        return StorageError(
            f"{self.path} can't be used: {error.strerror or error}",
            "Make room or rights there, or give another path: %cfai replay auto PATH.",
        )


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


def _is_replaced(line: Line, interaction: Interaction, replace_from: int) -> bool:
    old = line.interaction
    if old is None or old.request.fingerprint != interaction.request.fingerprint:
        return False
    return old.index == interaction.index or old.index >= replace_from


def _insert_interaction(lines: list[Line], interaction: Interaction) -> list[Line]:
    """Return the lines with the interaction inserted in sort order."""
    lines = [_with_newline(line) for line in lines]
    later_positions = (
        position
        for position, line in enumerate(lines)
        if line.interaction and line.interaction.sort_key > interaction.sort_key
    )
    position = next(later_positions, len(lines))
    return [*lines[:position], Line(interaction.to_line(), interaction), *lines[position:]]


def _with_newline(line: Line) -> Line:
    """Return the line with a final line feed."""
    has_newline = line.content.endswith(b"\n")
    return line if has_newline else Line(line.content + b"\n", line.interaction, line.error)
