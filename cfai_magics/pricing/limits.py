"""Check calls against budgets, and define rate limits."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import reduce
from operator import add
from typing import NamedTuple

from ..errors import BudgetCutoffError, BudgetExceededError, InvalidOptionError
from ..i18n import _, mark, ngettext
from ..texts import format_percent
from ..types.usage import CHAT_TASK, Limit, Model, Usage
from .prices import Cost, Rates

MIN_ANSWER_TOKENS = 16  # a shorter answer is not worth the cost of its prompt
BUDGET_HINT = mark("Use %cfai budget 2000, %cfai budget off or %cfai budget reopen.")
GROUP_ADVICE = mark("lower max_tokens, send fewer requests at once")
WARNING_SHARE = 0.8
SLACK = 1e-9  # tolerance for rounding errors, in neurons
GROWTH = 1.25  # factor by which reservations are extended, to keep extensions rare
LIMIT_NAMES = {
    "day": mark("today's budget"),
    "session": mark("this session's budget"),
    "notebook": mark("this notebook's budget for today"),
    "cell": "--max-neurons",
    "free": mark("today's free quota"),
}
COURSE_LIMIT_NAMES = {
    "day": mark("the daily budget in cfai.toml"),
    "session": mark("the session budget in cfai.toml"),
    "notebook": mark("the notebook's daily budget in cfai.toml"),
    "cell": mark("the budget per call in cfai.toml"),
}
CLASS_LIMIT_NAMES = {"day": mark("today's class budget")}
NAMES_BY_SOURCE = {
    "user": LIMIT_NAMES,
    "course": COURSE_LIMIT_NAMES,
    "class": CLASS_LIMIT_NAMES,
}
# From Cloudflare's limits page, which lists no limit for text-to-speech.
REQUESTS_PER_MINUTE_BY_TASK = {
    "Automatic Speech Recognition": 720,
    "Image Classification": 3000,
    "Image-to-Text": 720,
    "Object Detection": 3000,
    "Summarization": 1500,
    "Text Classification": 2000,
    "Text Embeddings": 3000,
    CHAT_TASK: 300,
    "Text-to-Image": 720,
    "Translation": 720,
}
PAID_MODEL_REQUESTS_PER_MINUTE = 20  # for each model that requires the paid plan
WINDOW_SECONDS = 61.0  # one minute, plus one second for the network latency of a request


def limit_name(limit: Limit) -> str:
    """Return the name of a limit for use in messages, in the user's language."""
    return _(NAMES_BY_SOURCE[limit.source][limit.scope])


def parse_neurons(
    text: str, hint: str = BUDGET_HINT, maximum: float = sys.float_info.max
) -> float:
    """Convert text to a number of neurons, up to a maximum. `hint` is for the error message.

    Raises:
        InvalidOptionError: The text is not a valid number of neurons.
    """
    try:
        amount = float(text.replace(",", ""))
    except ValueError:
        amount = -1.0
    if not 0 <= amount <= maximum:
        raise InvalidOptionError(
            _("{text!r} is not a number of neurons").format(text=text), _(hint)
        )
    return amount


class Admission(NamedTuple):
    """The neurons and tokens granted to a call that fits its budgets.

    Attributes:
        neurons: Number of neurons to reserve for the call.
        max_tokens: Maximum number of tokens in the answer.
        lowered_by: The limit that caused max_tokens to be lowered, or None if it was not lowered.
    """

    neurons: float
    max_tokens: int
    lowered_by: Limit | None = None


def admit(cost: Cost | None, limits: Sequence[Limit], subject: str = "") -> Admission:
    """Admit a call if it fits all limits, lowering max_tokens if necessary.

    A call without a known price reserves all remaining neurons. Its answer is cut off when the
    neurons are used up. A chat request without max_tokens gets one, unless its longest possible
    answer fits.

    Args:
        cost: Estimated cost of the call, or None if its price is unknown.
        limits: The limits that apply to the call.
        subject: How the error message refers to the call. "" means "this call".

    Raises:
        BudgetExceededError: The call does not fit the limits.
    """
    tightest = min(limits, key=lambda limit: limit.remaining, default=None)
    if cost is None:
        return _admit_unpriced(tightest)
    if tightest is None:
        return Admission(cost.high, cost.max_tokens)
    bounded = cost.bounded
    if bounded.high <= tightest.remaining:
        return Admission(bounded.high, cost.max_tokens)
    capped_cost = bounded.capped(tightest.remaining)
    if (
        capped_cost.max_tokens < min(MIN_ANSWER_TOKENS, bounded.max_tokens)
        or not capped_cost.max_tokens
    ):
        raise budget_error(bounded, tightest, subject)
    return Admission(capped_cost.high, capped_cost.max_tokens, tightest)


def admit_group(costs: Sequence[Cost | None], limits: Sequence[Limit]) -> list[Admission]:
    """Admit a group of calls, and return an Admission for each call.

    If only shorter answers fit, max_tokens is capped at the same value for all calls. Calls
    without a known price share the remaining neurons equally.

    Raises:
        BudgetExceededError: The calls do not fit the limits.
    """
    if len(costs) == 1:
        return [admit(costs[0], limits)]
    bounded = bound_costs(costs, limits)
    priced_costs = [cost for cost in bounded if cost is not None]
    subject = _("these {count} calls").format(count=len(costs))
    total = (
        admit(reduce(add, priced_costs), limits, subject) if priced_costs else Admission(0.0, 0)
    )
    remaining_limits = [replace(limit, spent=limit.spent + total.neurons) for limit in limits]
    unpriced_count = len(costs) - len(priced_costs)
    unpriced_share = (
        admit(None, remaining_limits).neurons / unpriced_count if unpriced_count else 0.0
    )
    return [
        Admission(unpriced_share, 0)
        if cost is None or bounded_cost is None
        else _share_of_group(cost, bounded_cost, total)
        for cost, bounded_cost in zip(costs, bounded, strict=True)
    ]


def bound_costs(costs: Iterable[Cost | None], limits: Sequence[Limit]) -> list[Cost | None]:
    """Return the costs; if a limit applies, with the longest answers."""
    return [cost.bounded if cost and limits else cost for cost in costs]


def _share_of_group(cost: Cost, bounded: Cost, total: Admission) -> Admission:
    """Return the Admission for one call in a group; `bounded` is its cost with max_tokens."""
    if bounded.max_tokens <= total.max_tokens:
        return Admission(bounded.high, cost.max_tokens)
    capped_cost = replace(bounded, max_tokens=total.max_tokens)
    return Admission(capped_cost.high, capped_cost.max_tokens, total.lowered_by)


def admit_all_or_none(costs: Sequence[Cost | None], limits: Sequence[Limit]) -> float:
    """Return the number of neurons to reserve for calls whose answers must not be cut off.

    If any limit applies, calls without a known price are rejected, and a request without
    max_tokens costs as much as its longest possible answer.

    Raises:
        BudgetExceededError: The calls do not fit the limits.
    """
    tightest = min(limits, key=lambda limit: limit.remaining, default=None)
    max_costs = [cost.high for cost in bound_costs(costs, limits) if cost is not None]
    if tightest is None or (len(max_costs) == len(costs) and sum(max_costs) <= tightest.remaining):
        return sum(max_costs)
    if len(max_costs) == len(costs):
        cause = ngettext(
            "{budget}, but this call may cost {neurons:,.1f}",
            "{budget}, but these {count:,} calls may cost {neurons:,.1f}",
            len(costs),
        )
    else:
        cause = ngettext(
            "{budget}, but the cost of this call is unknown",
            "{budget}, but the cost of these {count:,} calls is unknown",
            len(costs),
        )
    raise BudgetExceededError(
        cause.format(budget=_remaining_text(tightest), count=len(costs), neurons=sum(max_costs)),
        _next_step(tightest, _(GROUP_ADVICE)),
    )


def extend_reservation(needed: float, reserved: float, limits: Sequence[Limit]) -> float:
    """Return the new size of a call's reservation, in neurons.

    The new size exceeds `needed` if the limits allow it, so that extensions are rare.

    Args:
        needed: Number of neurons that the call needs now.
        reserved: Number of neurons already reserved for the call.
        limits: The limits that apply to the call.

    Raises:
        BudgetCutoffError: The limits do not allow the reservation to grow to `needed`.
    """
    tightest = min(limits, key=lambda limit: limit.remaining, default=None)
    target = max(reserved, needed * GROWTH)
    if tightest is None:
        return target
    max_reservation = reserved + max(0.0, tightest.remaining)
    if needed > max_reservation + SLACK:
        raise cutoff_error(tightest)
    return max(reserved, min(target, max_reservation))


def extend_pool(cost: Cost, unassigned: float, limits: Sequence[Limit]) -> float:
    """Return how many unassigned neurons a shared reservation needs for one more call.

    Args:
        cost: Estimated cost of the call.
        unassigned: Number of reserved neurons that are not yet assigned to a call.
        limits: The limits that apply to the calls. If there are any, a request without
            max_tokens costs as much as its longest possible answer.

    Raises:
        BudgetExceededError: The limits do not allow the call.
    """
    tightest = min(limits, key=lambda limit: limit.remaining, default=None)
    cost = cost.bounded if limits else cost
    if tightest is not None and cost.high > unassigned + max(0.0, tightest.remaining) + SLACK:
        raise budget_error(cost, tightest)
    return max(unassigned, cost.high)


def cap_estimate(max_neurons: float, usage: Usage) -> Usage:
    """Return the usage. If its number of neurons is an estimate, cap it at `max_neurons`."""
    if usage.neurons is None or usage.neurons <= max_neurons or usage.cost_basis != "estimated":
        return usage
    return replace(usage, neurons=max_neurons)


def _admit_unpriced(tightest: Limit | None) -> Admission:
    if tightest is None:
        return Admission(0.0, 0)
    if tightest.remaining <= 0:
        raise BudgetExceededError(_remaining_text(tightest), _next_step(tightest))
    return Admission(tightest.remaining, 0)


def budget_error(cost: Cost, limit: Limit, subject: str = "") -> BudgetExceededError:
    """Return the error for a call that does not fit a limit and is not sent."""
    min_neurons = cost.prompt_max + min(MIN_ANSWER_TOKENS, cost.max_tokens) * cost.per_token
    if cost.max_tokens:
        cause = _("{budget}, but {calls} may cost {neurons:,.1f} even with a short answer")
    else:
        cause = _("{budget}, but {calls} may cost {neurons:,.1f}")
    return BudgetExceededError(
        cause.format(
            budget=_remaining_text(limit), calls=subject or _("this call"), neurons=min_neurons
        ),
        _next_step(limit),
    )


def _remaining_text(limit: Limit) -> str:
    name = limit_name(limit)
    if limit.scope == "cell":
        return _("{limit} leaves {remaining:,.1f} neurons").format(
            limit=f"{name[0].upper()}{name[1:]}", remaining=limit.remaining
        )
    return _("{remaining:,.1f} of {neurons:,.0f} neurons are left in {limit}").format(
        limit=name, neurons=limit.neurons, remaining=max(0.0, limit.remaining)
    )


def _next_step(limit: Limit, alternative: str = "") -> str:
    alternative = alternative or _("shorten the prompt")
    if limit.source != "user":
        return _("{alternative}, or choose a cheaper model. Nothing was sent.").format(
            alternative=alternative.capitalize()
        )
    if limit.scope == "cell":
        hint = _("Raise {option}, {alternative}, or choose a cheaper model. Nothing was sent.")
        return hint.format(option="--max-neurons", alternative=alternative)
    scope_options = {"session": " --session", "notebook": " --notebook"}
    command = f"%cfai budget{scope_options.get(limit.scope, '')} N"  # also for the free quota
    return _(
        "Raise the budget with {command}, {alternative}, or choose a cheaper model. Nothing was "
        "sent."
    ).format(command=command, alternative=alternative)


def cutoff_error(limit: Limit) -> BudgetCutoffError:
    """Return the error for an answer that was cut off because a limit is used up."""
    if limit.scope == "cell" and limit.source == "user":
        return BudgetCutoffError(
            _("The answer was cut off at the limit of {option}").format(option=limit_name(limit)),
            _("The partial answer is kept. Raise --max-neurons for a longer answer."),
        )
    hint = _("The partial answer is kept.") if limit.source != "user" else ""
    return BudgetCutoffError(
        _("The answer was cut off because {limit} is used up").format(limit=limit_name(limit)),
        hint,
    )


def lowered_note(admission: Admission, requested_tokens: int) -> str:
    """Return a note that max_tokens was lowered, or "" if it was not."""
    if admission.lowered_by is None:
        return ""
    if not requested_tokens:
        return _("max_tokens was set to {tokens:,} to fit {limit}.").format(
            tokens=admission.max_tokens, limit=limit_name(admission.lowered_by)
        )
    return _("max_tokens was lowered from {requested:,} to {lowered:,} to fit {limit}.").format(
        requested=requested_tokens,
        lowered=admission.max_tokens,
        limit=limit_name(admission.lowered_by),
    )


def calibration_note(rates: Rates) -> str:
    """Return a note on the number of billed calls that an estimate is based on."""
    return ngettext(
        "Estimate based on the last {count} billed call to this model.",
        "Estimate based on the last {count} billed calls to this model.",
        rates.billed_calls,
    ).format(count=rates.billed_calls)


def format_limit_warnings(limits: Iterable[Limit]) -> list[str]:
    """Return a warning for each limit that is at least 80% used."""
    return [
        _("{percent} of {limit} ({neurons:,.0f} neurons) has been used.").format(
            percent=format_percent(limit.spent / limit.neurons),
            limit=limit_name(limit),
            neurons=limit.neurons,
        )
        for limit in limits
        if limit.neurons > 0 and limit.spent >= WARNING_SHARE * limit.neurons
    ]


# --- rate limits


class RateDelay(NamedTuple):
    """How long a request must wait because of a rate limit, in seconds, and the reason."""

    seconds: float
    cause: str


class RateLimit(NamedTuple):
    """A rate limit. `name` is the task or model to which the limit applies."""

    name: str
    requests_per_minute: int

    @property
    def message(self) -> str:
        """The reason why a request must wait for this limit."""
        return _("Workers AI allows {count:,} requests per minute for {name}").format(
            count=self.requests_per_minute, name=self.name
        )


def rate_limit_for(model: Model) -> RateLimit | None:
    """Return the rate limit for a model, or None if no limit is known."""
    if model.paid_plan_only:
        return RateLimit(model.short_name, PAID_MODEL_REQUESTS_PER_MINUTE)
    limit = REQUESTS_PER_MINUTE_BY_TASK.get(model.task or CHAT_TASK)
    return RateLimit(model.task or CHAT_TASK, limit) if limit else None
