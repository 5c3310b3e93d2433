"""Owns the threads on disk: the turns of named conversations, shared by all kernels."""

import json
import sqlite3
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from ..errors import StoreError
from ..prompt.conversation import Turn, on_old_answers, own
from .database import Database

FILE_NAME = "threads.sqlite"
MIGRATIONS = (
    (
        "turns",
        """
        CREATE TABLE turns (
            thread TEXT NOT NULL,
            position INTEGER NOT NULL,
            revision INTEGER NOT NULL,
            cell TEXT NOT NULL,
            content TEXT NOT NULL,
            answer TEXT NOT NULL,
            model TEXT NOT NULL,
            asked_at TEXT NOT NULL,
            prompt_tokens INTEGER NOT NULL,
            completion_tokens INTEGER NOT NULL,
            neurons REAL,
            basis TEXT,
            PRIMARY KEY (thread, position)
        ) STRICT;
        """,
    ),
)
COLUMNS = (
    *("content", "answer", "cell", "model", "asked_at", "prompt_tokens", "completion_tokens"),
    *("neurons", "basis", "position", "revision"),
)
INSERT = (
    f"INSERT OR REPLACE INTO turns (thread, {', '.join(COLUMNS)}) "  # noqa: S608 - our own names
    f"VALUES (:thread, {', '.join(f':{name}' for name in COLUMNS)})"
)


@dataclass(frozen=True, slots=True)
class ThreadSummary:
    """One thread in a list: how many turns, and when the last was asked (ISO)."""

    name: str
    turns: int
    asked_at: str
    neurons: float


class Threads:
    """The threads kept in a folder; use it in a `with` block."""

    def __init__(self, home: Path) -> None:
        self._database = Database(home / FILE_NAME, MIGRATIONS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def all(self) -> tuple[ThreadSummary, ...]:
        """Return every thread, the last used first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT thread, count(*), max(asked_at), coalesce(sum(neurons), 0) FROM turns "
                "GROUP BY thread ORDER BY max(asked_at) DESC, thread"
            )
            return tuple(ThreadSummary(*row) for row in rows)

    def turns(self, thread: str) -> tuple[Turn, ...]:
        """Return the turns of a thread in order; none where there is no such thread."""
        with self._database.reading() as connection:
            return _turns(connection, thread)

    def keep(self, thread: str, turn: Turn) -> Turn:
        """Put a turn in the place of its cell's earlier one, else at the end; return it there.

        A turn that says the same again changes nothing, so nothing stands on an old answer.
        """
        with self._database.transaction() as connection:
            turns = _turns(connection, thread)
            mine = own(turns, turn.cell)
            if mine and _says_the_same(turn, mine) and mine not in on_old_answers(turns):
                kept = replace(turn, position=mine.position, revision=mine.revision)
            else:
                position = mine.position if mine else len(turns) + 1
                revision = max((each.revision for each in turns), default=0) + 1
                kept = replace(turn, position=position, revision=revision)
            _write(connection, thread, kept)
            return kept

    def copy(self, thread: str, to: str, until: int) -> int:
        """Copy the turns up to a position into a new thread; return how many there were."""
        with self._database.transaction() as connection:
            turns = [t for t in _turns(connection, thread) if t.position <= until]
            for turn in turns:
                _write(connection, to, turn)
            return len(turns)

    def delete(self, thread: str) -> int:
        """Delete a thread; return how many turns it had."""
        with self._database.transaction() as connection:
            return connection.execute("DELETE FROM turns WHERE thread = ?", (thread,)).rowcount


def _says_the_same(turn: Turn, mine: Turn) -> bool:
    return (mine.content, mine.answer) == (turn.content, turn.answer)


def _turns(connection: sqlite3.Connection, thread: str) -> tuple[Turn, ...]:
    rows = connection.execute("SELECT * FROM turns WHERE thread = ? ORDER BY position", (thread,))
    return tuple(_turn(row) for row in rows)


def _turn(row: sqlite3.Row) -> Turn:
    """Return a turn; StoreError if its question can't be read."""
    try:
        content = json.loads(row["content"])
    except (ValueError, RecursionError):
        content = None
    parts = content if isinstance(content, list) else []
    if not isinstance(content, str) and not (parts and all(isinstance(p, dict) for p in parts)):
        raise StoreError(
            f"Turn {row['position']} of thread {row['thread']} is damaged in {FILE_NAME}",
            f"%cfai thread reset {row['thread']} deletes the thread.",
        )
    return Turn(
        content,
        row["answer"],
        cell=row["cell"],
        model=row["model"],
        asked_at=row["asked_at"],
        prompt_tokens=row["prompt_tokens"],
        completion_tokens=row["completion_tokens"],
        neurons=row["neurons"],
        basis=row["basis"],
        position=row["position"],
        revision=row["revision"],
    )


def _write(connection: sqlite3.Connection, thread: str, turn: Turn) -> None:
    values = {
        "thread": thread,
        "content": json.dumps(turn.content),
        "answer": turn.answer,
        "cell": turn.cell,
        "model": turn.model,
        "asked_at": turn.asked_at,
        "prompt_tokens": turn.prompt_tokens,
        "completion_tokens": turn.completion_tokens,
        "neurons": turn.neurons,
        "basis": turn.basis,
        "position": turn.position,
        "revision": turn.revision,
    }
    connection.execute(INSERT, values)
