"""Where budgets, days and running calls stand."""

from dataclasses import dataclass, field
from typing import Literal

from .usage import Usage

Status = Literal["ok", "interrupted", "failed", "refused", "replayed"]
Scope = Literal["day", "session", "notebook", "cell", "free"]


@dataclass(frozen=True, slots=True)
class Limit:
    """A budget as it stands, in neurons; `spent` is billed, estimated and reserved together.

    `of_course` is True where the course's file sets it.
    """

    scope: Scope
    neurons: float
    spent: float = 0.0
    of_course: bool = False

    @property
    def room(self) -> float:
        """What is left of it."""
        return self.neurons - self.spent


@dataclass(frozen=True, slots=True)
class AccountFigure:
    """The neurons that Cloudflare said an account used today, told so many seconds after 1970."""

    neurons: float
    told: float


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a UTC day stands for one account, in neurons: the three never overlap.

    `limit` is the day's budget, or where none is set the free allowance. `closed` is True when
    Cloudflare said that the allowance is used up. `seconds_left` is the time until 00:00 UTC.
    `account` is what Cloudflare itself counted, where it was asked today.
    """

    billed: float
    estimated: float
    reserved: float
    limit: float
    seconds_left: float
    closed: bool = False
    account: AccountFigure | None = None

    @property
    def spent(self) -> float:
        """What is billed and estimated together."""
        return self.billed + self.estimated


@dataclass(frozen=True, slots=True)
class Running:
    """A call while it runs: the model it asks, and what it has used so far."""

    model: str
    usage: Usage = field(default=Usage())
