"""Build a `%%cfai` question from its options, send it, and display the streamed answer."""

from argparse import Namespace
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from keyword import iskeyword
from typing import TYPE_CHECKING, Any, NamedTuple

from ..arguments import check_option_values
from ..display.tables import format_neurons, format_retry_message
from ..errors import (
    CfaiError,
    InterruptedAnswerError,
    InvalidOptionError,
    ToolsNotSupportedError,
    VisionNotSupportedError,
)
from ..i18n import _, mark, ngettext
from ..pricing.catalog import MAX_LISTED_MODELS
from ..prompt.builder import (
    Part,
    PartCost,
    Prompt,
    PromptReport,
    build_user_message,
    estimate_part_costs,
    split_cost,
)
from ..prompt.output_formats import OUTPUT_FORMATS, OutputFormat, get_format
from ..session.call import Target, build_target_request
from ..types.messages import Answer, Message, Request
from ..types.usage import Model, Usage
from .frontend import AnswerDisplay, Frontend, NotebookState

if TYPE_CHECKING:
    from ..display.preview import Preview
    from ..media.images import Image
    from ..prompt.history import Turn
    from ..prompt.output_formats import Schema
    from ..session.call import CallPreview
    from ..session.session import Session
    from ..settings import Cfai
    from .tool_loop import ToolLoop
    from .turns import TurnKey


NEW_CELL_FORMATS = {"code", "correction"}  # formats that insert the code as a new cell
PROBS_FORMATS = {"markdown", "text", "raw"}
ZERO_LIMIT = 1e-9  # in neurons, too low for any call
CAPABILITIES = {  # the error message and error class to use if a model lacks the capability
    "vision": (mark("{model} can't see images"), VisionNotSupportedError),
    "tools": (mark("{model} can't call functions"), ToolsNotSupportedError),
}


def format_history(prompt: Prompt, answer: Answer, model: Model) -> str:
    """Return a line with the number of earlier turns in the prompt, and their cost."""
    count = len(prompt.history)
    shares = [
        share
        for share in split_cost(prompt, answer, model)
        if share.part and share.part.kind == "history"
    ]
    return ngettext(
        "{count} earlier turn resent: {share}.",
        "{count} earlier turns resent: {share}.",
        count,
    ).format(count=count, share=_format_shares(shares, answer))


def format_dropped_turns(prompt: Prompt, model: Model) -> str:
    """Return a line with the number of earlier turns that do not fit the context window."""
    return ngettext(
        "The oldest turn was not sent: the model's context window is {tokens:,} tokens.",
        "The oldest {count} turns were not sent: the model's context window is {tokens:,} tokens.",
        prompt.dropped_turns,
    ).format(count=prompt.dropped_turns, tokens=model.context_window)


def format_context(prompt: Prompt, answer: Answer, model: Model) -> str:
    """Return a line with the number of cells above in the prompt, and their cost."""
    shares = [
        share
        for share in split_cost(prompt, answer, model)
        if share.part and share.part.kind == "context"
    ]
    count = sum(part.image is None for part in prompt.context) - 1  # without the introduction
    return ngettext(
        "{count} cell above sent: {share}.", "{count} cells above sent: {share}.", count
    ).format(count=count, share=_format_shares(shares, answer))


def _format_shares(shares: Iterable[PartCost], answer: Answer) -> str:
    shares = tuple(shares)
    tokens, total = sum(share.tokens for share in shares), answer.usage.prompt_tokens
    if any(share.neurons is None for share in shares):
        return _("about {tokens:,} of {total:,} input tokens").format(tokens=tokens, total=total)
    return _("about {tokens:,} of {total:,} input tokens, an estimated {neurons} neurons").format(
        tokens=tokens,
        total=total,
        neurons=format_neurons(sum(share.neurons or 0.0 for share in shares)),
    )


def format_images(prompt: Prompt, answer: Answer, model: Model) -> list[str]:
    """Return a line for each image in the prompt, with the size that was sent and the cost."""
    return [
        _("Image {name}: {size}, {share}.").format(
            name=share.part.name,
            size=share.part.image.size_text,
            share=_format_shares([share], answer),
        )
        for share in split_cost(prompt, answer, model)
        if share.part and share.part.image and share.part.kind == "image"
    ]


class ChatRun(NamedTuple):
    """A question that is ready to be sent.

    Attributes:
        turn_key: The location of the turn in a thread, or None for a question without history.
        max_neurons: The maximum total cost of all requests for the question, in neurons.
        schema: The JSON Schema that the answer must match, if any.
        show_prompt: Whether to show the prompt below the answer.
        gateway: The AI Gateway specified with --gateway, or "" if the option is not given.
        tool_loop: The functions that the model may call, if any.
    """

    frontend: Frontend
    output_format: OutputFormat
    prompt: Prompt
    request: Request
    target: Target
    turn_key: "TurnKey | None" = None
    max_neurons: float | None = None
    schema: "Schema | None" = None
    show_prompt: bool = False
    gateway: str = ""
    tool_loop: "ToolLoop | None" = None

    def run(self, footer_style: str, variable_name: str) -> Answer:
        """Send the question, display the streamed answer, and store it in a variable.

        Raises:
            CfaiError: The request failed. The error's `answer` is the partial answer, if any.
        """
        display = self.frontend.create_answer_display(self.output_format, footer_style)
        with self._on_failure(variable_name, display):
            if self.schema or self.tool_loop:
                answer = self._ask_repeatedly(display)
            else:
                answer = self._stream_once(display, self.request)
            answer = self._parse(self._save_turn(answer))
            self._show_and_store(display, variable_name, answer)
            return answer

    def _ask_repeatedly(self, display: AnswerDisplay) -> Answer:
        """Send the requests that a schema or tools require, and return the last answer."""
        from .structured_output import StructuredOutput

        def send_request(request: Request, usage_so_far: Usage) -> Answer:
            return self._stream_once(display, request, self._remaining_limit(usage_so_far))

        if self.tool_loop:
            return self.tool_loop.run(display, self.request, send_request)
        return StructuredOutput(self.output_format, display, send_request).run(self.request)

    def preview(self) -> "Preview":
        """Return the request and its estimated cost without sending the request."""
        from ..display.preview import Preview, redact_for_display
        from ..redaction import redact_tokens

        session = self.frontend.session
        session.check_course_policy(self.request, self.target)
        call = session.resolver.preview_chat(self.request, self.target)
        cost = call.cost
        return Preview(
            redact_for_display(call.body, redact_tokens),
            estimate_part_costs(self.prompt, self.request),
            cost.capped(self.max_neurons) if cost and self.max_neurons else cost,
            (*self._estimate_notes(call), *self.prompt.user_message.notes),
        )

    def _estimate_notes(self, call: "CallPreview") -> tuple[str, ...]:
        """Return notes on the estimated cost, such as a note that a recorded answer is free."""
        from ..display.preview import REPLAY_NOTE

        if call.is_recorded:
            return (_(REPLAY_NOTE),)
        if call.refusal:
            return (_("The request would be refused. {reason}.").format(reason=call.refusal),)
        notes = self.frontend.session.accounting.estimate_notes(
            self.target.model,
            call.cost,
            self.max_neurons,
            is_other_server=self.target.is_other_server,
        )
        return (*notes, *self._tool_notes())

    def _tool_notes(self) -> list[str]:
        if self.tool_loop is None:
            return []
        return [
            _(
                "This is the first of at most {count} requests: each function call adds one."
            ).format(count=self.tool_loop.max_steps)
        ]

    def _show_and_store(self, display: AnswerDisplay, variable_name: str, answer: Answer) -> None:
        """Show the final answer, and store the answer and the prompt report."""
        display.end(answer)
        self.frontend.store_result(variable_name, answer)
        prompt = self.prompt
        if answer.tool_results:
            call_parts = (
                Part("call", f"{tool_result.arguments}\n{tool_result.result}", tool_result.name)
                for tool_result in answer.tool_results
            )
            prompt = prompt._replace(extra_parts=(*prompt.extra_parts, *call_parts))
        report = PromptReport(prompt, answer, self.target.model)
        if self.frontend.notebook_state:
            self.frontend.notebook_state.last_prompt = report
        if self.show_prompt:
            display.show_prompt(report)

    def _stream_once(
        self, display: AnswerDisplay, request: Request, max_neurons: float | None = None
    ) -> Answer:
        max_neurons = self.max_neurons if max_neurons is None else max_neurons

        def on_retry(error: CfaiError, pause: float, next_attempt: int) -> None:
            display.show_status(format_retry_message(error, pause, next_attempt))

        thread = self.turn_key.thread if self.turn_key else ""
        with self.frontend.session.open_stream(
            request,
            self.target,
            on_retry,
            max_neurons=max_neurons,
            thread=thread,
            gateway=self.gateway,
        ) as stream:
            try:
                display.start_waiting(request.model)
                for delta in stream:
                    display.add(delta)
            except KeyboardInterrupt:
                stream.close()
                raise _interrupted_error(stream.answer) from None
            finally:
                display.stop_waiting()
            return stream.answer

    @contextmanager
    def _on_failure(self, variable_name: str, display: AnswerDisplay) -> Iterator[None]:
        """If the code in the `with` block fails, show and store the partial answer."""
        try:
            yield
        except KeyboardInterrupt:
            display.end(None)
            raise _interrupted_error(None) from None
        except CfaiError as error:
            from .turns import is_complete

            if error.answer is not None and not is_complete(error.answer):
                error.answer = self._save_turn(error.answer)
            if error.answer is None:
                display.end(None)
            else:
                self._show_and_store(display, variable_name, error.answer)
            raise

    def _remaining_limit(self, usage: Usage) -> float | None:
        """Return the number of neurons left under --max-neurons, or None if there is no limit."""
        if self.max_neurons is None:
            return None
        return max(self.max_neurons - (usage.neurons or 0.0), ZERO_LIMIT)

    # --- after the answer

    def _parse(self, answer: Answer) -> Answer:
        """Parse and return the answer. For code formats, also insert the code as a new cell."""
        from ..prompt.output_formats import apply_format

        if self.output_format.parse is not None:
            answer = apply_format(answer, self.output_format)
        if (
            self.output_format.name not in NEW_CELL_FORMATS
            or not self.frontend.notebook_state
            or not answer.parsed
        ):
            return answer
        note = self.frontend.notebook_state.insert_cell(answer.parsed)
        return replace(answer, notes=(note, *answer.notes))

    def _with_notes(self, answer: Answer) -> Answer:
        """Add notes on the prompt's history, images and template fields, and return the answer."""
        prompt, model = self.prompt, self.target.model
        details = [*answer.details]
        notes = [*answer.notes]
        if prompt.history:
            details.append(format_history(prompt, answer, model))
        if prompt.dropped_turns:
            notes.append(format_dropped_turns(prompt, model))
        if prompt.context:
            details.append(format_context(prompt, answer, model))
        if prompt.images:
            details += format_images(prompt, answer, model)
        notes += prompt.user_message.notes
        return replace(answer, notes=tuple(notes), details=tuple(details))

    def _save_turn(self, answer: Answer) -> Answer:
        """Save the turn in its thread, and return the answer with notes.

        An incomplete turn is not saved in the thread, but kept so that the user can save it.
        """
        answer = self._with_notes(answer)
        if self.turn_key is None:
            return answer
        from .turns import is_complete, make_turn, save_turn

        turn = make_turn(self.prompt, answer, self.turn_key)
        if not is_complete(answer):
            return replace(
                answer, notes=(*answer.notes, self._store_unsaved_turn(turn, self.turn_key))
            )
        try:
            details, notes = save_turn(turn, self.turn_key)
            return replace(
                answer,
                notes=(*notes, *answer.notes),
                details=(*details, *answer.details),
            )
        except CfaiError as error:
            error.answer = answer  # the complete answer, although the turn could not be saved
            raise

    def _store_unsaved_turn(self, turn: "Turn", turn_key: "TurnKey") -> str:
        from .turns import UnsavedTurn

        if self.frontend.notebook_state is None or not turn.answer:
            return _("Conversation {name}: this turn is incomplete and was not saved.").format(
                name=turn_key.thread
            )
        self.frontend.notebook_state.unsaved_turn = UnsavedTurn(turn_key, turn)
        return _(
            "Conversation {name}: this turn is incomplete and was not saved; {command} saves it."
        ).format(name=turn_key.thread, command="%cfai thread keep")


def _interrupted_error(answer: Answer | None) -> InterruptedAnswerError:
    if answer and (answer.text or answer.reasoning):
        error = InterruptedAnswerError(_("Interrupted"))
    else:
        error = InterruptedAnswerError(
            _("Interrupted before any text was received"), _("The request may still be billed.")
        )
    error.answer = answer
    return error


def check_options(prompt: str, options: Namespace) -> None:
    """Raise InvalidOptionError if the prompt is empty or an option is not valid."""
    if not prompt.strip():
        raise InvalidOptionError(_("The prompt is empty"), _("Enter it below the %%cfai line."))
    if (options.save or options.source or options.target) and not options.task:
        raise InvalidOptionError(
            _("--save, --from and --to require --task"), _("Add --task, or remove them.")
        )
    has_tool_option = options.allow_tools or options.max_steps is not None
    if has_tool_option and not options.tools and not options.task:
        raise InvalidOptionError(
            _("--allow-tools and --max-steps require --tools"), _("Add --tools NAME.")
        )
    if options.output and (not options.output.isidentifier() or iskeyword(options.output)):
        raise InvalidOptionError(
            _("-o: {name} is not a valid variable name").format(name=options.output),
            _("Use letters, digits and _."),
        )
    check_option_values(options)


def resolve_format(settings: "Cfai", options: Namespace, schema: "Schema | None") -> OutputFormat:
    """Return the format of the answer that the options and settings request.

    Raises:
        InvalidOptionError: The options request different formats.
    """
    if options.plain and (schema or options.format not in {None, "markdown", "text"}):
        raise InvalidOptionError(
            _("--plain works only if the answer is Markdown or text"),
            _("Remove --plain, or --schema and -f."),
        )
    if options.probs is not None and (
        schema
        or options.extract
        or (not options.plain and (options.format or settings.format) not in PROBS_FORMATS)
    ):
        raise InvalidOptionError(
            _("--probs works only if the answer is Markdown or text"),
            _("Remove --probs, or use -f text without --schema and -x."),
        )
    if schema is None:
        name = "text" if options.plain else options.format or settings.format
        if options.extract or name == "table":
            return get_format(name, extract=options.extract)
        return OUTPUT_FORMATS[name]
    if options.format not in {None, "json"} or options.extract:
        raise InvalidOptionError(_("--schema works only with -f json"), _("Remove -f and -x."))
    return OUTPUT_FORMATS["json"]._replace(instruction=schema.instruction, parse=schema.parse)


def build_prompt(
    settings: "Cfai",
    notebook_state: NotebookState | None,
    prompt: str,
    options: Namespace,
    output_format: OutputFormat,
) -> Prompt:
    """Return the prompt without the images of --image.

    Without `notebook_state`, `{{…}}` is left as typed.
    """
    evaluate = notebook_state.evaluate if notebook_state and not options.raw else None
    system_text = options.system or settings.system
    system = [Part("system", system_text)] if system_text else []
    if output_format.instruction:
        name = options.schema or output_format.name
        system.append(Part("form", output_format.instruction, name))
    user_message = build_user_message(prompt, evaluate, lambda: settings.size_limits)
    return Prompt(user_message, tuple(system))


def add_images(prompt: Prompt, images: "Iterable[Image]") -> Prompt:
    """Return the prompt with the images at the end of the user message."""
    parts = tuple(Part("image", name=image.name, image=image) for image in images)
    user_message = prompt.user_message
    return prompt._replace(user_message=user_message._replace(parts=(*user_message.parts, *parts)))


def require_capability(session: "Session", model: Model, capability: str) -> None:
    """Raise an error if the model lacks a capability.

    A model that is not in the catalog is accepted.
    """
    message, error = CAPABILITIES[capability]
    if getattr(model, capability):
        return
    if session.backend.is_local:
        raise error(
            _(message).format(model=model.short_name),
            _("%cfai local off switches back to models that can."),
        )
    if not model.task:
        return
    models = session.catalog().models
    capable_models = [
        each for each in models if getattr(each, capability) and not each.deprecation_date
    ]
    suggestions = sorted(capable_models, key=lambda each: each.paid_plan_only)[:MAX_LISTED_MODELS]
    names = ", ".join(
        _("{model} (paid plan)").format(model=suggestion.short_name)
        if suggestion.paid_plan_only
        else suggestion.short_name
        for suggestion in suggestions
    )
    hint = _("Models that can: {models}.").format(models=names) if names else ""
    raise error(_(message).format(model=model.short_name), hint)


def build_request(
    settings: "Cfai",
    options: Namespace,
    messages: list[Message],
    target: Target,
    temperature: float | None,
) -> Request:
    """Return the request for one answer, with the options and settings."""
    extra: dict[str, Any] = {}
    if options.param:
        from .option_values import parse_params

        extra = parse_params(options)
    return build_target_request(
        settings,
        target,
        messages,
        max_tokens=options.max_tokens,
        temperature=temperature,
        top_p=options.top_p,
        seed=options.seed,
        stop=tuple(options.stop or ()),
        think=options.think,
        stream=not options.no_stream,
        extra=extra,
        probs=options.probs,
    )
