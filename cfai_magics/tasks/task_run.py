"""Run a native task: check the options and input, send the request, and display the output."""

import time
from argparse import Namespace
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from ..chat.frontend import AnswerDisplay, Frontend
from ..chat.option_values import parse_params
from ..chat.sent_values import check_values
from ..display.preview import REPLAY_NOTE, TaskPreview, redact_for_display
from ..display.tables import format_neurons, format_retry_message
from ..errors import CfaiError, InterruptedAnswerError, InvalidOptionError
from ..i18n import _
from ..media.generated import GeneratedMedia, write_file
from ..pricing.catalog import MAX_LISTED_MODELS
from ..pricing.prices import format_unit_prices
from ..prompt.output_formats import OutputFormat
from ..redaction import redact_tokens
from ..session.session import Session
from ..session.task_calls import TO_MARKDOWN_MODEL
from ..types.messages import Answer
from ..types.results import TaskResult
from ..types.usage import Model
from ..workers_ai.retry import OnRetry
from ..workers_ai.task_requests import TaskRequest
from . import TASKS, TaskSpec
from .spec import build_send_kwargs
from .task_input import TaskInput

COMMON_OPTIONS = {
    "task",
    "model",
    "output",
    "max_neurons",
    "dry_run",
    "footer",
    "raw",
    "param",
    "prompt",
}
# Flags that differ from the attribute names of the parsed options.
FLAG_BY_OPTION = {
    "source": "--from",
    "target": "--to",
    "times": "-n",
    "thread": "-c",
    "stop": "--stop",
}
# Cloudflare lists these speech recognition models, but they have no HTTP endpoint.
WEBSOCKET_MODELS = {"@cf/deepgram/flux", "@cf/nvidia/nemotron-speech-streaming-en-0.6b"}


class TaskRun(NamedTuple):
    """A native task that is ready to be sent. `output_path` is the path given with --save."""

    frontend: Frontend
    task: TaskSpec
    model: Model
    task_input: TaskInput
    task_request: TaskRequest
    max_neurons: float | None = None
    output_path: str = ""

    @property
    def amount_text(self) -> str:
        """The amount of work in the request as text, in the task's unit."""
        return self.task.format_amount(self.task_request, TaskResult())

    @property
    def price_text(self) -> str:
        """The maximum cost of the request as text."""
        cost = self.frontend.session.accounting.estimate_task_cost(self.model, self.task_request)
        if self.frontend.session.backend.is_local:
            return _("no neurons")
        if cost is None:
            return _("unknown price")
        return _("at most {neurons} neurons (estimated)").format(neurons=format_neurons(cost.high))

    @property
    def _is_recorded(self) -> bool:
        task_request = self.task_request
        return self.frontend.session.resolver.is_task_recorded(
            task_request.model, task_request.payload, build_send_kwargs(task_request)
        )

    def run(self, footer_style: str, variable_name: str) -> Answer:
        """Send the request, display the output, and store the answer in a variable."""
        self._check_sent_values()
        display = self.frontend.create_answer_display(
            OutputFormat(self.task.name, render=self.task.render), footer_style
        )
        if not self._is_recorded:
            display.show_status(
                _("Waiting for {model}: {amount}, {price}.").format(
                    model=self.model.short_name, amount=self.amount_text, price=self.price_text
                )
            )
        try:
            answer = self._get_answer(display)
        except KeyboardInterrupt:
            display.end(None)
            raise InterruptedAnswerError(
                _("Interrupted before the response was received"),
                _("The request may still be billed."),
            ) from None
        except CfaiError:
            display.end(None)
            raise
        answer = self._save_output(answer)
        display.end(answer)
        self.frontend.store_result(variable_name, answer)
        return answer

    def _check_sent_values(self) -> None:
        """Warn once if the values of template fields seem to contain personal data."""
        session, values = self.frontend.session, self.task_input.values
        if values and not session.backend.is_local and not self._is_recorded:
            fields = [(f"{{{{{name}}}}}", text) for name, text in values.items()]
            check_values(session, self.task_input.prompt, fields)

    def preview(self) -> TaskPreview:
        """Return a preview of the request and its estimated cost, without sending the request."""
        fields = dict(self.task_request.fields) or _("{count:,} bytes").format(
            count=len(self.task_request.payload)
        )
        estimate_notes = self.frontend.session.accounting.estimate_notes
        cost = self.frontend.session.accounting.estimate_task_cost(self.model, self.task_request)
        body = {"model": self.model.name, "input": redact_for_display(fields, redact_tokens)}
        if self.task_request.files:
            body["files"] = [name for name, *_ in self.task_request.files.values()]
        prices, notes = (
            format_unit_prices(self.model),
            estimate_notes(self.model, cost, self.max_neurons),
        )
        backend = self.frontend.session.backend
        if self._is_recorded:
            notes = (_(REPLAY_NOTE),)
        elif backend.is_private and not backend.is_local:
            refusal = backend.privacy_error().cause
            notes = (_("The request would be refused. {reason}.").format(reason=refusal),)
        return TaskPreview(body, self.amount_text, self.price_text, prices, notes)

    def _get_answer(self, display: AnswerDisplay) -> Answer:
        def on_retry(error: CfaiError, pause: float, next_attempt: int) -> None:
            display.show_status(format_retry_message(error, pause, next_attempt))

        start_time = time.monotonic()
        task_result = self._send_request(on_retry)
        output = self.task.parse_output(task_result, self.task_input)
        recording = task_result.provenance.recording
        return Answer(
            model=recording.model if recording else self.model.name,
            text=output.text,
            finish_reason="stop",
            usage=task_result.usage,
            seconds=time.monotonic() - start_time,
            is_local=recording.is_local if recording else self.frontend.session.backend.is_local,
            notes=(*task_result.notes, *output.notes),
            day_usage=task_result.day_usage,
            provenance=task_result.provenance,
            raw=task_result.result,
            parsed=output.parsed,
            work_summary=self.task.format_amount(self.task_request, task_result),
        )

    def _send_request(self, on_retry: OnRetry) -> TaskResult:
        return self.task.send(self.frontend.session, self.task_request, on_retry, self.max_neurons)

    def _save_output(self, answer: Answer) -> Answer:
        """Write the output to the --save file, if any, and add a note to the answer."""
        if not self.output_path:
            return answer
        output = answer.parsed
        data = output.data if isinstance(output, GeneratedMedia) else answer.text.encode()
        try:
            note = _("Saved as {path}.").format(path=write_file(data, self.output_path))
        except InvalidOptionError as error:
            note = error.format_line()  # the output was billed, so the user still receives it
        return replace(answer, notes=(*answer.notes, note))


def prepare_task(
    frontend: Frontend, prompt: str, options: Namespace, given_options: Iterable[str]
) -> TaskRun:
    """Return the native task from a cell with --task, ready to be sent.

    Args:
        frontend: The front end in which the cell runs.
        prompt: The text of the cell.
        options: The parsed options.
        given_options: The names of the options that the user typed.

    Raises:
        InvalidOptionError: An option, the model, or the input is not valid for the task.
    """
    task = TASKS[options.task]
    _reject_options(set(given_options) - COMMON_OPTIONS - task.allowed_options, task)
    if task.has_media_output and frontend.notebook_state is None and not options.save:
        raise InvalidOptionError(
            _("In a shell, --task {task} needs a file for its output").format(task=task.name),
            _("Add --save FILE."),
        )
    task_input = TaskInput(frontend, prompt, options, parse_params(options))
    model = _resolve_model(frontend, task, options)
    task_request = task.build_request(
        _resolve_fingerprint_model(frontend.session, task, options, model), task_input
    )
    _check_backend(frontend.session, task, task_request)
    return TaskRun(
        frontend, task, model, task_input, task_request, options.max_neurons, options.save
    )


def _check_backend(session: Session, task: TaskSpec, task_request: TaskRequest) -> None:
    """Raise InvalidOptionError if the backend can't run the task and no recording exists."""
    if session.backend.is_cloudflare or task.can_run_locally:
        return
    if session.resolver.is_task_recorded(
        task_request.model, task_request.payload, build_send_kwargs(task_request)
    ):
        return  # a replay needs no server
    raise InvalidOptionError(
        _("--task {task} works only with Workers AI").format(task=task.name),
        _("%cfai status shows the server in use; %cfai local off turns off the local model."),
    )


def _reject_options(unsupported: set[str], task: TaskSpec) -> None:
    """Raise InvalidOptionError if `unsupported` contains any option."""
    if not unsupported:
        return
    name = min(unsupported)
    flag = FLAG_BY_OPTION.get(name, f"--{name.replace('_', '-')}")
    raise InvalidOptionError(
        _("--task {task} can't be combined with {option}").format(task=task.name, option=flag),
        _("Remove that option, or use -p for fields that only this model has."),
    )


def _resolve_fingerprint_model(
    session: Session, task: TaskSpec, options: Namespace, model: Model
) -> str:
    """Return the model name for the fingerprint.

    This is the name of the requested model, even if a local model runs the task.
    """
    if not (session.backend.is_local and task.can_run_locally):
        return model.name
    (requested,) = options.model or (task.get_default_model(options),)
    return session.resolver.full_model_name(requested, session.catalog())


def _resolve_model(frontend: Frontend, task: TaskSpec, options: Namespace) -> Model:
    """Return the requested or default model.

    Raises:
        InvalidOptionError: The model is for another task, or several models are given.
    """
    requested, *others = options.model or ("",)
    if others:
        raise InvalidOptionError(
            _("--task {task} takes one model").format(task=task.name),
            _("Specify only one model with -m."),
        )
    if task.can_run_locally and not frontend.session.backend.is_cloudflare:
        return frontend.session.resolve_model(requested or task.get_default_model(options))
    if task.get_default_model(options) == TO_MARKDOWN_MODEL.name:
        return TO_MARKDOWN_MODEL
    resolved_model = frontend.session.resolve_catalog_model(
        requested or task.get_default_model(options)
    )
    if resolved_model.name in WEBSOCKET_MODELS:
        raise InvalidOptionError(
            _("{model} takes audio only through a WebSocket").format(
                model=resolved_model.short_name
            ),
            _("Use {model} for a recording.").format(model=task.get_default_model(options)),
        )
    task_names = task.get_catalog_tasks(options)
    if not resolved_model.task or resolved_model.task in task_names:
        return resolved_model
    models = frontend.session.catalog().models
    suggestions = [
        model.short_name
        for model in models
        if model.task in task_names and not model.deprecation_date
    ]
    raise InvalidOptionError(
        _("{model} is a model for {model_task}, not for --task {task}").format(
            model=resolved_model.short_name, model_task=resolved_model.task, task=task.name
        ),
        _("Models for this task: {models}.").format(
            models=", ".join(suggestions[:MAX_LISTED_MODELS])
        ),
    )
