"""Reserve the cost of a call in the ledger, and settle the call with its actual usage."""

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..backends.selector import BackendKind
from ..display.tables import format_duration
from ..errors import BudgetExceededError, DailyQuotaError, StorageError
from ..i18n import _
from ..pricing import tokens
from ..pricing.limits import (
    SLACK,
    Admission,
    RateDelay,
    RateLimit,
    admit,
    admit_group,
    calibration_note,
    cap_estimate,
    extend_reservation,
    format_limit_warnings,
    lowered_note,
)
from ..pricing.prices import (
    Cost,
    Rates,
    calibrate_rates,
    catalog_rates,
    estimate_cost,
    longest_answer,
    price_work_units,
    with_estimate,
)
from ..storage.ledger import CallContext, CallOutcome, Ledger
from ..types.messages import Request
from ..types.usage import (
    CHAT_TASK,
    ActiveCall,
    DayUsage,
    Limit,
    Model,
    Status,
    Usage,
)
from .observers import Observers

if TYPE_CHECKING:
    from sqlite3 import Connection

    from ..types.results import TaskResult
    from ..workers_ai.task_requests import TaskRequest

FREE_RATES = Rates(0.0, 0.0, 0.0)  # for the local model
NO_COST = Cost(0.0, 0.0, 0.0, 0)


class Accounting:
    """Estimates, prices and limits for the calls of one session.

    `get_context` returns the account, notebook and thread for a call.
    """

    def __init__(
        self, ledger: Ledger, get_context: Callable[[], CallContext], observers: Observers
    ) -> None:
        self.ledger = ledger
        self.get_context = get_context
        self.observers = observers

    def get_rates(self, model: Model, *, is_local: bool = False) -> Rates | None:
        """Return a model's rates, calibrated with billed calls, or None if they are unknown."""
        if is_local:
            return FREE_RATES
        try:
            billed_usages = self.ledger.recent_billed_usage(model.name)
        except StorageError:  # a live call fails later; a replayed call needs no ledger
            billed_usages = []
        return calibrate_rates(model, billed_usages)

    def estimate_cost(
        self, request: Request, model: Model, *, is_local: bool = False
    ) -> Cost | None:
        """Return the estimated cost of a request, or None if the model's price is unknown."""
        return price_request(request, model, self.get_rates(model, is_local=is_local))

    def estimate_task_cost(self, model: Model, task_request: "TaskRequest") -> Cost | None:
        """Return the estimated cost of a native task.

        Returns None if the price is unknown or depends on an unknown audio duration.
        """
        from ..workers_ai.task_requests import (
            accepts_max_tokens,
            is_free_conversion,
            text_request,
            work_units,
        )

        if is_free_conversion(task_request):
            return NO_COST
        if catalog_rates(model) is not None:
            cost = self.estimate_cost(text_request(task_request), model)
            return cost if cost is None or accepts_max_tokens(task_request, model) else cost.fixed
        work = work_units(task_request)
        if "audio minute" in model.units and not work.seconds:
            return None
        price = price_work_units(model, work)
        return None if price is None else Cost(price, price, 0.0, 0)

    def price_task(self, model: Model, task_request: "TaskRequest", result: "TaskResult") -> Usage:
        """Return the usage of a native task, including the billed or estimated neurons.

        Estimates are based on the tokens or work units of the task.
        """
        from ..workers_ai.task_requests import is_free_conversion, work_units

        usage = result.usage
        if catalog_rates(model) is not None:
            return with_estimate(
                self.get_rates(model), _with_estimated_tokens(usage, model, task_request, result)
            )
        price = (
            0.0
            if is_free_conversion(task_request)
            else price_work_units(model, work_units(task_request, result))
        )
        if usage.neurons is not None or price is None:
            return usage
        return replace(usage, neurons=price, cost_basis="estimated")

    def estimate_notes(
        self,
        model: Model,
        cost: Cost | None,
        max_neurons: float | None,
        *,
        is_other_server: bool = False,
    ) -> tuple[str, ...]:
        """Return notes on a cost estimate, such as its calibration and any limit it exceeds.

        `is_other_server` is True if the model runs on another server.
        """
        model_rates = self.get_rates(model)
        notes = [calibration_note(model_rates)] if model_rates and model_rates.billed_calls else []
        limits = [
            *self.ledger.budgets.limits(self.get_context()),
            *([Limit("cell", max_neurons)] if max_neurons else []),
        ]
        if cost is None and is_other_server:
            return (*notes, *([unpriced_note(model)] if limits else []))
        try:
            admission = admit(cost, limits)
        except BudgetExceededError as error:
            return (*notes, error.format_line())
        note = lowered_note(admission, cost.max_tokens if cost else 0)
        return (*notes, *([note] if note else []))

    def day_usage(self, context: CallContext | None = None) -> DayUsage:
        """Return today's usage for the account in `context`.

        `context` defaults to the current context.
        """
        return self.ledger.day_usage((context or self.get_context()).account)

    def limits(self, day_usage: DayUsage, context: CallContext | None = None) -> list[Limit]:
        """Return the budgets that apply, plus the free quota if there is no daily budget.

        A student of a class has a budget instead of the free quota, if it is known.
        """
        limits = self.ledger.budgets.limits(context or self.get_context())
        used = day_usage.billed + day_usage.estimated + day_usage.reserved
        if day_usage.class_figure is not None:
            used += day_usage.elsewhere
            return [*limits, Limit("day", day_usage.class_figure.budget, used, "class")]
        if day_usage.limit is None or any(limit.scope == "day" for limit in limits):
            return limits
        return [*limits, Limit("free", day_usage.limit, used)]

    def limit_warnings(self, day_usage: DayUsage) -> list[str]:
        """Return a warning for each limit that is nearly used up."""
        return format_limit_warnings(self.limits(day_usage))

    def mark_quota_exhausted(self) -> None:
        """Mark the account's free quota as used up until 00:00 UTC."""
        self.ledger.close_day(self.get_context().account)
        self.observers.notify()

    def quota_error(self, cause: str = "") -> DailyQuotaError:
        """Return the error for a used-up daily quota. The hint says when the quota renews.

        `cause` is what the server reported. It is "" if nothing was sent.
        """
        time_left = format_duration(self.day_usage().seconds_left)
        cause = cause or _("Today's free neurons are used up; nothing was sent")
        return DailyQuotaError(cause, DailyQuotaError.renewal_hint(time_left))


def price_request(request: Request, model: Model, rates: Rates | None) -> Cost | None:
    """Return the estimated cost of a request at these rates, or None if they are unknown."""
    if rates is None:
        return None
    cost = estimate_cost(request, catalog_rates(model) or rates, rates)
    return cost if cost.max_tokens else replace(cost, longest=longest_answer(request, model))


def unpriced_note(model: Model) -> str:
    """Return the note for a call to another server that no limit can apply to."""
    return _(
        "The price of {model} is unknown, so no limit on neurons applies to this call."
    ).format(model=model.short_name)


def _with_estimated_tokens(
    usage: Usage, model: Model, task_request: "TaskRequest", result: "TaskResult"
) -> Usage:
    """Return the usage of a task that is billed by tokens. Unreported tokens are estimated."""
    from ..workers_ai.task_requests import collect_answer_text, text_request

    if usage.prompt_tokens:
        return usage
    request = text_request(task_request)
    prompt_tokens = tokens.estimate_prompt_tokens(request)
    if model.task != CHAT_TASK:
        prompt_tokens -= tokens.estimate_template_tokens(request)
    return replace(
        usage,
        prompt_tokens=prompt_tokens,
        completion_tokens=tokens.estimate_tokens(collect_answer_text(result.result)),
        has_estimated_tokens=True,
    )


class CellLimit:
    """The --max-neurons limit for one cell, and the neurons that its calls have reserved or used.

    A course can set an additional cell limit. Neither limit is stored in the ledger.
    """

    def __init__(self, neurons: float | None) -> None:
        self._neurons = neurons
        self._neurons_by_call: dict[int, float] = {}
        self._lock = threading.Lock()

    def add_to_limits(self, limits: Sequence[Limit]) -> list[Limit]:
        """Return `limits`, plus this cell's own limit if it is set.

        For each limit with the scope "cell", `spent` is the number of neurons reserved or used in
        this cell.
        """
        own_limits = [] if self._neurons is None else [Limit("cell", self._neurons)]
        with self._lock:
            spent = sum(self._neurons_by_call.values())
        return [
            replace(limit, spent=spent) if limit.scope == "cell" else limit
            for limit in (*limits, *own_limits)
        ]

    def set_call_neurons(self, call_id: int, neurons: float) -> None:
        """Set the number of neurons that a call has reserved or used."""
        with self._lock:
            self._neurons_by_call[call_id] = neurons

    def add(self, call_id: int, neurons: float) -> None:
        """Add `neurons`, which may be negative, to the amount reserved by a call or pool."""
        with self._lock:
            self._neurons_by_call[call_id] = self._neurons_by_call.get(call_id, 0.0) + neurons


class Reservation:
    """The ledger reservation for one call.

    `price` is a tuple of the cost and the rates, each None if unknown. `max_neurons` is the value
    of --max-neurons. `day_usage` stays None for the "local" and "elsewhere" backends, and for
    calls that are reserved together. A model of another server without a price reserves nothing.
    `request_fingerprint` is the hash of the request.
    `on_success` is called once after a successful call, and returns notes for the user.

    If `rate_limit` is set, the send time is reserved in the same transaction as the cost, and
    `slot` is the delay until the send time.
    """

    def __init__(
        self,
        accounting: Accounting,
        model: Model,
        context: CallContext,
        price: tuple[Cost | None, Rates | None],
        *,
        max_neurons: float | None = None,
        backend_kind: BackendKind = "account",
    ) -> None:
        self.accounting = accounting
        self._observers = accounting.observers
        self.model = model
        self.context = context
        self.cost, self._rates = price
        self._is_unpriced = backend_kind == "elsewhere" and self.cost is None
        if self._is_unpriced:
            self.cost = NO_COST
        self._is_single = True
        self.cell = CellLimit(max_neurons)
        self._is_local = backend_kind == "local"
        self._is_other_server = backend_kind == "elsewhere"
        self._call_id: int | None = None
        self._max_tokens = 0
        self._reserved = 0.0  # neurons
        self._is_limited = False
        self._notes: list[str] = []
        self.day_usage: DayUsage | None = None
        self.request_fingerprint = ""
        self.on_success: Callable[[], list[str]] = list
        self.rate_limit: RateLimit | None = None
        self.slot: RateDelay | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes about this call for the user."""
        return tuple(self._notes)

    def add_note(self, note: str) -> None:
        """Add a note about this call for the user."""
        self._notes.append(note)

    def reserve(self) -> int:
        """Reserve the call's maximum cost, and return the maximum number of answer tokens.

        Raises:
            BudgetExceededError: The cost exceeds a budget. Nothing is sent.
            DailyQuotaError: The daily quota is used up. Nothing is sent.
        """
        if self._call_id is None:
            reserve_group([self])
        if self._call_id is not None and self._observers.is_watched:
            self._observers.call_started(self._call_id, self.model.name)
        return self._max_tokens

    @property
    def ledger_key(self) -> tuple[str, str, str]:
        """The model, task and request fingerprint of the call."""
        return self.model.name, self.model.task or CHAT_TASK, self.request_fingerprint

    def assign(
        self, call_id: int, admission: Admission, *, is_limited: bool, is_single: bool
    ) -> None:
        """Store the result of reserving the call in the ledger.

        `is_limited` is True if a limit applies to the call. `is_single` is False if the call was
        reserved together with other calls.
        """
        self._is_single = is_single
        self._call_id, self._max_tokens = call_id, admission.max_tokens
        self._reserved, self._is_limited = admission.neurons, is_limited
        if self._is_unpriced and is_limited:
            self._notes.append(unpriced_note(self.model))
        self.cell.set_call_neurons(call_id, admission.neurons)
        note = lowered_note(admission, self.cost.max_tokens if self.cost else 0)
        self._notes += [note] if note else []

    def report_progress(self, get_usage: Callable[[], Usage]) -> None:
        """Notify the observers of the call's progress. `get_usage` is called only if needed."""
        if self._call_id is not None:
            self._observers.call_progress(
                self._call_id, lambda: ActiveCall(self.model.name, self.price_usage(get_usage()))
            )

    @property
    def has_enforced_limit(self) -> bool:
        """Whether a limit applies to the call and the call may cost neurons."""
        return self._is_limited and (self.cost is None or self.cost.high > 0)

    def enforce_limits(self, reported: Usage, min_tokens: int = 0) -> float:
        """Enforce the limits on the call's usage so far, and reserve more neurons if needed.

        Args:
            reported: The usage that the server has reported so far.
            min_tokens: The minimum number of answer tokens received so far.

        Returns:
            The number of additional tokens that fit in the reservation, or infinity if tokens are
            free or their price is unknown.

        Raises:
            BudgetCutoffError: A limit leaves too few neurons for the usage so far plus one token.
                Once max_tokens is reached, that extra token is not counted, because the server
                ends the answer.
        """
        tokens = max(reported.completion_tokens, min_tokens)
        per_token = self.cost.per_token if self.cost else 0.0
        next_token = per_token if tokens < self._max_tokens else 0.0
        needed = self._min_neurons(reported, min_tokens) + next_token
        if needed > self._reserved + SLACK:
            self._extend(needed)
        return (self._reserved - needed) / per_token if per_token else math.inf

    def _min_neurons(self, reported: Usage, min_tokens: int) -> float:
        """Return the minimum number of neurons used, based on `reported` and `min_tokens`."""
        neurons = self._with_price(reported).neurons or 0.0
        if min_tokens <= reported.completion_tokens or self.cost is None or self._rates is None:
            return neurons
        answer = Usage(reported.prompt_tokens, min_tokens, reported.cached_tokens)
        prompt = 0.0 if reported.prompt_tokens else self.cost.prompt_min
        return max(neurons, self._rates.price_usage(answer) + prompt)

    def _extend(self, needed: float) -> None:
        call_id = self._call_id
        if call_id is None:
            return

        def extend(limits: Sequence[Limit], reserved: float) -> float:
            amount = extend_reservation(needed, reserved, self.cell.add_to_limits(limits))
            self.cell.set_call_neurons(call_id, amount)
            return amount

        self._reserved = self.accounting.ledger.extend(call_id, extend)

    def price_usage(self, usage: Usage) -> Usage:
        """Return the usage with the reported neurons, or with an estimate if none are reported.

        The estimate is capped at the call's reservation.
        """
        if usage.neurons is not None:
            return usage
        return self.cap_estimate(self._with_price(usage))

    def cap_estimate(self, usage: Usage, billed: float = 0.0) -> Usage:
        """Return the usage, with estimated neurons capped at the call's reservation.

        The cap is never lower than `billed`, the number of neurons already billed.
        """
        max_estimate = self._max_estimate
        return usage if max_estimate is None else cap_estimate(max(max_estimate, billed), usage)

    @property
    def _max_estimate(self) -> float | None:
        """The maximum estimate in neurons, or None if the reservation does not limit the cost."""
        cost = self.cost
        is_open = cost is None or (cost.per_token > 0 and not cost.max_tokens)
        return None if is_open and not self._is_limited else self._reserved

    def _with_price(self, usage: Usage) -> Usage:
        if self._is_local:
            return replace(usage, neurons=0.0, cost_basis="local")
        return with_estimate(self._rates, usage)

    def settle(
        self,
        status: Status,
        usage: Usage,
        seconds: float,
        first_token_seconds: float | None = None,
    ) -> None:
        """Replace the reservation with the actual usage.

        Settling the call again has no effect. If the ledger cannot be written, a note is added
        for the user, and the usage is written later.
        """
        call_id, self._call_id = self._call_id, None
        if call_id is None:
            return
        if self._is_local:
            usage = replace(usage, neurons=0.0, cost_basis="billed")
        self.cell.set_call_neurons(call_id, usage.neurons or 0.0)
        write_error = self.accounting.ledger.settle(
            call_id, CallOutcome(status, usage, seconds, first_token_seconds)
        )
        if self._observers.is_watched:
            self._observers.call_finished(call_id)
        if write_error:
            self._notes.append(unwritten_note(write_error))
        if status == "ok":
            self._notes += self.on_success()
        if self._is_local or self._is_other_server:
            return
        if usage.cost_basis == "estimated" and self._rates and self._rates.billed_calls:
            self._notes.append(calibration_note(self._rates))
        if self._is_single and not write_error:
            self._update_day_usage()

    def _update_day_usage(self) -> None:
        """Store today's usage, and add limit warnings to the notes."""
        try:
            self.day_usage = day_usage = self.accounting.day_usage(self.context)
            self._notes += format_limit_warnings(self.accounting.limits(day_usage, self.context))
        except StorageError:  # the call is settled; the next call reports the error
            self.day_usage = None


def unwritten_note(error: StorageError) -> str:
    """Return the note for a call that ended while the ledger could not be written."""
    return _(
        "Not yet saved in the ledger: {cause}. It will be saved with the next call. {hint}"
    ).format(cause=error.cause, hint=error.hint)


def reserve_group(reservations: Sequence[Reservation]) -> None:
    """Reserve the total cost of all calls in one cell. The first call's cell limit applies.

    Raises:
        BudgetExceededError: The total exceeds a limit. Nothing is reserved.
        DailyQuotaError: The daily quota is used up. Nothing is reserved.
    """
    if not reservations:
        return
    first = reservations[0]
    admissions: list[Admission] = []
    is_limited = False

    def admit_calls(limits: Sequence[Limit], is_day_closed: bool) -> list[float]:  # noqa: FBT001 - an AdmitCalls
        nonlocal is_limited
        if is_day_closed:
            raise first.accounting.quota_error()
        limits = first.cell.add_to_limits(limits)
        is_limited = bool(limits)
        admissions[:] = admit_group([item.cost for item in reservations], limits)
        return [admission.neurons for admission in admissions]

    call_keys = [item.ledger_key for item in reservations]
    ledger = first.accounting.ledger

    def take_slot(connection: "Connection") -> None:
        if first.rate_limit is not None:
            first.slot = ledger.take_slot_in(connection, first.context.account, first.rate_limit)

    call_ids = ledger.reserve_all(first.context, call_keys, admit_calls, take_slot)
    for reservation, call_id, admission in zip(reservations, call_ids, admissions, strict=True):
        reservation.cell = first.cell
        reservation.assign(
            call_id, admission, is_limited=is_limited, is_single=len(reservations) == 1
        )


class FreeReservation(Reservation):
    """The ledger entry for a replayed call. Replayed calls are free and ignore budgets and quotas.

    The ledger lists the call as replayed, with its tokens and 0 neurons. If the ledger cannot be
    written, for example on a read-only disk, the answer is still shown, with a note.
    """

    def __init__(
        self, accounting: Accounting, model: Model, context: CallContext, notes: Sequence[str]
    ) -> None:
        super().__init__(accounting, model, context, (None, None), backend_kind="local")
        self._notes += notes

    def reserve(self) -> int:
        """Add the call to the ledger with 0 neurons, and return 0 (no token limit)."""
        try:
            (call_id,) = self.accounting.ledger.reserve_all(
                self.context, [self.ledger_key], lambda _limits, _closed: [0.0]
            )
        except StorageError as error:
            self._notes.append(_("Not saved in the ledger: {cause}.").format(cause=error.cause))
            return 0
        self._call_id = call_id
        if self._observers.is_watched:
            self._observers.call_started(call_id, self.model.name)
        return 0

    def price_usage(self, usage: Usage) -> Usage:
        """Return the usage with 0 neurons and the cost basis "replayed"."""
        return replace(usage, neurons=0.0, cost_basis="replayed")

    def settle(
        self,
        status: Status,  # noqa: ARG002 - always "replayed"
        usage: Usage,
        seconds: float,
        first_token_seconds: float | None = None,
    ) -> None:
        """Settle the call as replayed, even if the user interrupted it."""
        call_id, self._call_id = self._call_id, None
        if call_id is None:
            return
        outcome = CallOutcome("replayed", self.price_usage(usage), seconds, first_token_seconds)
        write_error = self.accounting.ledger.settle(call_id, outcome)
        if self._observers.is_watched:
            self._observers.call_finished(call_id)
        if write_error:
            self._notes.append(unwritten_note(write_error))
