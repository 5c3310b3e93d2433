"""Owns the rules of budgets: may this call go ahead, with how many tokens, and what to warn of."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

from ..errors import BadOption, BudgetExceeded, BudgetReached
from ..values import Limit, Usage
from .pricing import Cost, Rates

FEWEST_TOKENS = 16  # an answer with less room than that is not worth its prompt
MANY = "lower max_tokens, ask fewer at once"
WARN_AT = 0.8
SLACK = 1e-9  # neurons, of sums of floating-point numbers
GROWTH = 1.25  # of a reservation that is extended: so that it seldom is
NAMES = {
    "day": "today's budget",
    "session": "this session's budget",
    "notebook": "this notebook's budget for today",
    "cell": "--max-neurons",
    "free": "today's free allowance",
}
OF_COURSE = {
    "day": "the course's budget for a day",
    "session": "the course's budget for a session",
    "notebook": "the course's budget for a notebook and day",
    "cell": "the course's budget for a call",
}


def name_of(limit: Limit) -> str:
    """Return what a limit is called."""
    return (OF_COURSE if limit.of_course else NAMES)[limit.scope]


def amount_in(text: str) -> float:
    """Return the neurons that a text names; BadOption where it names none."""
    try:
        amount = float(text.replace(",", ""))
    except ValueError:
        amount = -1.0
    if not 0 <= amount < float("inf"):
        raise BadOption(
            f"{text} is no number of neurons", "Write %cfai budget 2000, or off, or reopen."
        )
    return amount


@dataclass(frozen=True, slots=True)
class Admission:
    """A call that may go ahead: the neurons to reserve, and the most tokens its answer may have.

    `lowered_by` is the limit for which max_tokens was lowered, if it was.
    """

    neurons: float
    max_tokens: int
    lowered_by: Limit | None = None


def admitted(cost: Cost | None, limits: Sequence[Limit], what: str = "this call") -> Admission:
    """Return how a call may go ahead under all limits, or raise BudgetExceeded for `what`.

    A call without a known price (None) gets all the room there is, and is cut at its end.
    """
    tightest = min(limits, key=lambda limit: limit.room, default=None)
    if cost is None:
        return _unpriced(tightest)
    if tightest is None or cost.high <= tightest.room:
        return Admission(cost.high, cost.max_tokens)
    fitting = cost.within(tightest.room)
    if fitting.max_tokens < min(FEWEST_TOKENS, cost.max_tokens) or not fitting.max_tokens:
        raise refused(cost, tightest, what)
    return Admission(fitting.high, fitting.max_tokens, tightest)


def admitted_together(costs: Sequence[Cost | None], limits: Sequence[Limit]) -> list[Admission]:
    """Return how calls may go ahead that are reserved as one sum, or raise BudgetExceeded.

    Where only shorter answers fit, all have the same fewer tokens. Calls without a known price
    share the room that the others leave.
    """
    if len(costs) == 1:
        return [admitted(costs[0], limits)]
    known = [cost for cost in costs if cost is not None]
    what = f"these {len(costs)} calls"
    whole = admitted(reduce(add, known), limits, what) if known else Admission(0.0, 0)
    left = [replace(limit, spent=limit.spent + whole.neurons) for limit in limits]
    unknown = len(costs) - len(known)
    rest = admitted(None, left).neurons / unknown if unknown else 0.0
    return [_part(cost, whole, rest) for cost in costs]


def _part(cost: Cost | None, whole: Admission, rest: float) -> Admission:
    """Return one call's part of what all together may have."""
    if cost is None:
        return Admission(rest, 0)
    own = replace(cost, max_tokens=min(cost.max_tokens, whole.max_tokens))
    lowered_by = whole.lowered_by if own.max_tokens < cost.max_tokens else None
    return Admission(own.high, own.max_tokens, lowered_by)


def admitted_whole(costs: Sequence[Cost | None], limits: Sequence[Limit]) -> float:
    """Return what calls may cost that go ahead only all of them and uncut, or raise.

    Calls without a known price fit under no limit: nobody could hold them to it.
    """
    tightest = min(limits, key=lambda limit: limit.room, default=None)
    known = [cost.high for cost in costs if cost is not None]
    if tightest is None or (len(known) == len(costs) and sum(known) <= tightest.room):
        return sum(known)
    may = f"{sum(known):,.1f}" if len(known) == len(costs) else "nobody knows what"
    what = f"these {len(costs):,} calls may cost {may}"
    raise BudgetExceeded(f"{_left(tightest)}, and {what}", _way_on(tightest, MANY))


def extended(needed: float, held: float, limits: Sequence[Limit]) -> float:
    """Return what to reserve for a call of which `held` is reserved and `needed` is needed.

    That is somewhat more than needed, where the limits have it. Raises BudgetReached where they
    do not have what is needed.
    """
    tightest = min(limits, key=lambda limit: limit.room, default=None)
    wanted = max(held, needed * GROWTH)
    if tightest is None:
        return wanted
    most = held + max(0.0, tightest.room)
    if needed > most + SLACK:
        raise reached(tightest)
    return max(held, min(wanted, most))


def pool_extended(cost: Cost, left: float, limits: Sequence[Limit]) -> float:
    """Return what a pool has to hold for one more call, or raise BudgetExceeded."""
    tightest = min(limits, key=lambda limit: limit.room, default=None)
    if tightest is not None and cost.high > left + max(0.0, tightest.room) + SLACK:
        raise refused(cost, tightest)
    return max(left, cost.high)


def at_most(most: float, usage: Usage) -> Usage:
    """Return the usage with an estimate of at most so many neurons; a bill stays as it is."""
    if usage.neurons is None or usage.neurons <= most or usage.basis != "estimated":
        return usage
    return replace(usage, neurons=most)


def _unpriced(tightest: Limit | None) -> Admission:
    if tightest is None:
        return Admission(0.0, 0)
    if tightest.room <= 0:
        raise BudgetExceeded(f"{_left(tightest)}", _way_on(tightest))
    return Admission(tightest.room, 0)


def refused(cost: Cost, limit: Limit, what: str = "this call") -> BudgetExceeded:
    """Return the error for a call that does not fit: nothing of it is sent."""
    needed = cost.prompt + min(FEWEST_TOKENS, cost.max_tokens) * cost.per_token
    short = " even with a short answer" if cost.max_tokens else ""
    return BudgetExceeded(
        f"{_left(limit)}, and {what} may cost {needed:,.1f}{short}",
        _way_on(limit),
    )


def _left(limit: Limit) -> str:
    name = name_of(limit)
    if limit.scope == "cell":
        return f"{name[0].upper()}{name[1:]} leaves {limit.room:,.1f} neurons"
    return f"Of {name} of {limit.neurons:,.0f} neurons {max(0.0, limit.room):,.1f} are left"


def _way_on(limit: Limit, otherwise: str = "shorten the question") -> str:
    if limit.of_course:
        return f"{otherwise.capitalize()}, or ask a cheaper model. Nothing was sent."
    ways = {"cell": "Raise --max-neurons", "day": "Raise it with %cfai budget N"}
    way = ways.get(limit.scope, f"Raise it with %cfai budget --{limit.scope} N")
    return f"{way}, {otherwise}, or ask a cheaper model. Nothing was sent."


def reached(limit: Limit) -> BudgetReached:
    """Return the error for an answer that was cut at the end of a limit."""
    if limit.scope == "cell" and not limit.of_course:
        return BudgetReached(
            f"Cut at the end of {name_of(limit)}",
            "The text so far is kept. A higher --max-neurons lets the next answer be longer.",
        )
    hint = "The text so far is kept." if limit.of_course else ""
    return BudgetReached(f"Cut at the end of {name_of(limit)}", hint)


def lowered(admission: Admission, wanted: int) -> str:
    """Return the line that tells of a lowered max_tokens; an empty one where it was not."""
    if admission.lowered_by is None:
        return ""
    name = name_of(admission.lowered_by)
    return f"max_tokens was lowered from {wanted:,} to {admission.max_tokens:,} to fit {name}."


def calibrated(rates: Rates) -> str:
    """Return the line that tells what an estimate has learned from."""
    return f"Estimated by what the last {rates.calls} calls of this model were billed."


def warnings(limits: Iterable[Limit]) -> list[str]:
    """Return a line for each limit of which at least 80 % are used."""
    return [
        f"{limit.spent / limit.neurons:.0%} of {name_of(limit)} of {limit.neurons:,.0f} "
        "neurons is used.".replace("%", " %")
        for limit in limits
        if limit.neurons > 0 and limit.spent >= WARN_AT * limit.neurons
    ]
