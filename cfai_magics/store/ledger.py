"""The ledger of all calls: what each cost, what is reserved, and which budgets hold."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection

from ..values import AccountFigure, Limit, Scope, Standing, Status, Usage
from .budgets import Budgets, Place
from .database import Database
from .days import day_of, seconds_to_midnight
from .history import History
from .presence import Presence
from .schema import MIGRATIONS

FILE_NAME = "ledger.sqlite"
POOL = "Map, reserved"
Fit = Callable[[Sequence[Limit], bool], float]
FitAll = Callable[[Sequence[Limit], bool], Sequence[float]]
What = tuple[str, str, str]  # model, task, hash of the request


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended: its status, usage with neurons, and times in seconds."""

    status: Status
    usage: Usage
    seconds: float | None = None
    first_token_seconds: float | None = None


class Ledger:
    """One file for all kernels; `clock` gives seconds since 1970. No text of a call is in it.

    `course` are budgets that hold beside those in the file, and stand in none.
    """

    def __init__(
        self,
        home: Path,
        clock: Callable[[], float] = time.time,
        course: Sequence[tuple[Scope, float]] = (),
    ) -> None:
        self._database = Database(home / FILE_NAME, MIGRATIONS)
        self._presence = Presence(home / "kernels")
        self._clock = clock
        self.budgets = Budgets(self._database, self._presence, clock, tuple(course))
        self.history = History(self._database, clock)

    @property
    def path(self) -> Path:
        """The file."""
        return self._database.path

    def trouble(self) -> str:
        """Return what SQLite finds wrong with the file; an empty text where it is whole."""
        with self._database.transaction() as connection:
            found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
        return "" if found == "ok" else found

    @property
    def kernel(self) -> str:
        """The name under which this kernel's calls stand."""
        return self._presence.name

    def version(self) -> object:
        """Return what is another value whenever this or another kernel has written here."""
        return self._database.version()

    def close(self) -> None:
        """Close the file, and leave the kernels that are there."""
        self._database.close()
        self._presence.leave()

    # --- calls

    def reserve(
        self,
        place: Place,
        model: str,
        task: str,
        fit: Fit,
    ) -> int:
        """Reserve what `fit` says of the limits as they stand, and return the call's number.

        `fit` is also told whether Cloudflare has closed the day for this account.

        All in one transaction: no other kernel's call comes in between. What `fit` raises refuses
        the call, which then stands in the ledger as refused.
        """
        alone = [(model, task, "")]
        return self.reserve_all(place, alone, lambda limits, closed: [fit(limits, closed)])[0]

    def reserve_all(self, place: Place, calls: Sequence[What], fit: FitAll) -> list[int]:
        """Reserve for several calls as one: all of them, or none.

        `fit` returns what to reserve for each; otherwise as `reserve`.
        """
        self._presence.hold()
        refusal: Exception | None = None
        with self._database.transaction() as connection:
            self._settle_lost(connection)
            try:
                closed = self._is_closed(connection, place.account)
                amounts, status = fit(self.budgets.standing(connection, place), closed), "reserved"
            except Exception as error:  # noqa: BLE001 - whatever it is, it is raised below
                refusal, amounts, status = error, [0.0] * len(calls), "refused"
            numbers = [
                self._insert(connection, place, what, (status, neurons))
                for what, neurons in zip(calls, amounts, strict=True)
            ]
        if refusal is not None:
            raise refusal
        return numbers

    def _insert(
        self, connection: Connection, place: Place, what: What, booked: tuple[str, float]
    ) -> int:
        model, task, request = what
        status, neurons = booked
        basis = "estimated" if status == "reserved" else "billed"
        now = self._clock()
        row = (now, day_of(now), place.account, model, task, status, basis, neurons)
        where = (place.notebook, self.kernel, place.thread, request)
        inserted = connection.execute(
            "INSERT INTO calls (started, day, account, model, task, status, basis, neurons,"
            " notebook, kernel, thread, request) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            row + where,
        )
        return int(inserted.lastrowid or 0)

    def settle(self, number: int, outcome: Outcome) -> None:
        """Put what a call really cost in place of what was reserved for it."""
        usage = outcome.usage
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE calls SET status = ?, basis = ?, neurons = ?, tokens_in = ?,"
                " tokens_cached = ?, tokens_out = ?, seconds = ?, first_token_seconds = ?"
                " WHERE id = ?",
                (
                    *(outcome.status, usage.basis or "estimated", usage.neurons or 0.0),
                    *(usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens),
                    *(outcome.seconds, outcome.first_token_seconds, number),
                ),
            )

    # --- pools: reserved as one sum, as a call of the task POOL, and drawn from call by call

    def draw(self, pool: int, place: Place, what: What, neurons: float) -> int:
        """Reserve for a call out of a pool; return the call's number."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE calls SET neurons = max(0, neurons - ?) WHERE id = ? AND task = ?",
                (neurons, pool, POOL),
            )
            return self._insert(connection, place, what, ("reserved", neurons))

    def drop(self, pool: int) -> None:
        """Let go of what nobody has drawn from a pool."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM calls WHERE id = ? AND task = ?", (pool, POOL))

    def _settle_lost(self, connection: Connection) -> None:
        """Settle what kernels reserved that are no more: as an estimate, of all that was reserved.

        How far such a call came nobody knows, and a budget must not be passed. What nobody had
        drawn from a pool was not sent.
        """
        kernels = connection.execute(
            "SELECT DISTINCT kernel FROM calls WHERE status = 'reserved'"
        ).fetchall()
        for (kernel,) in kernels:
            if not self._presence.is_there(kernel):
                connection.execute(
                    "DELETE FROM calls WHERE status = 'reserved' AND task = ? AND kernel = ?",
                    (POOL, kernel),
                )
                connection.execute(
                    "UPDATE calls SET status = 'interrupted', basis = 'estimated'"
                    " WHERE status = 'reserved' AND kernel = ?",
                    (kernel,),
                )

    # --- days

    def close_day(self, account: str) -> None:
        """Note that this account's allowance is used up until 00:00 UTC."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO closed_days VALUES (?, ?)", (day_of(self._clock()), account)
            )

    def reopen_day(self, account: str) -> None:
        """Take that back, for an account that has changed its plan."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM closed_days WHERE account = ?", (account,))

    def note_account(self, account: str, neurons: float) -> None:
        """Keep what Cloudflare said that the account has used today."""
        now = self._clock()
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO account_figures VALUES (?, ?, ?, ?)",
                (day_of(now), account, neurons, now),
            )

    def _is_closed(self, connection: Connection, account: str) -> bool:
        today = day_of(self._clock())
        query = "SELECT count(*) FROM closed_days WHERE day = ? AND account = ?"
        return _number(connection, query, today, account) > 0

    def standing(self, account: str) -> Standing:
        """Return where today stands for an account."""
        now = self._clock()
        with self._database.reading() as connection:
            if _number(connection, "SELECT count(*) FROM calls WHERE status = 'reserved'"):
                with self._database.transaction() as writing:
                    self._settle_lost(writing)
            sums = connection.execute(
                "SELECT total(billed), total(estimated), total(reserved) FROM totals"
                " WHERE day = ? AND account = ?",
                (day_of(now), account),
            ).fetchone()
            closed = self._is_closed(connection, account)
            limit = self.budgets.of_day(connection)
            told = connection.execute(
                "SELECT neurons, told FROM account_figures WHERE day = ? AND account = ?",
                (day_of(now), account),
            ).fetchone()
        figure = AccountFigure(told["neurons"], told["told"]) if told else None
        billed, estimated, reserved = sums
        left = seconds_to_midnight(now)
        return Standing(billed, estimated, reserved, limit, left, closed, figure)


def _number(connection: Connection, query: str, *values: str) -> float:
    return float(connection.execute(query, values).fetchone()[0])
