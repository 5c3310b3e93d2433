"""The main command: one prompt in, one answer shown and kept."""

import json
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ..errors import BadOption, CfaiError, Interrupted
from ..prompt import Part, Prompt, question
from ..session import OnRetry
from ..spelling import Limits
from ..values import Answer, Request
from . import Door, Live

PARAMETERS_WITH_OPTIONS = {"stream": "--no-stream", "model": "-m", "messages": "-s"}


def ask(door: Door, options: Namespace) -> None:
    """Ask the question made of the words on the line."""
    answer(door, " ".join(options.prompt), options)


def answer(door: Door, prompt: str, options: Namespace) -> Answer:
    """Ask the prompt with the options of ASK_OPTIONS, show the answer as it comes and keep it."""
    _check(prompt, options)
    settings = door.session.settings
    shown_as = options.format or settings.format
    composed = _composed(door, prompt, options)
    request = _request(door, composed, options, streamed=shown_as != "raw")
    live = door.live(shown_as, options.footer or settings.footer)
    with _kept(door, options.output, live, composed):
        answer = _remarked(_shown(door, request, live, options.max_neurons), composed)
        live.end(answer)
        door.keep(options.output, answer)
        return answer


def _composed(door: Door, prompt: str, options: Namespace) -> Prompt:
    """Return the prompt, its variables filled, before anything is sent."""
    settings = door.session.settings
    evaluate = door.workspace.evaluate if door.workspace and not options.raw else None
    limits = Limits(settings.table_rows, settings.value_characters)
    system = options.system or settings.system
    return Prompt(
        question(prompt, evaluate, limits),
        (Part("system", system),) if system else (),
    )


def _remarked(answer: Answer, prompt: Prompt) -> Answer:
    return replace(answer, notes=(*answer.notes, *prompt.question.remarks))


def _shown(door: Door, request: Request, live: Live, most: float | None) -> Answer:
    with door.session.stream(request, _telling(live), most) as stream:
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
def _kept(door: Door, name: str, live: Live, prompt: Prompt) -> Iterator[None]:
    """Show and keep what had arrived when an answer does not reach its end."""
    try:
        yield
    except KeyboardInterrupt:
        live.end(None)
        raise Interrupted("Interrupted before the first word", "Nothing had arrived.") from None
    except CfaiError as error:
        if error.answer is not None:
            error.answer = _remarked(error.answer, prompt)
        live.end(error.answer)
        if error.answer is not None:
            door.keep(name, error.answer)
        raise


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
