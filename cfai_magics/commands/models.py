"""List the models with their prices."""

from argparse import Namespace
from datetime import UTC, date, datetime

from ..chat.frontend import Frontend
from ..chat.options import Option
from ..display.tables import Table, format_retry_message
from ..errors import CfaiError
from ..pricing.catalog import matches
from ..types.usage import Catalog, Model

OPTIONS = (
    Option("words", nargs="*", help="only with these words; also free, vision, tools"),
    Option("--refresh", action="store_true", help="ask Cloudflare even if the list is new"),
)


COLUMNS = (
    *("name", "task", "neurons/1k in", "neurons/1k out", "neurons by unit", "window"),
    *("vision", "tools", "reasoning", "plan"),
)


def run(frontend: Frontend, options: Namespace) -> Table:
    """Return the table of models, narrowed to those with all of the words."""
    catalog, source_note = _load_newest_catalog(frontend, refresh=options.refresh)
    words = [word.lower() for word in options.words]
    matching_models = [
        model for model in catalog.models if all(matches(model, word) for word in words)
    ]
    note = f"{len(matching_models)} of {len(catalog.models)} models; {source_note}"
    return Table(COLUMNS, tuple(map(_format_row, matching_models)), note)


def _load_newest_catalog(frontend: Frontend, *, refresh: bool) -> tuple[Catalog, str]:
    """Return the list, asked anew when it is not of today, and where it is from."""
    cached_catalog = frontend.session.catalog()
    if cached_catalog.source != "shipped" and _is_from_today(cached_catalog) and not refresh:
        return cached_catalog, f"list of {cached_catalog.date}."
    try:
        newest_catalog = frontend.session.fetch_catalog(
            lambda *what: frontend.print(format_retry_message(*what))
        )
    except CfaiError as error:
        source_text = "the shipped list" if cached_catalog.source == "shipped" else "the kept list"
        reason = error.cause.rstrip(".")
        return (
            cached_catalog,
            f"{source_text}, of {cached_catalog.date}, as no newer one could be had: {reason}.",
        )
    return newest_catalog, "list of today."


def _is_from_today(catalog: Catalog) -> bool:
    return date.fromisoformat(catalog.date) >= datetime.now(UTC).date()


def _format_row(model: Model) -> tuple[str, ...]:
    return (
        model.name,
        model.task,
        _format_rate(model.neurons_in),
        _format_rate(model.neurons_out),
        ", ".join(f"{rate:,g}/{unit}" for unit, rate in model.units.items()),
        f"{model.context_window:,}" if model.context_window else "",
        "yes" if model.vision else "",
        "yes" if model.tools else "",
        "yes" if model.reasoning else "",
        ("paid" if model.paid_plan_only else "free")
        + (f", retires {model.deprecation_date}" if model.deprecation_date else ""),
    )


def _format_rate(rate: float | None) -> str:
    return "" if rate is None else f"{rate:,.2f}"
