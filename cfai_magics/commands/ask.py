"""Build and send the request for a prompt, and show and store the answer."""

import re
from argparse import Namespace
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from keyword import iskeyword
from typing import TYPE_CHECKING, Any

from ..arguments import check_answer_count, check_option_values
from ..chat.chat_run import ChatRun
from ..chat.frontend import Frontend, NotebookState
from ..chat.options import ASK_OPTIONS, Option
from ..errors import InvalidOptionError, ToolsNotSupportedError, VisionNotSupportedError
from ..i18n import _, mark
from ..pricing.catalog import MAX_LISTED_MODELS
from ..prompt.builder import Part, Prompt, build_user_message
from ..prompt.output_formats import (
    OUTPUT_FORMATS,
    OutputFormat,
    Schema,
    get_format,
    supports_streaming_schema,
)
from ..session.call import Target, build_target_request
from ..types.messages import Answer, Message, Request
from ..types.usage import Model

if TYPE_CHECKING:
    from ..chat.compare import Comparison
    from ..chat.tool_loop import ToolLoop
    from ..chat.turns import TurnKey
    from ..display.preview import Preview, TaskPreview
    from ..media.images import Image
    from ..prompt.tools import Tool
    from ..session.session import Session
    from ..settings import Cfai
    from ..types.answer_set import AnswerSet, Variant


OPTIONS = (
    Option("prompt", nargs="*", help=mark("the prompt; - stands for piped text")),
    *ASK_OPTIONS,
)


NAME_PATTERN = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
DEFAULT_MAX_STEPS = 8
SHELL_THREAD = "main"  # the conversation that shell commands use, because they have no notebook
CAPABILITIES = {  # the error message and error class to use if a model lacks the capability
    "vision": (mark("{model} can't see images"), VisionNotSupportedError),
    "tools": (mark("{model} can't call functions"), ToolsNotSupportedError),
}


def run(frontend: Frontend, options: Namespace) -> "Preview | TaskPreview | None":
    """Send the words on the line as a prompt.

    Returns:
        The preview of the request if --dry-run is given, or None otherwise.
    """
    from ..chat.piped_input import STDIN_PLACEHOLDER, merge_piped_text
    from ..types.answer_set import AnswerSet

    words: list[str] = options.prompt
    prompt = (
        merge_piped_text(words, frontend.read_stdin) if frontend.read_stdin else " ".join(words)
    )
    if not prompt.strip() or (prompt == STDIN_PLACEHOLDER and not frontend.read_stdin):
        raise InvalidOptionError(
            _("A prompt or piped text is required")
            if frontend.read_stdin
            else _("A prompt is required"),
            _("Example: %cfai ask What is a neuron?"),
        )
    result = ask_prompt(frontend, prompt, options)
    return None if isinstance(result, Answer | AnswerSet) else result


def ask_prompt(
    frontend: Frontend, prompt: str, options: Namespace
) -> "Answer | AnswerSet | Preview | TaskPreview":
    """Send a prompt, and show and store the answer.

    Args:
        frontend: The front end that shows the answer.
        prompt: The prompt as typed.
        options: The parsed ASK_OPTIONS.

    Returns:
        The answer, the set of answers if the options request a comparison, or the preview of the
        request if --dry-run is given.
    """
    _check_options(prompt, options)
    footer_style = options.footer or frontend.session.settings.footer
    if options.task:
        from ..tasks.task_run import prepare_task

        task_run = prepare_task(frontend, prompt, options, _given_options(options))
        return (
            task_run.preview() if options.dry_run else task_run.run(footer_style, options.output)
        )
    is_comparison = max(len(options.model or ()), len(options.temperature), options.times) > 1
    chat_run = (_build_comparison if is_comparison else _build_run)(frontend, prompt, options)
    if options.dry_run:
        return chat_run.preview()
    return chat_run.run(footer_style, options.output)


def _given_options(options: Namespace) -> set[str]:
    """Return the names of the options whose values differ from their defaults."""
    from ..chat.options import get_ask_parser

    defaults = vars(get_ask_parser().parse_args([]))
    return {name for name, value in vars(options).items() if value != defaults.get(name, value)}


def _build_run(frontend: Frontend, prompt: str, options: Namespace) -> ChatRun:
    """Fill in the variables in the prompt and build the request without sending it."""
    session = frontend.session
    schema = _resolve_schema(frontend, options.schema) if options.schema else None
    output_format = _resolve_format(session.settings, options, schema)
    (model_name,), (temperature,) = options.model or [""], options.temperature or [None]
    target = session.resolve_target(model_name)
    model = target.model
    if options.image:
        _require_capability(session, model, "vision")
    full_prompt = _build_prompt(
        session.settings, frontend.notebook_state, prompt, options, output_format
    )
    if options.image:
        full_prompt = _add_images(full_prompt, _load_images(frontend, options.image))
    if full_prompt.images:
        _require_capability(session, model, "vision")
    if options.context:
        full_prompt = _add_cells_above(frontend, full_prompt, options, [target])
    request = _build_request(session.settings, options, full_prompt.messages, target, temperature)
    request = _with_response_format(request, output_format, schema, target)
    turn_key = _build_turn_key(frontend, options) if options.thread is not None else None
    if turn_key:
        from ..chat.turns import with_history

        full_prompt = with_history(full_prompt, request, model, turn_key)
        request = replace(request, messages=tuple(full_prompt.messages))
    max_neurons, show_prompt = options.max_neurons, options.sent
    gateway = options.gateway
    tool_loop = _build_tool_loop(frontend, options, model)
    if tool_loop:
        request, full_prompt = tool_loop.with_tools(request, full_prompt)
    return ChatRun(
        frontend,
        output_format,
        full_prompt,
        request,
        target,
        turn_key,
        max_neurons,
        schema,
        show_prompt,
        gateway,
        tool_loop,
    )


def _build_tool_loop(frontend: Frontend, options: Namespace, model: Model) -> "ToolLoop | None":
    """Return the loop that runs the model's function calls, or None if --tools is not given."""
    if not options.tools:
        return None
    from ..chat.tool_loop import ToolLoop, check_user_can_approve

    if options.schema:
        raise InvalidOptionError(
            _("--tools and --schema can't be combined"), _("Use them in separate cells.")
        )
    if options.max_steps is not None and options.max_steps < 1:
        raise InvalidOptionError(
            _("--max-steps must be at least 1, not {value}").format(value=options.max_steps),
            _("Omit it for {count} requests.").format(count=DEFAULT_MAX_STEPS),
        )
    _require_capability(frontend.session, model, "tools")
    tools = tuple(_load_tool(frontend, name.strip()) for name in options.tools.split(","))
    if not options.allow_tools and not options.dry_run:
        check_user_can_approve(frontend, tools)
    return ToolLoop(frontend, tools, options.max_steps or DEFAULT_MAX_STEPS, options.allow_tools)


def _load_tool(frontend: Frontend, name: str) -> "Tool":
    from ..chat.option_values import load_option_value
    from ..prompt.tools import make_tool

    if frontend.notebook_state is None:
        raise InvalidOptionError(
            _("A shell has no Python functions to call"),
            _("Use --tools in a notebook or in IPython."),
        )
    if not NAME_PATTERN.fullmatch(name):
        raise InvalidOptionError(
            _("--tools {name} is not a valid function name").format(name=name),
            _("Use --tools NAME,NAME."),
        )
    tool = load_option_value(
        "--tools",
        name,
        frontend.notebook_state,
        lambda _name, function: make_tool(name.rpartition(".")[2], function),
        accepts_files=False,
    )
    if tool is None:
        raise InvalidOptionError(
            _("--tools: the function {name} is not defined").format(name=name),
            _("Define it first."),
        )
    return tool


def _build_comparison(frontend: Frontend, prompt: str, options: Namespace) -> "Comparison":
    """Build the requests for a comparison without sending them."""
    from ..chat.compare import Comparison

    session = frontend.session
    _check_comparison(session, options)
    output_format = _resolve_format(session.settings, options, None)
    variants, targets = _resolve_variants(session.settings, options, session.resolve_target)
    full_prompt = _build_prompt(
        session.settings, frontend.notebook_state, prompt, options, output_format
    )
    if options.image:
        full_prompt = _add_images(full_prompt, _load_images(frontend, options.image))
    if full_prompt.images:
        for target in targets:
            _require_capability(session, target.model, "vision")
    if options.context:
        full_prompt = _add_cells_above(frontend, full_prompt, options, targets)
    requests = _build_requests(session.settings, options, full_prompt, variants, targets)
    return Comparison(
        frontend,
        output_format,
        full_prompt,
        variants,
        requests,
        targets,
        options.max_neurons,
        options.sent,
        options.gateway,
    )


def build_typed_requests(
    session: "Session", prompt: str, options: Namespace
) -> "tuple[tuple[Request, ...], tuple[Target, ...]]":
    """Build the requests for a prompt as typed, without evaluating, loading or starting anything.

    The requests contain `{{…}}` as typed, empty images, and a text that is as long as the cells
    above may be, but no earlier turns of a thread.

    Raises:
        CfaiError: The prompt or an option is not valid.
    """
    from ..media.images import Image

    _check_options(prompt, options)
    if len(options.model or [""]) * len(options.temperature or [None]) * options.times > 1:
        _check_comparison(session, options)
    output_format = _resolve_format(session.settings, options, None)
    variants, targets = _resolve_variants(
        session.settings,
        options,
        lambda name: session.find_target(name or session.settings.model),
    )
    typed_prompt = _build_prompt(session.settings, None, prompt, options, output_format)
    if options.image:
        for target in targets:
            _require_capability(session, target.model, "vision")
        empty_image = Image("", b"", "png", 0, 0)
        typed_prompt = _add_images(typed_prompt, [empty_image] * len(options.image))
    if options.context:
        from ..prompt.cell_context import placeholder_context

        typed_prompt = typed_prompt._replace(context=(placeholder_context(options.context),))
    return _build_requests(session.settings, options, typed_prompt, variants, targets), targets


def _resolve_variants(
    settings: "Cfai", options: Namespace, find_target: Callable[[str], Target]
) -> "tuple[tuple[Variant, ...], tuple[Target, ...]]":
    """Return the variant and the target of each answer that the options request.

    Raises:
        InvalidOptionError: Two variants are the same.
    """
    from ..types.answer_set import make_variants

    names = options.model or [""]
    targets_by_name = {name: find_target(name) for name in names}
    requested_variants = make_variants(names, options.temperature or [None], options.times)
    targets = tuple(targets_by_name[each.model] for each in requested_variants)
    variants = tuple(
        replace(
            each,
            model=target.model.name,
            temperature=settings.temperature if each.temperature is None else each.temperature,
        )
        for each, target in zip(requested_variants, targets, strict=True)
    )
    if len(set(variants)) < len(variants):
        raise InvalidOptionError(
            _("The same model or temperature is given twice"),
            _("Use -n 2 for two answers from each."),
        )
    return variants, targets


def _build_requests(
    settings: "Cfai",
    options: Namespace,
    prompt: Prompt,
    variants: "Sequence[Variant]",
    targets: Sequence[Target],
) -> tuple[Request, ...]:
    """Return the request for each variant."""
    messages = prompt.messages
    return tuple(
        _build_request(settings, options, messages, target, variant.temperature)
        for variant, target in zip(variants, targets, strict=True)
    )


def _check_comparison(session: "Session", options: Namespace) -> None:
    """Raise an error if an option does not work in a comparison."""
    format_name = options.format or session.settings.format
    if format_name not in {"markdown", "text"} or options.extract or options.schema:
        raise InvalidOptionError(
            _("A comparison shows answers only as Markdown or text"),
            _("Remove -x and --schema, or use -f text."),
        )
    if options.tools:
        raise InvalidOptionError(
            _("--tools works only with a single answer"),
            _("Remove --tools, or the options that compare answers."),
        )
    if options.thread is not None:
        raise InvalidOptionError(
            _("-c works only with a single answer"),
            _("Remove -c, or the options that compare answers."),
        )
    if len(options.model or ()) > 1 and session.backend.is_local:
        raise InvalidOptionError(
            _("Only one local model can run at a time"),
            _("Use one -m, or run %cfai local off first."),
        )
    check_answer_count(options)


def _resolve_schema(frontend: Frontend, name: str) -> Schema:
    """Return the schema from the variable or file with this name."""
    from ..chat.option_values import load_option_value
    from ..paths import parse_user_path
    from ..prompt.output_formats import load_schema, read_schema

    schema = load_option_value("--schema", name, frontend.notebook_state, load_schema)
    if schema is not None:
        return schema
    path = parse_user_path(name)
    if path.is_file():
        return read_schema(path)
    raise InvalidOptionError(
        _("--schema {name} is neither a variable nor a file").format(name=name),
        _("Define the variable first, or check the path to the file."),
    )


def _resolve_format(settings: "Cfai", options: Namespace, schema: Schema | None) -> OutputFormat:
    if schema is None:
        name = options.format or settings.format
        if options.extract or name == "table":
            return get_format(name, extract=options.extract)
        return OUTPUT_FORMATS[name]
    if options.format not in {None, "json"} or options.extract:
        raise InvalidOptionError(_("--schema works only with -f json"), _("Remove -f and -x."))
    return OUTPUT_FORMATS["json"]._replace(instruction=schema.instruction, parse=schema.parse)


def _with_response_format(
    request: Request, output_format: OutputFormat, schema: Schema | None, target: Target
) -> Request:
    """Return the request with the schema, if any, in the `response_format` field.

    Streaming is turned off for the raw output format, and for models that can't stream answers
    that follow a schema.
    """
    if schema is None:
        return replace(request, stream=False) if output_format.name == "raw" else request
    field = {
        "response_format": schema.build_response_format(
            is_openai_compatible=target.is_openai_compatible
        )
    }
    return replace(
        request,
        stream=request.stream and supports_streaming_schema(target.model),
        extra={**field, **request.extra},
    )


def _build_prompt(
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


def _load_images(frontend: Frontend, sources: Iterable[str]) -> "list[Image]":
    from ..chat.attachments import load_image

    return [load_image(source, frontend.notebook_state) for source in sources]


def _add_images(prompt: Prompt, images: "Iterable[Image]") -> Prompt:
    parts = tuple(Part("image", name=image.name, image=image) for image in images)
    user_message = prompt.user_message
    return prompt._replace(user_message=user_message._replace(parts=(*user_message.parts, *parts)))


def _add_cells_above(
    frontend: Frontend, prompt: Prompt, options: Namespace, targets: Iterable[Target]
) -> Prompt:
    from ..chat.cells_above import with_cells_above

    return with_cells_above(
        prompt,
        frontend.notebook_state,
        options.context,
        [target.model for target in targets],
        options.max_tokens or frontend.session.settings.max_tokens,
    )


def _require_capability(session: "Session", model: Model, capability: str) -> None:
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


def _build_turn_key(frontend: Frontend, options: Namespace) -> "TurnKey":
    """Return the key that identifies the turn by its conversation and cell."""
    from ..chat.turns import TurnKey

    notebook_state = frontend.notebook_state
    thread = options.thread or (notebook_state.thread if notebook_state else SHELL_THREAD)
    return TurnKey(
        frontend.session.home, thread, notebook_state.next_cell_key() if notebook_state else ""
    )


def _check_options(prompt: str, options: Namespace) -> None:
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


def _build_request(
    settings: "Cfai",
    options: Namespace,
    messages: list[Message],
    target: Target,
    temperature: float | None,
) -> Request:
    extra: dict[str, Any] = {}
    if options.param:
        from ..tasks.task_input import parse_params

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
    )
