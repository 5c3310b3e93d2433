"""Build and send the request for a prompt, and show and store the answer."""

import re
from argparse import Namespace
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..chat.chat_run import (
    ChatRun,
    add_images,
    build_prompt,
    build_request,
    check_options,
    require_capability,
    resolve_format,
)
from ..chat.frontend import Frontend
from ..chat.options import ASK_LINE_OPTIONS
from ..errors import InvalidOptionError
from ..i18n import _
from ..magic_line import Word, join_words
from ..prompt.builder import Prompt
from ..prompt.output_formats import (
    OutputFormat,
    Schema,
    supports_streaming_schema,
)
from ..session.call import Target
from ..types.messages import Answer, Request
from ..types.usage import Model

if TYPE_CHECKING:
    from ..chat.compare import Comparison
    from ..chat.tool_loop import ToolLoop
    from ..chat.turns import TurnKey
    from ..display.preview import Preview, TaskPreview
    from ..media.images import Image
    from ..prompt.tools import Tool
    from ..types.answer_set import AnswerSet


OPTIONS = ASK_LINE_OPTIONS


NAME_PATTERN = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
DEFAULT_MAX_STEPS = 8
SHELL_THREAD = "main"  # the conversation that shell commands use, because they have no notebook


def run(frontend: Frontend, options: Namespace) -> "Preview | TaskPreview | None":
    """Send the words on the line as a prompt.

    Returns:
        The preview of the request if --dry-run is given, or None otherwise.
    """
    from ..chat.piped_input import STDIN_PLACEHOLDER, merge_piped_text
    from ..types.answer_set import AnswerSet

    words: list[Word] = options.prompt
    prompt = (
        merge_piped_text(words, frontend.read_stdin) if frontend.read_stdin else join_words(words)
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
    check_options(prompt, options)
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
    output_format = resolve_format(session.settings, options, schema)
    (model_name,), (temperature,) = options.model or [""], options.temperature or [None]
    target = session.resolve_target(model_name)
    model = target.model
    if options.image:
        require_capability(session, model, "vision")
    full_prompt = build_prompt(
        session.settings, frontend.notebook_state, prompt, options, output_format
    )
    if options.image:
        full_prompt = add_images(full_prompt, _load_images(frontend, options.image))
    if full_prompt.images:
        require_capability(session, model, "vision")
    if options.context:
        full_prompt = _add_cells_above(frontend, full_prompt, options, [target])
    request = build_request(session.settings, options, full_prompt.messages, target, temperature)
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
    if "{{" in prompt and not options.dry_run:
        _check_sent_values(frontend, prompt, full_prompt, [request], [target])
    if options.probs is not None and not options.dry_run:
        session.probabilities.check([request], [target])
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
    require_capability(frontend.session, model, "tools")
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
    from ..chat.compare import (
        Comparison,
        build_requests,
        check_comparison,
        resolve_variants,
    )

    session = frontend.session
    check_comparison(session.settings, options, is_local=session.backend.is_local)
    output_format = resolve_format(session.settings, options, None)
    variants, targets = resolve_variants(session.settings, options, session.resolve_target)
    full_prompt = build_prompt(
        session.settings, frontend.notebook_state, prompt, options, output_format
    )
    if options.image:
        full_prompt = add_images(full_prompt, _load_images(frontend, options.image))
    if full_prompt.images:
        for target in targets:
            require_capability(session, target.model, "vision")
    if options.context:
        full_prompt = _add_cells_above(frontend, full_prompt, options, targets)
    requests = build_requests(session.settings, options, full_prompt, variants, targets)
    if "{{" in prompt and not options.dry_run:
        _check_sent_values(frontend, prompt, full_prompt, requests, targets)
    if options.probs is not None and not options.dry_run:
        session.probabilities.check(requests, targets)
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


def _check_sent_values(
    frontend: Frontend,
    prompt: str,
    full_prompt: Prompt,
    requests: Sequence[Request],
    targets: Sequence[Target],
) -> None:
    from ..chat.sent_values import check_sent_values

    check_sent_values(frontend.session, prompt, full_prompt.user_message.parts, requests, targets)


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


def _load_images(frontend: Frontend, sources: Iterable[str]) -> "list[Image]":
    from ..chat.attachments import load_image

    return [load_image(source, frontend.notebook_state) for source in sources]


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


def _build_turn_key(frontend: Frontend, options: Namespace) -> "TurnKey":
    """Return the key that identifies the turn by its conversation and cell."""
    from ..chat.turns import TurnKey

    notebook_state = frontend.notebook_state
    thread = options.thread or (notebook_state.thread if notebook_state else SHELL_THREAD)
    return TurnKey(
        frontend.session.home, thread, notebook_state.next_cell_key() if notebook_state else ""
    )
