"""The command that shows what is in use, and where each value comes from."""

from argparse import Namespace

from .. import __version__
from ..asking.door import Door
from ..course.rules import Course
from ..errors import SetupError
from ..render.formats import Table
from ..route.route import BASE_URL_VARIABLE
from ..session import Session

SPANS = {"cell": "a call", "notebook": "a notebook", "session": "a session", "day": "a day"}
SHOWN_ELSEWHERE = {
    *("model", "max_tokens", "local", "gateway", "metadata", "base_url", "recording"),
}
LONGEST = 60  # characters of a value in a table
Row = tuple[str, str, str]


def status(door: Door, _options: Namespace) -> Table:
    """Return what is in use and where each value comes from."""
    session = door.session
    catalogue = session.catalogue()
    home = "CFAI_HOME" if session.route.environ.get("CFAI_HOME") else "default"
    rows = (
        *_where(session),
        *_settings(session),
        *_course(session.settings.course),
        ("recording", *session.replay.choice.told()),
        ("model list", f"of {catalogue.date}", catalogue.source),
        ("state kept in", str(session.home), home),
        ("version", __version__, ""),
    )
    return Table(("setting", "value", "from"), rows)


def _where(session: Session) -> list[Row]:
    """Return the rows that tell where a question would go now."""
    route, settings = session.route, session.settings
    if settings.local:
        told = f"this machine ({settings.local}); %cfai local off ends it"
        return [("answers from", told, settings.origin("local"))]
    elsewhere = route.elsewhere
    if elsewhere is not None:
        return [("answers from", elsewhere.base_url, elsewhere.source)]
    address = route.environ.get(BASE_URL_VARIABLE)
    rows = [("address", address, BASE_URL_VARIABLE)] if address else []
    rows += _gateway(session)
    try:
        found = route.store.find()
    except SetupError as error:
        return [*rows, ("account", "none", str(error))]
    return [*rows, ("account", f"…{found.account_tail}", found.source)]


def _gateway(session: Session) -> list[Row]:
    """Return the rows of the gateway that questions go through, where they go through one."""
    course, settings = session.settings.course, session.settings
    gateway = session.route.gateway()
    if gateway is None:
        return []
    origin = str(course.path) if course.gateway else settings.origin("gateway")
    rows = [("gateway", gateway.name, origin)]
    for name, value in gateway.metadata.items():
        of_course = name in course.metadata
        source = str(course.path) if of_course else settings.origin("metadata")
        rows.append((f"metadata {name}", str(value), source))
    return rows


def _settings(session: Session) -> list[Row]:
    """Return a row for the settings that everybody asks after, and for all that are changed."""
    settings = session.settings
    first = ["max_tokens"] if settings.local else ["model", "max_tokens"]
    others = sorted(set(settings.trait_names(config=True)) - SHOWN_ELSEWHERE)
    changed = [name for name in others if settings.origin(name) != "default"]
    return [
        (name.replace("_", " "), _value(session, name), settings.origin(name))
        for name in (*first, *changed)
    ]


def _value(session: Session, name: str) -> str:
    value = getattr(session.settings, name)
    if name == "model" and session.route.elsewhere is None:
        value = session.catalogue_model(value).name
    text = f"{value:,}" if isinstance(value, int) else str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _course(course: Course) -> list[Row]:
    """Return the rows of what a course's file holds beside settings."""
    budgets = (f"{amount:,.0f} for {SPANS[scope]}" for scope, amount in course.budgets)
    rows = (
        ("allowed models", ", ".join(course.allowed_models)),
        ("course budgets", ", ".join(budgets)),
        ("locked", ", ".join(sorted(course.locked))),
    )
    return [(name, value, str(course.path)) for name, value in rows if value]
