"""Estimate how much a notebook will cost for a class, without running the notebook."""

from argparse import Namespace
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..chat.cell_estimate import build_typed_requests
from ..chat.frontend import Frontend
from ..chat.options import ASK_LINE_OPTIONS, Option, OptionParser, get_ask_parser
from ..display.tables import Table, format_estimate, format_neurons
from ..errors import CfaiError, InvalidOptionError
from ..i18n import _, mark, ngettext
from ..notebook import CfaiCell, read_cfai_cells
from ..paths import parse_user_path
from ..pricing.prices import Estimate, sum_estimates, to_usd
from ..session.call import Target
from ..session.session import Session
from ..texts import format_percent, shorten_line
from ..types.messages import Request
from ..types.usage import CHAT_TASK, FREE_DAILY_NEURONS, DayUsage, Model

if TYPE_CHECKING:
    from ..classes.fit import CurrentClass

OPTIONS = (
    Option("path", nargs="?", default="", help=mark("the notebook (default: this one)")),
    Option(
        "--students",
        type=int,
        metavar="N",
        help=mark("number of students who run the whole notebook once"),
    ),
    Option(
        "--class",
        dest="folder",
        default="",
        metavar="FOLDER",
        help=mark("the folder of a class, to compare the cost with its budgets"),
    ),
)


MAX_QUESTION_CHARS = 40  # longer prompts are shortened in the table
DOMINANT_SHARE = 0.25  # cells with at least this share of the total cost are marked as high
MAX_CHEAPER_MODELS = 3
NO_COST = Estimate(0.0, 0.0, 0.0, 0, typical=0.0)
RANGE_NOTE = mark(
    "≈: answers of typical length. At most: answers as long as max_tokens allows. Variables, "
    "earlier turns, schemas, functions and prompts sent from Python are not included."
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
    cost: Estimate | None = None
    error: str = ""


def run(frontend: Frontend, options: Namespace) -> Table:
    """Return a table with the estimated cost of each `%%cfai` cell and of the whole notebook."""
    students = _check_students(options)
    current_class = None
    if options.folder:
        from ..classes.fit import load_class

        current_class = load_class(options.folder)
        students = max(1, len(current_class.own_budgets))
    path = _resolve_path(frontend.session, options.path)
    line_parser = OptionParser("%cfai ask", ASK_LINE_OPTIONS)
    cells = read_cfai_cells(path, get_ask_parser(), line_parser)
    estimates = [_estimate_cell(frontend.session, cell) for cell in cells]
    if not estimates:
        raise InvalidOptionError(
            _("{path} has no %%cfai cells").format(path=path),
            _("Running it costs no neurons."),
        )
    high = sum(cell.cost.high for cell in estimates if cell.cost)
    rows = tuple(_format_row(cell, high) for cell in estimates)
    allowed = current_class.settings.models if current_class else None
    notes = _build_notes(frontend.session, estimates, students, allowed)
    if frontend.session.settings.private:
        refusal = frontend.session.settings.privacy_error().cause
        notes.append(_("The request would be refused. {reason}.").format(reason=refusal))
    if current_class:
        notes[1:1] = _compare_with_class(current_class, estimates)
    return Table(tuple(map(_, COLUMNS)), rows, "\n".join(notes), number_columns=(0, 3, 4))


def _check_students(options: Namespace) -> int:
    if options.students is None:
        return 1
    if options.folder:
        raise InvalidOptionError(
            _("--students and --class exclude each other"),
            _("A class has its own number of students. Leave out --students."),
        )
    if options.students < 1:
        raise InvalidOptionError(
            _("--students must be at least 1, not {value}").format(value=options.students),
            _("Example: --students 30"),
        )
    return int(options.students)


def _compare_with_class(
    current_class: "CurrentClass", estimates: Sequence[_CellEstimate]
) -> list[str]:
    """Return notes on whether the notebook fits the budgets of a class."""
    from ..classes.fit import describe_fit

    typical, high = _sum_costs((cell.cost for cell in estimates if cell.cost), 1)
    models = [request.model for cell in estimates for request in cell.requests]
    return describe_fit(current_class, typical, high, models)


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
        requests, targets = build_typed_requests(session, cell.text, options, use_local=False)
        for request, target in zip(requests, targets, strict=True):
            session.check_course_policy(request, target)
    except CfaiError as error:
        return _CellEstimate(cell, error=error.cause)
    if options.dry_run:  # the cell sends nothing
        return _CellEstimate(cell, cost=NO_COST)
    if options.task:
        error_text = _("a task: %%cfai --dry-run shows its cost")
        return _CellEstimate(cell, error=error_text)
    costs = session.resolver.estimate_costs(requests, targets)
    total_cost = sum_estimates(costs)
    if total_cost is None:
        model = targets[costs.index(None)].model
        message = _("{model} has no known price")
        return _CellEstimate(cell, error=message.format(model=model.short_name))
    if options.max_neurons:
        total_cost = total_cost.capped(options.max_neurons)
    return _CellEstimate(cell, requests, total_cost)


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
        format_estimate(estimate.cost.typical, estimate.cost.high),
        share_text,
    )


def _format_models(requests: Sequence[Request]) -> str:
    """Return text with the models that a cell uses and the number of requests to each model."""
    names = [request.model.rpartition("/")[2] for request in requests]
    counts = {name: names.count(name) for name in names}
    return ", ".join(f"{count} × {name}" if count > 1 else name for name, count in counts.items())


def _build_notes(
    session: Session,
    estimates: Sequence[_CellEstimate],
    students: int,
    allowed: Sequence[str] | None,
) -> list[str]:
    """Return notes on the total cost. `allowed` are the models of a class; None allows all."""
    known_costs = [cell.cost for cell in estimates if cell.cost]
    if not known_costs:
        return [_("No cell has a known cost.")]
    typical, high = _sum_costs(known_costs, students)
    class_usage = session.class_usage() if students == 1 else None
    if class_usage is not None:
        comparison = _compare_with_class_budget(class_usage, typical, high)
    else:
        total = _describe_total(typical, high, students)
        comparison = [total, *([] if session.backend.server else [_vs_free_quota(high)])]
    return [
        *comparison,
        *_suggest_cheaper_models(session, estimates, students, high, allowed),
        _(RANGE_NOTE),
    ]


def _sum_costs(costs: Iterable[Estimate], students: int) -> tuple[float, float]:
    """Return the typical and the maximum cost for all students in neurons."""
    costs = tuple(costs)
    return (
        sum(cost.typical for cost in costs) * students,
        sum(cost.high for cost in costs) * students,
    )


def _describe_total(typical: float, high: float, students: int) -> str:
    return ngettext(
        "{count:,} student: {neurons} neurons ({dollars} before free neurons are deducted).",
        "{count:,} students: {neurons} neurons ({dollars} before free neurons are deducted).",
        students,
    ).format(
        count=students,
        neurons=format_estimate(typical, high),
        dollars=_("≈ US$ {typical:,.4f}, at most US$ {high:,.4f}").format(
            typical=to_usd(typical), high=to_usd(high)
        ),
    )


def _compare_with_class_budget(class_usage: DayUsage, typical: float, high: float) -> list[str]:
    """Return notes that compare the cost of a notebook with the budget of a student."""
    cost = _("One run costs a student {neurons} neurons.").format(
        neurons=format_estimate(typical, high)
    )
    if class_usage.class_figure is None:
        return [cost]
    budget = class_usage.class_figure.budget
    left = max(0.0, budget - class_usage.spent - class_usage.reserved)
    text = (
        _("{left} of {budget} neurons are left in your class budget today, which is enough.")
        if high <= left
        else _("Only {left} of {budget} neurons are left in your class budget today.")
    )
    return [cost, text.format(left=format_neurons(left), budget=format_neurons(budget))]


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
    session: Session,
    estimates: Sequence[_CellEstimate],
    students: int,
    high: float,
    allowed: Sequence[str] | None,
) -> list[str]:
    """Return a list with a note that names cheaper models, or an empty list if none exist."""
    requests = [request for cell in estimates if cell.cost for request in cell.requests]
    cheaper_models: list[tuple[float, float, str]] = []
    for model in filter(_is_general_chat_model, session.catalog().models):
        if allowed is not None and model.name not in allowed:
            continue
        costs = session.resolver.estimate_costs(
            [replace(request, model=model.name) for request in requests],
            [Target(model)] * len(requests),
        )
        known_costs = [cost for cost in costs if cost]
        model_typical, model_high = _sum_costs(known_costs, students)
        if len(known_costs) == len(costs) and model_high < high:
            cheaper_models.append((model_high, model_typical, model.short_name))
    if not cheaper_models:
        return []
    models_text = "; ".join(
        f"{name} {format_estimate(model_typical, model_high)}"
        for model_high, model_typical, name in sorted(cheaper_models)[:MAX_CHEAPER_MODELS]
    )
    return [_("Cheaper models for all cells: {models}.").format(models=models_text)]


def _is_general_chat_model(model: Model) -> bool:
    """Return whether a model is on the free plan and can chat.

    Guard models are excluded, because they only classify text.
    """
    return model.task == CHAT_TASK and not model.paid_plan_only and "guard" not in model.name
