"""Run a map: estimate and confirm its cost, get the answers and add them to the rows."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..display.footer import format_usage_footer
from ..display.map_progress import MapProgress, WriteText
from ..display.tables import format_neurons, format_range
from ..errors import CfaiError, InterruptedAnswerError, InvalidOptionError
from ..pricing.prices import Cost
from ..prompt.output_formats import without_response_format
from ..session.session import Session
from ..storage.map_cache import CachedAnswer, MapCache
from ..types.messages import Answer
from .batch_api import BatchApiJob
from .dispatch import MapDispatcher, MapResults
from .plan import RESULT_COLUMNS, MapPlan

CostsByKey = Mapping[str, Cost | None]


@dataclass(frozen=True, slots=True)
class MapOptions:
    """The options of a map.

    `concurrency` is the number of parallel calls; with `queue`, the Batch API is used.
    `max_neurons` limits the total cost. Without it, the user has to confirm a cost above the
    setting confirm_neurons, unless `confirm` is False. With `fresh`, cached answers are ignored.
    """

    concurrency: int = 8
    max_neurons: float | None = None
    confirm: bool = True
    queue: bool = False
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class MapRunner:
    """Runs maps in a session, with the output and input functions of a front end.

    `print_line` prints a line, `write_progress` replaces the text shown before, and `ask_user`
    returns the user's reply to a question.
    """

    session: Session
    print_line: Callable[[str], None]
    write_progress: WriteText
    ask_user: Callable[[str], str]

    def run(self, plan: MapPlan, options: MapOptions) -> Any:
        """Run a plan and return its rows with the columns answer, error and neurons added."""
        with MapCache(self.session.home) as cache:
            batch_job = BatchApiJob(self.session, plan, cache, options.max_neurons)
            if options.queue:
                batch_job.check_model_support()
            # While recording, requests must be sent; a cassette replays those it contains.
            ignores_cache = (
                options.fresh or self.session.recorder.get_transport_wrapper() is not None
            )
            results = MapResults({} if ignores_cache else cache.find(plan.requests))

            def has_recording(key: str) -> bool:
                request, request_without_schema = (
                    plan.requests[key],
                    without_response_format(plan.requests[key]),
                )
                is_recorded, target = self.session.resolver.is_recorded, plan.target
                return is_recorded(request, target) or (
                    request_without_schema is not None
                    and is_recorded(request_without_schema, target)
                )

            missing_keys = [key for key in plan.requests if key not in results.answers]
            queued_batches = cache.find_batches(
                self.session.accounting.get_context().account, missing_keys
            )
            queued_keys = {key for batch in queued_batches for key in batch.keys}
            keys_to_ask = [key for key in missing_keys if key not in queued_keys]
            unrecorded_keys = [key for key in keys_to_ask if not has_recording(key)]
            for key in unrecorded_keys[:1]:
                self.session.resolver.require_recording(plan.requests[key], plan.target)
            costs = plan.estimate_costs(self.session, unrecorded_keys)
            self._report_and_confirm_cost(
                plan, costs, options, _format_summary(plan, results, missing_keys, keys_to_ask)
            )
            progress = MapProgress(len(missing_keys), self.write_progress)
            with self._add_resume_hint(cache, progress):
                if options.queue:
                    batch_job.send(costs, progress)
                    keys_to_ask, costs = [key for key in keys_to_ask if key not in costs], {}
                dispatcher = MapDispatcher(
                    self.session, plan, cache, options.concurrency, options.max_neurons
                )
                dispatcher.run(keys_to_ask, costs, results, progress)
                batch_job.fetch(missing_keys, results, progress)
            self._write_footer(plan, results, progress, cache)
            return plan.input_rows.with_columns(
                _build_result_columns(plan, results, set(missing_keys))
            )

    # --- cost

    def _report_and_confirm_cost(
        self, plan: MapPlan, costs: CostsByKey, options: MapOptions, summary: str
    ) -> None:
        """Print the estimated cost, and ask the user to confirm it above the limit."""
        low, high = _sum_cost_range(costs)
        if not costs:
            self.print_line(f"{summary} Nothing is to be asked.")
            return
        max_tokens = next(iter(plan.requests.values())).max_tokens
        cost_text = (
            "no price is known" if high is None else f"{format_range(low, high)} neurons estimated"
        )
        line = (
            f"{summary} {plan.model.short_name}: {cost_text}, with at most {max_tokens:,} tokens "
            "an answer."
        )
        self.print_line(line)
        confirm_limit = self.session.settings.confirm_neurons
        if (
            options.confirm
            and options.max_neurons is None
            and (high is None or high > confirm_limit)
        ):
            self._confirm(high)

    def _confirm(self, high: float | None) -> None:
        cost_text = (
            "cost nobody knows what"
            if high is None
            else f"cost up to {format_neurons(high)} neurons"
        )
        try:
            reply = self.ask_user(f"This may {cost_text}. Go on? [y/N] ")
        except (EOFError, NotImplementedError):  # base class of StdinNotImplementedError
            raise InvalidOptionError(
                f"This may {cost_text}, and nobody can be asked here; nothing was sent",
                "Lower max_tokens, or give max_neurons=N or confirm=False.",
            ) from None
        if reply.strip().lower() not in {"y", "yes"}:
            raise InterruptedAnswerError("Not gone on with", "Nothing was sent.")

    # --- result

    @contextmanager
    def _add_resume_hint(self, cache: MapCache, progress: MapProgress) -> Iterator[None]:
        """Add to an error or interrupt that answers are cached and how to resume."""
        try:
            yield
        except KeyboardInterrupt:
            progress.show(force=True)
            raise InterruptedAnswerError(
                f"Interrupted when {progress.done_count:,} were answered",
                "Run the same again for the rest: none of them is asked twice. "
                f"{_format_cache_note(cache)}",
            ) from None
        except CfaiError as error:
            progress.show(force=True)
            if progress.done_count:
                error.hint = (
                    f"{error.hint} Run the same again for the rest. {_format_cache_note(cache)}"
                )
            raise

    def _write_footer(
        self, plan: MapPlan, results: MapResults, progress: MapProgress, cache: MapCache
    ) -> None:
        """Replace the progress bar by the footer with usage, time and notes."""
        is_local = self.session.backend.is_local
        day_usage = (
            self.session.accounting.day_usage() if self.session.backend.is_cloudflare else None
        )
        cut_count = sum(
            1 for answer in results.answers.values() if answer.finish_reason == "length"
        )
        notes = [
            *([f"{cut_count:,} answers were cut at max_tokens."] if cut_count else []),
            *(
                [f"{len(results.errors):,} failed: see the column error."]
                if results.errors
                else []
            ),
            *(self.session.accounting.limit_warnings(day_usage) if day_usage else []),
            _format_cache_note(cache),
        ]
        total_answer = Answer(
            plan.model.name,
            text=" ",
            finish_reason="stop",
            usage=progress.usage,
            seconds=progress.elapsed_seconds,
            is_local=is_local,
            notes=tuple(notes),
            day_usage=day_usage,
        )
        self.write_progress(format_usage_footer(total_answer, "full"))


def _format_summary(
    plan: MapPlan, results: MapResults, missing_keys: list[str], keys_to_ask: list[str]
) -> str:
    """Return a sentence with the numbers of rows, prompts, cached answers and queued prompts."""
    error_row_count = sum(map(bool, plan.row_errors))
    parts = [
        f"{len(plan.input_rows):,} rows, {len(plan.requests):,} different prompts",
        *([f"{len(results.answers):,} answered before"] if results.answers else []),
        *(
            [f"{len(missing_keys) - len(keys_to_ask):,} in the queue"]
            if len(missing_keys) > len(keys_to_ask)
            else []
        ),
        *([f"{error_row_count:,} rows without a value"] if error_row_count else []),
    ]
    return f"{', '.join(parts)}."


def _sum_cost_range(costs: CostsByKey) -> tuple[float, float | None]:
    """Return the minimum and maximum of the total cost; the maximum is None if unknown."""
    known_costs = [cost for cost in costs.values() if cost is not None]
    low, high = sum(cost.low for cost in known_costs), sum(cost.high for cost in known_costs)
    return low, high if len(known_costs) == len(costs) else None


def _format_cache_note(cache: MapCache) -> str:
    return f"The answers are kept in {cache.path}; %cfai map clear deletes them."


def _build_result_columns(
    plan: MapPlan, results: MapResults, new_keys: set[str]
) -> dict[str, list[Any]]:
    """Return the added columns; the neurons of a prompt are in its first row only."""
    answers: list[Any] = []
    errors: list[str | None] = []
    neurons: list[float] = []
    for key, row_error in zip(plan.row_keys, plan.row_errors, strict=True):
        answer = results.answers.get(key)
        error = row_error or results.errors.get(key, "")
        answers.append(None if error or answer is None else _parse_answer_value(plan, answer))
        errors.append(error or None)
        neurons.append(_get_neurons(answer) if key in new_keys else 0.0)
        new_keys.discard(key)
    return dict(zip(RESULT_COLUMNS, (answers, errors, neurons), strict=True))


def _parse_answer_value(plan: MapPlan, answer: CachedAnswer) -> Any:
    return answer.text if plan.schema is None else plan.schema.parse(answer.text)


def _get_neurons(answer: CachedAnswer | None) -> float:
    return (answer.usage.neurons if answer and answer.usage else None) or 0.0
