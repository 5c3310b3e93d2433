"""Store reservations, settlements, budgets and rate-limit slots in the ledger."""

import atexit
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import starmap
from pathlib import Path
from sqlite3 import Connection
from typing import TYPE_CHECKING, NamedTuple

from .. import forks
from ..errors import StorageError
from ..pricing.limits import WINDOW_SECONDS, RateDelay, RateLimit
from ..types.usage import (
    CLASS_PREFIX,
    FREE_DAILY_NEURONS,
    MAX_NEURONS,
    MAX_TOKENS,
    AccountFigure,
    ClassFigure,
    DayLimitSource,
    DayUsage,
    Limit,
    LimitSource,
    Scope,
    Status,
    Usage,
)
from .database import BUSY_TIMEOUT, Database, seconds_to_midnight, utc_day
from .kernel_lock import KernelLock
from .ledger_schema import MIGRATIONS

if TYPE_CHECKING:
    from .usage_queries import History

SPENT_SQL = {
    "day": "SELECT total(billed + estimated + reserved) FROM totals"
    " WHERE day = :day AND account = :account",
    # Includes forked children. Their names start with the kernel's name and a period.
    "session": "SELECT total(billed + estimated + reserved) FROM totals"
    " WHERE kernel = :kernel OR (kernel > :kernel || '.' AND kernel < :kernel || '/')",
    "notebook": "SELECT total(billed + estimated + reserved) FROM totals"
    " WHERE day = :day AND account = :account AND notebook = :notebook",
    "cell": "SELECT 0.0",
}
# Rows appear in the order of this union: day, session, notebook.
STORED_BUDGETS = (
    "SELECT scope, neurons FROM budgets WHERE scope = 'day' AND name = ''"
    " UNION ALL SELECT scope, neurons FROM budgets WHERE scope = 'session' AND name = :kernel"
    " UNION ALL SELECT scope, neurons FROM budgets WHERE scope = 'notebook' AND name = :notebook"
)
DAY_BUDGET = "SELECT neurons FROM budgets WHERE scope = 'day' AND name = ''"
# While other calls run, `spent` contains their reservations at the server, which are higher than
# those of this ledger. Then only a report of an earlier day, which counts as 0, is replaced.
SAVE_CLASS_FIGURE = (
    "INSERT INTO class_figures SELECT :account, :day, :budget, :spent,"
    " max(0, iif(:running > 1, 0, :spent - total(billed + estimated))), :now"
    " FROM totals WHERE day = :day AND account = :account"
    " ON CONFLICT DO UPDATE SET budget = excluded.budget, spent = excluded.spent,"
    " elsewhere = iif(:running > 1 AND day = excluded.day, elsewhere, excluded.elsewhere),"
    " day = excluded.day, reported = excluded.reported"
)
RUNNING_CALLS = (
    "SELECT count(*) FROM calls WHERE status = 'reserved' AND account = ? AND task <> ?"
)
FILE_NAME = "ledger.sqlite"
POOL_TASK = "Map, reserved"
MAX_BILLED_CALLS = 50
SETTLE_TIMEOUT = 5.0  # seconds; the cost of a call can also be written later
VIEW_TIMEOUT = 0.5  # seconds; after that, views show the unsettled state
AdmitCall = Callable[[Sequence[Limit], bool], float]
AdmitCalls = Callable[[Sequence[Limit], bool], Sequence[float]]
# (limits, reserved neurons) -> neurons to reserve
Extend = Callable[[Sequence[Limit], float], float]
Write = Callable[[Connection], None]
ROUNDING = 1e-9  # neurons; smaller sums are treated as 0
# A call that is not settled yet or that another kernel marked as interrupted.
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
CallKey = tuple[str, str, str]  # model, task, fingerprint of the request


class CallContext(NamedTuple):
    """The hashed account, the notebook and the thread of a call. Each field may be empty."""

    account: str
    notebook: str = ""
    thread: str = ""


class Budgets:
    """The budgets stored in the ledger, and the `course_budgets` set by a course."""

    def __init__(
        self,
        database: Database,
        kernel_lock: KernelLock,
        clock: Callable[[], float],
        course_budgets: tuple[tuple[Scope, float], ...],
    ) -> None:
        self._database = database
        self._kernel_lock = kernel_lock
        self._clock = clock
        self._course_budgets = course_budgets

    def limits(self, context: CallContext) -> list[Limit]:
        """Return the budgets that apply to a context, with the number of neurons spent."""
        with self._database.connection() as connection:
            return self.select_limits(connection, context)

    def select_limits(
        self, connection: Connection, context: CallContext, day: str = ""
    ) -> list[Limit]:
        """Return the same as `limits`, but within the caller's transaction.

        For a call that started before midnight UTC, `day` is the date on which the call started.
        """
        values = {
            "day": day or utc_day(self._clock()),
            "kernel": self._kernel_lock.session,
            "account": context.account,
            "notebook": context.notebook,
        }
        stored = connection.execute(STORED_BUDGETS, values).fetchall()
        limits = []
        sources: tuple[tuple[Sequence[tuple[Scope, float]], LimitSource], ...]
        sources = ((stored, "user"), (self._course_budgets, "course"))
        for budgets, source in sources:
            for scope, neurons in budgets:
                spent = float(connection.execute(SPENT_SQL[scope], values).fetchone()[0])
                if scope == "day" and context.account.startswith(CLASS_PREFIX):
                    spent += _select_class_figure(connection, context.account, values["day"])[1]
                limits.append(Limit(scope, neurons, spent, source))
        return limits

    def daily_limits(self, connection: Connection) -> list[tuple[float, DayLimitSource]]:
        """Return the daily budgets of the user and the course, in neurons."""
        stored = connection.execute(DAY_BUDGET).fetchone()
        limits: list[tuple[float, DayLimitSource]] = [(stored[0], "user")] if stored else []
        for scope, budget in self._course_budgets:
            if scope == "day":
                limits.append((budget, "course"))
        return limits

    def set(self, scope: Scope, neurons: float | None, notebook: str = "") -> None:
        """Set the budget for the day, this session or a notebook. None removes the budget."""
        names = {"day": "", "session": self._kernel_lock.session, "notebook": notebook}
        name = names[scope]
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM budgets WHERE scope = ? AND name = ?", (scope, name))
            if neurons is not None:
                connection.execute("INSERT INTO budgets VALUES (?, ?, ?)", (scope, name, neurons))


class CallOutcome(NamedTuple):
    """The status, usage and duration of a finished call.

    If `is_guess` is True, the number of neurons is an estimate and is capped at the
    reservation.
    """

    status: Status
    usage: Usage
    seconds: float | None = None
    first_token_seconds: float | None = None
    is_guess: bool = False


class Ledger(forks.ChildForkHook):
    """The ledger of all calls, stored in one SQLite file that all kernels share.

    The ledger contains no prompts or answers. `clock` returns seconds since 1970.
    `course_budgets` apply in addition to the stored budgets. `lock_timeout` is the busy timeout in
    seconds.

    A settlement that cannot be written stays in memory. It is written with the next transaction,
    when the ledger is closed, or when the process ends.
    """

    def __init__(
        self,
        home: Path,
        clock: Callable[[], float] = time.time,
        course_budgets: Sequence[tuple[Scope, float]] = (),
        lock_timeout: float = BUSY_TIMEOUT,
    ) -> None:
        self._database = Database(home / FILE_NAME, MIGRATIONS, lock_timeout)
        self._kernel_lock = KernelLock(home / "kernels")
        self._clock = clock
        self._lock_timeout = lock_timeout
        self._pending_writes: list[Write] = []
        self.budgets = Budgets(self._database, self._kernel_lock, clock, tuple(course_budgets))
        forks.register(self)

    def after_fork_in_child(self) -> None:
        """Leave unwritten settlements to the parent."""
        self._pending_writes = []

    @property
    def history(self) -> "History":
        """Queries for past usage."""
        from .usage_queries import History

        return History(self._database, self._clock)

    @property
    def path(self) -> Path:
        """The path to the SQLite file."""
        return self._database.path

    def open(self) -> None:
        """Open the file, creating it if it is missing.

        Raises:
            StorageError: The file cannot be opened or created.
        """
        with self._database.connection():
            pass

    @property
    def kernel(self) -> str:
        """The name of this kernel in the ledger."""
        return self._kernel_lock.name

    def data_version(self) -> object:
        """Return a value that changes whenever any kernel writes to the ledger."""
        return self._database.data_version()

    def close(self) -> None:
        """Write pending settlements, close the file and release the kernel lock."""
        self._run_pending_writes()
        self._database.close()
        self._kernel_lock.release()

    # --- pending writes

    @contextmanager
    def _transaction(self, lock_timeout: float = BUSY_TIMEOUT) -> Iterator[Connection]:
        """Run the pending writes in a new transaction, and yield the connection."""
        with self._database.transaction(min(lock_timeout, self._lock_timeout)) as connection:
            pending = tuple(self._pending_writes)
            for write in pending:
                write(connection)
            yield connection
        for write in pending:
            with suppress(ValueError):  # another thread has already run this write
                self._pending_writes.remove(write)

    def _write(self, write: Write) -> StorageError | None:
        """Run a write. On failure, keep it for the next transaction and return the error."""
        try:
            with self._transaction(SETTLE_TIMEOUT) as connection:
                write(connection)
        except StorageError as error:
            if not self._pending_writes:
                atexit.register(self._write_at_exit, os.getpid())
            self._pending_writes.append(write)
            return error
        return None

    def _run_pending_writes(self) -> None:
        """Run the pending writes.

        If this fails, other kernels later settle the calls with their full reservations.
        """
        if self._pending_writes:
            with suppress(StorageError), self._transaction(SETTLE_TIMEOUT):
                pass
        if not self._pending_writes:
            atexit.unregister(self._write_at_exit)

    def _write_at_exit(self, process: int) -> None:
        """Run the pending writes when the process ends, but not in a forked child."""
        if process == os.getpid():
            self._run_pending_writes()
            self._database.close()

    # --- calls

    def reserve(
        self,
        context: CallContext,
        model: str,
        task: str,
        admit: AdmitCall,
    ) -> int:
        """Reserve neurons for one call, and return the call ID.

        `admit(limits, is_day_closed)` returns the number of neurons to reserve. `is_day_closed` is
        True if Cloudflare has reported that the daily quota is used up.

        One transaction covers all steps, so that no other kernel can reserve neurons in between.
        If `admit` raises an exception, the call is stored as refused and the exception is raised
        again.
        """
        call_keys = [(model, task, "")]
        return self.reserve_all(
            context, call_keys, lambda limits, is_day_closed: [admit(limits, is_day_closed)]
        )[0]

    def reserve_all(
        self,
        context: CallContext,
        call_keys: Sequence[CallKey],
        admit: AdmitCalls,
        on_reserved: Callable[[Connection], None] | None = None,
    ) -> list[int]:
        """Reserve neurons for all of the calls or none of them, and return the call IDs.

        `admit` works as in `reserve`, but returns the neurons for each call. `on_reserved`, if
        given, is called in the same transaction after the calls are reserved.
        """
        if not self._kernel_lock.is_acquired:
            self._kernel_lock.acquire()
        refusal: Exception | None = None
        with self._transaction() as connection:
            self._settle_dead_kernels(connection)
            try:
                day = utc_day(self._clock())
                limits = self.budgets.select_limits(connection, context, day)
                is_day_closed = _is_day_closed(connection, day, context.account)
                amounts, status = admit(limits, is_day_closed), "reserved"
            except Exception as error:  # noqa: BLE001 - raised again below
                refusal, amounts, status = error, [0.0] * len(call_keys), "refused"
            call_ids = [
                self._insert_call(connection, context, call_key, (status, neurons))
                for call_key, neurons in zip(call_keys, amounts, strict=True)
            ]
            if on_reserved is not None and refusal is None:
                on_reserved(connection)
        if refusal is not None:
            raise refusal
        return call_ids

    def _insert_call(
        self,
        connection: Connection,
        context: CallContext,
        call_key: CallKey,
        status_and_neurons: tuple[str, float],
    ) -> int:
        model, task, request = call_key
        status, neurons = status_and_neurons
        cost_basis = "estimated" if status == "reserved" else "billed"
        now = self._clock()
        call_columns = (
            now,
            utc_day(now),
            context.account,
            model,
            task,
            status,
            cost_basis,
            neurons,
        )
        context_columns = (context.notebook, self._kernel_lock.name, context.thread, request)
        cursor = connection.execute(
            "INSERT INTO calls (started, day, account, model, task, status, basis, neurons,"
            " notebook, kernel, thread, request) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            call_columns + context_columns,
        )
        return int(cursor.lastrowid or 0)

    def extend(self, call_id: int, extend: Extend) -> float:
        """Change a running call's reservation to the result of `extend(limits, reserved)`.

        Returns the new reservation in neurons. One transaction covers all steps. If `extend`
        raises an exception, the reservation stays unchanged. `limits` are the limits for the
        day, account and notebook in effect when the call started.
        """
        with self._transaction() as connection:
            row = connection.execute(OPEN_CALL, (call_id,)).fetchone()
            reserved, day, account, notebook = row or (0.0, "", "", "")
            limits = self.budgets.select_limits(connection, CallContext(account, notebook), day)
            amount = extend(limits, reserved)
            connection.execute(EXTEND, (amount, call_id))
        return amount

    def settle(
        self, call_id: int, outcome: CallOutcome, *, any_kernel: bool = False
    ) -> StorageError | None:
        """Replace the reservation of a call with its actual outcome.

        Calls made by other kernels, such as the parent of a forked child, stay unchanged unless
        `any_kernel` is True. If the ledger cannot be written now, the error is returned and the
        outcome is written later.
        """
        usage = outcome.usage
        values = (
            outcome.status,
            "unknown" if usage.neurons is None else usage.cost_basis or "estimated",
            *(outcome.is_guess, figure_within(usage.neurons), figure_within(usage.neurons)),
            *map(
                _valid_token_count,
                (usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens),
            ),
            *(_finite_or_none(outcome.seconds), _finite_or_none(outcome.first_token_seconds)),
            *(call_id, self._kernel_lock.name, any_kernel),
        )

        def write(connection: Connection) -> None:
            connection.execute(SETTLE, values)

        return self._write(write)

    # --- pools: a row with the task POOL_TASK holds the total; each call takes its share

    def reserve_from_pool(
        self, pool_id: int, context: CallContext, call_key: CallKey, neurons: float, extend: Extend
    ) -> int:
        """Reserve neurons from a pool for one call, and return the call ID.

        A retried row of a map may need more neurons than the pool has left. In this case,
        `extend(limits, left)` returns the new size of the pool or raises an exception.
        """
        with self._transaction() as connection:
            row = connection.execute(
                "SELECT neurons FROM calls WHERE id = ? AND task = ?", (pool_id, POOL_TASK)
            ).fetchone()
            left = row[0] if row else 0.0
            if neurons > left:
                left = extend(self.budgets.select_limits(connection, context), left)
            connection.execute(
                "UPDATE calls SET neurons = max(0, ? - ?)"
                " WHERE id = ? AND task = ? AND kernel = ?",
                (left, neurons, pool_id, POOL_TASK, self.kernel),
            )
            return self._insert_call(connection, context, call_key, ("reserved", neurons))

    def release_pool(self, pool_id: int) -> None:
        """Release the unused neurons of a pool, now or in the next transaction."""
        values = (pool_id, POOL_TASK, self.kernel)

        def write(connection: Connection) -> None:
            connection.execute(
                "DELETE FROM calls WHERE id = ? AND task = ? AND kernel = ?", values
            )

        self._write(write)

    def _settle_dead_kernels(self, connection: Connection) -> None:
        """Settle the open calls of dead kernels, with the full reservation as an estimate.

        The full reservation is used because the actual usage is unknown and budgets must not be
        exceeded. The unused neurons of pools are released, because they do not belong to any call.
        """
        for kernel in self._dead_kernels(connection):
            connection.execute(
                "DELETE FROM calls WHERE status = 'reserved' AND task = ? AND kernel = ?",
                (POOL_TASK, kernel),
            )
            connection.execute(
                "UPDATE calls SET status = 'interrupted', basis = 'estimated'"
                " WHERE status = 'reserved' AND kernel = ?",
                (kernel,),
            )

    def _dead_kernels(self, connection: Connection) -> list[str]:
        """Return the names of kernels that ended without settling their reservations."""
        kernels = connection.execute(
            "SELECT DISTINCT kernel FROM calls WHERE status = 'reserved' AND kernel <> ?",
            (self._kernel_lock.name,),
        ).fetchall()
        if not kernels:
            return []
        return [kernel for (kernel,) in kernels if not self._kernel_lock.is_alive(kernel)]

    def recent_billed_usage(self, model: str) -> list[Usage]:
        """Return the usage of up to 50 recent billed calls to a model, newest first.

        Calls billed with 0 neurons, such as cached answers, are excluded.
        """
        with self._database.connection() as connection:
            rows = connection.execute(
                "SELECT tokens_in, tokens_out, tokens_cached, neurons, 'billed' FROM calls"
                " WHERE model = ? AND status = 'ok' AND basis = 'billed' AND neurons > 0"
                " ORDER BY id DESC LIMIT ?",
                (model, MAX_BILLED_CALLS),
            ).fetchall()
        return list(starmap(Usage, rows))

    # --- rate limits

    def take_slot(self, account: str, rate_limit: RateLimit) -> RateDelay:
        """Reserve the next send time for a request, and return the delay until then."""
        with self._transaction() as connection:
            return self.take_slot_in(connection, account, rate_limit)

    def take_slot_in(
        self, connection: Connection, account: str, rate_limit: RateLimit
    ) -> RateDelay:
        """Do the same as `take_slot`, but within the caller's transaction.

        All kernels together stay within the rate limit in any window of WINDOW_SECONDS. `account`
        is the hash of the account.
        """
        now, lane = self._clock(), (account, rate_limit.name)
        connection.execute(
            "DELETE FROM sendings WHERE account = ? AND lane = ? AND at < ?",
            (*lane, now - WINDOW_SECONDS),
        )
        row = connection.execute(
            "SELECT at FROM sendings WHERE account = ? AND lane = ?"
            " ORDER BY at DESC LIMIT 1 OFFSET ?",
            (*lane, rate_limit.requests_per_minute - 1),
        ).fetchone()
        slot_time = max(now, row["at"] + WINDOW_SECONDS) if row else now
        connection.execute("INSERT INTO sendings VALUES (?, ?, ?)", (*lane, slot_time))
        seconds = float(slot_time - now)
        return RateDelay(seconds, rate_limit.message if seconds else "")

    # --- days

    def close_day(self, account: str) -> None:
        """Mark this account's free quota as used up until 00:00 UTC."""
        values = utc_day(self._clock()), account

        def write(connection: Connection) -> None:
            connection.execute("INSERT OR IGNORE INTO closed_days VALUES (?, ?)", values)

        self._write(write)

    def is_from_today(self, call_id: int) -> bool:
        """Return whether a call was reserved today (UTC)."""
        values = call_id, utc_day(self._clock())
        with self._database.connection() as connection:
            query = "SELECT count(*) FROM calls WHERE id = ? AND day = ?"
            return bool(connection.execute(query, values).fetchone()[0])

    def reopen_day(self, account: str) -> None:
        """Undo `close_day`, for example after the account has switched plans."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM closed_days WHERE account = ?", (account,))

    def save_account_figure(self, account: str, neurons: float) -> None:
        """Store the number of neurons that Cloudflare reports for the account today."""
        now = self._clock()
        values = utc_day(now), account, figure_within(neurons), now

        def write(connection: Connection) -> None:
            connection.execute(
                "INSERT OR REPLACE INTO account_figures VALUES (?, ?, ?, ?)", values
            )

        self._write(write)

    def save_class_status(self, account: str, budget: float, spent: float) -> None:
        """Store what a class server reported about a student.

        `account` starts with CLASS_PREFIX. A report with an implausible number is ignored. If the
        ledger cannot be written now, the report is stored later.

        Args:
            account: The hashed account of the student.
            budget: The student's neurons per day.
            spent: The neurons that the server counted today, without those of the call that is
                running, such as in the headers of its response.
        """
        if not (0 <= budget <= MAX_NEURONS and 0 <= spent <= MAX_NEURONS):
            return
        now = self._clock()
        values = {
            "account": account,
            "day": utc_day(now),
            "budget": budget,
            "spent": spent,
            "now": now,
        }

        def write(connection: Connection) -> None:
            row = connection.execute(RUNNING_CALLS, (account, POOL_TASK)).fetchone()
            connection.execute(SAVE_CLASS_FIGURE, {**values, "running": row[0]})

        self._write(write)

    def day_usage(self, account: str) -> DayUsage:
        """Return today's usage for an account."""
        now = self._clock()
        day = utc_day(now)
        with self._database.connection() as connection:
            if self._pending_writes or self._dead_kernels(connection):
                # If the ledger cannot be written, calls of dead kernels stay listed as reserved.
                with (
                    suppress(StorageError),
                    self._transaction(VIEW_TIMEOUT) as write_connection,
                ):
                    self._settle_dead_kernels(write_connection)
            sums = connection.execute(
                "SELECT total(billed), total(estimated), total(reserved) FROM totals"
                " WHERE day = ? AND account = ?",
                (day, account),
            ).fetchone()
            is_closed = _is_day_closed(connection, day, account)
            limits = self.budgets.daily_limits(connection)
            is_class = account.startswith(CLASS_PREFIX)
            class_figure, elsewhere = None, 0.0
            if is_class:
                class_figure, elsewhere = _select_class_figure(connection, account, day)
            figure_row = connection.execute(
                "SELECT neurons, told FROM account_figures WHERE day = ? AND account = ?",
                (day, account),
            ).fetchone()
        figure = AccountFigure(figure_row["neurons"], figure_row["told"]) if figure_row else None
        billed, estimated, reserved = [
            0.0 if abs(neurons) < ROUNDING else neurons for neurons in sums
        ]
        seconds_left = seconds_to_midnight(now)
        limit: float | None
        source: DayLimitSource
        if class_figure is not None:
            limits.append((class_figure.budget, "class"))
        if limits:
            limit, source = min(limits)
        else:
            limit, source = (None, "class") if is_class else (FREE_DAILY_NEURONS, "free")
        return DayUsage(
            *(billed, estimated, reserved),
            limit,
            seconds_left,
            is_closed,
            figure,
            source,
            is_class,
            class_figure,
            elsewhere,
        )


def _select_class_figure(
    connection: Connection, account: str, day: str
) -> tuple[ClassFigure | None, float]:
    """Return the figure of a class server, and its neurons that are not in this ledger.

    After the UTC day of the report, the budget is still known, and no neurons are spent.
    """
    query = "SELECT * FROM class_figures WHERE account = ?"
    row = connection.execute(query, (account,)).fetchone()
    if row is None:
        return None, 0.0
    spent, elsewhere = (row["spent"], row["elsewhere"]) if row["day"] == day else (0.0, 0.0)
    return ClassFigure(row["budget"], spent, row["reported"]), elsewhere


def figure_within(neurons: float | None) -> float:
    """Return `neurons`, or 0 if `neurons` is None or outside the plausible range."""
    return neurons if neurons is not None and 0 <= neurons <= MAX_NEURONS else 0.0


def _valid_token_count(count: int) -> int:
    return count if 0 <= count <= MAX_TOKENS else 0


def _finite_or_none(seconds: float | None) -> float | None:
    return seconds if seconds is not None and math.isfinite(seconds) else None


def _is_day_closed(connection: Connection, day: str, account: str) -> bool:
    query = "SELECT count(*) FROM closed_days WHERE day = ? AND account = ?"
    return bool(connection.execute(query, (day, account)).fetchone()[0])
