"""The budgets in neurons that hold for a call, and what was spent under each."""

from collections.abc import Callable
from dataclasses import dataclass
from sqlite3 import Connection

from ..values import Limit, Scope
from .database import Database
from .days import day_of
from .presence import Presence

FREE_NEURONS = 10_000.0  # a day and account, on either plan
SPENT = {
    "day": "SELECT total(billed + estimated + reserved) FROM totals"
    " WHERE day = :day AND account = :account",
    # The kernel, and the children that it forked: their names go on after a full stop.
    "session": "SELECT total(billed + estimated + reserved) FROM totals"
    " WHERE kernel = :kernel OR (kernel > :kernel || '.' AND kernel < :kernel || '/')",
    "notebook": "SELECT total(billed + estimated + reserved) FROM totals"
    " WHERE day = :day AND account = :account AND notebook = :notebook",
    "cell": "SELECT 0.0",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Whose call it is and where it comes from; `account` is hashed, names may be empty."""

    account: str
    notebook: str = ""
    thread: str = ""


class Budgets:
    """Those in one ledger's file, and beside them those of the `course`, which stand in none."""

    def __init__(
        self,
        database: Database,
        presence: Presence,
        clock: Callable[[], float],
        course: tuple[tuple[Scope, float], ...],
    ) -> None:
        self._database = database
        self._presence = presence
        self._clock = clock
        self._course = course

    def limits(self, place: Place) -> list[Limit]:
        """Return the budgets that hold here, as they stand."""
        with self._database.reading() as connection:
            return self.standing(connection, place)

    def standing(self, connection: Connection, place: Place, day: str = "") -> list[Limit]:
        """Return the same within a transaction, so that nothing comes in between.

        `day` is another day (UTC) than today, of a call that began before midnight.
        """
        at = day or day_of(self._clock())
        own = [
            (scope, self._own(connection, scope, name))
            for scope, name in self._scopes(place.notebook)
        ]
        found = [(scope, budget, False) for scope, budget in own if budget is not None]
        found += [(scope, budget, True) for scope, budget in self._course]
        return [
            Limit(scope, budget, self._spent(connection, scope, place, at), of_course)
            for scope, budget, of_course in found
        ]

    def of_day(self, connection: Connection) -> float:
        """Return the lowest budget of the day, or where none is set the free allowance."""
        own = self._own(connection, "day", "")
        days = [budget for scope, budget in self._course if scope == "day"]
        return min([*days, *([] if own is None else [own])], default=FREE_NEURONS)

    def set(self, scope: Scope, neurons: float | None, notebook: str = "") -> None:
        """Set a budget for all kernels, this session or a notebook; None takes it away."""
        name = dict(self._scopes(notebook))[scope]
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM budgets WHERE scope = ? AND name = ?", (scope, name))
            if neurons is not None:
                connection.execute("INSERT INTO budgets VALUES (?, ?, ?)", (scope, name, neurons))

    def _spent(self, connection: Connection, scope: Scope, place: Place, day: str) -> float:
        values = {
            "day": day,
            "kernel": self._presence.session,
            "account": place.account,
            "notebook": place.notebook,
        }
        return float(connection.execute(SPENT[scope], values).fetchone()[0])

    def _scopes(self, notebook: str) -> tuple[tuple[Scope, str], ...]:
        """Return the scopes of budgets, each with the name under which its own stands."""
        return ("day", ""), ("session", self._presence.session), ("notebook", notebook)

    def _own(self, connection: Connection, scope: Scope, name: str) -> float | None:
        row = connection.execute(
            "SELECT neurons FROM budgets WHERE scope = ? AND name = ?", (scope, name)
        ).fetchone()
        return None if row is None else float(row[0])
