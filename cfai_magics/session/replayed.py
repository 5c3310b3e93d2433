"""Books a call that a recording answers: it costs nothing, and needs no ledger to be answered."""

from collections.abc import Sequence
from dataclasses import replace

from ..errors import StoreError
from ..store.ledger import Outcome
from ..values import Model, Status, Usage
from .booking import Booking, unwritten
from .books import Books


class ReplayedBooking(Booking):
    """A call that a recording answers: it costs nothing, so no budget and no closed day holds it.

    It stands in the ledger as replayed, with its tokens and 0 neurons. Where that can't be
    written, as on a disk for reading alone, the answer tells so and comes all the same.
    """

    def __init__(self, books: Books, model: Model, thread: str, notes: Sequence[str]) -> None:
        super().__init__(books, model, None, way="local", thread=thread)
        self._notes += notes

    def reserve(self) -> int:
        """Enter the call, with nothing reserved for it."""
        place = replace(self.books.place(), thread=self.thread)
        ledger = self.books.ledger
        try:
            (number,) = ledger.reserve_all(place, [self.what], lambda _limits, _closed: [0.0])
        except StoreError as error:
            self._notes.append(f"Not booked: {error.cause}.")
            return 0
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
        prevented = self.books.ledger.settle(number, outcome)
        self.books.watchers.ended(number)
        if prevented:
            self._notes.append(unwritten(prevented))
