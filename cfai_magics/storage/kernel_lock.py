"""Lock one file per kernel, so that other kernels can see whether the kernel is alive."""

import os
import secrets
import sys
import threading
from pathlib import Path
from typing import Protocol

from .. import forks, runtime, state_files
from ..errors import StorageError
from ..i18n import _

CHILD = "."  # separates the parent's name from the suffix of a forked child


class AcquiredLock(Protocol):
    """A file lock acquired by this process."""

    def release(self) -> None:
        """Release the lock, also in processes that inherited it."""


class KernelLock(forks.ChildForkHook):
    """A lock file that shows other kernels that this kernel is alive.

    The operating system releases the lock when the process ends, even after a crash. `name`
    identifies this kernel. A forked child has its own name and lock, but keeps its parent's
    `session`. `is_acquired` is True while this kernel holds the lock.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file_lock: AcquiredLock | None = None
        self._thread_lock = threading.Lock()  # several threads may start calls at the same time
        self.session = self.name = secrets.token_hex(8)
        self.is_acquired = False
        forks.register(self)

    def after_fork_in_child(self) -> None:
        """Leave the lock to the parent, and create a new name for the child."""
        parent_lock, self._file_lock = self._file_lock, None
        if isinstance(parent_lock, _Flock):
            parent_lock.disown()
        self._thread_lock = threading.Lock()
        self.is_acquired = False
        self.name = f"{self.session}{CHILD}{secrets.token_hex(4)}"

    def acquire(self) -> None:
        """Acquire this kernel's lock, unless it is already acquired."""
        with self._thread_lock:
            if self._file_lock is None:
                self._file_lock = self._acquire_file_lock()
                self.is_acquired = True

    def _acquire_file_lock(self) -> AcquiredLock:
        path = self._lock_path(self.name)
        try:
            state_files.create_folder(self._folder)
            return _lock_file(path)
        except OSError as error:
            raise StorageError(
                _("{folder} can't be used: {error}").format(folder=self._folder, error=error),
                _(
                    "Free some space in the folder, change its permissions, or set CFAI_HOME to "
                    "another folder."
                ),
            ) from None

    def is_alive(self, name: str) -> bool:
        """Return whether the kernel with this name is still running."""
        if name == self.name:
            return True
        try:
            lock = _lock_file(self._lock_path(name))
        except OSError:  # it is locked, or its state is unknown and its reservations are kept
            return True
        lock.release()
        self._lock_path(name).unlink(missing_ok=True)
        return False

    def release(self) -> None:
        """Release this kernel's lock and delete the lock file."""
        with self._thread_lock:
            if self._file_lock is not None:
                self._file_lock.release()
                self._lock_path(self.name).unlink(missing_ok=True)
                self._file_lock = None
                self.is_acquired = False

    def _lock_path(self, name: str) -> Path:
        return self._folder / f"{name}.lock"


def _lock_file(path: Path) -> AcquiredLock:
    """Lock a file, or raise OSError if another process has locked it.

    The filelock package is not used where processes can fork. Its versions before 4.0 release the
    lock in the child, and thus also in the parent, which would then appear to have ended. Later
    versions wait for a fork of another thread, which waits for the ledger, and the ledger is open
    while the locks of other kernels are tested.
    """
    can_fork = hasattr(os, "register_at_fork") and not runtime.IS_BROWSER
    if sys.platform != "win32" and can_fork:
        return _Flock(path)
    from ..file_lock import FileLock

    file_lock = FileLock(path, mode=state_files.FILE_MODE, thread_local=False)
    file_lock.acquire(timeout=0)
    return file_lock


class _Flock:
    """A file locked with `flock`. A forked child inherits the lock."""

    def __init__(self, path: Path) -> None:
        import fcntl

        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise

    def release(self) -> None:
        """Release the lock, also in processes that inherited it."""
        import fcntl

        fcntl.flock(self._file, fcntl.LOCK_UN)
        os.close(self._file)

    def disown(self) -> None:
        """Close the inherited file descriptor without releasing the parent's lock."""
        os.close(self._file)
