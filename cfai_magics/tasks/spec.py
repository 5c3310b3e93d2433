"""Describe one kind of native task: its options, request, parsing and rendering."""

from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..display.tables import MimeBundle
from ..errors import InvalidOptionError
from ..session.session import Session
from ..types.messages import Answer
from ..types.results import TaskResult
from ..workers_ai.retry import OnRetry
from ..workers_ai.task_requests import TaskRequest, work_units
from .task_input import TaskInput


@dataclass(frozen=True, slots=True)
class TaskOutput:
    """A parsed reply: its text, the value for `Answer.parsed`, and notes for the user."""

    text: str
    parsed: Any = None
    notes: tuple[str, ...] = ()


def build_send_kwargs(task_request: TaskRequest) -> dict[str, Any]:
    """Return the keyword arguments for Session.run that say how the payload is sent."""
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
    """One kind of native task.

    `get_catalog_tasks` returns its task names in the catalog, and `get_default_model` the model
    to use if the cell names none. `allowed_options` are its options besides the common ones.
    `build_request` builds the request from the input, `send` sends it, `parse_output` parses the
    reply. `format_amount` formats how much work it is, in the unit of the task. `render` returns
    the MIME bundle of an answer.
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
    can_run_locally: bool = False  # whether a model on this machine can run it
    has_media_output: bool = False


def constant_model(name: str) -> Callable[[Namespace], str]:
    """Return a function that returns this model for all options."""
    return lambda _options: name


def constant_tasks(*task_names: str) -> Callable[[Namespace], frozenset[str]]:
    """Return a function that returns these catalog tasks for all options."""
    return lambda _options: frozenset(task_names)


def format_tokens(task_request: TaskRequest, task_result: TaskResult) -> str:
    """Return the tokens of a task as text, with "about" if the reply does not report them."""
    usage = task_result.usage
    if not usage.prompt_tokens:
        return f"{work_units(task_request).characters:,} characters"
    is_reported = isinstance(task_result.result, Mapping) and "usage" in task_result.result
    completion_text = f"→{usage.completion_tokens:,}" if usage.completion_tokens else ""
    return f"{'' if is_reported else 'about '}{usage.prompt_tokens:,}{completion_text} tokens"


def file_count(singular: str, plural: str) -> Callable[[TaskRequest, TaskResult], str]:
    """Return a `format_amount` function that counts the files of a request with these nouns."""
    return lambda task_request, _task_result: (
        f"1 {singular}"
        if len(task_request.files or "1") == 1
        else f"{len(task_request.files or ''):,} {plural}"
    )


def require_text(task_input: TaskInput) -> str:
    """Return the cell's text; raise InvalidOptionError if it is empty."""
    if not task_input.text:
        raise InvalidOptionError(
            f"--task {task_input.options.task} has no text", "Write it below the line."
        )
    return task_input.text
