"""What a native task is: what it takes of a cell, sends, reads, and how it is shown."""

from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import BadOption
from ..render.formats import Bundle
from ..route.route import OnRetry
from ..session import Session
from ..values import Answer
from ..values.results import RawResult
from ..workers_ai.work import Job, work_of
from .given import Given


@dataclass(frozen=True, slots=True)
class Made:
    """What a reply holds: as text, as the value that `Answer.parsed` has, and what to remark."""

    text: str
    parsed: Any = None
    notes: tuple[str, ...] = ()


def how(job: Job) -> dict[str, Any]:
    """Return how a job's payload is sent, for Session.run."""
    return {"content_type": job.content_type, "files": job.files}


def _run(session: Session, job: Job, tell: OnRetry, most: float | None) -> RawResult:
    return session.run(job.model, job.payload, on_retry=tell, max_neurons=most, **how(job))


@dataclass(frozen=True, slots=True)
class Task:
    """One kind of native task.

    `kinds` gives the catalogue's names of it and `model` the one asked where none is named;
    `takes` are the options that fit it beside those that fit all. `prepare` makes the job of what
    is given, `send` does it, `read` reads the reply, `amount` tells how much it is in its own
    unit, `show` makes MIME types of an answer.
    """

    name: str
    kinds: Callable[[Namespace], frozenset[str]]
    model: Callable[[Namespace], str]
    prepare: Callable[[str, Given], Job]
    read: Callable[[RawResult, Given], Made]
    amount: Callable[[Job, RawResult], str]
    show: Callable[[Answer], Bundle] | None = None
    takes: frozenset[str] = frozenset()
    send: Callable[[Session, Job, OnRetry, float | None], RawResult] = _run
    local: bool = False  # whether the model on this machine does it
    makes_media: bool = False


def always(name: str) -> Callable[[Namespace], str]:
    """Return a choice of model that does not depend on the options."""
    return lambda _options: name


def only(*kinds: str) -> Callable[[Namespace], frozenset[str]]:
    """Return kinds that do not depend on the options."""
    return lambda _options: frozenset(kinds)


def tokens(job: Job, reply: RawResult) -> str:
    """Return the tokens of a task billed by them; about how many, where the reply tells none."""
    usage = reply.usage
    if not usage.prompt_tokens:
        return f"{work_of(job).characters:,} characters"
    told = isinstance(reply.result, Mapping) and "usage" in reply.result
    came = f"→{usage.completion_tokens:,}" if usage.completion_tokens else ""
    return f"{'' if told else 'about '}{usage.prompt_tokens:,}{came} tokens"


def count(one: str, several: str) -> Callable[[Job, RawResult], str]:
    """Return what counts the files of a job, by these names."""
    return lambda job, _reply: (
        f"1 {one}" if len(job.files or "1") == 1 else f"{len(job.files or ''):,} {several}"
    )


def text(given: Given) -> str:
    """Return the cell's text; BadOption where there is none."""
    if not given.text:
        raise BadOption(f"--task {given.options.task} has no text", "Write it below the line.")
    return given.text
