"""Many calls reserved as one sum, of which each draws its part when it is sent."""

from collections.abc import Sequence
from typing import Self

from ..neurons import budget
from ..neurons.budget import Admission
from ..neurons.pricing import Cost
from ..store.ledger import POOL, What
from ..values import Limit, Model
from .answerer import Clients
from .booking import Booking, CellLimit
from .books import Books


class Pool:
    """What calls of one model may cost together, and the clients that they alone use.

    `cell` is the limit of all of them; `is_limited` whether that or a budget holds. Use it in a
    `with` block: what nobody has drawn is let go at its end.
    """

    def __init__(
        self, books: Books, clients: Clients, number: int, cell: CellLimit, *, is_limited: bool
    ) -> None:
        self.clients = clients
        self._books = books
        self._number = number
        self._cell = cell
        self._is_limited = is_limited

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clients.close()
        self._books.ledger.drop(self._number)

    def draw(self, booking: Booking) -> None:
        """Reserve for a call out of the pool."""
        cost = booking.cost
        admission = Admission(cost.high, cost.max_tokens) if cost else Admission(0.0, 0)
        number = self.take(booking.what, cost)
        booking.cell = self._cell
        booking.admit(number, admission, is_limited=self._is_limited, alone=False)

    def take(self, what: What, cost: Cost | None) -> int:
        """Reserve what a call may cost out of the pool; return its number in the ledger."""
        high = cost.high if cost else 0.0

        def extend(limits: Sequence[Limit], left: float) -> float:
            limits = self._cell.beside(limits)
            held = left if cost is None else budget.pool_extended(cost, left, limits)
            self._cell.add(self._number, held - left)
            return held

        number = self._books.ledger.draw(self._number, self._books.place(), what, high, extend)
        self._cell.add(number, high)
        self._cell.add(self._number, -high)
        return number


def pool(
    books: Books,
    clients: Clients,
    model: Model,
    costs: Sequence[Cost | None],
    most: float | None = None,
) -> Pool:
    """Reserve for calls of a model as one sum, for the price of `costs` and at the most `most`.

    Raises BudgetExceeded or AllowanceUsedUp where it does not fit: then nothing is reserved.
    """
    cell = CellLimit(most)
    is_limited = False

    def fit(limits: Sequence[Limit], closed: bool) -> float:  # noqa: FBT001 - a ledger's Fit
        nonlocal is_limited
        if closed:
            raise books.closed("The free neurons of today are used up; nothing was sent")
        limits = cell.beside(limits)
        is_limited = bool(limits)
        return budget.admitted_whole(costs, limits)

    number = books.ledger.reserve(books.place(), model.name, POOL, fit)
    cell.book(number, sum(cost.high for cost in costs if cost is not None))
    return Pool(books, clients, number, cell, is_limited=is_limited)
