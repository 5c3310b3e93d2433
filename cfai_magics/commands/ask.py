"""The main command: one prompt in, one answer shown and kept."""

import re
from argparse import Namespace
from dataclasses import replace
from keyword import iskeyword

from ..asking.attachments import attached
from ..asking.calling import Calling, check_confirmable
from ..asking.comparing import Comparing
from ..asking.continuing import Place, continued
from ..asking.door import Door
from ..asking.piped import MARK, prompt_of
from ..asking.question import Asking
from ..errors import BadOption, NoTools, NoVision
from ..forms.form import FORMS, Form, form_for
from ..forms.schema import Schema, read_schema, schema_of, streams
from ..native.given import parameters
from ..native.tasking import tasking
from ..paths import user_path
from ..prompt.parts import Part, Prompt, question
from ..prompt.spelling import Limits
from ..render.preview import Preview, TaskPreview
from ..tools.functions import Tool, tool
from ..values import Answer, Model, Request
from ..values.answers import Answers, Variant, variants
from . import ask_parser

NAME = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
MOST_ANSWERS = 60  # of one cell
MOST_STEPS = 8
NAMED = 5  # models that can, at most
SHELLS_THREAD = "main"  # where no notebook gives the conversation its name


def ask(door: Door, options: Namespace) -> Preview | TaskPreview | None:
    """Ask the question made of the words on the line; or, with --dry-run, only show it."""
    words: list[str] = options.prompt
    prompt = prompt_of(words, door.piped) if door.piped else " ".join(words)
    if not prompt.strip() or (prompt == MARK and not door.piped):
        piped = " or piped text" if door.piped else ""
        raise BadOption(f"A question is required: prompt{piped}", "%cfai ask What is a neuron?")
    answered = answer(door, prompt, options)
    return None if isinstance(answered, Answer | Answers) else answered


def answer(
    door: Door, prompt: str, options: Namespace
) -> Answer | Answers | Preview | TaskPreview:
    """Ask the prompt with the options of ASK_OPTIONS, show the answer as it comes and keep it.

    With --dry-run nothing is asked or kept, and what would be sent is returned.
    """
    _check(prompt, options)
    footer = options.footer or door.session.settings.footer
    if options.task:
        task = tasking(door, prompt, options, _typed(options))
        return task.preview() if options.dry_run else task.run(footer, options.output)
    several = max(len(options.model or ()), len(options.temperature), options.times) > 1
    asking = (_comparing if several else _asking)(door, prompt, options)
    if options.dry_run:
        return asking.preview()
    return asking.ask(footer, options.output)


def _typed(options: Namespace) -> set[str]:
    """Return the names of the options that the line holds."""
    defaults = vars(ask_parser().parse_args([]))
    return {name for name, value in vars(options).items() if value != defaults.get(name, value)}


def _asking(door: Door, prompt: str, options: Namespace) -> Asking:
    """Return the question as it will be sent, its variables filled; nothing is sent yet."""
    schema = _schema(door, options.schema)
    form = _form(door, options, schema)
    request = _request(door, options, *(options.model or [""]), *(options.temperature or [None]))
    model = door.session.model(request.model)
    plain = not door.session.route.is_cloudflare and not model.task
    request = _in_form(request, form, schema, model, local=plain)
    if options.image:
        _check_able(door, model, "vision")
    composed = _composed(door, prompt, options, form)
    if composed.images:
        _check_able(door, model, "vision")
    request = replace(request, messages=tuple(composed.messages))
    place = _place(door, options)
    if place:
        composed = continued(composed, request, model, place)
        request = replace(request, messages=tuple(composed.messages))
    most, sent = options.max_neurons, options.sent
    way = options.gateway
    calling = _calling(door, options, model)
    if calling:
        request, composed = calling.declared(request, composed)
    return Asking(door, form, composed, request, model, place, most, schema, sent, way, calling)


def _calling(door: Door, options: Namespace, model: Model) -> Calling | None:
    """Return the functions that the model may call; None without --tools."""
    if not options.tools:
        if options.allow_tools or options.max_steps is not None:
            raise BadOption("--allow-tools and --max-steps go with --tools", "--tools NAME")
        return None
    if options.schema:
        raise BadOption("--tools and --schema exclude each other", "Ask in two cells.")
    if options.max_steps is not None and options.max_steps < 1:
        raise BadOption(f"--max-steps {options.max_steps} asks nothing", "Use 1 or more.")
    _check_able(door, model, "tools")
    tools = tuple(_tool(door, name.strip()) for name in options.tools.split(","))
    if not options.allow_tools and not options.dry_run:
        check_confirmable(door, tools)
    return Calling(door, tools, options.max_steps or MOST_STEPS, options.allow_tools)


def _tool(door: Door, name: str) -> Tool:
    if door.workspace is None:
        raise BadOption("A shell has no functions", "Use --tools in a notebook or in IPython.")
    if not NAME.fullmatch(name):
        raise BadOption(f"--tools {name} is no name of a function", "--tools NAME,NAME")
    try:
        return tool(name.rpartition(".")[2], door.workspace.evaluate(name))
    except (NameError, AttributeError):
        raise BadOption(f"--tools {name} is no name here", "Define it first.") from None


def _comparing(door: Door, prompt: str, options: Namespace) -> Comparing:
    """Return the question as it will be sent in several ways; nothing is sent yet."""
    _check_several(door, options)
    form = _form(door, options, None)
    asked = variants(options.model or [""], options.temperature or [None], options.times)
    requests = [_request(door, options, each.model, each.temperature) for each in asked]
    models = [door.session.model(request.model) for request in requests]
    named = [
        Variant(request.model, request.temperature, each.number)
        for request, each in zip(requests, asked, strict=True)
    ]
    if len(set(named)) < len(named):
        raise BadOption("A model or temperature is named twice", "-n 2 asks each of them twice.")
    composed = _composed(door, prompt, options, form)
    if composed.images:
        for model in models:
            _check_able(door, model, "vision")
    sent = [replace(request, messages=tuple(composed.messages)) for request in requests]
    most, shows_sent = options.max_neurons, options.sent
    ways = tuple(named), tuple(sent), tuple(models)
    return Comparing(door, form, composed, *ways, most, shows_sent, options.gateway)


def _check_several(door: Door, options: Namespace) -> None:
    """Refuse what makes no sense for several answers at once."""
    form = options.format or door.session.settings.format
    if form not in {"markdown", "text"} or options.extract or options.schema:
        raise BadOption(
            "Several answers are shown as Markdown or text", "Leave -x and --schema out; -f text."
        )
    if options.tools:
        raise BadOption("Functions are called for one answer", "Leave --tools out, or ask once.")
    if options.thread is not None:
        raise BadOption("A conversation goes on from one answer", "Leave -c out.")
    if len(options.model or ()) > 1 and door.session.route.is_local:
        raise BadOption("On this machine one model answers", "%cfai local off, or one -m.")
    count = max(1, len(options.model or ())) * max(1, len(options.temperature)) * options.times
    if count > MOST_ANSWERS:
        raise BadOption(f"That makes {count:,} answers", f"At most {MOST_ANSWERS} come at once.")


def _schema(door: Door, name: str) -> Schema | None:
    """Return the schema that a name stands for in the notebook, or as a file; None without one."""
    if not name:
        return None
    if door.workspace and NAME.fullmatch(name):
        try:
            return schema_of(name, door.workspace.evaluate(name))
        except (NameError, AttributeError):
            pass  # then it is a file's
    path = user_path(name)
    if path.is_file():
        return read_schema(path)
    raise BadOption(f"--schema {name} is no name here, and no file", "Define it first.")


def _form(door: Door, options: Namespace, schema: Schema | None) -> Form:
    if schema is None:
        return form_for(options.format or door.session.settings.format, extract=options.extract)
    if options.format not in {None, "json"} or options.extract:
        raise BadOption("--schema goes only with -f json", "Leave -f and -x out.")
    return replace(FORMS["json"], instruction=schema.instruction, parse=schema.parse)


def _in_form(
    request: Request, form: Form, schema: Schema | None, model: Model, *, local: bool
) -> Request:
    """Return the request as its form has it sent: the schema as a field, streamed where it may."""
    if schema is None:
        return replace(request, stream=request.stream and form.name != "raw")
    field = {"response_format": schema.response_format(local=local)}
    return replace(
        request, stream=request.stream and streams(model), extra={**field, **request.extra}
    )


def _composed(door: Door, prompt: str, options: Namespace, form: Form) -> Prompt:
    settings = door.session.settings
    evaluate = door.workspace.evaluate if door.workspace and not options.raw else None
    limits = Limits(settings.table_rows, settings.value_characters)
    system = (
        Part("system", options.system or settings.system),
        Part("form", form.instruction, options.schema or form.name),
    )
    asked = question(prompt, evaluate, limits)
    images = [attached(word, door.workspace) for word in options.image or ()]
    parts = tuple(Part("image", name=image.name, image=image) for image in images)
    return Prompt(
        replace(asked, parts=(*asked.parts, *parts)), tuple(part for part in system if part.text)
    )


ABILITIES = {  # what messages say of each, and the error where a model lacks it
    "vision": ("does not see images", NoVision),
    "tools": ("calls no functions", NoTools),
}


def _check_able(door: Door, model: Model, ability: str) -> None:
    """Refuse what a model can't do; of one in no list, nobody knows."""
    told, error = ABILITIES[ability]
    if getattr(model, ability):
        return
    if door.session.route.is_local:
        raise error(
            f"{model.short} on this machine {told}",
            "%cfai local off leads back to models that do.",
        )
    if not model.task:
        return
    models = door.session.catalogue().models
    able = [each for each in models if getattr(each, ability) and not each.retires]
    free = sorted(able, key=lambda each: each.paid_plan_only)[:NAMED]
    names = ", ".join(f"{e.short}{' (paid plan)' if e.paid_plan_only else ''}" for e in free)
    raise error(f"{model.short} {told}", names and f"These do: {names}.")


def _place(door: Door, options: Namespace) -> Place | None:
    """Return where the question goes in a thread; None where it stands alone."""
    if options.thread is None:
        return None
    here = door.workspace
    thread = options.thread or (here.thread if here else SHELLS_THREAD)
    return Place(door.session.home, thread, here.cell() if here else "")


def _check(prompt: str, options: Namespace) -> None:
    if not prompt.strip():
        raise BadOption("The question is empty", "Write it below the %%cfai line.")
    misplaced = [name for name in ("save", "source", "target") if getattr(options, name)]
    if misplaced and not options.task:
        raise BadOption("--save, --from and --to go with --task only", "Leave them out.")
    if options.output and (not options.output.isidentifier() or iskeyword(options.output)):
        raise BadOption(f"-o {options.output} is no variable name", "Use letters, digits and _.")
    if options.max_neurons is not None and not options.max_neurons > 0:
        raise BadOption(f"--max-neurons {options.max_neurons} is no limit", "Use more than 0.")
    if options.times < 1:
        raise BadOption(f"-n {options.times} asks nothing", "Use 1 or more.")
    if options.max_tokens is not None and options.max_tokens < 1:
        raise BadOption(f"--max-tokens {options.max_tokens} leaves no answer", "Use 1 or more.")


def _request(door: Door, options: Namespace, model: str, temperature: float | None) -> Request:
    """Return the request without its messages."""
    return door.session.request(
        (),
        model,
        max_tokens=options.max_tokens,
        temperature=temperature,
        top_p=options.top_p,
        seed=options.seed,
        stop=tuple(options.stop or ()),
        think=options.think,
        stream=not options.no_stream,
        extra=parameters(options),
    )
