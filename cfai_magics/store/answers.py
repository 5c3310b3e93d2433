"""Owns the answers that maps have had, so that none is asked twice; and batches in the queue."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from ..errors import StoreError
from ..values import Usage
from .database import Database

FILE_NAME = "maps.sqlite"
MIGRATIONS = (
    (
        "answers and batches",
        """
        CREATE TABLE answers (
          key TEXT PRIMARY KEY,                -- the hash of all that was sent
          answer TEXT NOT NULL,
          finish TEXT NOT NULL,
          answered_at TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE batches (
          request TEXT PRIMARY KEY,            -- Cloudflare's id of it
          account TEXT NOT NULL,               -- hashed
          model TEXT NOT NULL,
          keys TEXT NOT NULL,                  -- JSON, in the order sent
          calls TEXT NOT NULL                  -- JSON: their numbers in the ledger
        ) STRICT, WITHOUT ROWID;
        """,
    ),
)


@dataclass(frozen=True, slots=True)
class Kept:
    """One answer: its text, how it ended, and what it used where it came in this run."""

    text: str
    finish: str = "stop"
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Requests in Cloudflare's queue: its id, the keys in order, their numbers in the ledger."""

    request: str
    account: str
    model: str
    keys: tuple[str, ...]
    calls: tuple[int, ...]


class Answers:
    """The answers kept in a folder; use it in a `with` block. Prompts stand in it as hashes."""

    def __init__(self, home: Path) -> None:
        self._database = Database(home / FILE_NAME, MIGRATIONS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    @property
    def path(self) -> Path:
        """The file."""
        return self._database.path

    def find(self, keys: Iterable[str]) -> dict[str, Kept]:
        """Return what is kept of these, by key."""
        found: dict[str, Kept] = {}
        with self._database.reading() as connection:
            for key in keys:
                row = connection.execute(
                    "SELECT answer, finish FROM answers WHERE key = ?", (key,)
                ).fetchone()
                if row:
                    found[key] = Kept(row["answer"], row["finish"])
        return found

    def keep(self, key: str, kept: Kept) -> None:
        """Keep an answer, in place of an earlier one."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)",
                (key, kept.text, kept.finish, now),
            )

    def count(self) -> tuple[int, int]:
        """Return how many answers are kept, and how many batches are in the queue."""
        with self._database.reading() as connection:
            return (
                int(connection.execute("SELECT count(*) FROM answers").fetchone()[0]),
                int(connection.execute("SELECT count(*) FROM batches").fetchone()[0]),
            )

    def clear(self) -> None:
        """Delete all, and leave nothing of it in the file."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM answers")
            connection.execute("DELETE FROM batches")
        with self._database.reading() as connection:
            connection.execute("VACUUM")

    # --- batches

    def queue(self, batch: Batch) -> None:
        """Note that a batch is in the queue."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO batches VALUES (?, ?, ?, ?, ?)",
                (
                    *(batch.request, batch.account, batch.model),
                    *(json.dumps(batch.keys), json.dumps(batch.calls)),
                ),
            )

    def queued(self, account: str, keys: Sequence[str]) -> tuple[Batch, ...]:
        """Return the batches of an account that hold one of these."""
        wanted = set(keys)
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM batches WHERE account = ? ORDER BY request", (account,)
            ).fetchall()
        batches = tuple(map(_batch, rows))
        return tuple(batch for batch in batches if wanted & set(batch.keys))

    def done(self, batch: Batch, answers: Mapping[str, Kept]) -> None:
        """Keep what came of a batch, which is in the queue no more: all at once."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        rows = [(key, kept.text, kept.finish, now) for key, kept in answers.items()]
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM batches WHERE request = ?", (batch.request,))
            connection.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)", rows)


def _batch(row: Mapping[str, str]) -> Batch:
    try:
        keys, calls = (tuple(json.loads(row[name])) for name in ("keys", "calls"))
    except (ValueError, TypeError, RecursionError):
        raise StoreError(
            f"Batch {row['request']} is damaged in {FILE_NAME}",
            "%cfai map clear deletes what is kept of maps.",
        ) from None
    return Batch(row["request"], row["account"], row["model"], keys, calls)
