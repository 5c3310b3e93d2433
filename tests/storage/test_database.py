"""A SQLite file is shared by many kernels and migrated between package versions."""

import gc
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest

from cfai_magics.errors import StorageError
from cfai_magics.storage import database as database_module
from cfai_magics.storage.database import Database, Migration, run_with_progress

FIRST: Migration = ("notes", "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT);")
SECOND: Migration = (
    "authors",
    """
    ALTER TABLE notes ADD COLUMN author TEXT NOT NULL DEFAULT 'unknown; default';
    CREATE TRIGGER shout AFTER INSERT ON notes BEGIN
      UPDATE notes SET text = upper(text) WHERE id = NEW.id;
      UPDATE notes SET text = text || '!' WHERE id = NEW.id;
    END;
    """,
)


def texts(database: Database) -> list[str]:
    with database.connection() as connection:
        return [row["text"] for row in connection.execute("SELECT text FROM notes ORDER BY id")]


def write(database: Database, text: str) -> None:
    with database.transaction() as connection:
        connection.execute("INSERT INTO notes (text) VALUES (?)", (text,))


def write_with_error(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute("INSERT INTO notes (text) VALUES ('partial')")
        connection.execute("INSERT INTO missing_table VALUES (1)")


def test_a_newer_version_migrates_and_reads_an_older_file(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "notes.sqlite"
    earlier = Database(path, [FIRST])
    write(earlier, "old")
    earlier.close()
    later = Database(path, [FIRST, SECOND])
    write(later, "new")
    assert texts(later) == ["old", "NEW!"]


def test_an_older_version_rejects_a_newer_file(tmp_path: Path) -> None:
    path = tmp_path / "notes.sqlite"
    write(Database(path, [FIRST, SECOND]), "old")
    with pytest.raises(StorageError, match="newer version of cfai-magics"):
        texts(Database(path, [FIRST]))


def test_a_failed_migration_is_rolled_back(tmp_path: Path) -> None:
    path = tmp_path / "notes.sqlite"
    write(Database(path, [FIRST]), "old")
    broken: Migration = (
        "broken",
        "CREATE TABLE more (id);\nINSERT INTO missing_table VALUES (1);\n",
    )
    with pytest.raises(StorageError, match="no such table"):
        texts(Database(path, [FIRST, broken]))
    assert texts(Database(path, [FIRST, SECOND])) == ["old"]


def test_an_error_rolls_back_the_transaction(tmp_path: Path) -> None:
    database = Database(tmp_path / "notes.sqlite", [FIRST])
    with pytest.raises(StorageError, match="no such table"):
        write_with_error(database)
    write(database, "complete")
    assert texts(database) == ["complete"]


@pytest.mark.parametrize("content", [b"no database " * 100, None], ids=["damaged", "a folder"])
def test_an_unusable_file_raises_a_storage_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "notes.sqlite"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(StorageError, match=r"notes\.sqlite can't be used"):
        texts(Database(path, [FIRST]))


def test_many_threads_can_create_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "notes.sqlite"
    databases = [Database(path, [FIRST, SECOND]) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda database: write(database, "hello"), databases))
    assert texts(databases[0]) == ["HELLO!"] * 8


def test_a_closed_database_reopens_when_it_is_used(tmp_path: Path) -> None:
    database = Database(tmp_path / "notes.sqlite", [FIRST])
    write(database, "old")
    database.close()
    assert texts(database) == ["old"]


def test_a_deleted_database_closes_connections_of_other_threads(tmp_path: Path) -> None:
    path = tmp_path / "notes.sqlite"
    database = Database(path, [FIRST])
    thread = Thread(target=write, args=(database, "old"))
    thread.start()
    thread.join()
    log = path.with_name("notes.sqlite-wal")  # SQLite removes it with the last connection
    assert log.exists()
    del database, thread
    gc.collect()
    assert not log.exists()


def test_a_process_closes_all_connections_when_it_ends(tmp_path: Path) -> None:
    program = """
import sys, threading
from pathlib import Path
from cfai_magics.storage.map_cache import MapCache
cache = MapCache(Path(sys.argv[1]))
thread = threading.Thread(target=cache.count)
thread.start()
thread.join()
"""
    command = [sys.executable, "-W", "always::ResourceWarning", "-c", program, str(tmp_path)]
    completed = subprocess.run(command, capture_output=True, text=True, check=True)
    assert completed.stderr == ""
    assert [path.name for path in tmp_path.iterdir()] == ["maps.sqlite"]


def test_an_interrupt_stops_a_long_query_immediately(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "WAIT_SECONDS", 0.01)
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
    waits: list[int] = []

    def interrupt_third_wait() -> None:
        waits.append(1)
        if len(waits) == 3:
            raise KeyboardInterrupt

    with (
        closing(sqlite3.connect(":memory:", check_same_thread=False)) as connection,
        pytest.raises(KeyboardInterrupt),
    ):
        run_with_progress(
            connection,
            lambda copy: str(copy.execute(f"{numbers} SELECT max(i) FROM n").fetchone()),
            interrupt_third_wait,
        )
    assert len(waits) == 3
