"""Cache the answers from `%cfai map`, and keep track of batches in Cloudflare's queue."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from ..errors import StorageError
from ..i18n import _
from ..types.usage import Usage
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
class CachedAnswer:
    """A cached answer. `usage` is set only if the answer was received in this run."""

    text: str
    finish_reason: str = "stop"
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch in Cloudflare's queue.

    `keys` are the request hashes in the order sent. `call_ids` are the IDs of the calls in the
    ledger, in the same order.
    """

    request_id: str
    account: str
    model: str
    keys: tuple[str, ...]
    call_ids: tuple[int, ...]


class MapCache:
    """A cache of answers in the `home` folder, keyed by request hash.

    Use the cache in a `with` block.
    """

    def __init__(self, home: Path) -> None:
        self._database = Database(home / FILE_NAME, MIGRATIONS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    @property
    def path(self) -> Path:
        """The path to the SQLite file."""
        return self._database.path

    def find(self, keys: Iterable[str]) -> dict[str, CachedAnswer]:
        """Return the cached answers for these keys, by key."""
        cached: dict[str, CachedAnswer] = {}
        with self._database.connection() as connection:
            for key in keys:
                row = connection.execute(
                    "SELECT answer, finish FROM answers WHERE key = ?", (key,)
                ).fetchone()
                if row:
                    cached[key] = CachedAnswer(row["answer"], row["finish"])
        return cached

    def save(self, key: str, answer: CachedAnswer) -> None:
        """Store an answer, replacing any earlier answer with the same key."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)",
                (key, answer.text, answer.finish_reason, now),
            )

    def count(self) -> tuple[int, int]:
        """Return the number of cached answers and the number of batches in the queue."""
        with self._database.connection() as connection:
            return (
                int(connection.execute("SELECT count(*) FROM answers").fetchone()[0]),
                int(connection.execute("SELECT count(*) FROM batches").fetchone()[0]),
            )

    def clear(self) -> None:
        """Delete all answers and batches, and vacuum the file."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM answers")
            connection.execute("DELETE FROM batches")
        with self._database.connection() as connection:
            connection.execute("VACUUM")

    # --- batches

    def add_batch(self, batch: Batch) -> None:
        """Store a batch that is in Cloudflare's queue."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO batches VALUES (?, ?, ?, ?, ?)",
                (
                    *(batch.request_id, batch.account, batch.model),
                    *(json.dumps(batch.keys), json.dumps(batch.call_ids)),
                ),
            )

    def find_batches(self, account: str, keys: Sequence[str]) -> tuple[Batch, ...]:
        """Return the account's batches that contain at least one of these keys."""
        key_set = set(keys)
        with self._database.connection() as connection:
            rows = connection.execute(
                "SELECT * FROM batches WHERE account = ? ORDER BY request", (account,)
            ).fetchall()
        batches = tuple(map(_batch_from_row, rows))
        return tuple(batch for batch in batches if key_set & set(batch.keys))

    def complete_batch(self, batch: Batch, answers: Mapping[str, CachedAnswer]) -> None:
        """Delete a batch and store its answers, in one transaction."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        rows = [(key, answer.text, answer.finish_reason, now) for key, answer in answers.items()]
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM batches WHERE request = ?", (batch.request_id,))
            connection.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)", rows)


def _batch_from_row(row: Mapping[str, str]) -> Batch:
    try:
        keys, call_ids = (tuple(json.loads(row[name])) for name in ("keys", "calls"))
    except (ValueError, TypeError, RecursionError):
        raise StorageError(
            _("Batch {batch} is damaged in {file}").format(batch=row["request"], file=FILE_NAME),
            _("%cfai map clear deletes all cached map answers and batches."),
        ) from None
    return Batch(row["request"], row["account"], row["model"], keys, call_ids)
