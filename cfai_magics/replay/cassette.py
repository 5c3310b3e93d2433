"""Read and write cassette files, which store one recorded interaction per line.

New lines are appended, so the time to record an answer does not depend on the file size. An
appended line that belongs elsewhere or replaces other lines is pending, and begins with a
`replace_from` field. When the session ends or `%cfai replay` is run, pending lines are moved to
their final positions and the field is removed. The stable order keeps diffs small.
"""

import atexit
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from errno import EACCES, EINVAL, ENOENT, ENOSPC
from hashlib import sha256
from io import FileIO
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from .. import runtime, state_files
from ..errors import StorageError
from ..file_lock import FileLock, Timeout
from ..i18n import _
from .contents import Contents, to_pending_line
from .interaction import Interaction

LOCK_TIMEOUT = 30.0  # seconds to wait for a lock held by another kernel
EXIT_LOCK_TIMEOUT = 3.0  # less than the 5 seconds that Jupyter gives a kernel to exit
NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)  # not available on Windows


@dataclass(frozen=True, slots=True)
class _FileVersion:
    """The inode, size and modification time of a file, used to detect changes."""

    inode: int
    size: int
    modified_ns: int

    @classmethod
    def of(cls, file_stat: os.stat_result) -> "_FileVersion":
        return cls(file_stat.st_ino, file_stat.st_size, file_stat.st_mtime_ns)


class Cassette:
    """A cassette file that several kernels can use at the same time.

    `lock_dir` is the folder for lock files. `sort` moves pending lines to their final
    positions. If this process has appended lines, `close` sorts the file. `close` is also called
    when the process exits.
    """

    def __init__(self, path: Path, lock_dir: Path) -> None:
        self.path = path
        self._lock_dir = lock_dir
        self._thread_lock = threading.Lock()
        self._contents = Contents()
        self._version: _FileVersion | None = None  # file version when last read
        self._appending_process: int | None = None  # PID of the process that sorts the file

    def after_fork_in_child(self) -> None:
        """Replace the lock. Discard the contents if a thread in the parent held the lock."""
        if self._thread_lock.locked():
            self._contents, self._version = Contents(), None
        self._thread_lock = threading.Lock()

    def exists(self) -> bool:
        """Return whether the file exists."""
        return self.path.is_file()

    def contents(self) -> Contents:
        """Return the current contents of the file, or empty contents if it does not exist."""
        with self._thread_lock:
            return self._refresh()

    def _refresh(self) -> Contents:
        """Reread the file if it has changed, and return the contents."""
        try:
            if _FileVersion.of(self.path.stat()) != self._version:
                self._read()
        except FileNotFoundError:
            self._contents, self._version = Contents(), None
        except OSError as error:
            raise self._storage_error(error) from None
        return self._contents

    def _read(self) -> None:
        if not self.exists():  # for example, a device or a pipe, which may block
            raise OSError(EINVAL, _("it is not a regular file"))
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
        """Return the bytes appended to the file, or None if it may have changed in other ways.

        Only the last known line is compared with the file. An edit that leaves this line in the
        same position goes unnoticed until the file is sorted, which requires a full read.
        """
        last_line = self._contents.last_line
        if old is None or old.inode != version.inode or old.size >= version.size:
            return None
        if not last_line.endswith(b"\n"):  # the appended bytes may continue this line
            return None
        start = old.size - len(last_line)
        file.seek(start)
        content = file.read(version.size - start)
        return content[len(last_line) :] if content.startswith(last_line) else None

    def check_writable(self) -> None:
        """Raise StorageError if the file cannot be written.

        Symbolic links are rejected because they may point anywhere in a shared folder.
        """
        if self.path.is_symlink():
            raise self._storage_error(OSError(EINVAL, _("it is a symbolic link")))
        if self.path.exists() and not self.exists():
            raise self._storage_error(OSError(EINVAL, _("it is not a regular file")))
        if self.path.exists() and not os.access(self.path, os.W_OK):
            raise self._storage_error(OSError(EACCES, _("it is read-only")))
        if not self.path.parent.is_dir():
            raise self._storage_error(OSError(ENOENT, _("its folder does not exist")))
        if not os.access(self.path.parent, os.W_OK):
            raise self._storage_error(OSError(EACCES, _("its folder is read-only")))

    def add(self, interaction: Interaction, *, replace_from: int | None = None) -> None:
        """Append an interaction unless its request is already recorded with the same index.

        If `replace_from` is set, the interaction replaces that recording. It also replaces all
        other recordings of the request with an index of at least `replace_from`.
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
        self._version = None  # unknown until the file and memory contain the line
        content = line if contents.has_complete_end else b"\n" + line
        if not is_new and self.path.stat().st_nlink > 1:
            # In an unpacked archive, this file may be a hard link. Replace it, so that the linked
            # file does not change.
            self._replace_file(self.path.read_bytes())
        size = self._append_content(content, is_new=is_new)
        contents.append(line)
        version = _FileVersion.of(self.path.stat())
        if version.size == size + len(content):  # otherwise, another program also wrote to it
            self._version = version
        if self._appending_process != os.getpid():
            self._appending_process = os.getpid()
            atexit.register(self.close)

    def _append_content(self, content: bytes, *, is_new: bool) -> int:
        """Append content in a single write, and return the previous file size.

        If the write fails, it is undone.
        """
        try:
            with open(self.path, "ab", buffering=0, opener=_open_without_following) as file:
                size = os.fstat(file.fileno()).st_size
                _write_all(file, content)
        except OSError:
            if is_new:
                self.path.unlink(missing_ok=True)
            raise
        if self._is_in_state_folder():
            state_files.restrict_file(self.path)
        return size

    # --- stable line order

    def sort(self, lock_timeout: float = LOCK_TIMEOUT) -> None:
        """Move pending lines to their final positions. Do nothing if no lines are pending."""
        if not self.contents().has_pending_lines:
            return
        with self._exclusive_lock(lock_timeout), self._thread_lock:
            self._version = None  # forces a full read, to keep changes by other programs
            contents = self._refresh()
            if contents.has_pending_lines:
                self.check_writable()
                self._version = None
                self._replace_file(b"".join(line.content for line in contents.ordered_lines))

    def close(self) -> None:
        """Sort the file if this process, and not only its parent, has appended lines.

        If the file cannot be written, its lines stay pending until the next session.
        """
        if self._appending_process == os.getpid():
            self._appending_process = None
            atexit.unregister(self.close)
            with suppress(StorageError):
                self.sort(EXIT_LOCK_TIMEOUT)

    @contextmanager
    def _exclusive_lock(self, timeout: float = LOCK_TIMEOUT) -> Iterator[None]:
        """Lock the cassette so that other kernels cannot write to it."""
        name = sha256(str(self.path.resolve()).encode()).hexdigest()[:32]
        try:
            state_files.create_folder(self._lock_dir)
            path = self._lock_dir / f"{name}.lock"
            lock = FileLock(path, timeout=timeout, mode=state_files.FILE_MODE)
            with lock, _lock_folder(self.path.parent):
                yield
        except Timeout:
            raise StorageError(
                _("Another kernel has been writing to {path} for {seconds:.0f} s").format(
                    path=self.path, seconds=timeout
                ),
                _("Run the cell again."),
            ) from None
        except OSError as error:
            raise self._storage_error(error) from None

    def _is_in_state_folder(self) -> bool:
        """Return whether the file is in the private state folder."""
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
        hint = _("Use another path.")
        if error.errno == ENOENT:
            hint = _("Create the folder, or use another path.")
        elif error.errno != EINVAL:
            hint = _(
                "Free some space there, change the permissions, or use another path: %cfai "
                "replay auto PATH."
            )
        return StorageError(
            _("{path} can't be used: {error}").format(
                path=self.path, error=error.strerror or error
            ),
            hint,
        )


def _write_all(file: FileIO, content: bytes) -> None:
    """Append content to a file. If the disk is full, restore the file size and raise OSError."""
    size = os.fstat(file.fileno()).st_size
    written = file.write(content)
    if written != len(content):
        file.truncate(size)
        raise OSError(ENOSPC, os.strerror(ENOSPC))


def _open_without_following(path: str, flags: int) -> int:
    """Open a file without following symbolic links, for use as an `opener`."""
    return os.open(path, flags | NO_FOLLOW, 0o666)


@contextmanager
def _lock_folder(folder: Path) -> Iterator[None]:
    """Lock the folder that contains a cassette (only on systems with flock).

    Kernels that write to the same cassette may use different folders for lock files.
    """
    if sys.platform == "win32" or runtime.IS_BROWSER:
        yield
        return
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems do not support locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        with suppress(OSError):  # a forked child may keep the descriptor open
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)
