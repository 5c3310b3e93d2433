"""Owns the way of one question: sent, shown while it is answered, taken up, kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from ..credentials.store import without_tokens
from ..errors import (
    CfaiError,
    Interrupted,
    NotRecorded,
)
from ..forms.form import Form, formed
from ..forms.schema import Schema
from ..prompt.conversation import Turn
from ..prompt.costing import Sent, guessed_prompt_tokens, shares
from ..prompt.parts import Part, Prompt
from ..render.formats import next_try
from ..render.preview import RECORDED, Preview, shown
from ..values import Answer, Model, Request, Usage
from ..workers_ai import chat
from .calling import Calling
from .continuing import LeftOut, Place, counts, keep, turn_of
from .door import Door, Live
from .fitting import Fitting
from .notes import history_told, images_told

OFFERED = {"code", "correction"}  # forms whose code goes into a new cell
LEAST = 1e-9  # neurons: a limit that lets nothing through


@dataclass(frozen=True, slots=True)
class Asking:
    """One question, ready to be sent.

    `place` is where it goes in a thread, None where it stands alone; `most` the neurons it may
    cost; `schema` what its answer has to fit; with `shows_sent`, what was sent is shown below;
    `gateway` names an AI Gateway for it.
    """

    door: Door
    form: Form
    prompt: Prompt
    request: Request
    model: Model
    place: Place | None = None
    most: float | None = None
    schema: Schema | None = None
    shows_sent: bool = False
    gateway: str = ""
    calling: Calling | None = None

    def ask(self, footer: str, name: str) -> Answer:
        """Send it, show the answer as it comes, and keep it under a name."""
        live = self.door.live(self.form, footer)
        with self._kept(name, live):
            answer = self._answered(live)
            answer = self._formed(self._taken_up(answer))
            self._end(live, name, answer)
            return answer

    def _answered(self, live: Live) -> Answer:
        def shown(request: Request, used: Usage) -> Answer:
            return self._shown(live, request, self._left_after(used))

        if self.schema:
            return Fitting(self.form, live, shown).answered(self.request)
        if self.calling is None:
            return self._shown(live, self.request)
        return self.calling.answered(live, self.request, shown)

    def preview(self) -> Preview:
        """Return what would be sent and what it may cost; nothing is."""
        session = self.door.session
        session.check(self.request)
        cost = session.cost(self.request, self.model)
        guessed = Answer(self.model.name, usage=Usage(guessed_prompt_tokens(self.prompt)))
        body = chat.body(self.request, cloudflare=session.route.is_cloudflare)
        return Preview(
            shown(body, without_tokens),
            shares(self.prompt, guessed, self.model),
            cost,
            self._remarks(),
        )

    def _remarks(self) -> tuple[str, ...]:
        """Return what to say of the estimate: a recorded answer costs nothing."""
        session = self.door.session
        if session.answerers.is_recorded(self.request):
            return (RECORDED,)
        refused = self._refused()
        if refused:
            return (refused,)
        told = session.books.remarks(self.model, session.cost(self.request, self.model), self.most)
        return (*told, *self._steps_told())

    def _refused(self) -> str:
        """Return why only a recording may answer, and none does."""
        if "response_format" in self.request.extra:  # it may be recorded without that
            return ""
        try:
            self.door.session.answerers.expect(self.request)
        except NotRecorded as error:
            return f"It would be refused. {error.cause}."
        return ""

    def _steps_told(self) -> list[str]:
        if self.calling is None:
            return []
        most = self.calling.most_steps
        return [f"This is the first step: each call of a function leads to another, up to {most}."]

    def _end(self, live: Live, name: str, answer: Answer) -> None:
        """Show the answer as it stands at its end, keep it, and what was sent for it."""
        live.end(answer)
        self.door.keep(name, answer)
        calls = tuple(Part("call", f"{c.arguments}\n{c.result}", c.name) for c in answer.called)
        prompt = replace(self.prompt, beside=(*self.prompt.beside, *calls))
        sent = Sent(prompt, answer, self.model)
        if self.door.workspace:
            self.door.workspace.sent = sent
        if self.shows_sent:
            live.sent(sent)

    def _shown(self, live: Live, request: Request, most: float | None = None) -> Answer:
        most = self.most if most is None else most

        def tell(error: CfaiError, pause: float, number: int) -> None:
            live.notice(next_try(error, pause, number))

        thread = self.place.thread if self.place else ""
        with self.door.session.stream(request, tell, most, thread, self.gateway) as stream:
            try:
                for delta in stream:
                    live.add(delta)
            except KeyboardInterrupt:
                stream.close()
                raise _interrupted(stream.answer) from None
            return stream.answer

    @contextmanager
    def _kept(self, name: str, live: Live) -> Iterator[None]:
        """Show and keep what had arrived when an answer does not reach its end."""
        try:
            yield
        except KeyboardInterrupt:
            live.end(None)
            raise Interrupted(
                "Interrupted before the first word", "Nothing had arrived."
            ) from None
        except CfaiError as error:
            if error.answer is not None and not counts(error.answer):
                error.answer = self._taken_up(error.answer)
            if error.answer is None:
                live.end(None)
            else:
                self._end(live, name, error.answer)
            raise

    def _left_after(self, used: Usage) -> float | None:
        """Return what is left of the cell's own limit."""
        if self.most is None:
            return None
        return max(self.most - (used.neurons or 0.0), LEAST)

    # --- what becomes of the answer

    def _formed(self, answer: Answer) -> Answer:
        """Return the answer with what its form makes of it; code is offered in a new cell."""
        answer = formed(answer, self.form)
        if self.form.name not in OFFERED or not self.door.workspace or not answer.parsed:
            return answer
        told = self.door.workspace.insert(answer.parsed)
        return replace(answer, notes=(told, *answer.notes))

    def _told(self, answer: Answer) -> Answer:
        """Return the answer with what the reader should know of its prompt."""
        history = history_told(self.prompt, answer, self.model)
        images = images_told(self.prompt, answer, self.model)
        told = (*history, *images, *self.prompt.question.remarks)
        return replace(answer, notes=(*answer.notes, *told))

    def _taken_up(self, answer: Answer) -> Answer:
        """Take question and answer up into the thread, and return the answer with that told."""
        answer = self._told(answer)
        if self.place is None:
            return answer
        turn = turn_of(self.prompt, answer, self.place)
        if not counts(answer):
            return replace(answer, notes=(*answer.notes, self._left_out(turn, self.place)))
        try:
            return replace(answer, notes=(*keep(turn, self.place), *answer.notes))
        except CfaiError as error:  # the answer is there, whatever befell the thread
            error.answer = answer
            raise

    def _left_out(self, turn: Turn, place: Place) -> str:
        told = f"Thread {place.thread}: this turn is left out"
        if self.door.workspace is None or not turn.answer:
            return f"{told}."
        self.door.workspace.left_out = LeftOut(place, turn)
        return f"{told}; %cfai thread keep takes it up."


def _interrupted(answer: Answer | None) -> Interrupted:
    if answer and (answer.text or answer.thought):
        error = Interrupted("The answer was interrupted")
    else:
        error = Interrupted("Interrupted before the first word", "Nothing had arrived.")
    error.answer = answer
    return error
