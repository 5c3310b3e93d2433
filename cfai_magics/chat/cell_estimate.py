"""Estimate the cost of a `%%cfai` cell from its source.

The source is only parsed. Nothing in it is evaluated, loaded, stored, logged or sent.
"""

from argparse import Namespace
from typing import TYPE_CHECKING, NamedTuple

from ..errors import CfaiError
from ..magic_line import split_magic_line
from ..notebook import split_cell
from ..pricing.prices import sum_estimates
from ..prompt.template import Field, parse_template
from ..redaction import reject_token
from .chat_run import add_images, build_prompt, check_options, require_capability, resolve_format
from .compare import build_requests, check_comparison, resolve_variants
from .options import get_ask_parser

if TYPE_CHECKING:
    from ..session.call import Target
    from ..session.session import Session
    from ..types.messages import Request


class CellEstimate(NamedTuple):
    """The estimated cost of a cell in neurons.

    Attributes:
        typical: The cost of answers of typical length, or None if a price is unknown.
        high: The maximum cost, or None if a price is unknown.
        has_expressions: Whether the prompt contains `{{…}}`, whose values are not included.
        has_history: Whether the cell continues a thread, whose earlier turns are not included.
    """

    typical: float | None
    high: float | None
    has_expressions: bool = False
    has_history: bool = False


def estimate_cell(session: "Session", source: str) -> CellEstimate | None:
    """Return the estimated cost of a cell.

    The cells above of `--context` are estimated with their limit of tokens. Returns None if
    running the cell would fail, for example because of an invalid option. Also returns None for
    cells with a task, a schema or tools, which have another price or can send several requests.
    """
    try:
        parts = split_cell(source)
        if parts is None:
            return None
        line, prompt = parts
        reject_token(line)
        options = get_ask_parser().parse_args(split_magic_line(line))
        if options.task or options.schema or options.tools:
            return None
        return _estimate_prompt(session, prompt, options)
    except (CfaiError, ValueError, RecursionError):  # running the cell reports it
        return None


def _estimate_prompt(session: "Session", prompt: str, options: Namespace) -> CellEstimate:
    requests, targets = build_typed_requests(session, prompt, options)
    for request, target in zip(requests, targets, strict=True):
        session.check_course_policy(request, target)
    sends_nothing = options.dry_run or session.settings.local or session.settings.private
    if sends_nothing or not session.recorder.mode_resolver.is_network_allowed():
        return CellEstimate(0.0, 0.0)
    calls = session.resolver.preview_chats(requests, targets)
    paid_calls = [call for call in calls if not call.is_recorded]
    if not paid_calls:
        return CellEstimate(0.0, 0.0)
    session.backend.resolve_gateway(options.gateway)  # raises an error if it is not valid
    details = _has_expressions(prompt, options), options.thread is not None
    total_cost = sum_estimates([call.cost for call in paid_calls])
    if total_cost is None:
        return CellEstimate(None, None, *details)
    if options.max_neurons:
        total_cost = total_cost.capped(options.max_neurons)
    return CellEstimate(total_cost.typical, total_cost.high, *details)


def _has_expressions(prompt: str, options: Namespace) -> bool:
    if options.raw or "{{" not in prompt:
        return False
    return any(isinstance(piece, Field) for piece in parse_template(prompt).pieces)


def build_typed_requests(
    session: "Session", prompt: str, options: Namespace, *, use_local: bool = True
) -> "tuple[tuple[Request, ...], tuple[Target, ...]]":
    """Build the requests for a prompt as typed, without evaluating, loading or starting anything.

    The requests contain `{{…}}` as typed, empty images, and a text that is as long as the cells
    above may be, but no earlier turns of a thread. If `use_local` is False, the requests are those
    without the local model.

    Raises:
        CfaiError: The prompt or an option is not valid.
    """
    from ..media.images import Image

    check_options(prompt, options)
    if len(options.model or [""]) * len(options.temperature or [None]) * options.times > 1:
        is_local = use_local and session.backend.is_local
        check_comparison(session.settings, options, is_local=is_local)
    output_format = resolve_format(session.settings, options, None)
    variants, targets = resolve_variants(
        session.settings,
        options,
        lambda name: session.find_target(name or session.settings.model, use_local=use_local),
    )
    typed_prompt = build_prompt(session.settings, None, prompt, options, output_format)
    if options.image:
        for target in targets:
            require_capability(session, target.model, "vision")
        empty_image = Image("", b"", "png", 0, 0)
        typed_prompt = add_images(typed_prompt, [empty_image] * len(options.image))
    if options.context:
        from ..prompt.cell_context import placeholder_context

        typed_prompt = typed_prompt._replace(context=(placeholder_context(options.context),))
    return build_requests(session.settings, options, typed_prompt, variants, targets), targets
