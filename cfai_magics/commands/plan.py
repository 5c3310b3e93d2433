"""The command that tells what a notebook will cost a class before anybody runs it."""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from pathlib import Path

from ..asking.door import Door
from ..errors import BadOption, CfaiError
from ..neurons.pricing import Cost, cost, list_rates
from ..neurons.units import dollars
from ..notebook.lesson import AskingCell, asking_cells
from ..paths import user_path
from ..render.formats import Table, between
from ..session import Session
from ..store.budgets import FREE_NEURONS
from ..values import Message, Model, Request
from . import ask_parser

DOMINATES = 0.25  # of all
CHEAPER_SHOWN = 3
LOW_AND_HIGH = (
    "Low: a short answer. High: each answer as long as max_tokens lets it be. Variables, "
    "conversations, calls of functions and questions asked from Python are not counted."
)
COLUMNS = ("cell", "question", "model", "neurons, one student", "share")


@dataclass(frozen=True, slots=True)
class _Priced:
    """A cell with its requests and what they may cost; without a price `trouble` says why."""

    cell: AskingCell
    requests: tuple[Request, ...] = ()
    cost: Cost | None = None
    trouble: str = ""


def plan(door: Door, options: Namespace) -> Table:
    """Return what each asking cell of a notebook may cost, and the whole for the class."""
    if options.students < 1:
        raise BadOption(f"--students {options.students} is no class", "Use 1 or more.")
    path = _path(door.session, options.path)
    cells = [_priced(door.session, cell) for cell in asking_cells(path, ask_parser())]
    if not cells:
        raise BadOption(f"No cell of {path} begins with %%cfai", "Nothing would be billed.")
    high = sum(cell.cost.high for cell in cells if cell.cost)
    rows = tuple(_row(cell, high) for cell in cells)
    return Table(COLUMNS, rows, "\n".join(_notes(door.session, cells, options.students)))


def _path(session: Session, named: str) -> Path:
    path = named or session.notebook
    if not path:
        raise BadOption("Nobody tells here which notebook this is", "%cfai plan lesson.ipynb")
    return user_path(path)


def _priced(session: Session, cell: AskingCell) -> _Priced:
    if cell.options is None:
        return _Priced(cell, trouble=cell.trouble)
    options = cell.options
    try:
        models = [session.catalogue_model(name) for name in _models(session, options)]
        for model in models:
            session.settings.course.check_model(model.name)
    except CfaiError as error:
        return _Priced(cell, trouble=error.cause)
    costs: list[Cost] = []
    for model in models:
        found = session.books.cost(_request(session, options, cell.text, model), model)
        if found is None:
            return _Priced(cell, trouble=f"{model.short} has no known price")
        costs.append(found)
    whole = reduce(add, costs)
    if options.max_neurons:
        whole = whole.within(options.max_neurons)
    requests = (_request(session, options, cell.text, model) for model in models)
    return _Priced(cell, tuple(requests), whole)


def _models(session: Session, options: Namespace) -> list[str]:
    """Return the model of every answer that a cell asks for."""
    names: list[str] = options.model or [session.settings.model]
    times: int = max(1, len(options.temperature)) * max(1, options.times)
    return names * times


def _request(session: Session, options: Namespace, text: str, model: Model) -> Request:
    system = options.system or session.settings.system
    messages: list[Message] = [{"role": "system", "content": system}] if system else []
    return Request(
        model.name,
        (*messages, {"role": "user", "content": text}),
        max_tokens=options.max_tokens or session.settings.max_tokens,
    )


def _row(priced: _Priced, total: float) -> tuple[str, ...]:
    question = " ".join(priced.cell.text.split())
    question = question if len(question) <= 40 else f"{question[:39]}…"  # noqa: PLR2004 - a line
    if priced.cost is None:
        return str(priced.cell.number), question, "", priced.trouble, ""
    share = priced.cost.high / total if total else 0.0
    mark = ", dominates" if share >= DOMINATES else ""
    return (
        str(priced.cell.number),
        question,
        _named(priced.requests),
        between(priced.cost.low, priced.cost.high),
        f"{share:.0%}".replace("%", " %") + mark,
    )


def _named(requests: Sequence[Request]) -> str:
    """Return the models of a cell, with how often each is asked."""
    names = [request.model.rpartition("/")[2] for request in requests]
    counts = {name: names.count(name) for name in names}
    return ", ".join(f"{count} × {name}" if count > 1 else name for name, count in counts.items())


def _notes(session: Session, cells: Sequence[_Priced], students: int) -> list[str]:
    known = [cell.cost for cell in cells if cell.cost]
    low, high = (sum(getattr(c, end) for c in known) * students for end in ("low", "high"))
    who = "One student" if students == 1 else f"{students:,} students"
    return [
        f"{who}: {between(low, high)} neurons estimated, {_dollars(low, high)} without free ones.",
        _against_the_free_day(high),
        *_cheaper(session, cells, students, high),
        LOW_AND_HIGH,
    ]


def _dollars(low: float, high: float) -> str:
    return f"US$ {dollars(low):,.4f} to {dollars(high):,.4f}"


def _against_the_free_day(high: float) -> str:
    if high <= FREE_NEURONS:
        return (
            f"On one account that is at the most {high / FREE_NEURONS:.0%} of a free day.".replace(
                "%", " %"
            )
        )
    return (
        f"On one account that may be {high / FREE_NEURONS:,.1f} free days: beyond 10,000 neurons "
        "the free plan ends and the paid one is billed."
    )


def _cheaper(session: Session, cells: Sequence[_Priced], students: int, high: float) -> list[str]:
    """Return a line that names the models with which the same lesson would cost less."""
    requests = [request for cell in cells if cell.cost for request in cell.requests]
    found: list[tuple[float, float, str]] = []
    for model in session.catalogue().models:
        listed = list_rates(model)
        if listed is None or not _answers_anybody(model):
            continue
        costs = [cost(replace(request, model=model.name), listed) for request in requests]
        most, least = (sum(getattr(c, end) for c in costs) * students for end in ("high", "low"))
        if most < high:
            found.append((most, least, model.short))
    if not found:
        return []
    told = "; ".join(
        f"{name} {between(least, most)}" for most, least, name in sorted(found)[:CHEAPER_SHOWN]
    )
    return [f"Cheaper models, all cells: {told}."]


def _answers_anybody(model: Model) -> bool:
    """Whether a model answers questions, on every plan: those that guard others only judge."""
    return (
        model.task == "Text Generation" and not model.paid_plan_only and "guard" not in model.name
    )
