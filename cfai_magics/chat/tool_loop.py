"""Run the tool loop, which calls functions for the model until the model answers."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add

from ..display.footer import format_step_footer
from ..errors import (
    CfaiError,
    InterruptedAnswerError,
    InvalidOptionError,
    SetupError,
    ToolStepsExceededError,
)
from ..i18n import _, ngettext
from ..prompt.builder import Part, Prompt
from ..prompt.serialize import format_truncation
from ..prompt.tools import (
    MAX_LINE_CHARS,
    Tool,
    build_tool_messages,
    call_tool,
    format_call,
    format_name,
    has_valid_arguments,
    make_error_result,
)
from ..texts import shorten_line
from ..types.messages import Answer, Request, ToolCall, ToolResult
from ..types.provenance import combine_provenance
from ..types.usage import Usage
from .frontend import AnswerDisplay, Frontend

SendRequest = Callable[[Request, Usage], Answer]  # takes a request and the usage so far
MAX_CALL_CHARS = 2_000  # the maximum total length of the argument values in the confirmation
# This text is sent to the model, so it is not translated.
DENIED_MESSAGE = "the user did not allow this call"


@dataclass(frozen=True, slots=True)
class ToolLoop:
    """The functions that a model may call for one question.

    Attributes:
        frontend: The front end that asks the user to approve calls.
        tools: The functions.
        max_steps: The maximum number of requests.
        is_auto_approved: Whether functions are called without the user's approval.
    """

    frontend: Frontend
    tools: tuple[Tool, ...]
    max_steps: int
    is_auto_approved: bool = False

    def with_tools(self, request: Request, prompt: Prompt) -> tuple[Request, Prompt]:
        """Add the functions to the `tools` field of the request and to the parts of the prompt.

        Returns:
            The request and the prompt, both with the functions.

        Raises:
            InvalidOptionError: A function is named twice, or `tools` is already set.
        """
        names = [tool.name for tool in self.tools]
        if len(set(names)) < len(names) or "tools" in request.extra:
            raise InvalidOptionError(
                _("A function is named twice"),
                _("List each function once in --tools, and remove -p tools."),
            )
        declarations = [tool.declaration for tool in self.tools]
        part = Part("functions", json.dumps(declarations, ensure_ascii=False), ", ".join(names))
        extra = {"tools": declarations, **request.extra}
        return replace(request, extra=extra), prompt._replace(extra_parts=(part,))

    def run(self, display: AnswerDisplay, request: Request, send_request: SendRequest) -> Answer:
        """Send requests and call functions for the model until the model answers.

        The usage and time of the answer include all steps. The same applies to the partial answer
        of an error.

        Raises:
            ToolStepsExceededError: The model still calls functions after `max_steps` requests.
            InterruptedAnswerError: The user interrupted a function or the answer.
        """
        state = _LoopState(self, display)
        try:
            return state.run(request, send_request)
        except KeyboardInterrupt:
            error: CfaiError = InterruptedAnswerError(
                _("Interrupted while a function was running")
            )
            error.answer = state.combine_steps(None, "interrupted")
            raise error from None
        except CfaiError as cfai_error:
            if state.finished_steps:
                cfai_error.hint = cfai_error.hint.replace(
                    _("Nothing was sent"), _("No further request was sent")
                )
            cfai_error.answer = state.combine_steps(cfai_error.answer)
            raise


@dataclass
class _LoopState:
    """The finished steps of a running loop, and the results of their function calls."""

    tool_loop: ToolLoop
    display: AnswerDisplay
    finished_steps: list[Answer] = field(default_factory=list)
    tool_results: list[ToolResult] = field(default_factory=list)
    denied_tools: set[str] = field(default_factory=set)

    def run(self, request: Request, send_request: SendRequest) -> Answer:
        while True:
            step = send_request(request, self._sum_usage())
            if not step.tool_calls or _is_truncated_call(step):
                return self._final_answer(step)
            if len(self.finished_steps) + 1 >= self.tool_loop.max_steps:
                raise self._steps_exceeded_error(step)
            self.finished_steps.append(step)
            results = self._run_tools(step)
            request = replace(
                request,
                messages=(
                    *request.messages,
                    *build_tool_messages(step.text, step.tool_calls, results),
                ),
            )

    def _sum_usage(self) -> Usage:
        return reduce(add, (step.usage for step in self.finished_steps), Usage())

    def _final_answer(self, last_step: Answer) -> Answer:
        answer = self.combine_steps(last_step)
        assert answer is not None  # noqa: S101 - last_step is not None
        return answer

    def _steps_exceeded_error(self, step: Answer) -> ToolStepsExceededError:
        names = ", ".join(dict.fromkeys(format_name(call.name) for call in step.tool_calls))
        max_steps = self.tool_loop.max_steps
        error = ToolStepsExceededError(
            ngettext(
                "The model still calls {names} after {count} request",
                "The model still calls {names} after {count} requests",
                max_steps,
            ).format(names=names, count=max_steps),
            _("Raise the limit with --max-steps N. The partial answer is in _cfai."),
        )
        error.answer = step
        return error

    def combine_steps(
        self, last_answer: Answer | None, finish_reason: str = "cut"
    ) -> Answer | None:
        """Return the last answer with the total usage and time of all steps.

        If there is no last answer, return the last finished step with `finish_reason` as the
        finish reason. If no step has finished either, return None.
        """
        steps = [*self.finished_steps, *([last_answer] if last_answer else [])]
        if not self.finished_steps:
            return last_answer
        base_answer = last_answer or replace(
            self.finished_steps[-1], finish_reason=finish_reason, tool_calls=()
        )
        sum_note = _(
            "The usage is the total of all steps (steps: {steps}, function calls: {calls})."
        ).format(steps=len(steps), calls=len(self.tool_results))
        return replace(
            base_answer,
            usage=reduce(add, (step.usage for step in steps)),
            provenance=combine_provenance([step.provenance for step in steps]),
            seconds=sum(step.seconds for step in steps),
            first_token_seconds=steps[0].first_token_seconds,
            tool_results=tuple(self.tool_results),
            details=(*base_answer.details, sum_note),
        )

    # --- calls

    def _run_tools(self, step: Answer) -> list[ToolResult]:
        self.display.show_tool_step(format_step_footer(len(self.finished_steps), step))
        results = []
        for call in step.tool_calls:
            result = self._run_tool(call)
            results.append(result)
            self.tool_results.append(result)
            self.display.show_tool_step(_format_result(result))
        return results

    def _run_tool(self, call: ToolCall) -> ToolResult:
        limits = self.tool_loop.frontend.session.settings.size_limits
        tool = next((tool for tool in self.tool_loop.tools if tool.name == call.name), None)
        if tool and has_valid_arguments(call) and not self._is_approved(tool, call):
            return make_error_result(call, DENIED_MESSAGE)
        return call_tool(call, self.tool_loop.tools, limits)

    def _is_approved(self, tool: Tool, call: ToolCall) -> bool:
        """Return whether the user allows the call. Asks the user at most once per function."""
        frontend = self.tool_loop.frontend
        approved_tools = frontend.notebook_state.approved_tools if frontend.notebook_state else {}
        if self.tool_loop.is_auto_approved or approved_tools.get(tool.name) == tool.function:
            return True
        if tool.name in self.denied_tools:
            return False
        call_text = format_call(call.name, call.arguments, MAX_CALL_CHARS)
        question = _(
            "Allow the model to call {call}? Answering yes allows all calls to {name} in this "
            "kernel."
        ).format(call=call_text, name=tool.name)
        if frontend.confirm(question):
            approved_tools[tool.name] = tool.function
            return True
        self.denied_tools.add(tool.name)
        return False


def _is_truncated_call(step: Answer) -> bool:
    """Return whether the answer was cut off at max_tokens in the middle of a function call.

    Sending the call's error to the model would not help, because the next answer would be cut off
    too.
    """
    return step.finish_reason == "length" and not all(map(has_valid_arguments, step.tool_calls))


def _format_result(result: ToolResult) -> str:
    result_text = shorten_line(result.result, MAX_LINE_CHARS)
    line = f"{format_call(result.name, result.arguments)} → {result_text}"
    if not result.truncation:
        return line
    return _("{call} (only the first {amount} were sent)").format(
        call=line, amount=format_truncation(result.truncation)
    )


def check_user_can_approve(frontend: Frontend, tools: Sequence[Tool]) -> None:
    """Raise SetupError if a function needs approval and the front end can't ask the user."""
    notebook_state = frontend.notebook_state
    if notebook_state is None or notebook_state.can_ask_user:
        return
    unapproved = [
        tool.name
        for tool in tools
        if notebook_state.approved_tools.get(tool.name) != tool.function
    ]
    if unapproved:
        raise SetupError(
            _("Calls to {names} need your approval, and this front end can't ask for it").format(
                names=", ".join(unapproved)
            ),
            _("Add --allow-tools to allow all functions listed in --tools. Nothing was sent."),
        )
