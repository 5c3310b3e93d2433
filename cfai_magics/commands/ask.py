"""The main command: one prompt in, one answer shown and kept."""

import json
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from ..continuing import LeftOut, Place, continued, counts, history_told, keep, turn_of
from ..conversation import Turn
from ..errors import BadOption, CfaiError, Interrupted
from ..forms import Form, form_for, formed
from ..prompt import Part, Prompt, question
from ..session import OnRetry
from ..spelling import Limits
from ..values import Answer, Model, Request
from . import Door, Live

SHELLS_THREAD = "main"  # where no notebook gives the conversation its name
PARAMETERS_WITH_OPTIONS = {"stream": "--no-stream", "model": "-m", "messages": "-s"}


def ask(door: Door, options: Namespace) -> None:
    """Ask the question made of the words on the line."""
    answer(door, " ".join(options.prompt), options)


def answer(door: Door, prompt: str, options: Namespace) -> Answer:
    """Ask the prompt with the options of ASK_OPTIONS, show the answer as it comes and keep it."""
    _check(prompt, options)
    settings = door.session.settings
    form = form_for(options.format or settings.format, extract=options.extract)
    asking = _asking(door, prompt, options, form)
    live = door.live(form, options.footer or settings.footer)
    with _kept(asking, options.output, live):
        answer = asking.formed(asking.taken_up(_shown(asking, live)))
        live.end(answer)
        door.keep(options.output, answer)
        return answer


@dataclass(frozen=True, slots=True)
class _Asking:
    """One question, ready to be sent; `place` is where it goes in a thread."""

    door: Door
    form: Form
    prompt: Prompt
    request: Request
    model: Model
    place: Place | None
    most: float | None

    def formed(self, answer: Answer) -> Answer:
        """Return the answer with what its form makes of it; code is offered in a new cell."""
        answer = formed(answer, self.form)
        if self.form.name != "code" or self.door.workspace is None or not answer.parsed:
            return answer
        told = self.door.workspace.insert(answer.parsed)
        return replace(answer, notes=(told, *answer.notes))

    def told(self, answer: Answer) -> Answer:
        """Return the answer with what the reader should know of its prompt."""
        history = history_told(self.prompt, answer, self.model)
        return replace(answer, notes=(*answer.notes, *history, *self.prompt.question.remarks))

    def taken_up(self, answer: Answer) -> Answer:
        """Take question and answer up into the thread, and return the answer with that told."""
        answer = self.told(answer)
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


def _asking(door: Door, prompt: str, options: Namespace, form: Form) -> _Asking:
    """Return the question as it will be sent, its variables filled; nothing is sent yet."""
    composed = _composed(door, prompt, options, form)
    request = _request(door, composed, options, streamed=form.name != "raw")
    model = door.session.model(request.model)
    place = _place(door, options)
    if place:
        composed = continued(composed, request, model, place)
        request = replace(request, messages=tuple(composed.messages))
    return _Asking(door, form, composed, request, model, place, options.max_neurons)


def _composed(door: Door, prompt: str, options: Namespace, form: Form) -> Prompt:
    settings = door.session.settings
    evaluate = door.workspace.evaluate if door.workspace and not options.raw else None
    limits = Limits(settings.table_rows, settings.value_characters)
    system = (
        Part("system", options.system or settings.system),
        Part("form", form.instruction, form.name),
    )
    return Prompt(question(prompt, evaluate, limits), tuple(part for part in system if part.text))


def _place(door: Door, options: Namespace) -> Place | None:
    """Return where the question goes in a thread; None where it stands alone."""
    if options.thread is None:
        return None
    here = door.workspace
    thread = options.thread or (here.thread if here else SHELLS_THREAD)
    return Place(door.session.home, thread, here.cell() if here else "")


def _shown(asking: _Asking, live: Live) -> Answer:
    with asking.door.session.stream(asking.request, _telling(live), asking.most) as stream:
        try:
            for delta in stream:
                live.add(delta)
        except KeyboardInterrupt:
            stream.close()
            error = Interrupted("The answer was interrupted")
            error.answer = stream.answer
            raise error from None
        return stream.answer


def _interrupted(answer: Answer) -> Interrupted:
    if answer.text or answer.thought:
        error = Interrupted("The answer was interrupted")
    else:
        error = Interrupted("Interrupted before the first word", "Nothing had arrived.")
    error.answer = answer
    return error


@contextmanager
def _kept(asking: _Asking, name: str, live: Live) -> Iterator[None]:
    """Show and keep what had arrived when an answer does not reach its end."""
    try:
        yield
    except KeyboardInterrupt:
        live.end(None)
        raise Interrupted("Interrupted before the first word", "Nothing had arrived.") from None
    except CfaiError as error:
        _keep_what_came(asking, name, live, error)
        raise


def _keep_what_came(asking: _Asking, name: str, live: Live, error: CfaiError) -> None:
    if error.answer is not None and not counts(error.answer):
        error.answer = asking.taken_up(error.answer)
    live.end(error.answer)
    if error.answer is not None:
        asking.door.keep(name, error.answer)


def _telling(live: Live) -> OnRetry:
    def tell(error: CfaiError, seconds: float, next_try: int) -> None:
        live.notice(f"{error.cause}; try {next_try} follows in {seconds:.0f} s")

    return tell


def _check(prompt: str, options: Namespace) -> None:
    if not prompt.strip():
        raise BadOption("The question is empty", "Write it below the %%cfai line.")
    if options.output and (not options.output.isidentifier() or iskeyword(options.output)):
        raise BadOption(f"-o {options.output} is no variable name", "Use letters, digits and _.")
    if options.max_neurons is not None and not options.max_neurons > 0:
        raise BadOption(f"--max-neurons {options.max_neurons} is no limit", "Use more than 0.")
    if options.max_tokens is not None and options.max_tokens < 1:
        raise BadOption(f"--max-tokens {options.max_tokens} leaves no answer", "Use 1 or more.")


def _request(door: Door, prompt: Prompt, options: Namespace, *, streamed: bool) -> Request:
    return door.session.request(
        prompt.messages,
        options.model,
        max_tokens=options.max_tokens,
        temperature=options.temperature,
        top_p=options.top_p,
        seed=options.seed,
        stop=tuple(options.stop or ()),
        think=options.think,
        stream=streamed and not options.no_stream,
        extra=dict(map(_parameter, options.param or ())),
    )


def _parameter(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise BadOption(f"-p {text} is not K=V", "Write for example -p top_k=40.")
    if key in PARAMETERS_WITH_OPTIONS:
        raise BadOption(f"-p {key} is not taken", f"Use {PARAMETERS_WITH_OPTIONS[key]}.")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value
