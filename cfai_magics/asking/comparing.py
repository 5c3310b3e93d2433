"""Owns the way of one question that is asked in several ways at once, side by side."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import add

from ..credentials.store import without_tokens
from ..errors import CfaiError, Interrupted
from ..forms.form import Form
from ..neurons.pricing import Cost
from ..prompt.costing import Sent, guessed_prompt_tokens, shares
from ..prompt.parts import Prompt
from ..render.preview import Preview, shown
from ..render.receipt import receipt_of_all
from ..session.parallel import Ended, Parallel, Waiting
from ..values import Answer, Model, Request, Usage
from ..values.answers import Answers, Variant
from ..workers_ai import chat
from .door import Door


@dataclass(frozen=True, slots=True)
class Comparing:
    """One question, ready to be sent in several ways: a variant, request and model for each.

    `most` are the neurons that all together may cost; with `shows_sent`, what was sent is shown
    below.
    """

    door: Door
    form: Form
    prompt: Prompt
    variants: tuple[Variant, ...]
    requests: tuple[Request, ...]
    models: tuple[Model, ...]
    most: float | None = None
    shows_sent: bool = False
    gateway: str = ""

    def ask(self, footer: str, name: str) -> Answers:
        """Send all, show the answers side by side as they come, and keep them under a name.

        Raises the first error where an answer failed, or Interrupted; what came is kept.
        """
        live = self.door.grid(self.variants, self.form, footer)
        errors: dict[int, CfaiError] = {}
        interrupted = False
        with self.door.session.parallel(self.requests, self.most, self.gateway) as calls:
            try:
                for number, event in calls:
                    if isinstance(event, Waiting):
                        live.notice(number, event.line)
                    elif isinstance(event, Ended):
                        errors |= {number: event.error} if event.error else {}
                        live.ended(number, event.answer, _line(event.error))
                    else:
                        live.add(number, event)
            except KeyboardInterrupt:
                interrupted = True
        answers = self._gathered(calls, errors)
        live.end(answers, self._receipt(answers, footer))
        self._keep(name, answers)
        if self.shows_sent:
            live.sent(self._sent(answers))
        _raise(errors, answers, interrupted=interrupted)
        return answers

    def preview(self) -> Preview:
        """Return what would be sent and what all may cost; nothing is."""
        session = self.door.session
        for request in self.requests:
            session.check(request)
        recorded = session.answerers.recorded(self.requests)
        asked = [n for n, known in enumerate(recorded) if not known] or range(len(recorded))
        costs = [session.cost(self.requests[n], self.models[n]) for n in asked]
        known = [cost for cost in costs if cost]
        whole = reduce(add, known) if len(known) == len(costs) else None
        guessed = Answer(self.models[0].name, usage=Usage(guessed_prompt_tokens(self.prompt)))
        bodies = [
            chat.body(each, cloudflare=session.route.is_cloudflare) for each in self.requests
        ]
        return Preview(
            shown(bodies, without_tokens),
            shares(self.prompt, guessed, self.models[0]),
            whole,
            self._remarks(whole, sum(recorded)),
        )

    def _remarks(self, whole: Cost | None, recorded: int) -> tuple[str, ...]:
        """Return what to say of the estimate: recorded answers cost nothing."""
        count = len(self.requests)
        if recorded == count:
            return (f"All {count} answers are recorded: nothing would be sent or cost.",)
        told = f"{count} requests; the tokens are those of one, the neurons of all."
        if recorded:
            told = (
                f"{count} requests, of which {recorded} are recorded and would be replayed; the "
                "tokens are those of one, the neurons of all others."
            )
        return (told, *self.door.session.books.remarks(self.models[0], whole, self.most))

    def _gathered(self, calls: Parallel, errors: dict[int, CfaiError]) -> Answers:
        lines = [
            "Not sent." if number in calls.unsent else _line(errors.get(number))
            for number in range(len(self.variants))
        ]
        return Answers(self.variants, calls.answers, tuple(lines), calls.seconds)

    def _receipt(self, answers: Answers, footer: str) -> str:
        asked = any(each.origin.recorded is None for each in answers)
        if not (asked and self.door.session.route.is_cloudflare):
            return receipt_of_all(answers, None, self.prompt.question.remarks, footer)
        books = self.door.session.books
        standing = books.standing()
        notes = (*self.prompt.question.remarks, *books.warnings(standing))
        return receipt_of_all(answers, standing, notes, footer)

    def _sent(self, answers: Answers) -> Sent:
        return Sent(self.prompt, answers[0], self.models[0])

    def _keep(self, name: str, answers: Answers) -> None:
        self.door.keep(name, answers)
        if self.door.workspace:
            self.door.workspace.sent = self._sent(answers)


def _line(error: CfaiError | None) -> str:
    return f"{type(error).__name__}: {error}" if error else ""


def _raise(errors: dict[int, CfaiError], answers: Answers, *, interrupted: bool) -> None:
    """Raise what the cell ends with where not all answers came."""
    found: CfaiError | None = None
    if interrupted:
        came = _count(answers.answers)
        found = Interrupted(f"Of {len(answers)} answers {came} had begun")
    elif errors:
        found = errors[min(errors)]
        if len(answers) > 1:
            found.cause = f"{len(errors)} of {len(answers)} answers failed: {found.cause}"
    if found is not None:
        found.answer = answers
        raise found


def _count(answers: Iterable[Answer]) -> int:
    return sum(bool(answer.text or answer.thought) for answer in answers)
