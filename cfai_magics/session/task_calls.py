"""Reserve, send and settle the calls for native tasks."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..errors import (
    APITimeoutError,
    BudgetCutoffError,
    CfaiError,
    ResponseFormatError,
    ResponseTooLargeError,
)
from ..i18n import _
from ..pricing.limits import rate_limit_for
from ..pricing.prices import with_max_tokens
from ..pricing.tokens import estimate_tokens
from ..types.messages import Payload
from ..types.results import Embeddings, TaskResult
from ..types.usage import Model, Status, Usage
from ..workers_ai.endpoints import MAX_TEXTS_PER_REQUEST
from ..workers_ai.retry import OnRetry
from ..workers_ai.task_requests import TaskRequest
from .call import Call, CallResolver, Target
from .reservation import Accounting, Reservation

if TYPE_CHECKING:
    from ..workers_ai.client import WorkersAI

Files = Sequence[tuple[str, bytes, str]]
# After these errors, the request may be billed, because the model may have run.
UNREAD_RESPONSE_ERRORS = (ResponseTooLargeError, ResponseFormatError, APITimeoutError)
# represents an endpoint that the catalog does not list
TO_MARKDOWN_MODEL = Model("tomarkdown", "Markdown Conversion")


@dataclass
class _CallUsage:
    """The usage of a call in progress.

    `pending` is the usage of the request that is waiting for a response: an estimate, or what a
    refused response reported. `max_tokens` is the maximum number of answer tokens that was
    reserved, or 0 if the task has no such limit.
    """

    max_tokens: int
    usage: Usage = field(default_factory=Usage)
    pending: Usage = field(default_factory=Usage)


class TaskCalls:
    """A runner for the native tasks of one session.

    `add_hints` returns an error with hints added.
    """

    def __init__(
        self,
        accounting: Accounting,
        resolver: CallResolver,
        clock: Callable[[], float],
        add_hints: Callable[[CfaiError], CfaiError],
    ) -> None:
        self._accounting = accounting
        self._resolver = resolver
        self._clock = clock
        self._add_hints = add_hints

    def embed(
        self,
        texts: tuple[str, ...],
        call: Call,
        on_retry: OnRetry | None = None,
        max_neurons: float | None = None,
    ) -> Embeddings:
        """Return one vector per text. The total cost is reserved before the first request."""
        reservation = _new_reservation(call, self._accounting, max_neurons)
        vectors: list[tuple[float, ...]] = []
        model_name, gateway = call.model.name, self._resolver.resolve_gateway(call)
        with self._reserve_and_settle(reservation) as call_usage:
            client = _client_with_slot(call, reservation)
            batches = client.embed_batches(texts, model_name, on_retry, gateway)
            call_usage.pending = reservation.price_usage(
                _with_estimated_prompt_tokens(Usage(), texts[:MAX_TEXTS_PER_REQUEST])
            )
            for batch in batches:
                end = len(vectors) + len(batch.vectors)
                usage = batch.usage
                if not usage.prompt_tokens:
                    usage = _with_estimated_prompt_tokens(usage, texts[len(vectors) : end])
                call_usage.usage += reservation.price_usage(usage)
                vectors += batch.vectors
                call_usage.pending = Usage()  # until the next batch is sent
                if end < len(texts):
                    _require_budget_left(reservation, call_usage.usage)
                    call_usage.pending = reservation.price_usage(
                        _with_estimated_prompt_tokens(
                            Usage(), texts[end : end + MAX_TEXTS_PER_REQUEST]
                        )
                    )
        notes, day_usage, usage = (
            reservation.notes,
            reservation.day_usage,
            reservation.cap_estimate(call_usage.usage),
        )
        return Embeddings(
            *(
                model_name,
                tuple(vectors),
                usage,
                texts,
                notes,
                day_usage,
                call.provenance,
                call.is_local,
            )
        )

    def run(
        self,
        target: Target,
        payload: Payload,
        on_retry: OnRetry | None = None,
        max_neurons: float | None = None,
        **send_kwargs: Any,
    ) -> TaskResult:
        """Run a native task and return its result.

        `send_kwargs` are the keyword arguments for `WorkersAI.run`.
        """
        model_name = target.model.name
        task_request = TaskRequest(model_name, payload, **send_kwargs)
        call = self._resolver.resolve_task(target, payload, send_kwargs, task_request)
        all_kwargs = {**send_kwargs, **self._gateway_kwargs(call, on_retry)}
        return self._run_and_settle(
            call,
            task_request,
            max_neurons,
            lambda client, max_tokens: client.run(
                model_name, _with_max_tokens(payload, max_tokens), **all_kwargs
            ),
        )

    def _gateway_kwargs(self, call: Call, on_retry: OnRetry | None) -> dict[str, Any]:
        gateway = self._resolver.resolve_gateway(call)
        return {"on_retry": on_retry, "gateway": gateway}

    def to_markdown(
        self,
        target: Target,
        files: Files,
        on_retry: OnRetry | None = None,
        max_neurons: float | None = None,
    ) -> TaskResult:
        """Convert documents to Markdown."""
        task_request = TaskRequest(
            TO_MARKDOWN_MODEL.name, {}, files={str(n): file for n, file in enumerate(files)}
        )
        call = self._resolver.resolve_task(target, {}, {"files": files}, task_request)
        gateway_kwargs = self._gateway_kwargs(call, on_retry)
        return self._run_and_settle(
            call,
            task_request,
            max_neurons,
            lambda client, _max_tokens: client.to_markdown(files, **gateway_kwargs),
        )

    def _run_and_settle(
        self,
        call: Call,
        task_request: TaskRequest,
        max_neurons: float | None,
        send: Callable[["WorkersAI", int], TaskResult],
    ) -> TaskResult:
        """Reserve, send and settle a call.

        `send` gets the maximum number of answer tokens, or 0 if no limit applies to the call.
        """
        model = call.model
        reservation = _new_reservation(call, self._accounting, max_neurons)
        with self._reserve_and_settle(reservation) as call_usage:
            call_usage.pending = reservation.cap_estimate(
                self._accounting.price_task(model, task_request, TaskResult())
            )
            max_tokens = call_usage.max_tokens if reservation.has_enforced_limit else 0
            result = send(_client_with_slot(call, reservation), max_tokens)
            call_usage.usage = reservation.cap_estimate(
                self._accounting.price_task(model, task_request, result)
            )
        usage, provenance = call_usage.usage, call.provenance
        if provenance.recording:
            recording = replace(provenance.recording, neurons=usage.neurons)
            usage, provenance = (
                reservation.price_usage(usage),
                replace(provenance, recording=recording),
            )
        notes_and_day_usage = reservation.notes, reservation.day_usage
        return replace(
            result,
            usage=usage,
            notes=notes_and_day_usage[0],
            day_usage=notes_and_day_usage[1],
            provenance=provenance,
        )

    @contextmanager
    def _reserve_and_settle(self, reservation: Reservation) -> Iterator[_CallUsage]:
        """Reserve a call, yield a record for its usage, and settle the call however it ends."""
        call = _CallUsage(reservation.reserve())
        started = self._clock()
        status: Status = "interrupted"
        may_be_billed = True  # a request may be billed even if its response was not read
        failure: CfaiError | None = None
        try:
            yield call
            status, may_be_billed = "ok", False
        except CfaiError as error:
            status, failure = "failed", error
            may_be_billed = isinstance(error, UNREAD_RESPONSE_ERRORS) or error.usage is not None
            if error.usage is not None and error.usage.neurons is not None:
                call.pending = error.usage
            raise self._add_hints(error) from None
        finally:
            parts = [call.usage, call.pending] if may_be_billed else [call.usage]
            billed = sum(part.neurons or 0.0 for part in parts if part.cost_basis == "billed")
            usage = reservation.cap_estimate(sum(parts[1:], parts[0]), billed)
            if failure is not None:
                failure.usage = usage
            reservation.settle(status, usage, self._clock() - started)


def _new_reservation(call: Call, accounting: Accounting, max_neurons: float | None) -> Reservation:
    """Return a reservation for the call, which also takes its slot of the rate limit."""
    reservation = call.new_reservation(accounting, max_neurons)
    if call.is_rate_limited:
        reservation.rate_limit = rate_limit_for(call.model)
    return reservation


def _with_max_tokens(payload: Payload, max_tokens: int) -> Payload:
    """Return the payload with max_tokens set, or unchanged if `max_tokens` is 0."""
    if not max_tokens or not isinstance(payload, Mapping):
        return payload
    return with_max_tokens(payload, max_tokens)


def _client_with_slot(call: Call, reservation: Reservation) -> "WorkersAI":
    """Return the client for a call whose reservation has been made."""
    return call.client.with_slot(reservation.slot) if reservation.slot else call.client


def _require_budget_left(reservation: Reservation, usage: Usage) -> None:
    """Raise BudgetCutoffError if the usage so far has reached a limit."""
    if not reservation.has_enforced_limit:
        return
    try:
        reservation.enforce_limits(usage)
    except BudgetCutoffError as error:
        error.hint = _("The remaining texts were not sent. Embed fewer texts, or raise the limit.")
        raise


def _with_estimated_prompt_tokens(usage: Usage, texts: Iterable[str]) -> Usage:
    """Return the usage with the number of prompt tokens estimated from the texts.

    Cloudflare does not always report prompt tokens for embeddings.
    """
    prompt_tokens = sum(map(estimate_tokens, texts))
    return replace(usage, prompt_tokens=prompt_tokens, has_estimated_tokens=True)
