"""Tells which kernels are still there: each holds the lock of a file of its own while it lives."""

import os
import secrets
import sys
import threading
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from .. import forks, state_files
from ..errors import StoreError

CHILD = "."  # separates the name of a forked child from that of the first process


class Held(Protocol):
    """A lock that this process holds."""

    def release(self) -> None:
        """Unlock it, for every process that inherited it."""


class Presence(forks.InChild):
    """Our own kernel's lock, and a look at those of the others.

    The system lets go of a lock when its process ends, however it ends. `name` is our own. A
    forked child has a name and a lock of its own; its `session` is that of its parent.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: Held | None = None
        self._one_at_a_time = threading.Lock()  # calls at once begin on several threads
        self.name = secrets.token_hex(8)
        forks.register(self)

    @property
    def session(self) -> str:
        """The name that a process shares with the children that it forks."""
        return self.name.partition(CHILD)[0]

    def in_child(self) -> None:
        """Leave the parent's lock to the parent."""
        held, self._held = self._held, None
        if isinstance(held, _Flock):
            held.disown()
        self._one_at_a_time = threading.Lock()
        self.name = f"{self.session}{CHILD}{secrets.token_hex(4)}"

    def hold(self) -> None:
        """Hold this kernel's lock from here on; doing so twice does no harm."""
        with self._one_at_a_time:
            if self._held is None:
                self._held = self._acquired()

    def _acquired(self) -> Held:
        path = self._path(self.name)
        try:
            state_files.make_folder(self._folder)
            if sys.platform != "win32" and hasattr(os, "register_at_fork"):
                return _Flock(path)
            held = FileLock(path, mode=state_files.FILE_MODE, thread_local=False)
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


class _Flock:
    """A file that is locked by `flock`, which a forked child inherits.

    filelock before 4.0 unlocks it in the child, and so for the parent too; it then looks dead.
    """

    def __init__(self, path: Path) -> None:
        import fcntl

        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise

    def release(self) -> None:
        """Unlock it, for every process that inherited it."""
        import fcntl

        fcntl.flock(self._file, fcntl.LOCK_UN)
        os.close(self._file)

    def disown(self) -> None:
        """Close the inherited copy: the lock stays with the parent, and ends with it."""
        os.close(self._file)
