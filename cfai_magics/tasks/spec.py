"""Define the options, request, parser and rendering of a kind of native task."""

from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..display.tables import MimeBundle
from ..errors import InvalidOptionError
from ..i18n import _, ngettext
from ..session.session import Session
from ..types.messages import Answer
from ..types.results import TaskResult
from ..workers_ai.retry import OnRetry
from ..workers_ai.task_requests import TaskRequest, work_units
from .task_input import TaskInput


@dataclass(frozen=True, slots=True)
class TaskOutput:
    """The text, the value for `Answer.parsed` and the notes extracted from a response."""

    text: str
    parsed: Any = None
    notes: tuple[str, ...] = ()


def build_send_kwargs(task_request: TaskRequest) -> dict[str, Any]:
    """Return the keyword arguments for `Session.run` that define how the payload is sent."""
    return {"content_type": task_request.content_type, "files": task_request.files}


def _send_task(
    session: Session, task_request: TaskRequest, on_retry: OnRetry, max_neurons: float | None
) -> TaskResult:
    return session.run(
        task_request.model,
        task_request.payload,
        on_retry=on_retry,
        max_neurons=max_neurons,
        **build_send_kwargs(task_request),
    )


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """A kind of native task.

    Attributes:
        name: The name, as used with --task.
        get_catalog_tasks: Returns the task's names in the catalog.
        get_default_model: Returns the model to use if -m is not given.
        build_request: Builds the request from the model name and the input.
        parse_output: Parses the response.
        format_amount: Formats the amount of work in the task's unit.
        render: Returns the MIME bundle for an answer.
        allowed_options: The options allowed in addition to the common options.
        send: Sends the request.
        can_run_locally: Whether a model on this machine can run the task.
        has_media_output: Whether the output is an image or audio.
    """

    name: str
    get_catalog_tasks: Callable[[Namespace], frozenset[str]]
    get_default_model: Callable[[Namespace], str]
    build_request: Callable[[str, TaskInput], TaskRequest]
    parse_output: Callable[[TaskResult, TaskInput], TaskOutput]
    format_amount: Callable[[TaskRequest, TaskResult], str]
    render: Callable[[Answer], MimeBundle] | None = None
    allowed_options: frozenset[str] = frozenset()
    send: Callable[[Session, TaskRequest, OnRetry, float | None], TaskResult] = _send_task
    can_run_locally: bool = False
    has_media_output: bool = False


def constant_model(name: str) -> Callable[[Namespace], str]:
    """Return a function that ignores the options and returns this model name."""
    return lambda _options: name


def constant_tasks(*task_names: str) -> Callable[[Namespace], frozenset[str]]:
    """Return a function that ignores the options and returns these catalog tasks."""
    return lambda _options: frozenset(task_names)


def format_tokens(task_request: TaskRequest, task_result: TaskResult) -> str:
    """Return a task's token count as text, with "about" if the count is an estimate.

    If there is no token count, return the number of characters in the request instead.
    """
    usage = task_result.usage
    if not usage.prompt_tokens:
        count = work_units(task_request).characters
        return ngettext("{count:,} character", "{count:,} characters", count).format(count=count)
    is_reported = isinstance(task_result.result, Mapping) and "usage" in task_result.result
    completion_text = f"→{usage.completion_tokens:,}" if usage.completion_tokens else ""
    last_count = usage.completion_tokens or usage.prompt_tokens
    message = (
        ngettext("{count} token", "{count} tokens", last_count)
        if is_reported
        else ngettext("about {count} token", "about {count} tokens", last_count)
    )
    return message.format(count=f"{usage.prompt_tokens:,}{completion_text}")


def file_count(format_count: Callable[[int], str]) -> Callable[[TaskRequest, TaskResult], str]:
    """Return a `format_amount` function that counts the files in a request."""
    return lambda task_request, _task_result: format_count(len(task_request.files or "1"))


def require_text(task_input: TaskInput) -> str:
    """Return the cell's text.

    Raises:
        InvalidOptionError: The text is empty.
    """
    if not task_input.text:
        raise no_text_error(task_input)
    return task_input.text


def no_text_error(task_input: TaskInput) -> InvalidOptionError:
    """Return the error for a cell without text."""
    return InvalidOptionError(
        _("--task {task} needs text").format(task=task_input.options.task),
        _("Enter the text below the %%cfai line."),
    )
