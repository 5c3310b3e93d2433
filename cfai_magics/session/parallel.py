"""Run calls in parallel in a pool of threads, with a shared reservation of neurons.

Without threads, as in a browser, the calls run one after the other.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Generic, Self, TypeVar

from .. import runtime
from ..display.tables import format_retry_message
from ..errors import CfaiError, DailyQuotaError
from ..pricing.limits import Admission, admit_all_or_none, extend_pool
from ..pricing.prices import Cost
from ..storage.ledger import POOL_TASK, CallContext, CallKey
from ..types.messages import Answer, Delta
from ..types.usage import Limit, Model
from ..workers_ai.retry import OnRetry
from .call import ClientGroup
from .reservation import Accounting, CellLimit, Reservation
from .stream import AnswerStream

# Seconds between checks for an interrupt. On Windows, an interrupt does not end a wait.
POLL_SECONDS = 0.1
JOIN_TIMEOUT = 5.0  # seconds to wait for a stopped thread to end

Item = TypeVar("Item")
Result = TypeVar("Result")
MAX_CONCURRENT_CALLS = 8
ABORT_TIMEOUT = 2.0  # seconds to wait for an aborted thread to end
OpenStream = Callable[[int, OnRetry], AnswerStream]


@dataclass(frozen=True, slots=True)
class ItemEnd:
    """The end of an item, with an exception to be raised again in the iterating thread."""

    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """A function that the iterating thread calls."""

    show: Callable[[], None]


class WorkerPool(Generic[Item, Result]):
    """A pool of up to `size` threads that call `process` on each item.

    Use the pool in a `with` block, and iterate over it to get the results that `process` yields,
    as they arrive. Leaving the block discards items that have not been started, calls `abort` if
    any results are missing, and joins the threads. `on_idle` is called every POLL_SECONDS while
    waiting for results.

    Without threads, iterating processes the items one after the other, and `on_idle` is called
    before each of them.
    """

    def __init__(
        self,
        size: int,
        items: Iterable[Item],
        process: Callable[[Item], Iterable[Result]],
        abort: Callable[[], None],
        on_idle: Callable[[], None] = lambda: None,
    ) -> None:
        self._items = deque(items)
        self._process = process
        self._abort = abort
        self._on_idle = on_idle
        self._remaining = len(self._items)
        self._results: SimpleQueue[Result | Notice | ItemEnd] = SimpleQueue()
        thread_count = min(size, self._remaining) if runtime.HAS_THREADS else 0
        self._threads = [
            Thread(target=self._run, name="cfai", daemon=True) for _ in range(thread_count)
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self, timeout: float = JOIN_TIMEOUT) -> tuple[Item, ...]:
        """Stop the threads, waiting up to `timeout` seconds, and return the items not started."""
        unstarted = tuple(self._items)
        self._items.clear()
        if self._remaining:
            self._abort()
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            if thread.ident is not None:  # started
                thread.join(max(0.0, deadline - time.monotonic()))
        return unstarted

    def call_soon(self, show: Callable[[], None]) -> None:
        """Let the iterating thread call a function. Called while an item is processed."""
        if self._threads:
            self._results.put(Notice(show))
        else:
            show()

    def __iter__(self) -> Iterator[Result]:
        if not self._threads:
            yield from self._run_in_turn()
            return
        for (
            thread
        ) in self._threads:  # not in `__enter__`, where an interrupt would skip `__exit__`
            thread.start()
        while self._remaining:
            try:
                result = self._results.get(timeout=POLL_SECONDS)
            except Empty:
                self._on_idle()
                continue
            if isinstance(result, ItemEnd):
                self._remaining -= 1
                if result.error is not None:
                    raise result.error
            elif isinstance(result, Notice):
                result.show()
            else:
                yield result

    def _run_in_turn(self) -> Iterator[Result]:
        while self._items:
            self._on_idle()
            yield from self._process(self._items.popleft())
            self._remaining -= 1

    def _run(self) -> None:
        while True:
            try:
                item = self._items.popleft()
            except IndexError:
                return
            try:
                for result in self._process(item):
                    self._results.put(result)
            except BaseException as error:  # noqa: BLE001 - raised in the iterating thread
                self._items.clear()  # so that no thread starts another item
                self._results.put(ItemEnd(error))
            else:
                self._results.put(ItemEnd())


class BudgetPool:
    """A shared reservation of neurons for calls to one model, with the clients for these calls.

    `cell` limits the total cost of the calls. `is_limited` is True if the cell limit or a
    budget applies. Use the pool in a `with` block. Leaving the block closes the clients and
    releases the unused neurons.
    """

    def __init__(
        self,
        accounting: Accounting,
        context: CallContext,
        clients: ClientGroup,
        pool_id: int,
        cell: CellLimit,
        *,
        is_limited: bool,
    ) -> None:
        self.clients = clients
        self._accounting = accounting
        self._context = context
        self._pool_id = pool_id
        self._cell = cell
        self._is_limited = is_limited

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clients.close()
        self._accounting.ledger.release_pool(self._pool_id)

    def reserve_from(self, reservation: Reservation) -> None:
        """Transfer the cost of a call from the pool to the call's own reservation."""
        cost = reservation.cost
        admission = Admission(0.0, 0)
        if cost is not None:
            admission = Admission(self._bound(cost).high, cost.max_tokens)
        call_id = self.reserve_unassigned(reservation.ledger_key, cost)
        reservation.cell = self._cell
        reservation.assign(call_id, admission, is_limited=self._is_limited, is_single=False)

    def reserve_unassigned(self, call_key: CallKey, cost: Cost | None) -> int:
        """Take a call's cost from the pool without a Reservation object. Return the call ID."""
        high = self._bound(cost).high if cost else 0.0

        def extend(limits: Sequence[Limit], left: float) -> float:
            limits = self._cell.add_to_limits(limits)
            amount = left if cost is None else extend_pool(cost, left, limits)
            self._cell.add(self._pool_id, amount - left)
            return amount

        call_id = self._accounting.ledger.reserve_from_pool(
            self._pool_id, self._context, call_key, high, extend
        )
        self._cell.add(call_id, high)
        self._cell.add(self._pool_id, -high)
        return call_id

    def _bound(self, cost: Cost) -> Cost:
        """Return a call's cost; if a limit applies, with the longest answer."""
        return cost.bounded if self._is_limited else cost


def reserve_pool(
    accounting: Accounting,
    clients: ClientGroup,
    model: Model,
    costs: Sequence[Cost | None],
    max_neurons: float | None = None,
) -> BudgetPool:
    """Reserve the sum of `costs` as a pool for calls to one model.

    Raises:
        BudgetExceededError: The sum exceeds a budget or `max_neurons`. Nothing is reserved.
        DailyQuotaError: The daily quota is used up. Nothing is reserved.
    """
    cell = CellLimit(max_neurons)
    is_limited = False
    reserved = 0.0

    def admit_pool(limits: Sequence[Limit], is_day_closed: bool) -> float:  # noqa: FBT001 - an AdmitCall
        nonlocal is_limited, reserved
        if is_day_closed:
            raise accounting.quota_error()
        limits = cell.add_to_limits(limits)
        is_limited = bool(limits)
        reserved = admit_all_or_none(costs, limits)
        return reserved

    context = accounting.get_context()
    pool_id = accounting.ledger.reserve(context, model.name, POOL_TASK, admit_pool)
    cell.set_call_neurons(pool_id, reserved)
    return BudgetPool(accounting, context, clients, pool_id, cell, is_limited=is_limited)


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event of a call, with the complete answer, or a partial answer and an error."""

    answer: Answer
    error: CfaiError | None = None


Event = Delta | Finished
IndexedEvent = tuple[int, Event]  # (call index, event)
ReportRetry = Callable[[int, str], None]  # takes the call index and a message


class ParallelStreams:
    """The streams of `count` parallel calls. Iteration yields (call index, event) pairs.

    `open_stream(index, on_retry)` returns the stream for one call. Each call is settled, no matter
    how its stream ends. `reserve` reserves the cost of all calls before the first call is sent.
    `on_idle` is called every POLL_SECONDS while no event arrives, and `report_retry` when a call
    waits to be retried, both on the iterating thread. Without threads, the calls run in turn, and
    `on_idle` is called before each of them.

    Use the object in a `with` block. Leaving the block stops all calls. Afterward, `answers`
    contains the answers received so far, `seconds` is the total duration, and `unsent` is the set
    of indexes of calls that were not started.
    """

    def __init__(
        self,
        count: int,
        open_stream: OpenStream,
        reserve: Callable[[], None],
        client: ClientGroup,
        on_idle: Callable[[], None],
        report_retry: ReportRetry,
    ) -> None:
        self._reserve = reserve
        self._client = client
        self._report_retry = report_retry
        self._pool = WorkerPool[int, IndexedEvent](
            MAX_CONCURRENT_CALLS, range(count), self._run_call, client.abort, on_idle
        )
        self._streams = [open_stream(index, self._retry_callback(index)) for index in range(count)]
        self._final_answers: dict[int, Answer] = {}
        self._started = time.monotonic()
        self.seconds = 0.0
        self.unsent: frozenset[int] = frozenset()
        # Once a call raises this error, the remaining calls are not sent.
        self._quota_error: DailyQuotaError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def answers(self) -> tuple[Answer, ...]:
        """One answer per call, each with the text received so far."""
        streams = enumerate(self._streams)
        return tuple(self._final_answers.get(index) or stream.answer for index, stream in streams)

    def __iter__(self) -> Iterator[IndexedEvent]:
        self._reserve()
        self._started = time.monotonic()
        for index, event in self._pool:
            if isinstance(event, Finished):
                self._final_answers[index] = event.answer
            yield index, event

    def close(self) -> None:
        """Stop all calls and settle their usage so far. Unstarted calls cost nothing."""
        self.seconds = time.monotonic() - self._started
        for stream in self._streams:
            stream.interrupt()
        self.unsent = frozenset(self._pool.stop(ABORT_TIMEOUT))
        for stream in self._streams:
            stream.close()
        self._client.close()

    # --- on the worker threads

    def _retry_callback(self, index: int) -> OnRetry:
        def on_retry(error: CfaiError, pause: float, next_attempt: int) -> None:
            message = format_retry_message(error, pause, next_attempt)
            self._pool.call_soon(lambda: self._report_retry(index, message))

        return on_retry

    def _run_call(self, index: int) -> Iterator[IndexedEvent]:
        stream, error = self._streams[index], self._quota_error
        if error is not None:
            stream.close()
            yield index, Finished(stream.answer, error)
            return
        failure: CfaiError | None = None
        try:
            for delta in stream:
                yield index, delta
        except CfaiError as caught:
            failure = caught
            if isinstance(caught, DailyQuotaError):
                self._quota_error = caught
        yield index, Finished(stream.answer, failure)
