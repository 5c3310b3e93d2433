"""One file of recordings: read as it is, and written so that nothing in it is lost."""

import os
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from errno import EACCES, EINVAL
from hashlib import sha256
from pathlib import Path
from secrets import token_hex

from filelock import FileLock, Timeout

from .. import state_files
from ..errors import StoreError
from .asked import Asked
from .record import Damaged, Record, record_in

PATIENCE = 30.0  # s to wait while another kernel writes
NAMED = 5  # lines that are damaged in the same way
MARK = b"\xef\xbb\xbf"  # some editors begin a file with it


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the file, as it stands there; `record` is None where it is damaged or empty."""

    content: bytes
    record: Record | None = None
    damage: str = ""


class Contents:
    """What a file holds: its lines, and the recorded answers in their order by question.

    Lines that are `known` by their bytes need not be read again.
    """

    def __init__(self, content: bytes, known: Mapping[bytes, Line] | None = None) -> None:
        lines = content.removeprefix(MARK).splitlines(keepends=True)
        before = known or {}
        self.lines = tuple(before.get(each) or _line(each) for each in _joined(lines))
        self.records = tuple(line.record for line in self.lines if line.record is not None)
        self._same: dict[str, list[Record]] = defaultdict(list)
        self._elsewhere: dict[str, list[Record]] = defaultdict(list)
        for record in sorted(self.records, key=lambda record: record.place):
            self._same[record.asked.key].append(record)
            self._elsewhere[record.asked.elsewhere].append(record)

    def chosen(self, asked: Asked, nth: int) -> tuple[Record | None, Record | None]:
        """Return the nth answer to a question, and the one that will do where there is none.

        That is another to the same question, or one of Workers AI or of any local model, whoever
        would answer now.
        """
        known = self._same.get(asked.key, [])
        exact = next((record for record in known if record.nth == nth), None)
        others = known or self._elsewhere.get(asked.elsewhere, [])
        return exact, others[nth % len(others)] if others else None

    @property
    def damaged(self) -> list[str]:
        """What is wrong with which lines, those with the same together."""
        found: dict[str, list[int]] = defaultdict(list)
        for number, line in enumerate(self.lines, 1):
            if line.damage:
                found[line.damage].append(number)
        return [f"{_numbered(numbers)} {damage}" for damage, numbers in found.items()]


def _numbered(numbers: Sequence[int]) -> str:
    told = ", ".join(f"{number:,}" for number in numbers[:NAMED])
    more = f" and {len(numbers) - NAMED:,} more" if len(numbers) > NAMED else ""
    return f"line {told}{more}"


def _joined(lines: list[bytes]) -> Iterator[bytes]:
    """Yield lines that end in a line feed, and in nothing else that bytes are split at."""
    held = b""
    for line in lines:
        held += line
        if line.endswith(b"\n"):
            yield held
            held = b""
    if held:
        yield held


def _line(content: bytes) -> Line:
    if not content.strip():
        return Line(content)
    try:
        return Line(content, record_in(content))
    except Damaged as damage:
        return Line(content, damage=str(damage))


class Shelf:
    """A file of recordings that kernels share; `locks` is a folder for their locks."""

    def __init__(self, path: Path, locks: Path) -> None:
        self.path = path
        self._locks = locks
        self._read: tuple[tuple[int, int], Contents] | None = None
        self._known: Mapping[bytes, Line] = {}

    def exists(self) -> bool:
        """Whether there is a file yet."""
        return self.path.is_file()

    def contents(self) -> Contents:
        """Return what the file holds now; nothing where there is none."""
        try:
            state = self.path.stat()
        except FileNotFoundError:
            return Contents(b"")
        except OSError as error:
            raise self._unusable(error) from None
        version = (state.st_mtime_ns, state.st_size)
        if self._read is None or self._read[0] != version:
            self._read = version, self._contents()
        return self._read[1]

    def _contents(self) -> Contents:
        if self.path.exists() and not self.exists():  # a device would be replaced, a pipe waits
            raise self._unusable(OSError(EINVAL, "it is no file"))
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            content = b""
        except OSError as error:
            raise self._unusable(error) from None
        found = Contents(content, self._known)
        self._known = {line.content: line for line in found.lines}
        return found

    def check_writable(self) -> None:
        """Raise StoreError where nothing could be recorded.

        A link is not followed: in a folder of strangers it may lead anywhere.
        """
        if self.path.is_symlink():
            raise self._unusable(OSError(EINVAL, "it is a link to another file"))
        if self.path.exists() and not os.access(self.path, os.W_OK):
            raise self._unusable(OSError(EACCES, "it may be read only"))
        if not os.access(self.path.parent, os.W_OK):
            raise self._unusable(OSError(EACCES, "its folder may be read only"))

    def add(self, record: Record, *, replacing: int | None = None) -> None:
        """Put an answer into its place; what stands there already stays.

        With `replacing` it takes that place, and what is recorded of its question from the number
        `replacing` on goes. All other lines stay as they are, byte for byte.
        """
        with self._alone():
            self.check_writable()
            lines = list(self._contents().lines)
            if replacing is not None:
                lines = [line for line in lines if not _goes(line, record, replacing)]
            places = [line.record.place for line in lines if line.record]
            if record.place not in places:
                self._write(_with(lines, record))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other kernels from writing in between."""
        name = sha256(str(self.path.resolve()).encode()).hexdigest()[:32]
        try:
            state_files.make_folder(self._locks)
            path = self._locks / f"{name}.lock"
            lock = FileLock(path, timeout=PATIENCE, mode=state_files.FILE_MODE)
            with lock, _folder_held(self.path.parent):
                yield
        except Timeout:
            raise StoreError(
                f"Another kernel has been writing to {self.path} for {PATIENCE:.0f} s",
                "Run the cell again.",
            ) from None
        except OSError as error:
            raise self._unusable(error) from None

    def _write(self, lines: Sequence[Line]) -> None:
        """Put a new file into the place of the old one, whole or not at all."""
        partial = self.path.with_name(f".{self.path.name}.{token_hex(4)}")
        try:
            partial.write_bytes(b"".join(line.content for line in lines))
            if self.path.exists():
                partial.chmod(self.path.stat().st_mode)
            if self.path.resolve().is_relative_to(self._locks.parent.resolve()):
                state_files.tighten(partial)  # beside notebooks, it is there to be shared
            partial.replace(self.path)
        finally:
            partial.unlink(missing_ok=True)

    def _unusable(self, error: OSError) -> StoreError:
        return StoreError(
            f"{self.path} can't be used: {error.strerror or error}",
            "Make room or rights there, or give another path: %cfai replay auto PATH.",
        )


@contextmanager
def _folder_held(folder: Path) -> Iterator[None]:
    """Keep out kernels with another folder of state, where the system can; leave nothing there."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    held = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network disks can't
            fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        with suppress(
            OSError
        ):  # a child that was forked meanwhile has a copy, so closing is not enough
            fcntl.flock(held, fcntl.LOCK_UN)
        os.close(held)


def _goes(line: Line, new: Record, replacing: int) -> bool:
    old = line.record
    if old is None or old.asked.key != new.asked.key:
        return False
    return old.nth == new.nth or old.nth >= replacing


def _with(lines: list[Line], record: Record) -> list[Line]:
    """Return the lines with one more, before the first that comes after it in order."""
    lines = [_ended(line) for line in lines]
    after = (n for n, line in enumerate(lines) if line.record and line.record.place > record.place)
    place = next(after, len(lines))
    return [*lines[:place], Line(record.line(), record), *lines[place:]]


def _ended(line: Line) -> Line:
    """Return the line with a line feed, which the last may lack."""
    whole = line.content.endswith(b"\n")
    return line if whole else Line(line.content + b"\n", line.record, line.damage)
