"""Looks back over the ledger: sums by model, notebook, day or task, bills, and the calls."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..values import Usage
from .database import Database
from .days import DAY, day_of

Group = Literal["model", "notebook", "day", "task"]
SUMS = "sum(calls), sum(tokens_in), sum(tokens_out), sum(billed), sum(estimated), sum(reserved)"
BILLS_LOOKED_AT = 50
AT_ONCE = 1_000  # rows
HOURS = 24  # of a day


@dataclass(frozen=True, slots=True)
class Total:
    """The sum of some calls: `name` is the model, notebook, day or task they share."""

    name: str
    calls: int
    tokens_in: int
    tokens_out: int
    billed: float
    estimated: float
    reserved: float

    @property
    def neurons(self) -> float:
        """What is billed and estimated together."""
        return self.billed + self.estimated


class History:
    """What the ledger knows of the past; `days` are the last ones with today, None all."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def totals(self, by: Group, days: int | None = None, account: str = "") -> list[Total]:
        """Return the sums by model, notebook, day or task; of one account where it is named."""
        order = "name" if by == "day" else "sum(billed + estimated) DESC, name"
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT {by} AS name, {SUMS} FROM totals"  # noqa: S608 - a Group
                f" WHERE day >= ? AND (account = ? OR ? = '') GROUP BY {by} ORDER BY {order}",
                (self._since(days), account, account),
            ).fetchall()
        return [Total(*row) for row in rows]

    def hours(self, account: str) -> list[float]:
        """Return the neurons that an account used in each hour (UTC) of today."""
        now = self._clock()
        found = [0.0] * HOURS
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT CAST(started % :day / 3600 AS INTEGER), sum(neurons) FROM calls"
                " WHERE day = :today AND account = :account AND status <> 'reserved' GROUP BY 1",
                {"day": int(DAY), "today": day_of(now), "account": account},
            ).fetchall()
        for hour, neurons in rows:
            found[hour] = neurons
        return found

    def bills(self, model: str) -> list[Usage]:
        """Return the newest billed usages of a model, at most 50; copies from a cache are none."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT tokens_in, tokens_out, tokens_cached, neurons FROM calls"
                " WHERE model = ? AND status = 'ok' AND basis = 'billed' AND neurons > 0"
                " ORDER BY id DESC LIMIT ?",
                (model, BILLS_LOOKED_AT),
            ).fetchall()
        return [Usage(sent, came, cached, paid, "billed") for sent, came, cached, paid in rows]

    def count(self) -> int:
        """Return how many calls there are."""
        with self._database.reading() as connection:
            return int(connection.execute("SELECT count(*) FROM calls").fetchone()[0])

    def last(self, account: str) -> Usage | None:
        """Return what the newest whole answer of an account used; None where it is long ago."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT tokens_in, tokens_out, tokens_cached, neurons, basis FROM calls"
                " WHERE id > (SELECT max(id) FROM calls) - ? AND account = ?"
                " AND status = 'ok' AND task = 'Text Generation' ORDER BY id DESC LIMIT 1",
                (AT_ONCE, account),
            ).fetchone()
        return None if row is None else Usage(*row)

    def calls(self, days: int | None = None) -> Iterator[Mapping[str, Any]]:
        """Yield the calls themselves by column, oldest first; open it is one reading."""
        with self._database.reading() as connection:
            cursor = connection.execute(
                "SELECT * FROM calls WHERE day >= ? ORDER BY id", (self._since(days),)
            )
            while rows := cursor.fetchmany(AT_ONCE):
                yield from (dict(row) for row in rows)

    def replayed(self, days: int | None = None) -> int:
        """Return how many of the calls were answered from a recording."""
        with self._database.reading() as connection:
            query = "SELECT count(*) FROM calls WHERE status = 'replayed' AND day >= ?"
            return int(connection.execute(query, (self._since(days),)).fetchone()[0])

    def calls_of(self, notebook: str) -> list[Mapping[str, Any]]:
        """Return the calls of one notebook by column, oldest first, but for those not sent."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM calls WHERE notebook = ? AND status <> 'refused' ORDER BY id",
                (notebook,),
            ).fetchall()
        return [dict(row) for row in rows]

    def _since(self, days: int | None) -> str:
        return "" if days is None else day_of(self._clock() - (days - 1) * DAY)
