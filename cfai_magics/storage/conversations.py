"""Store the turns of named conversations (threads) in a SQLite file shared by all kernels."""

import json
import sqlite3
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from ..errors import StorageError
from ..i18n import _
from ..prompt.history import Turn, stale_turns, turn_of_cell
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
INSERT_SQL = (
    f"INSERT OR REPLACE INTO turns (thread, {', '.join(COLUMNS)}) "  # noqa: S608 - constant names
    f"VALUES (:thread, {', '.join(f':{name}' for name in COLUMNS)})"
)


@dataclass(frozen=True, slots=True)
class ThreadSummary:
    """A summary of a thread.

    `turns` is the number of turns, `asked_at` is the time of the last question in ISO format, and
    `neurons` is the total cost of the turns.
    """

    name: str
    turns: int
    asked_at: str
    neurons: float


class ConversationStore:
    """A thread store in the `home` folder. Use the store in a `with` block."""

    def __init__(self, home: Path) -> None:
        self._database = Database(home / FILE_NAME, MIGRATIONS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def list_threads(self) -> tuple[ThreadSummary, ...]:
        """Return summaries of all threads, most recently used first."""
        with self._database.connection() as connection:
            rows = connection.execute(
                "SELECT thread, count(*), max(asked_at), coalesce(sum(neurons), 0) FROM turns "
                "GROUP BY thread ORDER BY max(asked_at) DESC, thread"
            )
            return tuple(ThreadSummary(*row) for row in rows)

    def load_turns(self, thread: str) -> tuple[Turn, ...]:
        """Return the turns of a thread in order, or an empty tuple if there is no such thread."""
        with self._database.connection() as connection:
            return _select_turns(connection, thread)

    def save(self, thread: str, turn: Turn) -> Turn:
        """Store a turn, and return the turn with its position and revision.

        The turn replaces any earlier turn from the same cell. If there is none, it is appended.
        A turn with unchanged text keeps its revision, so that later turns do not become stale.
        """
        with self._database.transaction() as connection:
            turns = _select_turns(connection, thread)
            previous = turn_of_cell(turns, turn.cell)
            if previous and _has_same_text(turn, previous) and previous not in stale_turns(turns):
                stored_turn = replace(turn, position=previous.position, revision=previous.revision)
            else:
                position = previous.position if previous else len(turns) + 1
                revision = max((other.revision for other in turns), default=0) + 1
                stored_turn = replace(turn, position=position, revision=revision)
            _insert_turn(connection, thread, stored_turn)
            return stored_turn

    def copy(self, thread: str, new_thread: str, last_position: int) -> int:
        """Copy the turns up to `last_position` to a new thread. Return the number of turns."""
        with self._database.transaction() as connection:
            turns = [
                turn
                for turn in _select_turns(connection, thread)
                if turn.position <= last_position
            ]
            for turn in turns:
                _insert_turn(connection, new_thread, turn)
            return len(turns)

    def delete(self, thread: str) -> int:
        """Delete a thread, and return the number of deleted turns."""
        with self._database.transaction() as connection:
            return connection.execute("DELETE FROM turns WHERE thread = ?", (thread,)).rowcount


def _has_same_text(turn: Turn, previous: Turn) -> bool:
    return (previous.content, previous.answer) == (turn.content, turn.answer)


def _select_turns(connection: sqlite3.Connection, thread: str) -> tuple[Turn, ...]:
    rows = connection.execute("SELECT * FROM turns WHERE thread = ? ORDER BY position", (thread,))
    return tuple(_turn_from_row(row) for row in rows)


def _turn_from_row(row: sqlite3.Row) -> Turn:
    """Return the turn stored in a row.

    Raises:
        StorageError: The content of the turn is damaged.
    """
    try:
        content = json.loads(row["content"])
    except (ValueError, RecursionError):
        content = None
    parts = content if isinstance(content, list) else []
    if not isinstance(content, str) and not (parts and all(isinstance(p, dict) for p in parts)):
        raise StorageError(
            _("Turn {position} of conversation {thread} is damaged in {file}").format(
                position=row["position"], thread=row["thread"], file=FILE_NAME
            ),
            _("%cfai thread reset {thread} deletes the conversation.").format(
                thread=row["thread"]
            ),
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


def _insert_turn(connection: sqlite3.Connection, thread: str, turn: Turn) -> None:
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
    connection.execute(INSERT_SQL, values)
