"""Owns the way of one map: its price told, its answers asked and kept, its rows given back."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..errors import BadOption, CfaiError, Interrupted
from ..forms.schema import without_field
from ..neurons.pricing import Cost
from ..render.formats import between, neurons
from ..render.receipt import receipt
from ..render.tally import Tally, Write
from ..session import Session
from ..store.answers import Answers, Kept
from ..values import Answer
from .plan import RESULTS, Plan
from .queue import Queue
from .run import Found, Run

MOST_AT_ONCE = 100
Costs = Mapping[str, Cost | None]


@dataclass(frozen=True, slots=True)
class How:
    """How a map goes about it.

    `concurrency` calls at once, or all by the `queue`; at most `max_neurons` for all together,
    or without that a question above the setting confirm_neurons, unless `confirm` is False.
    With `fresh`, what was answered before is asked again.
    """

    concurrency: int = 8
    max_neurons: float | None = None
    confirm: bool = True
    queue: bool = False
    fresh: bool = False

    def check(self) -> None:
        """Raise BadOption for what is no such number."""
        if not 1 <= self.concurrency <= MOST_AT_ONCE:
            raise BadOption(f"concurrency={self.concurrency}", f"Use 1 to {MOST_AT_ONCE}.")
        if self.max_neurons is not None and not self.max_neurons > 0:
            raise BadOption(f"max_neurons={self.max_neurons} is no limit", "Use more than 0.")


@dataclass(frozen=True, slots=True)
class Mapper:
    """What a map needs of the place it is called from.

    `tell` shows lines, `write` shows some in place of those before; `ask` puts a question.
    """

    session: Session
    tell: Callable[[str], None]
    write: Write
    ask: Callable[[str], str]

    def map(self, plan: Plan, how: How) -> Any:
        """Return the rows of a plan with the columns answer, error and neurons."""
        how.check()
        with Answers(self.session.home) as store:
            queue = Queue(self.session, plan, store, how.max_neurons)
            if how.queue:
                queue.check()
            # What is to be recorded has to be heard; a recording answers what it knows.
            anew = how.fresh or self.session.replay.wrap() is not None
            found = Found({} if anew else store.find(plan.requests))

            def known(key: str) -> bool:
                request, plain = plan.requests[key], without_field(plan.requests[key])
                is_recorded = self.session.answerers.is_recorded
                return is_recorded(request) or (plain is not None and is_recorded(plain))

            missing = [key for key in plan.requests if key not in found.answers]
            queued = store.queued(self.session.books.place().account, missing)
            waiting = {key for batch in queued for key in batch.keys}
            wanted = [key for key in missing if key not in waiting]
            unknown = [key for key in wanted if not known(key)]
            for key in unknown[:1]:
                self.session.answerers.expect(plan.requests[key])
            costs = plan.costs(self.session, unknown)
            self._price(plan, costs, how, _before(plan, found, missing, wanted))
            tally = Tally(len(missing), self.write)
            with self._kept(store, tally):
                if how.queue:
                    queue.send(costs, tally)
                    wanted, costs = [key for key in wanted if key not in costs], {}
                run = Run(self.session, plan, store, how.concurrency, how.max_neurons)
                run.ask(wanted, costs, found, tally)
                queue.fetch(missing, found, tally)
            self._end(plan, found, tally, store)
            return plan.columns.with_columns(_columns(plan, found, set(missing)))

    # --- the price

    def _price(self, plan: Plan, costs: Costs, how: How, counted: str) -> None:
        """Tell what it may cost, and ask whether to go on where that is much."""
        low, high = _range(costs)
        if not costs:
            self.tell(f"{counted} Nothing is to be asked.")
            return
        most = next(iter(plan.requests.values())).max_tokens
        told = "no price is known" if high is None else f"{between(low, high)} neurons estimated"
        line = f"{counted} {plan.model.short}: {told}, with at most {most:,} tokens an answer."
        self.tell(line)
        limit = self.session.settings.confirm_neurons
        if how.confirm and how.max_neurons is None and (high is None or high > limit):
            self._confirm(high)

    def _confirm(self, high: float | None) -> None:
        may = "cost nobody knows what" if high is None else f"cost up to {neurons(high)} neurons"
        try:
            said = self.ask(f"This may {may}. Go on? [y/N] ")
        except (EOFError, NotImplementedError):  # IPython's StdinNotImplementedError is one
            raise BadOption(
                f"This may {may}, and nobody can be asked here; nothing was sent",
                "Lower max_tokens, or give max_neurons=N or confirm=False.",
            ) from None
        if said.strip().lower() not in {"y", "yes"}:
            raise Interrupted("Not gone on with", "Nothing was sent.")

    # --- the end

    @contextmanager
    def _kept(self, store: Answers, tally: Tally) -> Iterator[None]:
        """Tell with an error what of the answers is kept, wherever it stops."""
        try:
            yield
        except KeyboardInterrupt:
            tally.show(at_once=True)
            raise Interrupted(
                f"Interrupted when {tally.done:,} were answered",
                f"Run the same again for the rest: none of them is asked twice. {_place(store)}",
            ) from None
        except CfaiError as error:
            tally.show(at_once=True)
            if tally.done:
                error.hint = f"{error.hint} Run the same again for the rest. {_place(store)}"
            raise

    def _end(self, plan: Plan, found: Found, tally: Tally, store: Answers) -> None:
        """Tell what it took, in place of the bar."""
        local = self.session.route.is_local
        day = self.session.books.standing() if self.session.route.is_cloudflare else None
        cut = sum(1 for kept in found.answers.values() if kept.finish == "length")
        notes = [
            *([f"{cut:,} answers were cut at max_tokens."] if cut else []),
            *([f"{len(found.errors):,} failed: see the column error."] if found.errors else []),
            *(self.session.books.warnings(day) if day else []),
            _place(store),
        ]
        whole = Answer(
            plan.model.name,
            text=" ",
            finish="stop",
            usage=tally.usage,
            seconds=tally.seconds,
            local=local,
            notes=tuple(notes),
            standing=day,
        )
        self.write(receipt(whole, "full"))


def _before(plan: Plan, found: Found, missing: list[str], wanted: list[str]) -> str:
    """Return the sentence that tells what there is to ask."""
    bad = sum(map(bool, plan.faults))
    parts = [
        f"{len(plan.columns):,} rows, {len(plan.requests):,} different prompts",
        *([f"{len(found.answers):,} answered before"] if found.answers else []),
        *([f"{len(missing) - len(wanted):,} in the queue"] if len(missing) > len(wanted) else []),
        *([f"{bad:,} rows without a value"] if bad else []),
    ]
    return f"{', '.join(parts)}."


def _range(costs: Costs) -> tuple[float, float | None]:
    """Return the least and the most that all may cost; None where that is not known."""
    known = [cost for cost in costs.values() if cost is not None]
    low, high = sum(cost.low for cost in known), sum(cost.high for cost in known)
    return low, high if len(known) == len(costs) else None


def _place(store: Answers) -> str:
    return f"The answers are kept in {store.path}; %cfai map clear deletes them."


def _columns(plan: Plan, found: Found, asked: set[str]) -> dict[str, list[Any]]:
    """Return the columns that are added; what was asked once costs in its first row alone."""
    answers: list[Any] = []
    errors: list[str | None] = []
    costs: list[float] = []
    for key, fault in zip(plan.keys, plan.faults, strict=True):
        kept = found.answers.get(key)
        error = fault or found.errors.get(key, "")
        answers.append(None if error or kept is None else _value(plan, kept))
        errors.append(error or None)
        costs.append(_neurons(kept) if key in asked else 0.0)
        asked.discard(key)
    return dict(zip(RESULTS, (answers, errors, costs), strict=True))


def _value(plan: Plan, kept: Kept) -> Any:
    return kept.text if plan.schema is None else plan.schema.parse(kept.text)


def _neurons(kept: Kept | None) -> float:
    return (kept.usage.neurons if kept and kept.usage else None) or 0.0
