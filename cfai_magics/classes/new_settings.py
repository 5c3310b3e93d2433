"""Check and build the settings of a new class from the options of `cfai class new`."""

import re
from argparse import Namespace
from collections.abc import Mapping, Sequence

from ..arguments import check_value, find_closest, format_suggestions
from ..backends.addresses import is_loopback
from ..errors import InvalidOptionError
from ..i18n import _, mark
from ..pricing.catalog import find_model
from ..pricing.limits import parse_neurons
from ..types.usage import FREE_DAILY_NEURONS, Catalog
from .fit import format_budget
from .roster import MAX_ANSWER_TOKENS, MAX_NEURONS, NewStudent

DEFAULT_SHARE = 300.0  # as the class server
DEFAULT_MAX_TOKENS = 2048  # as the class server
MAX_SYSTEM_CHARS = 20_000  # as the class server
SITE_PATTERN = re.compile(
    r"(?P<origin>(?P<scheme>https?)://(?P<host>[a-z0-9.-]*[a-z0-9])(?::\d+)?)(?=[/?#]|\Z)"
)
TIME_ZONE_PATTERN = re.compile(r"[A-Za-z][\w+-]*(?:/[\w+-]+)*", re.ASCII)


def build_settings(options: Namespace, catalog: Catalog, notes: list[str]) -> Mapping[str, object]:
    """Return all settings of a new class, with the names of the class server.

    Args:
        options: The options of `cfai class new`.
        catalog: The models, for their full names.
        notes: The list to which notes for the teacher are added.

    Raises:
        InvalidOptionError: An option is not valid.
        ModelNotFoundError: A model is not in the catalog.
    """
    models = [find_model(name, catalog) for name in options.models]
    unpriced = [model.short_name for model in models if model.neurons_in is None]
    if unpriced:
        notes.append(
            _(
                "The server refuses calls to {models}, because the price per token is not known."
            ).format(models=", ".join(unpriced))
        )
    max_tokens = DEFAULT_MAX_TOKENS if options.max_tokens is None else options.max_tokens
    check_value("max_tokens", max_tokens, "--max-tokens ")
    if max_tokens > MAX_ANSWER_TOKENS or len(options.system) > MAX_SYSTEM_CHARS:
        raise InvalidOptionError(
            _("--max-tokens or --system is too large"),
            _("Use at most {tokens:,} tokens and {characters:,} characters.").format(
                tokens=MAX_ANSWER_TOKENS, characters=MAX_SYSTEM_CHARS
            ),
        )
    return {
        "budget": parse_share(options.budget) if options.budget else FREE_DAILY_NEURONS,
        "share": parse_share(options.share) if options.share else DEFAULT_SHARE,
        "models": list(dict.fromkeys(model.name for model in models)) or None,
        "system_prompt": options.system,
        "max_tokens": max_tokens,
        "time_zone": _check_time_zone(options.time_zone) if options.time_zone else "UTC",
    }


def resolve_models(students: Sequence[NewStudent], catalog: Catalog) -> list[NewStudent]:
    """Return the students with the full names of their models.

    Raises:
        ModelNotFoundError: A model is not in the catalog.
    """
    return [
        student._replace(
            settings={
                **student.settings,
                "models": [find_model(name, catalog).name for name in student.settings["models"]],
            }
        )
        if "models" in student.settings
        else student
        for student in students
    ]


def _check_time_zone(name: str) -> str:
    """Return the name of a time zone. Without a time zone database, only its form is checked."""
    from zoneinfo import available_timezones

    known = available_timezones()
    if name in known or (not known and TIME_ZONE_PATTERN.fullmatch(name)):
        return name
    suggestion = format_suggestions(find_closest(name, known))
    example = _("Use a name such as Europe/Berlin.")
    raise InvalidOptionError(
        _("{name!r} is not a time zone").format(name=name), f"{suggestion} {example}".lstrip()
    )


def parse_origin(address: str) -> str:
    """Return the origin of a site, such as https://name.github.io for a page below it.

    Raises:
        InvalidOptionError: The address is not that of a web page.
    """
    match = SITE_PATTERN.match(address.lower())
    if not match or (match["scheme"] == "http" and not is_loopback(match["host"])):
        raise InvalidOptionError(
            _("{address} is not the address of a site").format(address=address),
            _("Use an address such as https://NAME.github.io."),
        )
    return match["origin"]


def warn_about_budget(students: Sequence[NewStudent], settings: Mapping[str, object]) -> list[str]:
    """Return a note if the students may use more than the free neurons of an account."""
    share = float(str(settings["share"]))
    total = sum(share if student.budget is None else student.budget for student in students)
    if total <= FREE_DAILY_NEURONS:
        return []
    return [
        _(
            "Together, the students may use {total} neurons a day, but an account has only "
            "{free:,.0f} free ones."
        ).format(total=format_budget(total), free=FREE_DAILY_NEURONS)
    ]


def parse_share(text: str) -> float:
    """Return the number of neurons in a text. Raises InvalidOptionError if it is not valid."""
    return parse_neurons(text, mark("Use a number such as 300."), MAX_NEURONS)
