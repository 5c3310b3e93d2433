"""Tells which kernels are still there: each holds the lock of a file of its own while it lives."""

import secrets
import threading
from pathlib import Path

from filelock import FileLock, Timeout

from .. import state_files
from ..errors import StoreError


class Presence:
    """Our own kernel's lock, and a look at those of the others.

    The system lets go of a lock when its process ends, however it ends. `name` is our own.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: FileLock | None = None
        self._one_at_a_time = threading.Lock()  # calls at once begin on several threads
        self.name = secrets.token_hex(8)

    def hold(self) -> None:
        """Hold this kernel's lock from here on; doing so twice does no harm."""
        with self._one_at_a_time:
            if self._held is None:
                self._held = self._acquired()

    def _acquired(self) -> FileLock:
        try:
            state_files.make_folder(self._folder)
            held = FileLock(self._path(self.name), mode=state_files.FILE_MODE, thread_local=False)
            held.acquire(timeout=0)
        except OSError as error:
            raise StoreError(
                f"{self._folder} can't be used: {error}",
                "Make room or rights there, or set CFAI_HOME to another folder.",
            ) from None
        return held

    def is_there(self, name: str) -> bool:
        """Whether the kernel of this name still lives."""
        if name == self.name:
            return True
        lock = FileLock(self._path(name), mode=state_files.FILE_MODE)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return True
        except OSError:  # it can't be told: better to count a call twice than not at all
            return True
        lock.release()
        self._path(name).unlink(missing_ok=True)
        return False

    def leave(self) -> None:
        """Let go of this kernel's lock."""
        with self._one_at_a_time:
            if self._held is not None:
                self._held.release()
                self._path(self.name).unlink(missing_ok=True)
                self._held = None

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.lock"
