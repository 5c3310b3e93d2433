"""One session's way to the ledger: what calls may cost, what they did, and where budgets stand."""

from collections.abc import Callable
from dataclasses import replace

from ..errors import AllowanceUsedUp, BudgetExceeded, StoreError
from ..neurons import budget, pricing, tokens
from ..neurons.pricing import Cost, Extent, Rates
from ..neurons.units import work_price
from ..render.formats import duration
from ..store.budgets import Place
from ..store.ledger import Ledger
from ..values import Limit, Model, Request, Standing, Usage
from ..values.results import RawResult
from ..workers_ai.work import Job, answer_of, is_free, text_of, tokens_asked, work_of
from .watchers import Watchers

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
        try:
            bills = self.ledger.history.bills(model.name)
        except StoreError:  # no call is sent then, but a recording needs no ledger
            bills = []
        return pricing.rates(model, bills)

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
        limits = [
            *self.ledger.budgets.limits(self.place()),
            *([Limit("cell", most)] if most else []),
        ]
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
        limits = self.ledger.budgets.limits(self.place())
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
    guess = tokens.guessed_tokens
    return replace(usage, prompt_tokens=guess(sent), completion_tokens=guess(came))
