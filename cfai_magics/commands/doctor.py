"""The command that looks whether all is well: a line for each part, with what to do."""

from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version

from .. import catalogue as model_list
from .. import state_files
from ..asking.door import Door
from ..credentials.secret_scan import Finding, findings
from ..errors import CfaiError, NoCredentials, SetupError
from ..notebook.path import front_end
from ..paths import user_path
from ..render.formats import Table
from ..secret import Secret
from ..session import Session
from ..store.database import damage

PACKAGES = ("cfai-magics", "ipython", "ipykernel", "jupyterlab", "notebook", "ipywidgets", "httpx")
KEPT = {
    "threads.sqlite": "the conversations of -c",
    "maps.sqlite": "the answers of maps",
    "pace.sqlite": "what was sent in the last minute",
}
LABS = ("jupyterlab", "notebook")
OLD_LIST = 30  # days
SHOWN = 5  # findings
REVOKE = (
    "Revoke it on the dashboard's API Tokens page, take it out of the notebook, and run %cfai "
    "login with a new one."
)
Line = tuple[str, str]  # what was found, and what to do; nothing where all is well


def doctor(door: Door, options: Namespace) -> Table:
    """Return what was found of each part, and what to do where something is wrong."""
    session = door.session
    checks: dict[str, Callable[[], Line]] = {
        "versions": _versions,
        "front end": lambda: _front_end(session),
        "answers from": lambda: _route(session),
        "course": lambda: _course(session),
        "credentials": lambda: _credentials(session),
        "token": lambda: _token(session),
        "ledger": lambda: _ledger(session),
        "other files": lambda: _files(session),
        "privacy": lambda: _privacy(session),
        "model list": lambda: _model_list(session),
        "model": lambda: _model(session),
        "notebook": lambda: _notebook(session, options.path),
    }
    rows = tuple((name, *_looked(check)) for name, check in checks.items())
    troubles = sum(1 for *_, mend in rows if mend)
    return Table(("part", "found", "what to do"), rows, _summary(troubles))


def _looked(check: Callable[[], Line]) -> Line:
    try:
        return check()
    except CfaiError as error:
        reference = f" ({error.reference})" if error.reference else ""
        return error.cause.rstrip(".") + reference, error.hint


def _summary(troubles: int) -> str:
    if not troubles:
        return "All is well."
    return "One part needs a look." if troubles == 1 else f"{troubles} parts need a look."


def _versions() -> Line:
    installed = (f"{name} {found}" for name in PACKAGES if (found := _version(name)))
    return f"Python {python_version()}, {', '.join(installed)}", ""


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _front_end(session: Session) -> Line:
    from IPython.core.getipython import get_ipython

    return _lab_part(front_end(session.route.environ, get_ipython()), _folders(), LABS)


def _folders() -> list[str]:
    """Return the folders that a JupyterLab of this environment looks for its parts in."""
    try:
        from jupyter_core.paths import jupyter_path
    except ImportError:  # then there is no JupyterLab
        return []
    return list(jupyter_path("labextensions"))


def _lab_part(name: str, folders: Iterable[str], labs: Iterable[str]) -> Line:
    """Return whether our part is where a JupyterLab of this environment finds it."""
    if any(Path(folder, "cfai-magics", "package.json").exists() for folder in folders):
        return f"{name}; the JupyterLab part is installed in this environment", ""
    told = f"{name}; the JupyterLab part is not installed in this environment"
    if not any(map(_version, labs)):
        return f"{told}, and neither is JupyterLab", ""
    return told, "Install cfai-magics again, with CFAI_NO_LABEXTENSION unset."


def _route(session: Session) -> Line:
    if session.settings.local:
        return f"this machine ({session.settings.local})", ""
    if session.route.elsewhere is not None:
        server = session.route.elsewhere
        return f"{server.base_url}, from {server.source}", ""
    gateway = session.route.gateway()
    return f"Workers AI{f' through {gateway.shown}' if gateway else ''}", ""


def _course(session: Session) -> Line:
    path = session.settings.course.path
    return (f"held by {path}" if path else "no course's file here or above"), ""


def _credentials(session: Session) -> Line:
    try:
        found = session.route.store.find()
    except NoCredentials:
        if session.settings.local or session.route.elsewhere:
            return "none, and none is needed", ""
        raise
    return f"account …{found.account_tail}, from {found.source}", ""


def _token(session: Session) -> Line:
    """Return what Cloudflare says of the token; where there is none, the row above says why."""
    try:
        found = session.route.store.find()
    except SetupError:
        return "there is none to look at", ""
    check = session.route.check(found)
    until = f" until {check.expires_on}" if check.expires_on else ""
    told = f"{check.status}{until}, of the {check.owner}"
    if not check.can_read:
        return f"{told}; it may not list models", (
            "Give it the permission Workers AI - Read on the dashboard's API Tokens page."
        )
    if not check.can_run:
        return f"{told}; it may not ask models", (
            "Give it the permission Workers AI - Edit on the dashboard's API Tokens page."
        )
    return f"{told}; it may list and ask models, and {_analytics(session)} the account's usage", ""


def _analytics(session: Session) -> str:
    try:
        session.route.neurons_by_model(datetime.now(UTC))
    except CfaiError:
        return "may not read"
    return "may read"


def _ledger(session: Session) -> Line:
    ledger = session.books.ledger
    trouble = ledger.trouble()
    if trouble:
        return f"{ledger.path} is damaged: {trouble}", (
            "Close all kernels and move it away: a new one is begun, and its sums are lost."
        )
    return f"{ledger.path} is whole, with {ledger.history.count():,} calls", ""


def _files(session: Session) -> Line:
    """Return whether what is kept beside the ledger is whole."""
    for name, what in KEPT.items():
        found = damage(session.home / name)
        if found:
            path = session.home / name
            return f"{path} is damaged: {found}", (
                f"Close all kernels and move it away: a new one is begun, without {what}."
            )
    return "conversations, answers of maps and the minute's limit are whole", ""


def _privacy(session: Session) -> Line:
    """Return which files of state other users of this machine can read or write."""
    if not state_files.IS_POSIX:
        return f"{session.home} has the access list of its folder", ""
    found = [
        f"{path} can be {rights}" for path, rights in state_files.open_to_others(session.home)
    ]
    if not found:
        return f"only you can use what is kept in {session.home}", ""
    more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
    return f"by other users of this machine, {'; '.join([*found[:SHOWN], *more])}", (
        f"Run chmod -R go= {session.home}, or set CFAI_HOME to a folder of your own."
    )


def _model_list(session: Session) -> Line:
    damaged = model_list.damage(session.home)
    if damaged:
        return f"{damaged} can't be read: the shipped list is used", (
            "%cfai models --refresh writes it anew."
        )
    known = session.catalogue()
    age = (datetime.now(UTC).date() - date.fromisoformat(known.date)).days
    found = f"{known.source}, of {known.date}, {age} days old"
    return found, "%cfai models --refresh" if age > OLD_LIST else ""


def _model(session: Session) -> Line:
    model = session.model(session.settings.model)
    if model.retires is None:
        return model.name, ""
    return f"{model.name}, which retires on {model.retires}", "%cfai use another one."


def _notebook(session: Session, named: str) -> Line:
    path = user_path(named or session.notebook)
    if not (named or session.notebook):
        return "not looked at: %cfai doctor lesson.ipynb looks into one for secrets", ""
    found = findings(path, list(_secrets(session)))
    if not found:
        return f"no secret in {path}", ""
    return f"{path} holds {_listed(found)}", REVOKE


def _listed(found: list[Finding]) -> str:
    told = [f"{each.what} in {each.place}" for each in found[:SHOWN]]
    more = len(found) - SHOWN
    return "; ".join([*told, *([f"and {more} more"] if more > 0 else [])])


def _secrets(session: Session) -> Iterator[tuple[str, Secret]]:
    """Yield the secrets in use, by name."""
    try:
        yield "the API token in use", session.route.store.find().api_token
    except CfaiError:
        return
