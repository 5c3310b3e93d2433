"""The ledger of all calls: what each cost, what is reserved, and which budgets hold."""

import atexit
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection

from .. import forks
from ..errors import StoreError
from ..values import AccountFigure, Limit, Scope, Standing, Status, Usage
from ..values.usage import MOST_NEURONS, MOST_TOKENS
from .budgets import Budgets, Place
from .database import PATIENCE, Database
from .days import day_of, seconds_to_midnight
from .history import History
from .presence import Presence
from .schema import MIGRATIONS

FILE_NAME = "ledger.sqlite"
POOL = "Map, reserved"
PATIENCE_AT_END = 5.0  # s: what a call cost can also be written later
PATIENCE_OF_VIEWS = 0.5  # s: figures are shown as they stand
Fit = Callable[[Sequence[Limit], bool], float]
FitAll = Callable[[Sequence[Limit], bool], Sequence[float]]
Extend = Callable[[Sequence[Limit], float], float]  # of the limits and what is reserved
Write = Callable[[Connection], None]
ROUNDING = 1e-9  # neurons: what additions and subtractions leave of nothing
# Of a call that is not settled, or that another kernel took for lost.
OPEN_CALL = (
    "SELECT neurons, day, account, notebook FROM calls"
    " WHERE id = ? AND status IN ('reserved', 'interrupted')"
)
EXTEND = "UPDATE calls SET neurons = ? WHERE id = ? AND status IN ('reserved', 'interrupted')"
SETTLE = (
    "UPDATE calls SET status = ?, basis = ?, neurons = iif(?, min(?, neurons), ?), tokens_in = ?,"
    " tokens_cached = ?, tokens_out = ?, seconds = ?, first_token_seconds = ?"
    " WHERE id = ? AND (kernel = ? OR ?) AND status IN ('reserved', 'interrupted')"
)
What = tuple[str, str, str]  # model, task, hash of the request


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended: its status, usage with neurons, and times in seconds.

    Where `is_guess`, the neurons are no figure of the server's: then at most what was reserved
    for the call is booked.
    """

    status: Status
    usage: Usage
    seconds: float | None = None
    first_token_seconds: float | None = None
    is_guess: bool = False


class Ledger(forks.InChild):
    """One file for all kernels; `clock` gives seconds since 1970. No text of a call is in it.

    `course` are budgets that hold beside those in the file, and stand in none. `patience` is how
    many seconds a call waits while other programs write to the file.

    What a call cost is kept here while it can't be written, and written with the next transaction,
    when the ledger is closed, or when the process ends.
    """

    def __init__(
        self,
        home: Path,
        clock: Callable[[], float] = time.time,
        course: Sequence[tuple[Scope, float]] = (),
        patience: float = PATIENCE,
    ) -> None:
        self._database = Database(home / FILE_NAME, MIGRATIONS, patience)
        self._presence = Presence(home / "kernels")
        self._clock = clock
        self._patience = patience
        self._unwritten: list[Write] = []
        self.budgets = Budgets(self._database, self._presence, clock, tuple(course))
        self.history = History(self._database, clock)
        forks.register(self)

    def in_child(self) -> None:
        """Leave to the parent what it could not write."""
        self._unwritten = []

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
        self._write_late()
        self._database.close()
        self._presence.leave()

    # --- what could not be written at once

    @contextmanager
    def _transaction(self, patience: float = PATIENCE) -> Iterator[Connection]:
        """Give a transaction that first writes what earlier ones could not."""
        with self._database.transaction(min(patience, self._patience)) as connection:
            late = tuple(self._unwritten)
            for write in late:
                write(connection)
            yield connection
        for write in late:
            with suppress(ValueError):  # another thread wrote it too, which changes nothing
                self._unwritten.remove(write)

    def _write(self, write: Write) -> StoreError | None:
        """Write now, or keep it for the next transaction and return what prevented it."""
        try:
            with self._transaction(PATIENCE_AT_END) as connection:
                write(connection)
        except StoreError as error:
            if not self._unwritten:
                atexit.register(self._end, os.getpid())
            self._unwritten.append(write)
            return error
        return None

    def _write_late(self) -> None:
        """Write what is left; else other kernels book all that was reserved, as an estimate."""
        if self._unwritten:
            with suppress(StoreError), self._transaction(PATIENCE_AT_END):
                pass
        if not self._unwritten:
            atexit.unregister(self._end)

    def _end(self, process: int) -> None:
        """Write what is left when the process ends; a fork of it leaves that to the first."""
        if process == os.getpid():
            self._write_late()
            self._database.close()

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
        with self._transaction() as connection:
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

    def extend(self, number: int, extend: Extend) -> float:
        """Reserve more for a call that runs: what `extend` says of the limits as they stand.

        All in one transaction, as `reserve`; what `extend` raises leaves the reservation as it
        is. The limits are those of the day and place where the call began.
        """
        with self._transaction() as connection:
            row = connection.execute(OPEN_CALL, (number,)).fetchone()
            held, day, account, notebook = row or (0.0, "", "", "")
            limits = self.budgets.standing(connection, Place(account, notebook), day)
            amount = extend(limits, held)
            connection.execute(EXTEND, (amount, number))
        return amount

    def settle(
        self, number: int, outcome: Outcome, *, any_kernel: bool = False
    ) -> StoreError | None:
        """Put what a call really cost in place of what was reserved for it.

        A call of another kernel, such as of the parent of a forked child, stays as it is unless
        `any_kernel` is set. Returns what prevented it, if anything did: then it is written later.
        """
        usage = outcome.usage
        values = (
            *(outcome.status, usage.basis or "estimated"),
            *(outcome.is_guess, figure_within(usage.neurons), figure_within(usage.neurons)),
            *map(_tokens, (usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens)),
            *(_finite(outcome.seconds), _finite(outcome.first_token_seconds)),
            *(number, self.kernel, any_kernel),
        )

        def write(connection: Connection) -> None:
            connection.execute(SETTLE, values)

        return self._write(write)

    # --- pools: reserved as one sum, as a call of the task POOL, and drawn from call by call

    def draw(self, pool: int, place: Place, what: What, neurons: float, extend: Extend) -> int:
        """Reserve for a call out of a pool; return the call's number.

        A row that is asked twice may need more than the pool still has: `extend` then says of the
        limits and the pool what the pool needs, and may refuse.
        """
        with self._transaction() as connection:
            row = connection.execute(
                "SELECT neurons FROM calls WHERE id = ? AND task = ?", (pool, POOL)
            ).fetchone()
            left = row[0] if row else 0.0
            if neurons > left:
                left = extend(self.budgets.standing(connection, place), left)
            connection.execute(
                "UPDATE calls SET neurons = max(0, ? - ?)"
                " WHERE id = ? AND task = ? AND kernel = ?",
                (left, neurons, pool, POOL, self.kernel),
            )
            return self._insert(connection, place, what, ("reserved", neurons))

    def drop(self, pool: int) -> None:
        """Let go of what nobody has drawn from a pool: now, or when it can be written."""
        values = (pool, POOL, self.kernel)

        def write(connection: Connection) -> None:
            connection.execute(
                "DELETE FROM calls WHERE id = ? AND task = ? AND kernel = ?", values
            )

        self._write(write)

    def _settle_lost(self, connection: Connection) -> None:
        """Settle what kernels reserved that are no more: as an estimate, of all that was reserved.

        How far such a call came nobody knows, and a budget must not be passed. What nobody had
        drawn from a pool was not sent.
        """
        for kernel in self._lost(connection):
            connection.execute(
                "DELETE FROM calls WHERE status = 'reserved' AND task = ? AND kernel = ?",
                (POOL, kernel),
            )
            connection.execute(
                "UPDATE calls SET status = 'interrupted', basis = 'estimated'"
                " WHERE status = 'reserved' AND kernel = ?",
                (kernel,),
            )

    def _lost(self, connection: Connection) -> list[str]:
        """Return the kernels that are no more, and have something reserved."""
        kernels = connection.execute(
            "SELECT DISTINCT kernel FROM calls WHERE status = 'reserved'"
        ).fetchall()
        return [kernel for (kernel,) in kernels if not self._presence.is_there(kernel)]

    # --- days

    def close_day(self, account: str) -> None:
        """Note that this account's allowance is used up until 00:00 UTC."""
        values = day_of(self._clock()), account

        def write(connection: Connection) -> None:
            connection.execute("INSERT OR IGNORE INTO closed_days VALUES (?, ?)", values)

        self._write(write)

    def reopen_day(self, account: str) -> None:
        """Take that back, for an account that has changed its plan."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM closed_days WHERE account = ?", (account,))

    def note_account(self, account: str, neurons: float) -> None:
        """Keep what Cloudflare said that the account has used today."""
        now = self._clock()
        values = day_of(now), account, figure_within(neurons), now

        def write(connection: Connection) -> None:
            connection.execute(
                "INSERT OR REPLACE INTO account_figures VALUES (?, ?, ?, ?)", values
            )

        self._write(write)

    def _is_closed(self, connection: Connection, account: str) -> bool:
        today = day_of(self._clock())
        query = "SELECT count(*) FROM closed_days WHERE day = ? AND account = ?"
        return _number(connection, query, today, account) > 0

    def standing(self, account: str) -> Standing:
        """Return where today stands for an account."""
        now = self._clock()
        with self._database.reading() as connection:
            if self._unwritten or self._lost(connection):
                # Where that can't be written now, what is reserved stands there as reserved.
                with suppress(StoreError), self._transaction(PATIENCE_OF_VIEWS) as writing:
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
        billed, estimated, reserved = (0.0 if abs(s) < ROUNDING else s for s in sums)
        left = seconds_to_midnight(now)
        return Standing(billed, estimated, reserved, limit, left, closed, figure)


def figure_within(neurons: float | None) -> float:
    """Return neurons as they can be summed up; what can be no figure of one call counts as 0."""
    return neurons if neurons is not None and 0 <= neurons <= MOST_NEURONS else 0.0


def _tokens(count: int) -> int:
    return count if 0 <= count <= MOST_TOKENS else 0


def _finite(seconds: float | None) -> float | None:
    return seconds if seconds is not None and math.isfinite(seconds) else None


def _number(connection: Connection, query: str, *values: str) -> float:
    return float(connection.execute(query, values).fetchone()[0])
