"""One call's place in the ledger: reserved before it is sent, settled once when it has ended."""

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from ..errors import StoreError
from ..neurons import budget, pricing
from ..neurons.pricing import Cost
from ..store.ledger import Outcome
from ..values import Limit, Model, Running, Standing, Status, Usage
from .books import Books

Way = Literal["account", "local", "elsewhere"]  # who answers: Workers AI, this machine, another


class CellLimit:
    """The limit of one cell, --max-neurons, and what its calls have reserved or cost under it.

    A course may set such a limit too. Neither stands in the ledger.
    """

    def __init__(self, neurons: float | None) -> None:
        self._neurons = neurons
        self._booked: dict[int, float] = {}
        self._lock = threading.Lock()

    def beside(self, limits: Sequence[Limit]) -> list[Limit]:
        """Return these limits and that of the cell, all with what the cell's calls have spent."""
        own = [] if self._neurons is None else [Limit("cell", self._neurons)]
        with self._lock:
            spent = sum(self._booked.values())
        return [
            replace(limit, spent=spent) if limit.scope == "cell" else limit
            for limit in (*limits, *own)
        ]

    def book(self, number: int, neurons: float) -> None:
        """Note what a call has reserved, or cost, in place of what was noted before."""
        with self._lock:
            self._booked[number] = neurons

    def add(self, number: int, neurons: float) -> None:
        """Note that a call or pool has reserved so much more."""
        with self._lock:
            self._booked[number] = self._booked.get(number, 0.0) + neurons


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
        self.cell = CellLimit(most)
        self._local = way == "local"
        self._elsewhere = way == "elsewhere"
        self._rates = books.rates(model, local=self._local)
        self._number: int | None = None
        self._tokens = 0
        self._reserved = 0.0  # neurons
        self._is_limited = False
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

    def admit(
        self, number: int, admission: budget.Admission, *, is_limited: bool, alone: bool
    ) -> None:
        """Take note of what is reserved for the call, and whether any limit holds for it."""
        self._alone = alone
        self._number, self._tokens = number, admission.max_tokens
        self._reserved, self._is_limited = admission.neurons, is_limited
        self.cell.book(number, admission.neurons)
        line = budget.lowered(admission, self.cost.max_tokens if self.cost else 0)
        self._notes += [line] if line else []

    def progress(self, usage: Callable[[], Usage]) -> None:
        """Tell how far the call is; `usage` is asked where it is needed."""
        if self._number is not None:
            self.books.watchers.progress(
                self._number, lambda: Running(self.model.name, self.priced(usage()))
            )

    @property
    def is_held(self) -> bool:
        """Whether a limit holds for the call, and it may cost anything."""
        return self._is_limited and (self.cost is None or self.cost.high > 0)

    def hold(self, told: Usage, fewest: int = 0) -> float:
        """Hold the call to its limits by what it has used for certain: of that, more is reserved.

        `told` is what the server reports, `fewest` how many tokens have arrived at least. Returns
        how many more tokens fit into what is reserved; infinity where they have no known price.

        Raises BudgetReached where no limit has what is needed, for one more token too unless the
        answer has reached max_tokens, where a server ends it.
        """
        tokens = max(told.completion_tokens, fewest)
        per_token = self.cost.per_token if self.cost else 0.0
        needed = self._certain(told, fewest) + (per_token if tokens < self._tokens else 0.0)
        if needed > self._reserved + budget.SLACK:
            self._extend(needed)
        return (self._reserved - needed) / per_token if per_token else math.inf

    def _certain(self, told: Usage, fewest: int) -> float:
        """Return the neurons of what is reported or, where that is old, at least of the text."""
        reported = self._with_price(told).neurons or 0.0
        if fewest <= told.completion_tokens or self.cost is None or self._rates is None:
            return reported
        answer = Usage(told.prompt_tokens, fewest, told.cached_tokens)
        prompt = 0.0 if told.prompt_tokens else self.cost.least
        return max(reported, self._rates.neurons(answer) + prompt)

    def _extend(self, needed: float) -> None:
        number = self._number
        if number is None:
            return

        def extend(limits: Sequence[Limit], held: float) -> float:
            amount = budget.extended(needed, held, self.cell.beside(limits))
            self.cell.book(number, amount)
            return amount

        self._reserved = self.books.ledger.extend(number, extend)

    def priced(self, usage: Usage) -> Usage:
        """Return the usage with its billed neurons, or an estimate where there are none.

        An estimate is at most what is reserved for the call.
        """
        if usage.neurons is not None:
            return usage
        return self.bounded(self._with_price(usage))

    def bounded(self, usage: Usage, billed: float = 0.0) -> Usage:
        """Return the usage with an estimate that is at most what is reserved for the call.

        `billed` is the part of it that the server has billed, which counts in full.
        """
        most = self._most_estimated
        return usage if most is None else budget.at_most(max(most, billed), usage)

    @property
    def _most_estimated(self) -> float | None:
        """The most that an estimate may be; None where what is reserved does not say it."""
        cost = self.cost
        is_open = cost is None or (cost.per_token > 0 and not cost.max_tokens)
        return None if is_open and not self._is_limited else self._reserved

    def _with_price(self, usage: Usage) -> Usage:
        return usage if self._local else pricing.with_price(self._rates, usage)

    def settle(
        self, status: Status, usage: Usage, seconds: float, first: float | None = None
    ) -> None:
        """Put what the call cost in the place of what was reserved; a second time does nothing.

        Where the ledger can't be written, a note tells it, and it is written later.
        """
        number, self._number = self._number, None
        if number is None:
            return
        if self._local:
            usage = replace(usage, neurons=0.0, basis="billed")
        self.cell.book(number, usage.neurons or 0.0)
        prevented = self.books.ledger.settle(number, Outcome(status, usage, seconds, first))
        self.books.watchers.ended(number)
        if prevented:
            self._notes.append(unwritten(prevented))
        if status == "ok":
            self._notes += self.keep()
        if self._local or self._elsewhere:
            return
        if usage.basis == "estimated" and self._rates and self._rates.calls:
            self._notes.append(budget.calibrated(self._rates))
        if self._alone and not prevented:
            self._stand()

    def _stand(self) -> None:
        """Note where the day stands, with warnings."""
        try:
            self.standing = self.books.standing()
            self._notes += self.books.warnings(self.standing)
        except StoreError:  # the answer is there and booked, and the next one says it
            self.standing = None


def unwritten(prevented: StoreError) -> str:
    """Return the line for a call that ended while the ledger could not be written."""
    return f"Not booked yet: {prevented.cause}. It is booked with the next call. {prevented.hint}"


def reserve_together(bookings: Sequence[Booking]) -> None:
    """Reserve what all these calls of one cell may cost, as one sum; the limit of the first holds.

    Raises BudgetExceeded or AllowanceUsedUp where it does not fit: then nothing is reserved.
    """
    if not bookings:
        return
    first = bookings[0]
    admissions: list[budget.Admission] = []
    is_limited = False

    def fit(limits: Sequence[Limit], closed: bool) -> list[float]:  # noqa: FBT001 - a ledger's Fit
        nonlocal is_limited
        if closed:
            raise first.books.closed("The free neurons of today are used up; nothing was sent")
        limits = first.cell.beside(limits)
        is_limited = bool(limits)
        admissions[:] = budget.admitted_together([each.cost for each in bookings], limits)
        return [admission.neurons for admission in admissions]

    place = replace(first.books.place(), thread=first.thread)
    calls = [each.what for each in bookings]
    numbers = first.books.ledger.reserve_all(place, calls, fit)
    for booking, number, admission in zip(bookings, numbers, admissions, strict=True):
        booking.cell = first.cell
        booking.admit(number, admission, is_limited=is_limited, alone=len(bookings) == 1)
