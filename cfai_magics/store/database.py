"""Opens one SQLite file: shared by kernels, brought up to date by named migrations, locked."""

import errno
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from weakref import finalize

from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random

from .. import forks, state_files
from ..errors import StoreError

PATIENCE = 30.0  # s that a kernel waits while others write
PRIMARY_CODE = 0xFF  # of an extended result code, such as SQLITE_BUSY_RECOVERY
LOCKED = (
    "Another program writes to it and has not finished. Wait, or close what has it open (a "
    "database viewer, a backup, a sync client)."
)
FULL = "The disk may be full. Free some space, or set CFAI_HOME to a folder on another disk."
DAMAGED = "The file is damaged and may be moved away: a new one is begun."
UNUSABLE = "Check the rights of the folder, or set CFAI_HOME to another folder."
NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
Migration = tuple[str, str]  # its name, and its SQL
_INHERITED: list[sqlite3.Connection] = []  # of the parent: never used again, and never closed


class Database:
    """One file, opened when first used, with one connection that all threads share in turn.

    The database owns the connection: `close` closes it, and so do the end of the database and
    the exit of the process that opened it. `migrations` run in their order, each once for a
    file and together with the note that it ran. `patience` is how many seconds a transaction
    waits while others write.
    """

    def __init__(
        self, path: Path, migrations: Sequence[Migration], patience: float = PATIENCE
    ) -> None:
        self.path = path
        self.patience = patience
        self._migrations = migrations
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._closing: finalize[[sqlite3.Connection, int], Database] | None = None
        forks.register(self)

    def before_fork(self) -> None:
        """Close the file: SQLite forbids to take a connection across a fork, or to close it there.

        Even a second connection that the child opened would rely on the locks of the first.
        """
        self._lock.acquire()
        if self._connection is not None and not self._connection.in_transaction:
            self.close()

    def after_fork(self) -> None:
        """Let other threads of the parent go on."""
        self._lock.release()

    def in_child(self) -> None:
        """Begin with a lock that no thread holds."""
        self._lock = threading.RLock()
        if self._connection is not None:  # a fork from within a transaction
            _INHERITED.append(self._connection)
            self._connection = self._closing = None

    @contextmanager
    def transaction(self, patience: float | None = None) -> Iterator[sqlite3.Connection]:
        """Give the connection inside one immediate transaction, which an error takes back.

        `patience` is for this one alone, and may be shorter than the file's own. Raises StoreError
        where the file can't be opened, read or written.
        """
        with self._lock, self._our_errors():
            connection = self._opened()
            self._begin(connection, patience)
            try:
                yield connection
                connection.execute("COMMIT")  # on a full disk it fails and leaves all open
            except BaseException:
                with suppress(sqlite3.Error):  # SQLite may have taken it back by itself
                    connection.execute("ROLLBACK")
                raise

    def _begin(self, connection: sqlite3.Connection, patience: float | None) -> None:
        if patience is None or patience == self.patience:
            connection.execute("BEGIN IMMEDIATE")
            return
        connection.execute(f"PRAGMA busy_timeout = {_milliseconds(patience)}")
        try:
            connection.execute("BEGIN IMMEDIATE")
        finally:
            connection.execute(f"PRAGMA busy_timeout = {_milliseconds(self.patience)}")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give the connection for reading: what other kernels have written so far is seen."""
        with self._lock, self._our_errors():
            yield self._opened()

    def version(self) -> tuple[int, int]:
        """Return what is another value whenever we or others have written to the file."""
        with self.reading() as connection:
            others = int(connection.execute("PRAGMA data_version").fetchone()[0])
            return others, connection.total_changes

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._closing is not None:
                self._closing()
            self._connection = self._closing = None

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            state_files.make_file(self.path)
            self._connection = _retrying(self._connected, self.patience)
            self._closing = finalize(self, _close, self._connection, os.getpid())
        return self._connection

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=self.patience, isolation_level=None, check_same_thread=False
        )
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode = WAL")
            # In WAL mode, what a killed process committed is safe without waiting for a disk.
            connection.execute("PRAGMA synchronous = NORMAL")
            self._migrate(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        if self._version(connection) == len(self._migrations):
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            for number in range(self._version(connection), len(self._migrations)):
                for statement in _statements(self._migrations[number][1]):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number + 1}")
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise

    def _version(self, connection: sqlite3.Connection) -> int:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > len(self._migrations):
            raise StoreError(
                f"{self.path} was written by a newer cfai-magics",
                "Update this one: pip install --upgrade cfai-magics.",
            )
        return version

    @contextmanager
    def _our_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"{self.path} can't be used: {state_files.reason(error)}", _advice(error)
            ) from None


def _close(connection: sqlite3.Connection, process: int) -> None:
    """Close a connection in the process that opened it; a forked child must not touch it."""
    if os.getpid() == process:
        connection.close()


def damage(path: Path) -> str:
    """Return what SQLite finds wrong with one of our files; nothing where it is whole, or none."""
    if not os.path.lexists(path):
        return ""
    if not path.is_file():
        return "it is not a regular file"
    address = f"{path.absolute().as_uri()}?mode=ro"
    try:
        with forks.postponed(), closing(sqlite3.connect(address, uri=True)) as connection:
            found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.Error as error:
        return str(error)
    return "" if found == "ok" else found


def _retrying(connect: Callable[[], sqlite3.Connection], patience: float) -> sqlite3.Connection:
    """Open; again while another kernel turns the new file to WAL, for which SQLite won't wait."""
    attempts = Retrying(
        retry=retry_if_exception(_is_busy),
        stop=stop_after_delay(patience),
        wait=wait_random(0.01, 0.05),
        reraise=True,
    )
    return attempts(connect)


def _is_busy(error: BaseException) -> bool:
    return _code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def _code(error: BaseException) -> int | None:
    """Return SQLite's primary result code; None for an error that has none."""
    code = getattr(error, "sqlite_errorcode", None)  # not every error of sqlite3 has one
    return code & PRIMARY_CODE if isinstance(code, int) else None


def _advice(error: sqlite3.Error | OSError) -> str:
    """Return what to do about an error of the file."""
    code = _code(error)
    if _is_busy(error):
        return LOCKED
    is_full = code in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}  # the latter for a quota
    if is_full or (isinstance(error, OSError) and error.errno in NO_SPACE):
        return FULL
    return DAMAGED if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB} else UNUSABLE


def _milliseconds(seconds: float) -> int:
    return max(0, round(seconds * 1000))


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a script: executescript would commit in between."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
