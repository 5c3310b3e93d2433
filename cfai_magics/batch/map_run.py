"""Run a map: estimate and confirm its cost, get the answers, and add them to the rows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from ..chat.sent_values import check_values
from ..display.footer import format_usage_footer
from ..display.map_progress import MapProgress, WriteText
from ..display.tables import format_estimate, format_neurons
from ..errors import CfaiError, InterruptedAnswerError, InvalidOptionError
from ..i18n import _, ngettext
from ..pricing.prices import Estimate, get_max_tokens, longest_answer
from ..prompt.output_formats import without_response_format
from ..session.session import Session
from ..storage.map_cache import CachedAnswer, MapCache
from ..types.messages import Answer
from .batch_api import BatchApiJob
from .dispatch import MapDispatcher, MapResults
from .plan import RESULT_COLUMNS, MapPlan

CostsByKey = Mapping[str, Estimate | None]


@dataclass(frozen=True, slots=True)
class MapOptions:
    """Options for a map.

    Attributes:
        concurrency: The maximum number of parallel calls.
        max_neurons: The limit on the total cost, in neurons.
        confirm: Whether the user must confirm a cost above the `confirm_neurons` setting. This
            option has no effect if `max_neurons` is set.
        queue: Whether to use the Batch API.
        fresh: Whether to ignore cached answers.
    """

    concurrency: int = 8
    max_neurons: float | None = None
    confirm: bool = True
    queue: bool = False
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class MapRunner:
    """A map runner for one session, with the input and output functions of a front end.

    Attributes:
        session: The session that sends the requests.
        print_line: Function that prints a line.
        write_progress: Function that replaces the displayed progress text.
        ask_user: Function that asks the user a question and returns the reply.
    """

    session: Session
    print_line: Callable[[str], None]
    write_progress: WriteText
    ask_user: Callable[[str], str]

    def run(self, plan: MapPlan, options: MapOptions) -> Any:
        """Run a plan, and return its rows with answer, error and neurons columns added.

        Raises:
            InvalidOptionError: The model does not support the Batch API, or the front end can't
                ask the user to confirm the cost.
            InterruptedAnswerError: The user canceled or interrupted the map.
            CfaiError: An error that would occur for all rows.
        """
        with MapCache(self.session.home) as cache:
            batch_job = BatchApiJob(self.session, plan, cache, options.max_neurons)
            if options.queue:
                batch_job.check_model_support()
            # While recording, use the cassette instead of the cache.
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
            self._check_sent_values(plan, unrecorded_keys)
            costs = plan.estimate_costs(self.session, unrecorded_keys)
            self._report_and_confirm_cost(
                plan, costs, options, _format_summary(plan, results, missing_keys, keys_to_ask)
            )
            progress = MapProgress(len(missing_keys), self.write_progress, plan.model.name)
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

    def _check_sent_values(self, plan: MapPlan, keys: Sequence[str]) -> None:
        """Warn once if the rows to send seem to contain personal data."""
        if keys and plan.columns and plan.target.backend_kind != "local":
            field = ", ".join(f"{{{name}}}" for name in plan.columns)
            check_values(self.session, plan.template, [(field, plan.format_values(set(keys)))])

    # --- cost

    def _report_and_confirm_cost(
        self, plan: MapPlan, costs: CostsByKey, options: MapOptions, summary: str
    ) -> None:
        """Print the estimated cost, and ask for confirmation if the cost is high or unknown."""
        typical, high = _sum_estimates(costs)
        if not costs:
            self.print_line(_("{summary} No requests are needed.").format(summary=summary))
            return
        request = next(iter(plan.requests.values()))
        message = (
            _("{summary} {model}: unknown cost (answers up to {tokens:,} tokens).")
            if high is None
            else _("{summary} {model}: {estimate} neurons (answers up to {tokens:,} tokens).")
        )
        self.print_line(
            message.format(
                summary=summary,
                model=plan.model.short_name,
                estimate="" if high is None else format_estimate(typical, high),
                tokens=get_max_tokens(request) or longest_answer(request, plan.model),
            )
        )
        confirm_limit = self.session.settings.confirm_neurons
        if (
            options.confirm
            and options.max_neurons is None
            and (not plan.target.is_other_server if high is None else high > confirm_limit)
        ):
            self._confirm(high)

    def _confirm(self, high: float | None) -> None:
        cost_text = (
            _("The cost is unknown")
            if high is None
            else _("This may cost up to {neurons} neurons").format(neurons=format_neurons(high))
        )
        try:
            reply = self.ask_user(_("{cost}. Continue? [y/N] ").format(cost=cost_text))
        except (EOFError, NotImplementedError):  # includes StdinNotImplementedError
            raise InvalidOptionError(
                _(
                    "{cost}, and this front end can't ask you to confirm it; nothing was sent"
                ).format(cost=cost_text),
                _("Lower max_tokens, or set max_neurons=N or confirm=False."),
            ) from None
        if reply.strip().lower() not in {"y", "yes"}:
            raise InterruptedAnswerError(_("Canceled"), _("Nothing was sent."))

    # --- result

    @contextmanager
    def _add_resume_hint(self, cache: MapCache, progress: MapProgress) -> Iterator[None]:
        """Add a hint on how to resume the map to any error or interrupt."""
        try:
            yield
        except KeyboardInterrupt:
            progress.show(force=True)
            raise InterruptedAnswerError(
                ngettext(
                    "Interrupted after {count:,} prompt",
                    "Interrupted after {count:,} prompts",
                    progress.done_count,
                ).format(count=progress.done_count),
                _(
                    "Run the same map again for the rest; answered prompts are not sent again. "
                    "{cache_note}"
                ).format(cache_note=_format_cache_note(cache)),
            ) from None
        except CfaiError as error:
            progress.show(force=True)
            if progress.done_count:
                error.hint = _("{hint} Run the same map again for the rest. {cache_note}").format(
                    hint=error.hint, cache_note=_format_cache_note(cache)
                )
            raise

    def _write_footer(
        self, plan: MapPlan, results: MapResults, progress: MapProgress, cache: MapCache
    ) -> None:
        """Replace the progress bar with a footer that shows the usage, time and notes."""
        is_local = self.session.backend.is_local
        day_usage = (
            self.session.accounting.day_usage() if self.session.backend.is_cloudflare else None
        )
        cut_count = sum(
            1 for answer in results.answers.values() if answer.finish_reason == "length"
        )
        error_count = len(results.errors)
        cut_note = ngettext(
            "{count:,} answer was cut off at max_tokens.",
            "{count:,} answers were cut off at max_tokens.",
            cut_count,
        ).format(count=cut_count)
        error_note = ngettext(
            "{count:,} prompt failed: see the error column.",
            "{count:,} prompts failed: see the error column.",
            error_count,
        ).format(count=error_count)
        notes = [
            *([cut_note] if cut_count else []),
            *([error_note] if error_count else []),
            *(self.session.accounting.limit_warnings(day_usage) if day_usage else []),
            _format_cache_note(cache),
        ]
        # If all answers are cached, nothing was sent, and there are no tokens to show.
        usage, is_cached = progress.usage, not progress.done_count
        total_answer = Answer(
            plan.model.name,
            text=" ",
            finish_reason="stop",
            usage=replace(usage, neurons=0.0, cost_basis="billed") if is_cached else usage,
            work_summary=_("no requests") if is_cached else "",
            seconds=progress.elapsed_seconds,
            is_local=is_local,
            notes=tuple(notes),
            day_usage=day_usage,
        )
        style = "full" if self.session.settings.footer == "full" else "short"
        self.write_progress(str(format_usage_footer(total_answer, style)))


def _format_summary(
    plan: MapPlan, results: MapResults, missing_keys: list[str], keys_to_ask: list[str]
) -> str:
    """Return a line with the number of rows, prompts, cached answers and queued prompts."""
    row_count, prompt_count = len(plan.input_rows), len(plan.requests)
    answered_count, queued_count = len(results.answers), len(missing_keys) - len(keys_to_ask)
    error_row_count = sum(map(bool, plan.row_errors))
    parts = [
        ngettext("{count:,} row", "{count:,} rows", row_count).format(count=row_count),
        ngettext("{count:,} distinct prompt", "{count:,} distinct prompts", prompt_count).format(
            count=prompt_count
        ),
    ]
    if answered_count:
        parts.append(_("{count:,} already answered").format(count=answered_count))
    if queued_count:
        parts.append(_("{count:,} in Cloudflare's queue").format(count=queued_count))
    if error_row_count:
        parts.append(
            ngettext(
                "{count:,} row without a value", "{count:,} rows without a value", error_row_count
            ).format(count=error_row_count)
        )
    return f"{', '.join(parts)}."


def _sum_estimates(costs: CostsByKey) -> tuple[float, float | None]:
    """Return the typical and maximum total cost in neurons. An unknown maximum is None."""
    known_costs = [cost for cost in costs.values() if cost is not None]
    typical, high = (
        sum(cost.typical for cost in known_costs),
        sum(cost.bounded.high for cost in known_costs),
    )
    return typical, high if len(known_costs) == len(costs) else None


def _format_cache_note(cache: MapCache) -> str:
    return _("Answers are cached in {path}; {command} deletes them.").format(
        path=cache.path, command="%cfai map clear"
    )


def _build_result_columns(
    plan: MapPlan, results: MapResults, new_keys: set[str]
) -> dict[str, list[Any]]:
    """Return the columns to add, by name.

    If several rows have the same prompt, only the first of these rows lists the cost.
    """
    answers: list[Any] = []
    errors: list[str | None] = []
    neurons: list[float] = []
    for key, row_error in zip(plan.row_keys, plan.row_errors, strict=True):
        answer = results.answers.get(key)
        error = row_error or results.errors.get(key, "")
        answers.append(None if error or answer is None else _parse_answer_value(plan, answer))
        errors.append(error or None)
        neurons.append(results.get_neurons(key) if key in new_keys else 0.0)
        new_keys.discard(key)
    return dict(zip(RESULT_COLUMNS, (answers, errors, neurons), strict=True))


def _parse_answer_value(plan: MapPlan, answer: CachedAnswer) -> Any:
    return answer.text if plan.schema is None else plan.schema.parse(answer.text)
