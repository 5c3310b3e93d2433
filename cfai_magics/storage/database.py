"""Open SQLite files that several kernels share, and compute UTC dates."""

import errno
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from weakref import finalize

from .. import forks, runtime, state_files
from ..errors import StorageError
from ..i18n import _, mark

BUSY_TIMEOUT = 30.0  # seconds to wait for the write lock
WAIT_SECONDS = 5.0  # seconds between calls to `on_wait`
PRIMARY_CODE = 0xFF  # mask for the primary code in an extended code, such as SQLITE_BUSY_RECOVERY
LOCKED = mark(
    "Another program is writing to the file. Wait, or close the program that has it open, such as "
    "a database viewer, a backup or a sync client."
)
FULL = mark("The disk may be full. Free some space, or set CFAI_HOME to a folder on another disk.")
DAMAGED = mark(
    "The file is damaged. Move it to another folder. cfai-magics then creates a new file."
)
FOLDER_HINT = mark("Check the permissions of the folder, or set CFAI_HOME to another folder.")
DAY_SECONDS = 86_400.0
UPDATE_COMMAND = "pip install --upgrade cfai-magics"
NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
Migration = tuple[str, str]  # name and SQL
_INHERITED: list[sqlite3.Connection] = []  # kept open; a forked child must not close them


class Database:
    """One SQLite file, opened on first use, with one connection shared by all threads.

    The connection is closed when `close` is called, when the object is deleted, or when the
    process that opened the connection exits. `migrations` run once per file, in order. Pending
    migrations and the new schema version are written in one transaction. `lock_timeout` is the
    busy timeout for a transaction, in seconds.
    """

    def __init__(
        self, path: Path, migrations: Sequence[Migration], lock_timeout: float = BUSY_TIMEOUT
    ) -> None:
        self.path = path
        self.lock_timeout = lock_timeout
        self._migrations = migrations
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._closing: finalize[[sqlite3.Connection, int], Database] | None = None
        forks.register(self)

    def before_fork(self) -> None:
        """Close the file before a fork, and keep other threads from opening it.

        SQLite forbids using or closing an inherited connection in a forked child. A new connection
        in the child would share the locks of the inherited connection.
        """
        self._lock.acquire()
        if self._connection is not None and not self._connection.in_transaction:
            self.close()

    def after_fork_in_parent(self) -> None:
        """Allow the parent's threads to open the file again."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Create a new lock, and drop any open connection without closing it."""
        self._lock = threading.RLock()
        if self._connection is not None:  # the fork happened inside a transaction
            _INHERITED.append(self._connection)
            self._connection = self._closing = None

    @contextmanager
    def transaction(self, lock_timeout: float | None = None) -> Iterator[sqlite3.Connection]:
        """Yield the connection in an immediate transaction, and roll back on any error.

        `lock_timeout`, in seconds, overrides the default busy timeout for this transaction.

        Raises:
            StorageError: The file cannot be opened, read or written.
        """
        with self._lock:
            try:
                connection = self._connection or self._open()
                self._begin(connection, lock_timeout)
                try:
                    yield connection
                    # on a full disk, this fails and the transaction stays open
                    connection.execute("COMMIT")
                except BaseException:
                    with suppress(sqlite3.Error):  # SQLite may have rolled back already
                        connection.execute("ROLLBACK")
                    raise
            except (sqlite3.Error, OSError) as error:
                raise self._map_error(error) from None

    def _begin(self, connection: sqlite3.Connection, lock_timeout: float | None) -> None:
        if lock_timeout is None or lock_timeout == self.lock_timeout:
            connection.execute("BEGIN IMMEDIATE")
            return
        set_timeout = "PRAGMA busy_timeout = {:.0f}".format  # ms
        connection.execute(set_timeout(max(0.0, lock_timeout * 1000)))
        try:
            connection.execute("BEGIN IMMEDIATE")
        finally:
            connection.execute(set_timeout(max(0.0, self.lock_timeout * 1000)))

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection for reading. Commits by other kernels are visible."""
        with self._lock:
            try:
                yield self._connection or self._open()
            except (sqlite3.Error, OSError) as error:
                raise self._map_error(error) from None

    def data_version(self) -> tuple[int, int]:
        """Return a value that changes whenever any kernel writes to the file."""
        with self.connection() as connection:
            external_version = int(connection.execute("PRAGMA data_version").fetchone()[0])
            return external_version, connection.total_changes

    def close(self) -> None:
        """Close the file. The next use opens the file again."""
        with self._lock:
            if self._closing is not None:
                self._closing()
            self._connection = self._closing = None

    def _open(self) -> sqlite3.Connection:
        state_files.create_file(self.path)
        self._connection = _connect_with_retries(self._connect, self.lock_timeout)
        self._closing = finalize(self, _close, self._connection, os.getpid())
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=self.lock_timeout, isolation_level=None, check_same_thread=False
        )
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode = WAL")
            # In WAL mode, commits survive a killed process even without waiting for the disk.
            connection.execute("PRAGMA synchronous = NORMAL")
            self._migrate(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        if self._schema_version(connection) == len(self._migrations):
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            for number in range(self._schema_version(connection), len(self._migrations)):
                for statement in _split_statements(self._migrations[number][1]):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number + 1}")
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise

    def _schema_version(self, connection: sqlite3.Connection) -> int:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > len(self._migrations):
            raise StorageError(
                _("{path} was written by a newer version of cfai-magics").format(path=self.path),
                _("Update cfai-magics: {command}").format(command=UPDATE_COMMAND),
            )
        return version

    def _map_error(self, error: sqlite3.Error | OSError) -> StorageError:
        cause = _("{path} can't be used: {error}").format(
            path=self.path, error=state_files.describe_error(error)
        )
        return StorageError(cause, _hint(error))


def _close(connection: sqlite3.Connection, process: int) -> None:
    """Close a connection in the process that opened it, but not in a forked child."""
    if os.getpid() == process:
        connection.close()


def integrity_error(path: Path, on_wait: Callable[[], None] | None = None) -> str:
    """Return the error reported by SQLite's quick_check.

    Returns "" if the file is intact or missing. The check reads every page. `on_wait`, if given,
    is called every 5 seconds until the check ends.
    """

    def check(connection: sqlite3.Connection) -> str:
        result = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
        return "" if result == "ok" else result

    if on_wait is None:
        return _check_file(path, check)
    return _check_file(path, lambda connection: run_with_progress(connection, check, on_wait))


def opening_error(path: Path) -> str:
    """Return the reason why the tables in a file can't be read.

    Returns "" if the tables can be read or the file is missing. The check reads only the header,
    the schema and the first row of each table. Use `integrity_error` to check all pages.
    """

    def check(connection: sqlite3.Connection) -> str:
        tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        for (name,) in tables.fetchall():
            quoted = name.replace('"', '""')
            connection.execute(f'SELECT * FROM "{quoted}" LIMIT 1').fetchone()  # noqa: S608
        return ""

    return _check_file(path, check)


def _check_file(path: Path, check: Callable[[sqlite3.Connection], str]) -> str:
    """Return the error that `check` finds in a file, or "" if the file is intact or missing."""
    if not os.path.lexists(path):
        return ""
    if not path.is_file():
        return _("it is not a regular file")
    uri = f"{path.absolute().as_uri()}?mode=ro"
    try:
        with (
            forks.postpone_forks(),
            closing(sqlite3.connect(uri, uri=True, check_same_thread=False)) as connection,
        ):
            return check(connection)
    except sqlite3.Error as error:
        return str(error)


def run_with_progress(
    connection: sqlite3.Connection,
    check: Callable[[sqlite3.Connection], str],
    on_wait: Callable[[], None],
) -> str:
    """Run a check in a thread, calling `on_wait` every 5 seconds, and return the result.

    If it ran in the main thread, SQLite would not respond to an interrupt. Interrupting
    the main thread stops the check. `connection` must allow use from other threads. Without
    threads, the check runs in the main thread.
    """
    if not runtime.HAS_THREADS:
        return check(connection)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(check, connection)
        try:
            while True:
                with suppress(TimeoutError):
                    return future.result(WAIT_SECONDS)
                on_wait()
        except BaseException:
            connection.interrupt()
            raise


def _connect_with_retries(
    connect: Callable[[], sqlite3.Connection], lock_timeout: float
) -> sqlite3.Connection:
    """Open a connection, retrying for up to `lock_timeout` seconds while the file is busy.

    SQLite's busy timeout does not apply while another kernel switches the file to WAL mode.
    """
    try:
        return connect()
    except sqlite3.Error as error:
        if not _is_busy(error):
            raise
    from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random

    retrying = Retrying(
        retry=retry_if_exception(_is_busy),
        stop=stop_after_delay(lock_timeout),
        wait=wait_random(0.01, 0.05),
        reraise=True,
    )
    return retrying(connect)


def _is_busy(error: BaseException) -> bool:
    return _code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def _code(error: BaseException) -> int | None:
    """Return SQLite's primary result code, or None if the error has no code."""
    code = getattr(error, "sqlite_errorcode", None)  # missing on some sqlite3 errors
    return code & PRIMARY_CODE if isinstance(code, int) else None


def _hint(error: sqlite3.Error | OSError) -> str:
    """Return the hint for an error that occurred when the file was opened, read or written."""
    code = _code(error)
    if _is_busy(error):
        return _(LOCKED)
    is_full = code in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}  # IOERR: disk quota reached
    if is_full or (isinstance(error, OSError) and error.errno in NO_SPACE):
        return _(FULL)
    is_damaged = code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
    return _(DAMAGED) if is_damaged else _(FOLDER_HINT)


def _split_statements(script: str) -> Iterator[str]:
    """Yield the individual statements of an SQL script.

    `executescript` is not used, because it would commit the open transaction.
    """
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


# --- days


def utc_day(timestamp: float) -> str:
    """Return the UTC date of a timestamp (seconds since 1970) in ISO format."""
    return datetime.fromtimestamp(timestamp, UTC).date().isoformat()


def seconds_to_midnight(timestamp: float) -> float:
    """Return the time in seconds from a timestamp (seconds since 1970) to the next 00:00 UTC."""
    now = datetime.fromtimestamp(timestamp, UTC)
    tomorrow = datetime.combine(now.date() + timedelta(days=1), time(), UTC)
    return (tomorrow - now).total_seconds()
