"""Owns the steps of a question whose model calls functions: asked, called, told, asked again."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add

from ..errors import BadOption, CfaiError, Interrupted, SetupError, TooManySteps
from ..prompt.parts import Part, Prompt
from ..prompt.spelling import Limits
from ..render.receipt import step_told
from ..tools.functions import (
    Tool,
    failed,
    is_readable,
    made,
    messages,
    named,
    shortened,
    written,
)
from ..values import Answer, Called, Request, ToolCall, Usage
from ..values.provenance import together
from .door import Door, Live

Ask = Callable[[Request, Usage], Answer]  # the usage is that of the steps before
WHOLE = 2_000  # characters of the values of a call that the user is asked about
NOT_ALLOWED = "the user did not allow this call"


@dataclass(frozen=True, slots=True)
class Calling:
    """The functions that a model may call for one question.

    `most_steps` are the requests at most; where `allowed`, nobody is asked before a call.
    """

    door: Door
    tools: tuple[Tool, ...]
    most_steps: int
    allowed: bool = False

    def declared(self, request: Request, prompt: Prompt) -> tuple[Request, Prompt]:
        """Return request and prompt with the functions declared."""
        names = [each.name for each in self.tools]
        if len(set(names)) < len(names) or "tools" in request.extra:
            raise BadOption("A function is named twice", "Name each once, and leave -p tools out.")
        declared = [each.declaration for each in self.tools]
        part = Part("functions", json.dumps(declared, ensure_ascii=False), ", ".join(names))
        extra = {"tools": declared, **request.extra}
        return replace(request, extra=extra), replace(prompt, beside=(part,))

    def answered(self, live: Live, request: Request, ask: Ask) -> Answer:
        """Ask, call what the model asks for and ask again, until it answers.

        The answer has the usage and time of all steps, and so has that of any error.
        """
        run = _Run(self, live)
        try:
            return run.answered(request, ask)
        except KeyboardInterrupt:
            error: CfaiError = Interrupted("Interrupted while a function was called")
            error.answer = run.whole(None, "interrupted")
            raise error from None
        except CfaiError as found:
            if run.done:
                found.hint = found.hint.replace("Nothing was sent", "No further step was sent")
            found.answer = run.whole(found.answer)
            raise


@dataclass
class _Run:
    """One question on its way: the steps that are done, and the calls they made."""

    calling: Calling
    live: Live
    done: list[Answer] = field(default_factory=list)
    called: list[Called] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)

    def answered(self, request: Request, ask: Ask) -> Answer:
        while True:
            step = ask(request, self._used())
            if not step.tool_calls or _is_cut(step):
                return self._last(step)
            if len(self.done) + 1 >= self.calling.most_steps:
                raise self._too_many(step)
            self.done.append(step)
            results = self._made(step)
            request = replace(
                request,
                messages=(*request.messages, *messages(step.text, step.tool_calls, results)),
            )

    def _used(self) -> Usage:
        return reduce(add, (step.usage for step in self.done), Usage())

    def _last(self, step: Answer) -> Answer:
        whole = self.whole(step)
        assert whole is not None  # noqa: S101 - there is this step
        return whole

    def _too_many(self, step: Answer) -> TooManySteps:
        names = ", ".join(dict.fromkeys(named(call.name) for call in step.tool_calls))
        count = self.calling.most_steps
        steps = "1 step" if count == 1 else f"{count} steps"
        error = TooManySteps(
            f"After {steps} the model still asks to call {names}",
            "--max-steps N lets it go on longer; the answer so far is kept in _cfai.",
        )
        error.answer = step
        return error

    def whole(self, last: Answer | None, ended: str = "cut") -> Answer | None:
        """Return the last answer with what all steps took; None where there is no step.

        Where no last one came, the step before stands for it, `ended` as it was.
        """
        steps = [*self.done, *([last] if last else [])]
        if not self.done:
            return last
        final = last or replace(self.done[-1], finish=ended, tool_calls=())
        told = f"{len(steps)} steps with {_counted(self.called)}: these are the sums of all steps."
        return replace(
            final,
            usage=reduce(add, (step.usage for step in steps)),
            origin=together([step.origin for step in steps]),
            seconds=sum(step.seconds for step in steps),
            first_token_seconds=steps[0].first_token_seconds,
            called=tuple(self.called),
            notes=(*final.notes, told),
        )

    # --- calls

    def _made(self, step: Answer) -> list[Called]:
        self.live.step(step_told(len(self.done), step))
        results = []
        for call in step.tool_calls:
            result = self._one(call)
            results.append(result)
            self.called.append(result)
            self.live.step(_told(result))
        return results

    def _one(self, call: ToolCall) -> Called:
        settings = self.calling.door.session.settings
        limits = Limits(settings.table_rows, settings.value_characters)
        known = next((each for each in self.calling.tools if each.name == call.name), None)
        if known and is_readable(call) and not self._may(known, call):
            return failed(call, NOT_ALLOWED)
        return made(call, self.calling.tools, limits)

    def _may(self, tool: Tool, call: ToolCall) -> bool:
        """Ask the user the first time a function is to be called in this kernel."""
        door = self.calling.door
        kept = door.workspace.approved if door.workspace else {}
        if self.calling.allowed or kept.get(tool.name) == tool.function:
            return True
        if tool.name in self.refused:
            return False
        wanted = written(call.name, call.arguments, WHOLE)
        asked = f"May the model call {wanted}? Yes holds for {tool.name} in this kernel."
        if door.confirm(asked):
            kept[tool.name] = tool.function
            return True
        self.refused.add(tool.name)
        return False


def _is_cut(step: Answer) -> bool:
    """Whether the limit of tokens ended an answer within a call: asked again, it would again."""
    return step.finish == "length" and not all(map(is_readable, step.tool_calls))


def _told(result: Called) -> str:
    cut = f" (only the first {result.kept} were sent)" if result.kept else ""
    return f"{written(result.name, result.arguments)} → {shortened(result.result)}{cut}"


def _counted(called: Sequence[Called]) -> str:
    return "1 call" if len(called) == 1 else f"{len(called)} calls"


def check_confirmable(door: Door, tools: Sequence[Tool]) -> None:
    """Raise SetupError where functions would need approval and nobody can be asked."""
    here = door.workspace
    if here is None or here.can_ask:
        return
    new = [each.name for each in tools if here.approved.get(each.name) != each.function]
    if new:
        raise SetupError(
            f"Nobody can be asked here whether the model may call {', '.join(new)}",
            "--allow-tools lets it call what --tools names. Nothing was sent.",
        )
