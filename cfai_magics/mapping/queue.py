"""Asks what a map wants to know by the queue of the Batch API, and waits for its answers."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from ..errors import BadOption, CfaiError, Interrupted, UnknownModel
from ..neurons.budget import at_most
from ..neurons.pricing import Cost, with_price
from ..render.formats import next_try, seconds
from ..render.tally import Tally
from ..session import Session
from ..session.answerer import Clients
from ..session.pool import pool
from ..store.answers import Answers, Batch, Kept
from ..store.ledger import Outcome
from ..values import Status, Usage
from ..workers_ai import chat
from ..workers_ai.batches import BatchReply
from .plan import Plan
from .run import Found, fault_of

MOST_BYTES = 9_000_000  # of a batch: Cloudflare takes less than 10 MB
FIRST_WAIT, LONGEST_WAIT = 2.0, 30.0  # s between two looks at the queue
NAMED = 5  # models that an error names
GONE = "no answer to it is in the batch; Cloudflare keeps them for a while only"


class Queue:
    """The way by the queue; `sleep` waits between two looks at it."""

    def __init__(
        self,
        session: Session,
        plan: Plan,
        store: Answers,
        most: float | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._session = session
        self._plan = plan
        self._store = store
        self._most = most
        self._sleep = sleep

    def check(self) -> None:
        """Raise BadOption where the model takes no batches."""
        if self._session.route.is_cloudflare and self._plan.model.queues:
            return
        models = self._session.catalogue().models
        task = self._plan.model.task
        queueing = [each.short for each in models if each.queues and each.task == task]
        raise BadOption(
            f"{self._plan.model.short} takes no batches",
            f"These do: {', '.join(queueing[:NAMED])}.",
        )

    def send(self, costs: Mapping[str, Cost | None], tally: Tally) -> None:
        """Put these into the queue; what all may cost is reserved first."""
        if not costs:
            return
        clients = Clients(self._session.route)
        client = clients.shared()
        books, model = self._session.books, self._plan.model
        with pool(books, clients, model, list(costs.values()), self._most) as drawn:
            for part in batches(self._plan, costs):
                calls = [drawn.take((model.name, model.task, key), costs[key]) for key in part]
                requests = [self._plan.requests[key] for key in part]
                try:
                    number = client.batches.enqueue(
                        requests, self._teller(tally), self._session.route.gateway()
                    )
                except BaseException:
                    for call in calls:
                        books.ledger.settle(call, Outcome("failed", Usage(neurons=0.0)))
                    raise
                account = books.place().account
                batch = Batch(number, account, model.name, tuple(part), tuple(calls))
                self._store.queue(batch)

    def fetch(self, keys: Sequence[str], found: Found, tally: Tally) -> None:
        """Wait for what is in the queue of these, and add it to what is found."""
        account = self._session.books.place().account
        for batch in self._store.queued(account, keys):
            try:
                replies = self._awaited(batch, tally)
            except KeyboardInterrupt:
                raise Interrupted(
                    "Interrupted; the batch stays in Cloudflare's queue",
                    "Run the same again to fetch its answers: nothing is asked twice.",
                ) from None
            self._take(batch, replies, found, tally)

    def _awaited(self, batch: Batch, tally: Tally) -> dict[int, BatchReply] | None:
        """Return the replies of a batch; None where Cloudflare knows it no more."""
        client = self._session.route.client()
        wait = FIRST_WAIT
        while True:
            try:
                replies = client.batches.fetch(batch.model, batch.request, self._teller(tally))
            except UnknownModel:  # what is asked for with an id that is none
                return None
            if replies is not None:
                return replies
            tally.wait(f"in Cloudflare's queue; the next look in {seconds(wait)}")
            tally.show(at_once=True)
            self._sleep(wait)
            wait = min(LONGEST_WAIT, 2 * wait)

    def _take(
        self,
        batch: Batch,
        replies: dict[int, BatchReply] | None,
        found: Found,
        tally: Tally,
    ) -> None:
        """Settle each call of a batch, and keep its answers: the batch is in the queue no more."""
        rates = self._session.books.rates(self._plan.model)
        kept: dict[str, Kept] = {}
        for place, (key, call) in enumerate(zip(batch.keys, batch.calls, strict=True)):
            reply = (replies or {}).get(place, BatchReply(error=GONE))
            usage = Usage(neurons=0.0) if reply.error else with_price(rates, reply.usage)
            is_guess = usage.basis == "estimated"
            if is_guess and key in self._plan.requests:
                cost = self._session.cost(self._plan.requests[key], self._plan.model)
                usage = at_most(cost.high, usage) if cost else usage
            status: Status = "failed" if reply.error else "ok"
            outcome = Outcome(status, usage, is_guess=is_guess)
            self._session.books.ledger.settle(call, outcome, any_kernel=True)
            if key not in self._plan.requests:  # of another map
                kept[key] = Kept(reply.text, reply.finish)
                continue
            answer = Kept(reply.text, reply.finish, usage)
            fault = reply.error or fault_of(self._plan, answer)
            if fault:
                found.errors[key] = fault
            else:
                kept[key] = found.answers[key] = answer
            tally.count(usage, failed=bool(fault))
        self._store.done(batch, {key: each for key, each in kept.items() if each.text})

    def _teller(self, tally: Tally) -> Callable[[CfaiError, float, int], None]:
        def tell(error: CfaiError, pause: float, number: int) -> None:
            tally.wait(next_try(error, pause, number))
            tally.show(at_once=True)

        return tell


def batches(plan: Plan, keys: Iterable[str]) -> Iterator[list[str]]:
    """Yield the keys in the batches to send, none of them too big."""
    part: list[str] = []
    size = 0
    for key in keys:
        length = len(json.dumps(chat.body(plan.requests[key])).encode())
        if part and size + length > MOST_BYTES:
            yield part
            part, size = [], 0
        part.append(key)
        size += length
    if part:
        yield part
