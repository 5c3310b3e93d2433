"""Send the prompts of a map concurrently, and cache each answer as it arrives."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from threading import Lock

from ..display.map_progress import MapProgress
from ..display.tables import format_retry_message
from ..errors import (
    APITimeoutError,
    BadRequestError,
    CapacityError,
    CfaiError,
    ContextLengthError,
    IncompleteStreamError,
    InterruptedAnswerError,
    NotRecordedError,
    PrivacyError,
    RateLimitError,
    ResponseTooLargeError,
    ServerError,
)
from ..i18n import _
from ..pricing.prices import Cost
from ..prompt.output_formats import FormatError, without_response_format
from ..session.call import ClientGroup
from ..session.parallel import BudgetPool, WorkerPool, reserve_pool
from ..session.reservation import NO_COST
from ..session.session import Session
from ..session.stream import AnswerStream
from ..storage.map_cache import CachedAnswer, MapCache
from ..types.messages import Answer, Request
from ..types.usage import Usage
from .plan import MapPlan

# Errors that affect a single row. Any other error would occur for all rows.
ROW_ERRORS = (
    *(BadRequestError, ContextLengthError, IncompleteStreamError, CapacityError),
    *(RateLimitError, ResponseTooLargeError, APITimeoutError, ServerError),
)


ReportWait = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class MapResults:
    """The answers and error messages for the distinct prompts, by prompt key.

    `failed_usages` has the usage of the calls that failed, as in the ledger.
    """

    answers: dict[str, CachedAnswer] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    failed_usages: dict[str, Usage] = field(default_factory=dict)

    def get_neurons(self, key: str) -> float:
        """Return the number of neurons that a prompt cost; 0 if it is unknown."""
        answer = self.answers.get(key)
        usage = self.failed_usages.get(key) if answer is None else answer.usage
        return (usage.neurons if usage else None) or 0.0


def get_answer_error(plan: MapPlan, answer: CachedAnswer) -> str:
    """Return the reason why an answer cannot be used, or "" if it can be used.

    An answer cannot be used if the model failed, if it is empty or does not match the schema.
    """
    if answer.finish_reason == "error":
        return _("the model reported an error")
    if not answer.text:
        return _("the answer is empty; the model may have used all of its tokens for reasoning")
    if plan.schema is None:
        return ""
    try:
        plan.schema.parse(answer.text)
    except FormatError as error:
        message = (
            _("the answer was cut off at max_tokens and does not match the schema ({reason})")
            if answer.finish_reason == "length"
            else _("the answer does not match the schema ({reason})")
        )
        return message.format(reason=error)
    return ""


class MapDispatcher:
    """A dispatcher that sends prompts in up to `concurrency` parallel calls.

    The total cost of the calls is limited to `max_neurons`.
    """

    def __init__(
        self,
        session: Session,
        plan: MapPlan,
        cache: MapCache,
        concurrency: int,
        max_neurons: float | None,
    ) -> None:
        self._session = session
        self._plan = plan
        self._cache = cache
        self._concurrency = concurrency
        self._max_neurons = max_neurons
        self._streams: set[AnswerStream] = set()
        self._lock = Lock()
        self._schema_unsupported = False  # whether the model rejected the response_format field

    def run(
        self,
        keys: Sequence[str],
        costs: Mapping[str, Cost | None],
        results: MapResults,
        progress: MapProgress,
    ) -> None:
        """Send the prompts with these keys, and add the answers and errors to `results`.

        The total of `costs` is reserved first. Prompts whose keys are not in `costs` are answered
        from recordings.

        Raises:
            CfaiError: An error that would occur for all rows. `results` contains the answers
                received before the error.
        """
        clients = ClientGroup(self._session.backend)
        if costs:
            clients.get_shared_client()  # creates the client on this thread
        with self._reserve_pool(clients, costs) as budget_pool:

            def report_wait(reason: str) -> None:
                progress.set_wait_reason(reason)
                workers.call_soon(progress.show)

            def ask_key(key: str) -> Iterator[tuple[str, CachedAnswer | CfaiError]]:
                outcome = self._ask_key(key, budget_pool, report_wait)
                if isinstance(outcome, CfaiError) and not isinstance(outcome, ROW_ERRORS):
                    raise outcome
                yield key, outcome

            def abort() -> None:
                self._interrupt_streams()
                clients.abort()

            with WorkerPool(self._concurrency, keys, ask_key, abort, progress.show) as workers:
                for key, outcome in workers:
                    self._add_outcome(key, outcome, results, progress)

    def _reserve_pool(
        self, clients: ClientGroup, costs: Mapping[str, Cost | None]
    ) -> AbstractContextManager[BudgetPool | None]:
        if not costs:
            return nullcontext()
        accounting, target = self._session.accounting, self._plan.target
        unknown_cost = NO_COST if target.is_other_server else None
        pool_costs = [unknown_cost if cost is None else cost for cost in costs.values()]
        return reserve_pool(accounting, clients, target.model, pool_costs, self._max_neurons)

    def _add_outcome(
        self,
        key: str,
        outcome: CachedAnswer | CfaiError,
        results: MapResults,
        progress: MapProgress,
    ) -> None:
        if isinstance(outcome, CfaiError):
            results.errors[key] = outcome.format_line()
            if outcome.usage is not None:
                results.failed_usages[key] = outcome.usage
            progress.count_finished(outcome.usage, is_failed=True)
            return
        results.answers[key] = outcome
        row_error = get_answer_error(self._plan, outcome)
        if row_error:
            results.errors[key] = row_error
        progress.count_finished(outcome.usage, is_failed=bool(row_error))

    def _interrupt_streams(self) -> None:
        with self._lock:
            for stream in self._streams:
                stream.interrupt()

    # --- on the worker threads

    def _ask_key(
        self, key: str, budget_pool: BudgetPool | None, report_wait: ReportWait
    ) -> CachedAnswer | CfaiError:
        """Return the answer to a prompt, or the error. Cache the answer if it can be used."""
        request = self._plan.requests[key]
        try:
            answer = self._ask_with_schema_fallback(request, budget_pool, report_wait)
        except CfaiError as error:
            return error
        cached_answer = CachedAnswer(answer.text, answer.finish_reason, answer.usage)
        if not get_answer_error(self._plan, cached_answer):
            self._cache.save(key, cached_answer)
        return cached_answer

    def _ask_with_schema_fallback(
        self, request: Request, budget_pool: BudgetPool | None, report_wait: ReportWait
    ) -> Answer:
        """Send a request. If the model rejects response_format, retry without this field."""
        request_without_schema = without_response_format(request)
        if request_without_schema is None:
            return self._run_stream(request, budget_pool, report_wait)
        if not self._schema_unsupported:
            try:
                return self._run_stream(request, budget_pool, report_wait)
            except (NotRecordedError, PrivacyError):  # it may be recorded without the field
                return self._run_stream(request_without_schema, budget_pool, report_wait)
            except BadRequestError as error:
                if error.answer is not None:
                    raise
            self._schema_unsupported = True
        return self._run_stream(request_without_schema, budget_pool, report_wait)

    def _run_stream(
        self, request: Request, budget_pool: BudgetPool | None, report_wait: ReportWait
    ) -> Answer:
        def report_retry(error: CfaiError, seconds: float, next_attempt: int) -> None:
            report_wait(format_retry_message(error, seconds, next_attempt))

        stream = self._session.open_stream(
            request, self._plan.target, report_retry, pool=budget_pool
        )
        with self._lock:
            self._streams.add(stream)
        try:
            with stream:
                for _delta in stream:
                    pass
        finally:
            with self._lock:
                self._streams.discard(stream)
        if stream.answer.finish_reason == "interrupted":
            raise InterruptedAnswerError(_("The answer was interrupted"))
        return stream.answer
