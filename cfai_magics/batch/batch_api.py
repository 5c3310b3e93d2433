"""Submit, poll and settle the batches of a map with the Batch API."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from .. import runtime
from ..display.map_progress import MapProgress
from ..display.tables import format_retry_message, format_seconds
from ..errors import (
    BatchFailedError,
    CfaiError,
    InterruptedAnswerError,
    InvalidOptionError,
    ModelNotFoundError,
)
from ..i18n import _, mark
from ..pricing.catalog import MAX_LISTED_MODELS
from ..pricing.limits import cap_estimate
from ..pricing.prices import Cost, with_estimate
from ..session.call import ClientGroup
from ..session.parallel import reserve_pool
from ..session.reservation import price_request
from ..session.session import Session
from ..storage.ledger import CallOutcome
from ..storage.map_cache import Batch, CachedAnswer, MapCache
from ..types.usage import Status, Usage
from ..workers_ai.client import BatchAnswer, failed_batch_answer
from ..workers_ai.endpoints import chat_body
from .dispatch import MapResults, get_answer_error
from .plan import MapPlan

MAX_BATCH_BYTES = 9_000_000  # Cloudflare's limit is 10 MB
MIN_POLL_SECONDS, MAX_POLL_SECONDS = 2.0, 30.0  # between polls
EXPIRED_MESSAGE = mark("the batch has no answer to this prompt; Cloudflare deletes old batches")


class BatchApiJob:
    """A job that sends the prompts of one map to the Batch API.

    `sleep` is called to wait between polls.
    """

    def __init__(
        self,
        session: Session,
        plan: MapPlan,
        cache: MapCache,
        max_neurons: float | None = None,
        sleep: Callable[[float], None] = runtime.sleep,
    ) -> None:
        self._session = session
        self._plan = plan
        self._cache = cache
        self._max_neurons = max_neurons
        self._sleep = sleep

    def check_model_support(self) -> None:
        """Raise InvalidOptionError if the model does not support the Batch API."""
        if self._session.backend.class_server is not None:
            raise InvalidOptionError(
                _("The class server does not offer {feature}").format(feature=_("the Batch API")),
                _("Leave out queue=True."),
            )
        if self._session.backend.is_cloudflare and self._plan.model.supports_batch_api:
            return
        models = self._session.catalog().models
        task = self._plan.model.task
        supported_models = [
            model.short_name
            for model in models
            if model.supports_batch_api and task in ("", model.task)
        ]
        hint = (
            _("Models that support it: {models}.").format(
                models=", ".join(supported_models[:MAX_LISTED_MODELS])
            )
            if supported_models and self._session.backend.is_cloudflare
            else _("Leave out queue=True.")
        )
        raise InvalidOptionError(
            _("{model} does not support the Batch API").format(model=self._plan.model.short_name),
            hint,
        )

    def send(self, costs: Mapping[str, Cost | None], progress: MapProgress) -> None:
        """Reserve the total cost, and submit the prompts in batches.

        `costs` contains the estimated cost of each prompt, by prompt key.
        """
        if not costs:
            return
        clients = ClientGroup(self._session.backend)
        client = clients.get_shared_client()
        accounting, model = self._session.accounting, self._plan.model
        with reserve_pool(
            accounting, clients, model, list(costs.values()), self._max_neurons
        ) as budget_pool:
            for batch_keys in split_into_batches(self._plan, costs):
                call_ids = [
                    budget_pool.reserve_unassigned((model.name, model.task, key), costs[key])
                    for key in batch_keys
                ]
                requests = [self._plan.requests[key] for key in batch_keys]
                try:
                    batch_id = client.batches.enqueue(
                        requests,
                        self._create_retry_callback(progress),
                        self._session.backend.resolve_gateway(),
                        model,
                    )
                except BaseException as error:
                    for call_id in call_ids:
                        accounting.ledger.settle(
                            call_id, CallOutcome("failed", Usage(neurons=0.0))
                        )
                    if isinstance(error, CfaiError):
                        raise self._session.add_hints(error) from None
                    raise
                account = accounting.get_context().account
                batch = Batch(batch_id, account, model.name, tuple(batch_keys), tuple(call_ids))
                self._cache.add_batch(batch)

    def fetch(self, keys: Sequence[str], results: MapResults, progress: MapProgress) -> None:
        """Poll the batches that contain any of these keys, and add the answers to `results`.

        Raises:
            InterruptedAnswerError: The user interrupted the polling. The batches stay in
                Cloudflare's queue.
        """
        account = self._session.accounting.get_context().account
        for batch in self._cache.find_batches(account, keys):
            try:
                batch_answers = self._poll(batch, progress)
            except KeyboardInterrupt:
                raise InterruptedAnswerError(
                    _("Interrupted; the batch is still in Cloudflare's queue"),
                    _("Run the same map again to fetch its answers; no request is sent twice."),
                ) from None
            self._settle(batch, batch_answers, results, progress)

    def _poll(self, batch: Batch, progress: MapProgress) -> dict[int, BatchAnswer] | None:
        """Poll a batch until it is processed, and return its answers by index.

        Returns None if Cloudflare has deleted the batch.
        """
        client = self._session.backend.client()
        wait_seconds = MIN_POLL_SECONDS
        while True:
            try:
                batch_answers = client.batches.fetch(
                    batch.model, batch.request_id, self._create_retry_callback(progress)
                )
            except ModelNotFoundError:  # Cloudflare's error for an unknown batch ID
                return None
            except BatchFailedError as error:
                return dict.fromkeys(range(len(batch.keys)), failed_batch_answer(error))
            except CfaiError as error:
                raise self._session.add_hints(error) from None
            if batch_answers is not None:
                return batch_answers
            progress.set_wait_reason(
                _("in Cloudflare's queue, next check in {duration}").format(
                    duration=format_seconds(wait_seconds)
                )
            )
            progress.show(force=True)
            self._sleep(wait_seconds)
            wait_seconds = min(MAX_POLL_SECONDS, 2 * wait_seconds)

    def _settle(
        self,
        batch: Batch,
        batch_answers: dict[int, BatchAnswer] | None,
        results: MapResults,
        progress: MapProgress,
    ) -> None:
        """Settle the calls of a finished batch in the ledger, and cache the answers."""
        rates = self._session.accounting.get_rates(self._plan.model)
        cacheable_answers: dict[str, CachedAnswer] = {}
        for index, (key, call_id) in enumerate(zip(batch.keys, batch.call_ids, strict=True)):
            batch_answer = (batch_answers or {}).get(index, BatchAnswer(error=_(EXPIRED_MESSAGE)))
            usage = (
                Usage(neurons=0.0)
                if batch_answer.error
                else with_estimate(rates, batch_answer.usage)
            )
            is_estimated = usage.cost_basis == "estimated"
            if is_estimated and key in self._plan.requests:
                cost = price_request(self._plan.requests[key], self._plan.model, rates)
                usage = cap_estimate(cost.bounded.high, usage) if cost else usage
            status: Status = "failed" if batch_answer.error else "ok"
            outcome = CallOutcome(status, usage, is_guess=is_estimated)
            self._session.accounting.ledger.settle(call_id, outcome, any_kernel=True)
            if key not in self._plan.requests:  # the prompt belongs to another map
                cacheable_answers[key] = CachedAnswer(
                    batch_answer.text, batch_answer.finish_reason
                )
                continue
            answer = CachedAnswer(batch_answer.text, batch_answer.finish_reason, usage)
            row_error = batch_answer.error or get_answer_error(self._plan, answer)
            if row_error:
                results.errors[key] = row_error
            else:
                cacheable_answers[key] = results.answers[key] = answer
            progress.count_finished(usage, is_failed=bool(row_error))
        self._mark_quota_exhausted(batch, batch_answers)
        self._cache.complete_batch(
            batch,
            {
                key: cacheable_answer
                for key, cacheable_answer in cacheable_answers.items()
                if cacheable_answer.text
            },
        )

    def _mark_quota_exhausted(
        self, batch: Batch, batch_answers: Mapping[int, BatchAnswer] | None
    ) -> None:
        """Close the day if the batch ran today and the daily quota was used up meanwhile."""
        accounting = self._session.accounting
        is_over_quota = any(answer.is_over_quota for answer in (batch_answers or {}).values())
        if is_over_quota and accounting.ledger.is_from_today(batch.call_ids[0]):
            accounting.mark_quota_exhausted()

    def _create_retry_callback(
        self, progress: MapProgress
    ) -> Callable[[CfaiError, float, int], None]:
        def report_retry(error: CfaiError, seconds: float, next_attempt: int) -> None:
            progress.set_wait_reason(format_retry_message(error, seconds, next_attempt))
            progress.show(force=True)

        return report_retry


def split_into_batches(plan: MapPlan, keys: Iterable[str]) -> Iterator[list[str]]:
    """Yield lists of keys. The requests for each list total at most MAX_BATCH_BYTES."""
    batch_keys: list[str] = []
    batch_bytes = 0
    for key in keys:
        request_bytes = len(json.dumps(chat_body(plan.requests[key])).encode())
        if batch_keys and batch_bytes + request_bytes > MAX_BATCH_BYTES:
            yield batch_keys
            batch_keys, batch_bytes = [], 0
        batch_keys.append(key)
        batch_bytes += request_bytes
    if batch_keys:
        yield batch_keys
