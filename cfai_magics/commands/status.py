"""Show the settings in use and where each value comes from."""

from argparse import Namespace
from pathlib import Path

from .. import __version__, runtime
from ..backends.addresses import mask_secrets
from ..backends.class_server import ClassServer
from ..backends.selector import API_URL_VARIABLE
from ..chat.frontend import Frontend
from ..course import CoursePolicy
from ..display.tables import Table, format_date, format_neurons, format_retry_message
from ..errors import CfaiError, SetupError
from ..i18n import _, mark
from ..pricing.catalog import SOURCE_LABELS
from ..session.session import Session
from ..texts import shorten

OPTIONS = ()


BUDGET_LABELS = {
    "cell": mark("{neurons:,.0f} per call"),
    "notebook": mark("{neurons:,.0f} per notebook"),
    "session": mark("{neurons:,.0f} per session"),
    "day": mark("{neurons:,.0f} per day"),
}
SEPARATE_ROW_SETTINGS = {
    *("model", "max_tokens", "local", "gateway", "metadata", "base_url", "class_server"),
    "recording",
}
MAX_VALUE_CHARS = 60  # longer values are shortened in the table
Row = tuple[str, str, str]


def run(frontend: Frontend, _options: Namespace) -> Table:
    """Return a table of the settings in use and where each value comes from."""
    session = frontend.session
    catalog = session.catalog()
    home_source = "CFAI_HOME" if session.backend.environ.get("CFAI_HOME") else _("default")
    rows = (
        *_backend_rows(frontend),
        *_setting_rows(session),
        *_course_rows(session.settings.course),
        (_("recording"), *session.recorder.mode_resolver.describe()),
        (
            _("model list"),
            _("from {date}").format(date=format_date(catalog.date)),
            _(SOURCE_LABELS[catalog.source]),
        ),
        (_("data folder"), str(session.home), home_source),
        *_browser_rows(session.home),
        (_("version"), __version__, ""),
    )
    return Table((_("setting"), _("value"), _("from")), rows)


def _backend_rows(frontend: Frontend) -> list[Row]:
    """Return the rows for the backend that will answer the next prompt."""
    session = frontend.session
    backend, settings = session.backend, session.settings
    if settings.local:
        description = _("this machine ({model}); %cfai local off switches back").format(
            model=settings.local
        )
        return [(_("answers from"), description, _(settings.get_origin("local")))]
    if settings.private:
        description = _("recordings; %cfai local starts a model on this machine")
        return [(_("answers from"), description, _(settings.get_origin("private")))]
    server = backend.server
    if server is not None:
        return [(_("answers from"), server.base_url, server.source)]
    class_server = backend.class_server
    if class_server is not None:
        return _class_rows(frontend, class_server)
    api_url = backend.environ.get(API_URL_VARIABLE)
    rows = [(_("address"), mask_secrets(api_url), API_URL_VARIABLE)] if api_url else []
    rows += _gateway_rows(session)
    try:
        credentials = backend.credential_store.find()
    except SetupError as error:
        return [*rows, (_("account"), _("none"), error.format_line())]
    return [*rows, (_("account"), f"…{credentials.account_suffix}", credentials.source)]


def _class_rows(frontend: Frontend, server: ClassServer) -> list[Row]:
    """Return the rows for a class server, which is asked for the name and the budget."""
    backend = frontend.session.backend
    rows = [(_("class server"), server.url, server.source)]
    try:
        credentials = backend.class_credentials(server)
    except SetupError as error:
        return [*rows, (_("key"), _("none"), error.format_line())]
    rows.append((_("key"), credentials.masked_key, credentials.source))
    try:
        status = backend.fetch_class_status(
            credentials, lambda *what: frontend.print(format_retry_message(*what))
        )
    except CfaiError as error:
        return [*rows, (_("student"), _("unknown"), error.format_line())]
    budget = _("{spent} of {budget} neurons used today").format(
        spent=format_neurons(status.spent), budget=format_neurons(status.budget)
    )
    source = _("the class server")
    return [*rows, (_("student"), status.name, source), (_("class budget"), budget, source)]


def _browser_rows(home: Path) -> list[Row]:
    """Return the rows for the storage and the requests of a browser, or an empty list."""
    if not runtime.IS_BROWSER:
        return []
    from ..browser_page import has_stop_button
    from ..browser_storage import is_mounted
    from ..workers_ai.fetch import DEADLINE, is_streaming

    way = (
        _("fetch; answers are streamed")
        if is_streaming()
        else _("XMLHttpRequest; answers are not streamed, because the browser has no JSPI")
    )
    storage = (
        _("the ledger and the settings are kept in this browser")
        if is_mounted(home)
        else _("the ledger and the settings are lost when the kernel restarts")
    )
    if has_stop_button():
        interrupt = _("the Stop button below the running cell")
    else:
        interrupt = _("a running cell can't be interrupted; an answer ends after {seconds:,.0f} s")
    return [
        (_("storage"), storage, _("browser")),
        (_("requests"), way, _("browser")),
        (_("interrupt"), interrupt.format(seconds=DEADLINE), _("browser")),
    ]


def _gateway_rows(session: Session) -> list[Row]:
    """Return the rows for the AI Gateway in use, or an empty list if none is in use."""
    course, settings = session.settings.course, session.settings
    gateway = session.backend.resolve_gateway()
    if gateway is None:
        return []
    gateway_source = str(course.path) if course.gateway else _(settings.get_origin("gateway"))
    rows = [(_("gateway"), gateway.name, gateway_source)]
    for name, value in gateway.metadata.items():
        is_from_course = name in course.metadata
        source = str(course.path) if is_from_course else _(settings.get_origin("metadata"))
        rows.append((_("metadata {name}").format(name=name), str(value), source))
    return rows


def _setting_rows(session: Session) -> list[Row]:
    """Return a row for each main setting and each other setting that was changed."""
    settings = session.settings
    always_shown = ["max_tokens"] if settings.local else ["model", "max_tokens"]
    others = sorted(set(settings.trait_names(config=True)) - SEPARATE_ROW_SETTINGS)
    changed = [name for name in others if settings.get_origin(name) != "default"]
    return [
        (
            _(name.replace("_", " ")),
            _format_setting(session, name),
            _(settings.get_origin(name)),
        )
        for name in (*always_shown, *changed)
    ]


def _format_setting(session: Session, name: str) -> str:
    value = getattr(session.settings, name)
    if name == "model":
        value = session.find_target(value, use_local=False).model.name
    is_number = isinstance(value, int) and not isinstance(value, bool)
    text = f"{value:,}" if is_number else str(value)
    return shorten(text, MAX_VALUE_CHARS)


def _course_rows(course: CoursePolicy) -> list[Row]:
    """Return rows for the course rules in cfai.toml that are not settings."""
    budgets = (_(BUDGET_LABELS[scope]).format(neurons=amount) for scope, amount in course.budgets)
    rows = (
        (_("allowed models"), ", ".join(course.allowed_models)),
        (_("course budgets"), ", ".join(budgets)),
        (_("locked"), ", ".join(sorted(course.locked))),
    )
    return [(name, value, str(course.path)) for name, value in rows if value]
