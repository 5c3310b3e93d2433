"""Books each call: reserved in the ledger before it is sent, settled once when it has ended."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from ..errors import AllowanceUsedUp, BudgetExceeded
from ..neurons import budget, pricing
from ..neurons.pricing import Cost, Extent, Rates
from ..neurons.units import work_price
from ..render.formats import duration
from ..store.ledger import Ledger, Outcome, Place
from ..values import Limit, Model, Request, Running, Standing, Status, Usage
from ..values.results import RawResult
from ..workers_ai.work import Job, answer_of, is_free, text_of, tokens_asked, work_of
from .watchers import Watchers

Way = Literal["account", "local", "elsewhere"]  # who answers: Workers AI, this machine, another
FREE = Rates(0.0, 0.0, 0.0)  # on this machine


class Books:
    """One session's way to the ledger; `place` tells whose a call is and where it is made."""

    def __init__(self, ledger: Ledger, place: Callable[[], Place], watchers: Watchers) -> None:
        self.ledger = ledger
        self.place = place
        self.watchers = watchers

    def rates(self, model: Model, *, local: bool = False) -> Rates | None:
        """Return a model's rates, calibrated on what its calls were billed; None if unknown."""
        if local:
            return FREE
        return pricing.rates(model, self.ledger.history.bills(model.name))

    def cost(self, request: Request | Extent, model: Model, *, local: bool = False) -> Cost | None:
        """Return what a request may cost; None where the model has no known price."""
        known = self.rates(model, local=local)
        if known is None:
            return None
        return pricing.cost(request, pricing.list_rates(model) or known, known)

    def task_cost(self, model: Model, job: Job) -> Cost | None:
        """Return what a native task may cost; None where the price or the length is unknown."""
        if is_free(job):
            return Cost(0.0, 0.0, 0.0, 0)
        if pricing.list_rates(model) is not None:
            text = ({"content": text_of(job.fields)},)
            return self.cost(Request(model.name, text, max_tokens=tokens_asked(job.fields)), model)
        work = work_of(job)
        if "audio minute" in model.units and not work.seconds:
            return None
        price = work_price(model, work)
        return None if price is None else Cost(price, price, 0.0, 0)

    def priced_task(self, model: Model, job: Job, result: RawResult) -> Usage:
        """Return what a native task used: as billed, else by its tokens or by its work."""
        usage = result.usage
        if pricing.list_rates(model) is not None:
            return pricing.with_price(self.rates(model), _with_tokens(usage, job, result))
        price = 0.0 if is_free(job) else work_price(model, work_of(job, result))
        if usage.neurons is not None or price is None:
            return usage
        return replace(usage, neurons=price, basis="estimated")

    def remarks(self, model: Model, cost: Cost | None, most: float | None) -> tuple[str, ...]:
        """Return what to say of an estimate: what it learned from, and which limit it passes."""
        known = self.rates(model)
        told = [budget.calibrated(known)] if known and known.calls else []
        limits = [*self.ledger.limits(self.place()), *([Limit("cell", most)] if most else [])]
        try:
            admission = budget.admitted(cost, limits)
        except BudgetExceeded as error:
            return (*told, str(error))
        line = budget.lowered(admission, cost.max_tokens if cost else 0)
        return (*told, *([line] if line else []))

    def standing(self) -> Standing:
        """Return where today stands for the account in use."""
        return self.ledger.standing(self.place().account)

    def limits(self, standing: Standing) -> list[Limit]:
        """Return the budgets that hold here, or for the day the free allowance."""
        limits = self.ledger.limits(self.place())
        if any(limit.scope == "day" for limit in limits):
            return limits
        return [*limits, Limit("free", standing.limit, standing.spent + standing.reserved)]

    def warnings(self, standing: Standing) -> list[str]:
        """Return a line for each limit that is nearly used up."""
        return budget.warnings(self.limits(standing))

    def close_day(self) -> None:
        """Note that the account's allowance is used up until 00:00 UTC."""
        self.ledger.close_day(self.place().account)
        self.watchers.tell()

    def closed(self, cause: str) -> AllowanceUsedUp:
        """Return the error for a day that is closed, with the time until it is renewed."""
        left = duration(self.standing().seconds_left)
        return AllowanceUsedUp(cause, AllowanceUsedUp.hint_with(f", in {left}"))


def _with_tokens(usage: Usage, job: Job, result: RawResult) -> Usage:
    """Return the usage of a task billed by tokens, guessed where the reply tells none."""
    if usage.prompt_tokens:
        return usage
    sent, came = text_of(job.fields), answer_of(result.result)
    guess = pricing.guessed_tokens
    return replace(usage, prompt_tokens=guess(sent), completion_tokens=guess(came))


class Booking:
    """One call in the ledger. `cost` is None where no price is known; `most` is --max-neurons.

    A call that goes `elsewhere` says nothing of a day of this account. One that is reserved
    together with others leaves it to them to tell where the day stands. `request` is the hash of
    what is asked. `keep` is called once when the call came to its end, and returns lines for its
    reader.
    """

    def __init__(
        self,
        books: Books,
        model: Model,
        cost: Cost | None,
        *,
        most: float | None = None,
        way: Way = "account",
        thread: str = "",
    ) -> None:
        self.books = books
        self.model = model
        self.cost = cost
        self.thread = thread
        self._alone = True
        self._most = most
        self._local = way == "local"
        self._elsewhere = way == "elsewhere"
        self._rates = books.rates(model, local=self._local)
        self._number: int | None = None
        self._tokens = 0
        self._cap: Limit | None = None
        self._notes: list[str] = []
        self.standing: Standing | None = None
        self.request = ""
        self.keep: Callable[[], list[str]] = list

    @property
    def notes(self) -> tuple[str, ...]:
        """Lines about this call for its reader."""
        return tuple(self._notes)

    def reserve(self) -> int:
        """Reserve what the call may cost, and return the most tokens its answer may have.

        Raises BudgetExceeded or AllowanceUsedUp, without anything having been sent.
        """
        if self._number is None:
            reserve_together([self])
        if self._number is not None:
            self.books.watchers.begun(self._number, self.model.name)
        return self._tokens

    @property
    def what(self) -> tuple[str, str, str]:
        """The model that is asked, the task, and the hash of the request."""
        return self.model.name, self.model.task or "Text Generation", self.request

    def own_limit(self) -> list[Limit]:
        """Return the limit that holds for this call alone, if there is one."""
        return [] if self._most is None else [Limit("cell", self._most)]

    def admit(
        self, number: int, admission: budget.Admission, tightest: Limit | None, *, alone: bool
    ) -> None:
        """Take note of what is reserved for the call, and under which limit."""
        self._alone = alone
        self._number, self._tokens = number, admission.max_tokens
        self._cap = tightest and replace(tightest, spent=0.0, neurons=admission.neurons)
        line = budget.lowered(admission, self.cost.max_tokens if self.cost else 0)
        self._notes += [line] if line else []

    def progress(self, usage: Callable[[], Usage]) -> None:
        """Tell how far the call is, and hold it to its limit; `usage` is asked where it is needed.

        Raises BudgetReached where one more token would pass the limit.
        """
        if self._number is not None:
            self.books.watchers.progress(
                self._number, lambda: Running(self.model.name, self.priced(usage()))
            )
        if self._cap is not None and (self.cost is None or self.cost.high > 0):
            self._check(self._cap, usage())

    def _check(self, cap: Limit, usage: Usage) -> None:
        per_token = self.cost.per_token if self.cost else 0.0
        if (self.priced(usage).neurons or 0.0) + per_token > cap.neurons + 1e-9:
            raise budget.reached(cap)

    def priced(self, usage: Usage) -> Usage:
        """Return the usage with its billed neurons, or an estimate where there are none."""
        return usage if self._local else pricing.with_price(self._rates, usage)

    def settle(
        self, status: Status, usage: Usage, seconds: float, first: float | None = None
    ) -> None:
        """Put what the call cost in the place of what was reserved; a second time does nothing."""
        number, self._number = self._number, None
        if number is None:
            return
        if self._local:
            usage = replace(usage, neurons=0.0, basis="billed")
        try:
            self.books.ledger.settle(number, Outcome(status, usage, seconds, first))
        finally:
            self.books.watchers.ended(number)
        if status == "ok":
            self._notes += self.keep()
        if self._local or self._elsewhere:
            return
        if usage.basis == "estimated" and self._rates and self._rates.calls:
            self._notes.append(budget.calibrated(self._rates))
        if self._alone:
            self.standing = self.books.standing()
            self._notes += self.books.warnings(self.standing)


class ReplayedBooking(Booking):
    """A call that a recording answers: it costs nothing, so no budget and no closed day holds it.

    It stands in the ledger as replayed, with its tokens and 0 neurons.
    """

    def __init__(self, books: Books, model: Model, thread: str, notes: Sequence[str]) -> None:
        super().__init__(books, model, None, way="local", thread=thread)
        self._notes += notes

    def reserve(self) -> int:
        """Enter the call, with nothing reserved for it."""
        place = replace(self.books.place(), thread=self.thread)
        (number,) = self.books.ledger.reserve_all(
            place, [self.what], lambda _limits, _closed: [0.0]
        )
        self._number = number
        self.books.watchers.begun(number, self.model.name)
        return 0

    def priced(self, usage: Usage) -> Usage:
        """Return the usage as one that costs nothing."""
        return replace(usage, neurons=0.0, basis="replayed")

    def settle(
        self,
        status: Status,  # noqa: ARG002 - however it ended, nothing was asked
        usage: Usage,
        seconds: float,
        first: float | None = None,
    ) -> None:
        """Note that the call was replayed, whether it was watched to its end or not."""
        number, self._number = self._number, None
        if number is None:
            return
        outcome = Outcome("replayed", self.priced(usage), seconds, first)
        try:
            self.books.ledger.settle(number, outcome)
        finally:
            self.books.watchers.ended(number)


def reserve_together(bookings: Sequence[Booking]) -> None:
    """Reserve what all these calls of one cell may cost, as one sum; the limit of the first holds.

    Raises BudgetExceeded or AllowanceUsedUp where it does not fit: then nothing is reserved.
    """
    if not bookings:
        return
    first = bookings[0]
    admissions: list[budget.Admission] = []
    tightest: Limit | None = None

    def fit(limits: Sequence[Limit], closed: bool) -> list[float]:  # noqa: FBT001 - a ledger's Fit
        nonlocal tightest
        if closed:
            raise first.books.closed("The free neurons of today are used up; nothing was sent")
        limits = [*limits, *first.own_limit()]
        tightest = min(limits, key=lambda limit: limit.room, default=None)
        admissions[:] = budget.admitted_together([each.cost for each in bookings], limits)
        return [admission.neurons for admission in admissions]

    place = replace(first.books.place(), thread=first.thread)
    calls = [each.what for each in bookings]
    numbers = first.books.ledger.reserve_all(place, calls, fit)
    for booking, number, admission in zip(bookings, numbers, admissions, strict=True):
        booking.admit(number, admission, tightest, alone=len(bookings) == 1)
