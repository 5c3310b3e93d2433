"""Calls that come back whole, of native tasks: booked before, and settled however they end."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import BudgetReached, CfaiError, ReplyTooLarge, RequestTimeout
from ..neurons.pricing import Cost
from ..neurons.tokens import guessed_tokens
from ..route.route import OnRetry
from ..values import Model, Status, Usage
from ..values.results import Embeddings, RawResult
from ..workers_ai.tasks import BATCH
from ..workers_ai.work import Job, Payload
from .answerer import Answerer, Answerers
from .booking import Booking
from .books import Books

Files = Sequence[tuple[str, bytes, str]]
TO_MARKDOWN = Model("tomarkdown", "Markdown Conversion")  # it has a path, and no name in the list


@dataclass
class _Call:
    """One call while it is made: what it used, and an estimate of what no reply came for yet."""

    usage: Usage = field(default_factory=Usage)
    sent: Usage = field(default_factory=Usage)


class Calls:
    """One session's calls of native tasks; `explained` adds to an error what the session knows."""

    def __init__(
        self,
        books: Books,
        answerers: Answerers,
        clock: Callable[[], float],
        explained: Callable[[CfaiError], CfaiError],
    ) -> None:
        self._books = books
        self._answerers = answerers
        self._clock = clock
        self._explained = explained

    def embed(
        self,
        texts: tuple[str, ...],
        found: Answerer,
        cost: Cost | None,
        on_retry: OnRetry | None = None,
        max_neurons: float | None = None,
    ) -> Embeddings:
        """Return one vector a text; what all may cost is reserved before the first request."""
        booking, vectors = found.booking(cost, max_neurons), list[tuple[float, ...]]()
        model, way = found.model.name, self._answerers.gateway(found)
        batches = found.client.embed_batches(texts, model, on_retry, way)
        with self._booked(booking) as call:
            call.sent = booking.priced(_guessed(Usage(), texts[:BATCH]))
            for batch in batches:
                done = len(vectors) + len(batch.vectors)
                told = batch.usage
                if not told.prompt_tokens:
                    told = _guessed(told, texts[len(vectors) : done])
                call.usage += booking.priced(told)
                vectors += batch.vectors
                call.sent = Usage()  # until the next batch is sent
                if done < len(texts):
                    _go_on(booking, call.usage)
                    call.sent = booking.priced(_guessed(Usage(), texts[done : done + BATCH]))
        notes, day, usage = booking.notes, booking.standing, booking.bounded(call.usage)
        return Embeddings(
            *(model, tuple(vectors), usage, texts, notes, day, found.origin, found.local)
        )

    def run(
        self,
        model: Model,
        payload: Payload,
        on_retry: OnRetry | None = None,
        max_neurons: float | None = None,
        **how: Any,
    ) -> RawResult:
        """Return the reply of a native task, with what it used; `how` is WorkersAI.run's."""
        found = self._answerers.task(model, payload, how)
        how_sent = {**how, **self._way(found, on_retry)}
        return self._whole(
            found,
            Job(model.name, payload, **how),
            max_neurons,
            lambda: found.client.run(model.name, payload, **how_sent),
        )

    def _way(self, found: Answerer, on_retry: OnRetry | None) -> dict[str, Any]:
        way = self._answerers.gateway(found)
        return {"on_retry": on_retry, "gateway": way}

    def to_markdown(
        self,
        files: Files,
        on_retry: OnRetry | None = None,
        max_neurons: float | None = None,
    ) -> RawResult:
        """Return documents as Markdown."""
        found = self._answerers.task(TO_MARKDOWN, {}, {"files": files})
        job = Job(TO_MARKDOWN.name, {}, files={file[0]: file for file in files})
        how = self._way(found, on_retry)
        return self._whole(found, job, max_neurons, lambda: found.client.to_markdown(files, **how))

    def _whole(
        self, found: Answerer, job: Job, most: float | None, send: Callable[[], RawResult]
    ) -> RawResult:
        model = found.model
        booking = found.booking(self._books.task_cost(model, job), most)
        with self._booked(booking) as call:
            call.sent = booking.bounded(self._books.priced_task(model, job, RawResult()))
            result = send()
            call.usage = booking.bounded(self._books.priced_task(model, job, result))
        usage, origin = call.usage, found.origin
        if origin.recorded:
            recorded = replace(origin.recorded, neurons=usage.neurons)
            usage, origin = booking.priced(usage), replace(origin, recorded=recorded)
        told = booking.notes, booking.standing
        return replace(result, usage=usage, notes=told[0], standing=told[1], origin=origin)

    @contextmanager
    def _booked(self, booking: Booking) -> Iterator[_Call]:
        """Reserve, let the call be made, and settle by the usage it notes, however it ends."""
        call = _Call()
        booking.reserve()
        started = self._clock()
        status: Status = "interrupted"
        unread = True  # what has been sent may be billed, though no reply was read
        try:
            yield call
            status, unread = "ok", False
        except CfaiError as error:
            status, unread = "failed", isinstance(error, ReplyTooLarge | RequestTimeout)
            raise self._explained(error) from None
        finally:
            used = call.usage + call.sent if unread else call.usage
            billed = call.usage.neurons or 0.0 if call.usage.basis == "billed" else 0.0
            booking.settle(status, booking.bounded(used, billed), self._clock() - started)


def _go_on(booking: Booking, used: Usage) -> None:
    """Raise BudgetReached where what is billed so far leaves no more of a limit."""
    if not booking.is_held:
        return
    try:
        booking.hold(used)
    except BudgetReached as error:
        error.hint = "Embed fewer texts, or raise the limit. The other texts were not sent."
        raise


def _guessed(told: Usage, texts: Iterable[str]) -> Usage:
    """Return the usage of embeddings, whose tokens Cloudflare may leave out."""
    return replace(told, prompt_tokens=sum(map(guessed_tokens, texts)))
