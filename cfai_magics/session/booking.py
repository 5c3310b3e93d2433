"""One call's place in the ledger: reserved before it is sent, settled once when it has ended."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from ..neurons import budget, pricing
from ..neurons.pricing import Cost
from ..store.ledger import Outcome
from ..values import Limit, Model, Running, Standing, Status, Usage
from .books import Books

Way = Literal["account", "local", "elsewhere"]  # who answers: Workers AI, this machine, another


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
