"""List the models with their prices."""

from argparse import Namespace
from datetime import UTC, date, datetime

from ..chat.frontend import Frontend
from ..chat.options import Option
from ..display.tables import Table, format_retry_message
from ..errors import CfaiError
from ..i18n import _, mark
from ..pricing.catalog import matches
from ..types.usage import Catalog, Model

OPTIONS = (
    Option(
        "words",
        nargs="*",
        help=mark("filter by name or task, or by free, vision or tools"),
    ),
    Option(
        "--refresh",
        action="store_true",
        help=mark("download the list even if the cached one is from today"),
    ),
)


COLUMNS = (
    *(mark("name"), mark("task"), mark("neurons/1k in"), mark("neurons/1k out")),
    *(mark("neurons by unit"), mark("window"), mark("vision"), mark("tools")),
    *(mark("reasoning"), mark("plan")),
)


def run(frontend: Frontend, options: Namespace) -> Table:
    """Return a table of the models that match all the given words."""
    catalog, source_note = _load_newest_catalog(frontend, refresh=options.refresh)
    words = [word.lower() for word in options.words]
    matching_models = [
        model for model in catalog.models if all(matches(model, word) for word in words)
    ]
    count_note = _("Showing {count} of {total} models.").format(
        count=len(matching_models), total=len(catalog.models)
    )
    return Table(
        tuple(map(_, COLUMNS)),
        tuple(map(_format_row, matching_models)),
        f"{count_note} {source_note}",
    )


def _load_newest_catalog(frontend: Frontend, *, refresh: bool) -> tuple[Catalog, str]:
    """Return the catalog and a note on the catalog's date.

    The catalog is requested from Cloudflare, unless `refresh` is false and the cached catalog is
    from today. If the request fails, return the cached or built-in catalog.
    """
    cached_catalog = frontend.session.catalog()
    if cached_catalog.source != "shipped" and _is_from_today(cached_catalog) and not refresh:
        return cached_catalog, _("List from {date}.").format(date=cached_catalog.date)
    try:
        newest_catalog = frontend.session.fetch_catalog(
            lambda *what: frontend.print(format_retry_message(*what))
        )
    except CfaiError as error:
        source_note = (
            _("Built-in list from {date}; the current list is not available: {reason}.")
            if cached_catalog.source == "shipped"
            else _("Cached list from {date}; the current list is not available: {reason}.")
        )
        reason = error.cause.rstrip(".")
        return cached_catalog, source_note.format(date=cached_catalog.date, reason=reason)
    return newest_catalog, _("List from today.")


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
        _("yes") if model.vision else "",
        _("yes") if model.tools else "",
        _("yes") if model.reasoning else "",
        _format_plan(model),
    )


def _format_plan(model: Model) -> str:
    plan = _("paid") if model.paid_plan_only else _("free")
    if not model.deprecation_date:
        return plan
    return _("{plan}, retires {date}").format(plan=plan, date=model.deprecation_date)


def _format_rate(rate: float | None) -> str:
    return "" if rate is None else f"{rate:,.2f}"
