"""Query the ledger for totals, hourly usage and individual calls."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..types.usage import Usage
from .database import DAY_SECONDS, Database, utc_day

GroupBy = Literal["model", "notebook", "day", "task"]
SUM_COLUMNS = (
    "sum(calls), sum(tokens_in), sum(tokens_out), sum(billed), sum(estimated), sum(reserved)"
)
FIRST_ID = "SELECT min(id) FROM calls WHERE day >= ?"
# The plus sign disables the index by day, which would require sorting rows in each step.
CALLS_FROM_ID = "SELECT * FROM calls WHERE id >= ? AND +day >= ? ORDER BY id LIMIT ?"
MAX_RECENT_ANSWERS = 20  # of a model; they determine the typical length of its answers
MAX_ROWS_PER_READ = 1_000
HOURS_PER_DAY = 24


@dataclass(frozen=True, slots=True)
class Total:
    """The totals for a group of calls. `name` is the group's model, notebook, day or task."""

    name: str
    calls: int
    tokens_in: int
    tokens_out: int
    billed: float
    estimated: float
    reserved: float

    @property
    def neurons(self) -> float:
        """The sum of the billed and estimated neurons."""
        return self.billed + self.estimated


class History:
    """Queries for past usage in the ledger.

    `days` limits a query to the last `days` days, including today. None means no limit.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def totals(self, group_by: GroupBy, days: int | None = None, account: str = "") -> list[Total]:
        """Return totals by model, notebook, day or task. An empty `account` means all accounts."""
        order = "name" if group_by == "day" else "sum(billed + estimated) DESC, name"
        with self._database.connection() as connection:
            rows = connection.execute(
                f"SELECT {group_by} AS name, {SUM_COLUMNS} FROM totals"  # noqa: S608 - a GroupBy
                f" WHERE day >= ? AND (account = ? OR ? = '')"
                f" GROUP BY {group_by} ORDER BY {order}",
                (self._first_day(days), account, account),
            ).fetchall()
        return [Total(*row) for row in rows]

    def neurons_by_hour(self, account: str) -> list[float]:
        """Return the number of neurons that an account used in each hour of today (UTC)."""
        now = self._clock()
        hourly_neurons = [0.0] * HOURS_PER_DAY
        with self._database.connection() as connection:
            rows = connection.execute(
                "SELECT CAST(started % :day / 3600 AS INTEGER), sum(neurons) FROM calls"
                " WHERE day = :today AND account = :account AND status <> 'reserved' GROUP BY 1",
                {"day": int(DAY_SECONDS), "today": utc_day(now), "account": account},
            ).fetchall()
        for hour, neurons in rows:
            hourly_neurons[hour] = neurons
        return hourly_neurons

    def count_calls(self) -> int:
        """Return the number of calls in the ledger."""
        with self._database.connection() as connection:
            return int(connection.execute("SELECT count(*) FROM calls").fetchone()[0])

    def last_answer_usage(self, account: str) -> Usage | None:
        """Return the usage of an account's latest complete answer.

        Returns None if the last 1,000 calls in the ledger contain no such answer.
        """
        with self._database.connection() as connection:
            row = connection.execute(
                "SELECT tokens_in, tokens_out, tokens_cached,"
                " iif(basis = 'unknown', NULL, neurons), nullif(basis, 'unknown') FROM calls"
                " WHERE id > (SELECT max(id) FROM calls) - ? AND account = ?"
                " AND status = 'ok' AND task = 'Text Generation' ORDER BY id DESC LIMIT 1",
                (MAX_ROWS_PER_READ, account),
            ).fetchone()
        return None if row is None else Usage(*row)

    def recent_answer_tokens(self, account: str) -> dict[str, list[int]]:
        """Return the lengths in tokens of the recent answers of each model, latest first.

        Only the last 20 complete answers of a model to an account's calls count. Only the last
        1,000 calls in the ledger are searched.
        """
        with self._database.connection() as connection:
            rows = connection.execute(
                "SELECT model, tokens_out FROM calls WHERE id > (SELECT max(id) FROM calls) - ?"
                " AND account = ? AND status = 'ok' AND task = 'Text Generation'"
                " AND tokens_out > 0 ORDER BY id DESC",
                (MAX_ROWS_PER_READ, account),
            ).fetchall()
        tokens_by_model: dict[str, list[int]] = {}
        for model, tokens in rows:
            lengths = tokens_by_model.setdefault(model, [])
            if len(lengths) < MAX_RECENT_ANSWERS:
                lengths.append(tokens)
        return tokens_by_model

    def recent_models(self, account: str, count: int) -> list[str]:
        """Return up to `count` models that answered an account's calls, latest first.

        Only the last 1,000 calls in the ledger are searched.
        """
        with self._database.connection() as connection:
            rows = connection.execute(
                "SELECT model FROM calls WHERE id > (SELECT max(id) FROM calls) - ?"
                " AND account = ? AND status IN ('ok', 'interrupted')"
                " GROUP BY model ORDER BY max(id) DESC LIMIT ?",
                (MAX_ROWS_PER_READ, account, count),
            ).fetchall()
        return [model for (model,) in rows]

    def call_columns(self) -> tuple[str, ...]:
        """Return the names of the columns that `iter_calls` yields."""
        with self._database.connection() as connection:
            cursor = connection.execute("SELECT * FROM calls LIMIT 0")
            return tuple(name for name, *_ in cursor.description)

    def iter_calls(self, days: int | None = None) -> Iterator[Mapping[str, Any]]:
        """Yield each call as a dict of its columns, oldest first.

        The ledger is read in steps, without holding a lock in between. A slow reader therefore
        does not block other kernels or keep the write-ahead log from shrinking.
        """
        first_day = self._first_day(days)
        with self._database.connection() as connection:
            (next_id,) = connection.execute(FIRST_ID, (first_day,)).fetchone()
        while next_id is not None:
            with self._database.connection() as connection:
                rows = connection.execute(
                    CALLS_FROM_ID, (next_id, first_day, MAX_ROWS_PER_READ)
                ).fetchall()
            yield from (dict(row) for row in rows)
            next_id = rows[-1]["id"] + 1 if len(rows) == MAX_ROWS_PER_READ else None

    def count_replayed(self, days: int | None = None) -> int:
        """Return the number of replayed calls."""
        with self._database.connection() as connection:
            query = "SELECT count(*) FROM calls WHERE status = 'replayed' AND day >= ?"
            return int(connection.execute(query, (self._first_day(days),)).fetchone()[0])

    def calls_of_notebook(self, notebook: str) -> list[Mapping[str, Any]]:
        """Return a notebook's calls as dicts, oldest first, excluding refused calls."""
        with self._database.connection() as connection:
            rows = connection.execute(
                "SELECT * FROM calls WHERE notebook = ? AND status <> 'refused' ORDER BY id",
                (notebook,),
            ).fetchall()
        return [dict(row) for row in rows]

    def _first_day(self, days: int | None) -> str:
        return "" if days is None else utc_day(self._clock() - (days - 1) * DAY_SECONDS)
