"""Send one question to several models or at several temperatures, and compare the answers."""

from argparse import Namespace
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ..arguments import check_answer_count
from ..display.columns import format_group_footer
from ..display.footer import Footer
from ..display.preview import Preview, redact_for_display
from ..errors import CfaiError, InterruptedAnswerError, InvalidOptionError
from ..i18n import _
from ..pricing.prices import Cost, sum_estimates
from ..prompt.builder import Prompt, PromptReport, estimate_part_costs
from ..prompt.output_formats import OutputFormat
from ..redaction import redact_tokens
from ..session.call import Target
from ..session.parallel import Finished, ParallelStreams
from ..types.answer_set import AnswerSet, Variant, make_variants
from ..types.messages import Answer, Request
from ..types.usage import Model
from .chat_run import build_request
from .frontend import Frontend

if TYPE_CHECKING:
    from ..settings import Cfai


class Comparison(NamedTuple):
    """A question that is ready to be sent to several models or at several temperatures.

    Attributes:
        variants: The model, temperature and repetition of each request, in the same order as
            `requests` and `targets`.
        max_neurons: The maximum total cost of all variants, in neurons.
        show_prompt: Whether to show the prompt below the answers.
        gateway: The AI Gateway specified with --gateway, or "" if the option is not given.
    """

    frontend: Frontend
    output_format: OutputFormat
    prompt: Prompt
    variants: tuple[Variant, ...]
    requests: tuple[Request, ...]
    targets: tuple[Target, ...]
    max_neurons: float | None = None
    show_prompt: bool = False
    gateway: str = ""

    def run(self, footer_style: str, variable_name: str) -> AnswerSet:
        """Send all requests, display the streamed answers side by side, and store the answers.

        If an error is raised, its `answer` attribute is the set of all answers received.

        Raises:
            CfaiError: At least one request failed. The error is from the first failed request.
            InterruptedAnswerError: The user interrupted the comparison.
        """
        display = self.frontend.create_comparison_display(
            self.variants, self.output_format, footer_style
        )
        errors: dict[int, CfaiError] = {}
        is_interrupted = False
        with self.frontend.session.parallel(
            self.requests,
            self.max_neurons,
            self.gateway,
            self.targets,
            display.update_waiting,
            display.show_status,
        ) as streams:
            try:
                for index, event in streams:
                    if isinstance(event, Finished):
                        errors |= {index: event.error} if event.error else {}
                        display.show_final_answer(index, event.answer, _format_error(event.error))
                    else:
                        display.add(index, event)
            except KeyboardInterrupt:
                is_interrupted = True
        answers = self._collect_answers(streams, errors)
        display.end(answers, self._format_footer(answers, footer_style))
        self._store(variable_name, answers)
        if self.show_prompt:
            display.show_prompt(self._build_report(answers))
        _raise_first_error(errors, answers, is_interrupted=is_interrupted)
        return answers

    def preview(self) -> Preview:
        """Return the requests and their estimated total cost without sending the requests."""
        session = self.frontend.session
        for request, target in zip(self.requests, self.targets, strict=True):
            session.check_course_policy(request, target)
        calls = session.resolver.preview_chats(self.requests, self.targets)
        unrecorded_calls = [call for call in calls if not call.is_recorded]
        total_cost = sum_estimates([call.cost for call in unrecorded_calls or calls])
        limit = self.max_neurons
        refusal = next((call.refusal for call in calls if call.refusal), "")
        notes = (
            (_("The request would be refused. {reason}.").format(reason=refusal),)
            if refusal
            else self._estimate_notes(total_cost, len(calls) - len(unrecorded_calls))
        )
        return Preview(
            redact_for_display([call.body for call in calls], redact_tokens),
            estimate_part_costs(self.prompt, self.requests[0]),
            total_cost.capped(limit) if total_cost and limit else total_cost,
            (*notes, *self.prompt.user_message.notes),
        )

    @property
    def _first_model(self) -> Model:
        return self.targets[0].model

    def _estimate_notes(self, total_cost: Cost | None, recorded_count: int) -> tuple[str, ...]:
        """Return notes on the estimated cost, such as a note that recorded answers are free."""
        count = len(self.requests)
        if recorded_count == count:
            return (
                _(
                    "All {count} answers are already recorded: running this cell replays them for "
                    "free."
                ).format(count=count),
            )
        count_note = _(
            "{count} requests. The token counts are for one request. The neurons are for all "
            "requests."
        ).format(count=count)
        if recorded_count:
            count_note = _(
                "{count} requests, {recorded} of them recorded and replayed for free. The token "
                "counts are for one request. The neurons are for all requests that are not "
                "recorded."
            ).format(count=count, recorded=recorded_count)
        return (
            count_note,
            *self.frontend.session.accounting.estimate_notes(
                self._first_model,
                total_cost,
                self.max_neurons,
                is_other_server=self.targets[0].is_other_server,
            ),
        )

    def _collect_answers(
        self, streams: ParallelStreams, errors: dict[int, CfaiError]
    ) -> AnswerSet:
        error_lines = [
            _("Not sent.") if index in streams.unsent else _format_error(errors.get(index))
            for index in range(len(self.variants))
        ]
        return AnswerSet(self.variants, streams.answers, tuple(error_lines), streams.seconds)

    def _format_footer(self, answers: AnswerSet, footer_style: str) -> Footer:
        has_live_answer = any(answer.provenance.recording is None for answer in answers)
        if not (has_live_answer and self.frontend.session.backend.is_cloudflare):
            return format_group_footer(answers, None, self.prompt.user_message.notes, footer_style)
        accounting = self.frontend.session.accounting
        day_usage = accounting.day_usage()
        notes = (*self.prompt.user_message.notes, *accounting.limit_warnings(day_usage))
        return format_group_footer(answers, day_usage, notes, footer_style)

    def _build_report(self, answers: AnswerSet) -> PromptReport:
        return PromptReport(self.prompt, answers[0], self._first_model)

    def _store(self, variable_name: str, answers: AnswerSet) -> None:
        self.frontend.store_result(variable_name, answers)
        if self.frontend.notebook_state:
            self.frontend.notebook_state.last_prompt = self._build_report(answers)


def _format_error(error: CfaiError | None) -> str:
    return f"{type(error).__name__}: {error.format_line()}" if error else ""


def _raise_first_error(
    errors: dict[int, CfaiError], answers: AnswerSet, *, is_interrupted: bool
) -> None:
    """Raise an error if an answer failed or the user interrupted the comparison."""
    error: CfaiError | None = None
    if is_interrupted:
        error = InterruptedAnswerError(
            _("Interrupted after {started} of {total} answers had started").format(
                started=_count_started(answers.answers), total=len(answers)
            )
        )
    elif errors:
        error = errors[min(errors)]
        if len(answers) > 1:
            error.cause = _("{failed} of {total} answers failed: {cause}").format(
                failed=len(errors), total=len(answers), cause=error.cause
            )
    if error is not None:
        error.answer = answers
        raise error


def _count_started(answers: Iterable[Answer]) -> int:
    return sum(bool(answer.text or answer.reasoning) for answer in answers)


def check_comparison(settings: "Cfai", options: Namespace, *, is_local: bool) -> None:
    """Raise an error if an option does not work in a comparison.

    `is_local` is True if the local model answers.
    """
    format_name = "text" if options.plain else options.format or settings.format
    if format_name not in {"markdown", "text"} or options.extract or options.schema:
        raise InvalidOptionError(
            _("A comparison shows answers only as Markdown or text"),
            _("Remove -x and --schema, or use -f text."),
        )
    if options.tools:
        raise InvalidOptionError(
            _("--tools works only with a single answer"),
            _("Remove --tools, or the options that compare answers."),
        )
    if options.thread is not None:
        raise InvalidOptionError(
            _("-c works only with a single answer"),
            _("Remove -c, or the options that compare answers."),
        )
    if len(options.model or ()) > 1 and is_local:
        raise InvalidOptionError(
            _("Only one local model can run at a time"),
            _("Use one -m, or run %cfai local off first."),
        )
    check_answer_count(options)


def resolve_variants(
    settings: "Cfai", options: Namespace, find_target: Callable[[str], Target]
) -> tuple[tuple[Variant, ...], tuple[Target, ...]]:
    """Return the variant and the target of each answer that the options request.

    Raises:
        InvalidOptionError: Two variants are the same.
    """
    names = options.model or [""]
    targets_by_name = {name: find_target(name) for name in names}
    requested_variants = make_variants(names, options.temperature or [None], options.times)
    targets = tuple(targets_by_name[each.model] for each in requested_variants)
    variants = tuple(
        replace(
            each,
            model=target.model.name,
            temperature=settings.temperature if each.temperature is None else each.temperature,
        )
        for each, target in zip(requested_variants, targets, strict=True)
    )
    if len(set(variants)) < len(variants):
        raise InvalidOptionError(
            _("The same model or temperature is given twice"),
            _("Use -n 2 for two answers from each."),
        )
    return variants, targets


def build_requests(
    settings: "Cfai",
    options: Namespace,
    prompt: Prompt,
    variants: Sequence[Variant],
    targets: Sequence[Target],
) -> tuple[Request, ...]:
    """Return the request for each variant."""
    messages = prompt.messages
    return tuple(
        build_request(settings, options, messages, target, variant.temperature)
        for variant, target in zip(variants, targets, strict=True)
    )
