"""Estimate how much a notebook will cost for a class, without running the notebook."""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from pathlib import Path

from ..arguments import check_answer_count, check_option_values
from ..chat.frontend import Frontend
from ..chat.options import Option, get_ask_parser
from ..display.tables import Table, format_range
from ..errors import CfaiError, InvalidOptionError
from ..i18n import _, mark, ngettext
from ..notebook import CfaiCell, read_cfai_cells
from ..paths import parse_user_path
from ..pricing.prices import Cost, catalog_rates, estimate_cost, to_usd
from ..prompt.cell_context import placeholder_context
from ..session.reservation import NO_COST
from ..session.session import Session
from ..storage.ledger import FREE_DAILY_NEURONS
from ..texts import format_percent, shorten_line
from ..types.messages import Message, Request
from ..types.usage import CHAT_TASK, Model

OPTIONS = (
    Option("path", nargs="?", default="", help=mark("the notebook (default: this one)")),
    Option(
        "--students",
        type=int,
        default=1,
        metavar="N",
        help=mark("number of students who run the whole notebook once"),
    ),
)


MAX_QUESTION_CHARS = 40  # longer prompts are shortened in the table
DOMINANT_SHARE = 0.25  # cells with at least this share of the total cost are marked as high
MAX_CHEAPER_MODELS = 3
RANGE_NOTE = mark(
    "Low: short answers. High: answers as long as max_tokens allows. Variables, earlier turns, "
    "function calls and prompts sent from Python are not included."
)
COLUMNS = (
    mark("cell"),
    mark("prompt"),
    mark("model"),
    mark("neurons, one student"),
    mark("share"),
)


@dataclass(frozen=True, slots=True)
class _CellEstimate:
    """A cell, the requests that it sends, and the estimated cost of the requests.

    If the cost is None, `error` is the reason.
    """

    cell: CfaiCell
    requests: tuple[Request, ...] = ()
    cost: Cost | None = None
    error: str = ""


def run(frontend: Frontend, options: Namespace) -> Table:
    """Return a table with the estimated cost of each `%%cfai` cell and of the whole notebook."""
    if options.students < 1:
        raise InvalidOptionError(
            _("--students must be at least 1, not {value}").format(value=options.students),
            _("Example: --students 30"),
        )
    path = _resolve_path(frontend.session, options.path)
    estimates = [
        _estimate_cell(frontend.session, cell) for cell in read_cfai_cells(path, get_ask_parser())
    ]
    if not estimates:
        raise InvalidOptionError(
            _("{path} has no %%cfai cells").format(path=path),
            _("Running it costs no neurons."),
        )
    high = sum(cell.cost.high for cell in estimates if cell.cost)
    rows = tuple(_format_row(cell, high) for cell in estimates)
    notes = _build_notes(frontend.session, estimates, options.students)
    return Table(tuple(map(_, COLUMNS)), rows, "\n".join(notes))


def _resolve_path(session: Session, path_text: str) -> Path:
    path = path_text or session.notebook
    if not path:
        raise InvalidOptionError(
            _("A notebook path is required"),
            _("Example: %cfai plan lesson.ipynb"),
        )
    return parse_user_path(path)


def _estimate_cell(session: Session, cell: CfaiCell) -> _CellEstimate:
    if cell.options is None:
        return _CellEstimate(cell, error=cell.error)
    options = cell.options
    try:
        check_option_values(options)
        check_answer_count(options)
        targets = [
            session.find_target(name, use_local=False) for name in _list_models(session, options)
        ]
        for target in targets:
            session.settings.course.check_model(target.model.name)
    except CfaiError as error:
        return _CellEstimate(cell, error=error.cause)
    if options.dry_run:  # the cell sends nothing
        return _CellEstimate(cell, cost=NO_COST)
    costs: list[Cost] = []
    requests = []
    for target in targets:
        model = target.model
        request = _build_request(session, options, cell.text, model)
        cost = session.resolver.estimate_cost(request, target)
        if cost is None:
            message = _("{model} has no known price")
            return _CellEstimate(cell, error=message.format(model=model.short_name))
        requests.append(request)
        costs.append(cost)
    total_cost = reduce(add, costs)
    if options.max_neurons:
        total_cost = total_cost.capped(options.max_neurons)
    return _CellEstimate(cell, tuple(requests), total_cost)


def _list_models(session: Session, options: Namespace) -> list[str]:
    """Return a list with the name of the model for each answer that a cell requests."""
    names: list[str] = options.model or [session.settings.model]
    answer_count: int = max(1, len(options.temperature)) * max(1, options.times)
    return names * answer_count


def _build_request(session: Session, options: Namespace, text: str, model: Model) -> Request:
    system = options.system or session.settings.system
    messages: list[Message] = [{"role": "system", "content": system}] if system else []
    context = placeholder_context(options.context).text if options.context else ""
    return Request(
        model.name,
        (*messages, {"role": "user", "content": context + text}),
        max_tokens=options.max_tokens or session.settings.max_tokens,
    )


def _format_row(estimate: _CellEstimate, total: float) -> tuple[str, ...]:
    question = shorten_line(estimate.cell.text, MAX_QUESTION_CHARS)
    if estimate.cost is None:
        return str(estimate.cell.number), question, "", estimate.error, ""
    share = estimate.cost.high / total if total else 0.0
    share_text = format_percent(share)
    if share >= DOMINANT_SHARE:
        share_text = _("{share} (high)").format(share=share_text)
    return (
        str(estimate.cell.number),
        question,
        _format_models(estimate.requests),
        format_range(estimate.cost.low, estimate.cost.high),
        share_text,
    )


def _format_models(requests: Sequence[Request]) -> str:
    """Return text with the models that a cell uses and the number of requests to each model."""
    names = [request.model.rpartition("/")[2] for request in requests]
    counts = {name: names.count(name) for name in names}
    return ", ".join(f"{count} × {name}" if count > 1 else name for name, count in counts.items())


def _build_notes(session: Session, estimates: Sequence[_CellEstimate], students: int) -> list[str]:
    known_costs = [cell.cost for cell in estimates if cell.cost]
    if not known_costs:
        return [_("No cell has a known cost.")]
    low, high = (
        sum(getattr(cost, bound) for cost in known_costs) * students for bound in ("low", "high")
    )
    total_note = ngettext(
        "{count:,} student: estimated {neurons} neurons ({dollars} before free neurons are "
        "deducted).",
        "{count:,} students: estimated {neurons} neurons ({dollars} before free neurons are "
        "deducted).",
        students,
    ).format(count=students, neurons=format_range(low, high), dollars=_format_dollars(low, high))
    return [
        total_note,
        *([] if session.backend.server else [_vs_free_quota(high)]),
        *_suggest_cheaper_models(session, estimates, students, high),
        _(RANGE_NOTE),
    ]


def _format_dollars(low: float, high: float) -> str:
    return _("US$ {low:,.4f} to {high:,.4f}").format(low=to_usd(low), high=to_usd(high))


def _vs_free_quota(high: float) -> str:
    if high <= FREE_DAILY_NEURONS:
        share = format_percent(high / FREE_DAILY_NEURONS)
        return _("On one shared account: at most {share} of the daily free neurons.").format(
            share=share
        )
    return _(
        "On one shared account: up to {ratio:,.1f} times the daily free neurons. Beyond "
        "{limit:,.0f} neurons, the free plan stops and the paid plan bills."
    ).format(ratio=high / FREE_DAILY_NEURONS, limit=FREE_DAILY_NEURONS)


def _suggest_cheaper_models(
    session: Session, estimates: Sequence[_CellEstimate], students: int, high: float
) -> list[str]:
    """Return a list with a note that names cheaper models, or an empty list if none exist."""
    requests = [request for cell in estimates if cell.cost for request in cell.requests]
    cheaper_models: list[tuple[float, float, str]] = []
    for model in session.catalog().models:
        rates = catalog_rates(model)
        if rates is None or not _is_general_chat_model(model):
            continue
        costs = [estimate_cost(replace(request, model=model.name), rates) for request in requests]
        high_total, low_total = (
            sum(getattr(cost, bound) for cost in costs) * students for bound in ("high", "low")
        )
        if high_total < high:
            cheaper_models.append((high_total, low_total, model.short_name))
    if not cheaper_models:
        return []
    models_text = "; ".join(
        f"{name} {format_range(model_low, model_high)}"
        for model_high, model_low, name in sorted(cheaper_models)[:MAX_CHEAPER_MODELS]
    )
    return [_("Cheaper models for all cells: {models}.").format(models=models_text)]


def _is_general_chat_model(model: Model) -> bool:
    """Return whether a model is on the free plan and can chat.

    Guard models are excluded, because they only classify text.
    """
    return model.task == CHAT_TASK and not model.paid_plan_only and "guard" not in model.name
