"""List the models with their prices."""

from argparse import Namespace
from collections.abc import Sequence
from datetime import UTC, date, datetime

from ..arguments import find_closest, format_suggestions
from ..chat.frontend import Frontend
from ..chat.options import Option
from ..display.tables import Table, format_date, format_retry_message
from ..errors import CfaiError, MissingCredentialsError
from ..i18n import _, mark
from ..pricing.catalog import TRAITS, matches
from ..pricing.model_order import SORT_KEYS, sort_by_task, sort_models
from ..types.usage import Catalog, Model

OPTIONS = (
    Option(
        "words",
        nargs="*",
        help=mark("filter by name or task, or by free, vision or tools"),
    ),
    Option(
        "--sort",
        choices=tuple(SORT_KEYS),
        help=mark("sort by name, price (lowest first) or window (largest first)"),
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
NUMBER_COLUMNS = (2, 3, 5)
MAX_SUGGESTIONS = 3


def run(frontend: Frontend, options: Namespace) -> Table:
    """Return a table of the models that match all the given words.

    Without --sort, chat models come first, followed by the other tasks.
    """
    catalog, source_note = _load_newest_catalog(frontend, refresh=options.refresh)
    words = [word.lower() for word in options.words]
    matching_models = [
        model for model in catalog.models if all(matches(model, word) for word in words)
    ]
    if not matching_models:
        return Table((), (), f"{_describe_no_match(options.words, catalog)} {source_note}")
    if options.sort:
        sorted_models = sort_models(matching_models, options.sort)
    else:
        sorted_models = sort_by_task(matching_models)
    count_note = _("Showing {count} of {total} models.").format(
        count=len(matching_models), total=len(catalog.models)
    )
    return Table(
        tuple(map(_, COLUMNS)),
        tuple(map(_format_row, sorted_models)),
        f"{count_note} {source_note}",
        NUMBER_COLUMNS,
    )


def _describe_no_match(words: Sequence[str], catalog: Catalog) -> str:
    """Return a message for words that match no model, with the closest known words."""
    known_words = [*TRAITS, *(model.short_name for model in catalog.models)]
    suggestions = [
        suggestion
        for word in words
        if not any(matches(model, word.lower()) for model in catalog.models)
        for suggestion in find_closest(word, known_words)[:MAX_SUGGESTIONS]
    ]
    sentences = (
        _("No model matches {words}.").format(words=" ".join(words)),
        format_suggestions(suggestions),
        _("%cfai models lists all models."),
    )
    return " ".join(filter(None, sentences))


def _load_newest_catalog(frontend: Frontend, *, refresh: bool) -> tuple[Catalog, str]:
    """Return the catalog and a note on the catalog's date.

    The catalog is requested from Cloudflare, unless `refresh` is false and the cached catalog is
    from today. A class server is always asked, because its teacher can change the list. If the
    request fails, return the cached or built-in catalog.
    """
    cached_catalog = frontend.session.catalog()
    refresh = refresh or frontend.session.backend.class_server is not None
    if cached_catalog.source != "shipped" and _is_from_today(cached_catalog) and not refresh:
        return cached_catalog, _("List from {date}.").format(date=format_date(cached_catalog.date))
    try:
        newest_catalog = frontend.session.fetch_catalog(
            lambda *what: frontend.print(format_retry_message(*what))
        )
    except MissingCredentialsError:
        source_note = (
            _("Built-in list from {date}; %cfai login gets the current one.")
            if cached_catalog.source == "shipped"
            else _("Cached list from {date}; %cfai login gets the current one.")
        )
        return cached_catalog, source_note.format(date=format_date(cached_catalog.date))
    except CfaiError as error:
        source_note = (
            _("Built-in list from {date}; the current list is not available: {reason}.")
            if cached_catalog.source == "shipped"
            else _("Cached list from {date}; the current list is not available: {reason}.")
        )
        reason = error.cause.rstrip(".")
        return cached_catalog, source_note.format(
            date=format_date(cached_catalog.date), reason=reason
        )
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
