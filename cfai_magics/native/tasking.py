"""Owns the way of one native task: its options and input checked, run, shown, kept."""

import time
from argparse import Namespace
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..asking.door import Door, Live
from ..credentials.store import without_tokens
from ..errors import BadOption, CfaiError, Interrupted
from ..forms.form import Form
from ..media.made import Media, save
from ..neurons.units import unit_prices
from ..render.formats import neurons, next_try
from ..render.preview import RECORDED, TaskPreview, shown
from ..route.route import OnRetry
from ..session import Session
from ..session.calls import TO_MARKDOWN
from ..values import Answer, Model
from ..values.results import RawResult
from ..workers_ai.work import Job
from . import TASKS, Task
from .given import Given, parameters
from .task import how

FITTING = {"task", "model", "output", "max_neurons", "dry_run", "footer", "raw", "param", "prompt"}
# Of options whose own names are others.
FLAGS = {"source": "--from", "target": "--to", "times": "-n", "thread": "-c", "stop": "--stop"}
NAMED = 5  # models that an error names


@dataclass(frozen=True, slots=True)
class Tasking:
    """One native task, ready to be run: nothing was sent yet."""

    door: Door
    task: Task
    model: Model
    given: Given
    job: Job
    most: float | None = None
    save: str = ""

    @property
    def amount(self) -> str:
        """How much it is, before it is done."""
        return self.task.amount(self.job, RawResult())

    @property
    def price(self) -> str:
        """What it may cost, as far as that is known."""
        cost = self.door.session.books.task_cost(self.model, self.job)
        if self.door.session.route.is_local:
            return "no neurons"
        return f"at most {neurons(cost.high)} neurons estimated" if cost else "no known price"

    @property
    def _is_recorded(self) -> bool:
        job = self.job
        return self.door.session.answerers.is_task_recorded(job.model, job.payload, how(job))

    def run(self, footer: str, name: str) -> Answer:
        """Do it, show what was made and keep it under a name."""
        live = self.door.live(Form(self.task.name, show=self.task.show), footer)
        if not self._is_recorded:
            live.notice(f"Waiting for {self.model.short}: {self.amount}, {self.price}.")
        try:
            answer = self._answer(live)
        except KeyboardInterrupt:
            live.end(None)
            raise Interrupted(
                "Interrupted before anything had come", "It may be billed all the same."
            ) from None
        except CfaiError:
            live.end(None)
            raise
        answer = self._saved(answer)
        live.end(answer)
        self.door.keep(name, answer)
        return answer

    def preview(self) -> TaskPreview:
        """Return what would be sent and what it may cost; nothing is."""
        fields = dict(self.job.fields) or f"{len(self.job.payload):,} bytes"
        remarks = self.door.session.books.remarks
        cost = self.door.session.books.task_cost(self.model, self.job)
        body = {"model": self.model.name, "input": shown(fields, without_tokens)}
        if self.job.files:
            body["files"] = [name for name, *_ in self.job.files.values()]
        prices, notes = unit_prices(self.model), remarks(self.model, cost, self.most)
        notes = (RECORDED,) if self._is_recorded else notes
        return TaskPreview(body, self.amount, self.price, prices, notes)

    def _answer(self, live: Live) -> Answer:
        def tell(error: CfaiError, pause: float, number: int) -> None:
            live.notice(next_try(error, pause, number))

        begun = time.monotonic()
        reply = self._reply(tell)
        made = self.task.read(reply, self.given)
        recorded = reply.origin.recorded
        return Answer(
            model=recorded.model if recorded else self.model.name,
            text=made.text,
            finish="stop",
            usage=reply.usage,
            seconds=time.monotonic() - begun,
            local=recorded.local if recorded else self.door.session.route.is_local,
            notes=(*reply.notes, *made.notes),
            standing=reply.standing,
            origin=reply.origin,
            raw=reply.result,
            parsed=made.parsed,
            work=self.task.amount(self.job, reply),
        )

    def _reply(self, tell: OnRetry) -> RawResult:
        return self.task.send(self.door.session, self.job, tell, self.most)

    def _saved(self, answer: Answer) -> Answer:
        """Write what was made into the file that --save names, and tell where."""
        if not self.save:
            return answer
        made = answer.parsed
        data = made.data if isinstance(made, Media) else answer.text.encode()
        try:
            told = f"Saved as {save(data, self.save)}."
        except BadOption as error:  # it is made and billed: it is shown and kept all the same
            told = str(error)
        return replace(answer, notes=(*answer.notes, told))


def tasking(door: Door, prompt: str, options: Namespace, typed: Iterable[str]) -> Tasking:
    """Return the task that a cell with --task asks for; raises where something does not fit.

    `typed` are the options that the line holds.
    """
    task = TASKS[options.task]
    _refuse(set(typed) - FITTING - task.takes, task)
    if task.makes_media and door.workspace is None and not options.save:
        raise BadOption(f"--task {task.name} needs a file here", "Name it: --save FILE.")
    given = Given(door, prompt, options, parameters(options))
    model = _model(door, task, options)
    job = task.prepare(_asked_for(door.session, task, options, model), given)
    _check_server(door.session, task, job)
    return Tasking(door, task, model, given, job, options.max_neurons, options.save)


def _check_server(session: Session, task: Task, job: Job) -> None:
    """Raise BadOption for what the server in use can't do, and no recording holds either."""
    if session.route.is_cloudflare or task.local:
        return
    if session.answerers.is_task_recorded(job.model, job.payload, how(job)):
        return  # it is replayed, whoever would answer
    hint = "%cfai status shows which server answers; %cfai local off ends the one here."
    raise BadOption(f"--task {task.name} is for Workers AI alone", hint)


def _refuse(misfits: set[str], task: Task) -> None:
    """Refuse options that mean nothing to a task, rather than ignore them."""
    if not misfits:
        return
    name = min(misfits)
    flag = FLAGS.get(name, f"--{name.replace('_', '-')}")
    told = f"--task {task.name} takes no {flag}"
    raise BadOption(told, "Leave it out; -p adds fields of the model's own.")


def _asked_for(session: Session, task: Task, options: Namespace, model: Model) -> str:
    """Return the name that a request is known by: not that of the model on this machine."""
    if not (session.route.is_local and task.local):
        return model.name
    (named,) = options.model or (task.model(options),)
    return session.answerers.name(named, session.catalogue())


def _model(door: Door, task: Task, options: Namespace) -> Model:
    """Return the model named, or the task's own; BadOption where it does something else."""
    named, *others = options.model or ("",)
    if others:
        raise BadOption(f"--task {task.name} asks one model", "Name one with -m.")
    if task.local and not door.session.route.is_cloudflare:
        return door.session.model(named or task.model(options))
    if task.model(options) == TO_MARKDOWN.name:
        return TO_MARKDOWN
    found = door.session.catalogue_model(named or task.model(options))
    kinds = task.kinds(options)
    if not found.task or found.task in kinds:
        return found
    models = door.session.catalogue().models
    fitting = [each.short for each in models if each.task in kinds and not each.retires]
    raise BadOption(
        f"{found.short} is for {found.task}, not for --task {task.name}",
        f"These are: {', '.join(fitting[:NAMED])}.",
    )
