"""Estimate the cost of a `%%cfai` cell from its source, while the user edits the cell.

The source is only parsed. Nothing in it is evaluated, loaded, stored, logged or sent.
"""

from argparse import Namespace
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, NamedTuple

from ..chat.options import get_ask_parser
from ..commands.ask import build_typed_requests
from ..errors import CfaiError
from ..magic_line import split_magic_line
from ..notebook import split_cell
from ..prompt.template import Field, parse_template
from ..redaction import reject_token

if TYPE_CHECKING:
    from ..session.session import Session


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

    Returns None if running the cell would fail, for example because of an invalid option. Also
    returns None for cells with a task, a schema or tools, which have another price or can send
    several requests.
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
    sends_nothing = options.dry_run or session.settings.local
    if sends_nothing or not session.recorder.mode_resolver.is_network_allowed():
        return CellEstimate(0.0, 0.0)
    calls = session.resolver.preview_chats(requests, targets)
    paid_calls = [
        (call.cost, session.resolver.estimate_typical_neurons(request, target))
        for call, request, target in zip(calls, requests, targets, strict=True)
        if not call.is_recorded
    ]
    if not paid_calls:
        return CellEstimate(0.0, 0.0)
    session.backend.resolve_gateway(options.gateway)  # raises an error if it is not valid
    details = _has_expressions(prompt, options), options.thread is not None
    costs = [cost.bounded for cost, _typical in paid_calls if cost is not None]
    if len(costs) < len(paid_calls):
        return CellEstimate(None, None, *details)
    total_cost = reduce(add, costs)
    if options.max_neurons:
        total_cost = total_cost.capped(options.max_neurons)
    typical = sum(typical or 0.0 for _cost, typical in paid_calls)
    return CellEstimate(min(typical, total_cost.high), total_cost.high, *details)


def _has_expressions(prompt: str, options: Namespace) -> bool:
    if options.raw or "{{" not in prompt:
        return False
    return any(isinstance(piece, Field) for piece in parse_template(prompt).pieces)
