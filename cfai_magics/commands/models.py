"""The commands about models: list them with their prices, choose the default."""

from argparse import Namespace
from datetime import UTC, date, datetime

from ..asking.door import Door
from ..catalogue import fits
from ..errors import CfaiError
from ..render.formats import Table, next_try
from ..settings import keep_settings
from ..values import Catalogue, Model

COLUMNS = (
    *("name", "task", "neurons/1k in", "neurons/1k out", "neurons by unit", "window"),
    *("vision", "tools", "reasoning", "plan"),
)


def models(door: Door, options: Namespace) -> Table:
    """Return the table of models, narrowed to those with all of the words."""
    catalogue, remark = _newest(door, refresh=options.refresh)
    words = [word.lower() for word in options.words]
    found = [model for model in catalogue.models if all(fits(model, word) for word in words)]
    note = f"{len(found)} of {len(catalogue.models)} models; {remark}"
    return Table(COLUMNS, tuple(map(_row, found)), note)


def _newest(door: Door, *, refresh: bool) -> tuple[Catalogue, str]:
    """Return the list, asked anew when it is not of today, and where it is from."""
    known = door.session.catalogue()
    if known.source != "shipped" and _is_of_today(known) and not refresh:
        return known, f"list of {known.date}."
    try:
        newest = door.session.fetch_catalogue(lambda *what: door.say(next_try(*what)))
    except CfaiError as error:
        origin = "the shipped list" if known.source == "shipped" else "the kept list"
        why = error.cause.rstrip(".")
        return known, f"{origin}, of {known.date}, as no newer one could be had: {why}."
    return newest, "list of today."


def _is_of_today(catalogue: Catalogue) -> bool:
    return date.fromisoformat(catalogue.date) >= datetime.now(UTC).date()


def _row(model: Model) -> tuple[str, ...]:
    return (
        model.name,
        model.task,
        _neurons(model.neurons_in),
        _neurons(model.neurons_out),
        ", ".join(f"{rate:,g}/{unit}" for unit, rate in model.units.items()),
        f"{model.context_window:,}" if model.context_window else "",
        "yes" if model.vision else "",
        "yes" if model.tools else "",
        "yes" if model.reasoning else "",
        ("paid" if model.paid_plan_only else "free")
        + (f", retires {model.retires}" if model.retires else ""),
    )


def _neurons(rate: float | None) -> str:
    return "" if rate is None else f"{rate:,.2f}"


def use(door: Door, options: Namespace) -> str:
    """Make a model the default, for this kernel or for good."""
    name = door.session.catalogue_model(options.model).name
    door.session.settings.model = name
    kept = options.keep or door.remembers
    if kept:
        keep_settings(door.session.home, {"model": name})
    later = ", also in later kernels" if kept else ""
    course = door.session.settings.course
    if later and "model" in course.settings:
        later += f", but not where {course.path} sets the course's model"
    return f"Questions now go to {name}{later}."
