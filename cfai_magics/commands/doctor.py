"""Check the installation and the account: a row per check, with what to do."""

from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version

from .. import state_files
from ..chat.frontend import Frontend
from ..chat.options import Option
from ..display.tables import Table
from ..errors import CfaiError, MissingCredentialsError, SetupError
from ..notebook import describe_front_end
from ..paths import parse_user_path
from ..pricing.catalog import find_damaged_cache
from ..secret import Secret
from ..secret_patterns import SecretFinding, scan_notebook
from ..session.session import Session
from ..storage.database import WAIT_SECONDS, integrity_error, opening_error

OPTIONS = (
    Option("path", nargs="?", default="", help="a notebook to look into for secrets"),
    Option("--full", action="store_true", help="check every page of large files too"),
)


PACKAGES = ("cfai-magics", "ipython", "ipykernel", "jupyterlab", "notebook", "ipywidgets", "httpx")
CONTENT_BY_DATABASE = {
    "threads.sqlite": "the conversations of -c",
    "maps.sqlite": "the answers of maps",
}
LAB_PACKAGES = ("jupyterlab", "notebook")
MAX_LIST_AGE_DAYS = 30  # days
MAX_LISTED_FINDINGS = 5  # findings
MAX_CHECKED_BYTES = 16_000_000  # a ledger of a million calls has 142 MB, and took up to 15 s
FULL_NOTE = "%cfai doctor --full checks every page"
REVOKE_HINT = (
    "Revoke it on the dashboard's API Tokens page, take it out of the notebook, and run %cfai "
    "login with a new one."
)
CheckResult = tuple[str, str]  # what was found, and what to do; nothing where all is well


def run(frontend: Frontend, options: Namespace) -> Table:
    """Return what was found of each part, and what to do where something is wrong."""
    session = frontend.session
    file_checker = _FileChecker(frontend, is_full=options.full)
    checks: dict[str, Callable[[], CheckResult]] = {
        "versions": _check_versions,
        "front end": lambda: _check_front_end(session),
        "answers from": lambda: _check_backend(session),
        "course": lambda: _check_course(session),
        "credentials": lambda: _check_credentials(session),
        "token": lambda: _check_token(session),
        "ledger": lambda: _check_ledger(session, file_checker),
        "other files": lambda: _check_databases(session, file_checker),
        "privacy": lambda: _check_permissions(session),
        "model list": lambda: _check_model_list(session),
        "model": lambda: _check_model(session),
        "notebook": lambda: _check_notebook(session, options.path),
    }
    rows = tuple((name, *_run_check(check)) for name, check in checks.items())
    problem_count = sum(1 for *_, hint in rows if hint)
    return Table(("part", "found", "what to do"), rows, _format_summary(problem_count))


def _run_check(check: Callable[[], CheckResult]) -> CheckResult:
    try:
        return check()
    except CfaiError as error:
        reference = f" ({error.reference})" if error.reference else ""
        return error.cause.rstrip(".") + reference, error.hint


def _format_summary(problem_count: int) -> str:
    if not problem_count:
        return "All is well."
    return (
        "One part needs a look." if problem_count == 1 else f"{problem_count} parts need a look."
    )


def _check_versions() -> CheckResult:
    installed = (
        f"{name} {package_version}" for name in PACKAGES if (package_version := _get_version(name))
    )
    return f"Python {python_version()}, {', '.join(installed)}", ""


def _get_version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _check_front_end(session: Session) -> CheckResult:
    from IPython.core.getipython import get_ipython

    return _check_labextension(
        describe_front_end(session.backend.environ, get_ipython()),
        _labextension_dirs(),
        LAB_PACKAGES,
    )


def _labextension_dirs() -> list[str]:
    """Return the folders that a JupyterLab of this environment looks for its parts in."""
    try:
        from jupyter_core.paths import jupyter_path
    except ImportError:  # then there is no JupyterLab
        return []
    return list(jupyter_path("labextensions"))


def _check_labextension(
    front_end_name: str, folders: Iterable[str], lab_packages: Iterable[str]
) -> CheckResult:
    """Return whether our part is where a JupyterLab of this environment finds it."""
    if any(Path(folder, "cfai-magics", "package.json").exists() for folder in folders):
        return f"{front_end_name}; the JupyterLab part is installed in this environment", ""
    description = f"{front_end_name}; the JupyterLab part is not installed in this environment"
    if not any(map(_get_version, lab_packages)):
        return f"{description}, and neither is JupyterLab", ""
    return description, "Install cfai-magics again, with CFAI_NO_LABEXTENSION unset."


def _check_backend(session: Session) -> CheckResult:
    if session.settings.local:
        return f"this machine ({session.settings.local})", ""
    if session.backend.server is not None:
        server = session.backend.server
        return f"{server.base_url}, from {server.source}", ""
    gateway = session.backend.resolve_gateway()
    return f"Workers AI{f' through {gateway.label}' if gateway else ''}", ""


def _check_course(session: Session) -> CheckResult:
    path = session.settings.course.path
    return (f"held by {path}" if path else "no course's file here or above"), ""


def _check_credentials(session: Session) -> CheckResult:
    try:
        credentials = session.backend.credential_store.find()
    except MissingCredentialsError:
        if session.settings.local or session.backend.server:
            return "none, and none is needed", ""
        raise
    return f"account …{credentials.account_suffix}, from {credentials.source}", ""


def _check_token(session: Session) -> CheckResult:
    """Return what Cloudflare says of the token; where there is none, the row above says why."""
    try:
        credentials = session.backend.credential_store.find()
    except SetupError:
        return "there is none to look at", ""
    token_check = session.backend.check_token(credentials)
    expiry_text = f" until {token_check.expires_on}" if token_check.expires_on else ""
    description = f"{token_check.status}{expiry_text}, of the {token_check.owner}"
    if not token_check.can_read:
        return f"{description}; it may not list models", (
            "Give it the permission Workers AI - Read on the dashboard's API Tokens page."
        )
    if not token_check.can_run:
        return f"{description}; it may not ask models", (
            "Give it the permission Workers AI - Edit on the dashboard's API Tokens page."
        )
    usage_access = _describe_usage_access(session)
    return f"{description}; it may list and ask models, and {usage_access} the account's usage", ""


def _describe_usage_access(session: Session) -> str:
    try:
        session.backend.neurons_by_model(datetime.now(UTC))
    except CfaiError:
        return "may not read"
    return "may read"


class _FileChecker:
    """Checks databases for damage: all pages of small ones, and of large ones with --full."""

    def __init__(self, frontend: Frontend, *, is_full: bool) -> None:
        self._frontend = frontend
        self._is_full = is_full

    def checks_every_page(self, path: Path) -> bool:
        """Return whether a file is small or --full is set."""
        return self._is_full or not _is_large(path)

    def find_damage(self, path: Path) -> str:
        """Return what is damaged in a file; empty if nothing is or the file is missing."""
        if not _is_large(path):
            return integrity_error(path)
        if not self._is_full:
            return opening_error(path)
        seconds = 0.0
        size = f"{path.stat().st_size / 1e6:,.0f} MB"

        def report_progress() -> None:
            nonlocal seconds
            seconds += WAIT_SECONDS
            self._frontend.print(f"Still checking {path.name}, for {seconds:.0f} s.")

        self._frontend.print(f"Checking every page of {path.name}, {size}.")
        return integrity_error(path, report_progress)


def _is_large(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > MAX_CHECKED_BYTES


def _check_ledger(session: Session, file_checker: _FileChecker) -> CheckResult:
    ledger = session.accounting.ledger
    ledger.open()
    damage = file_checker.find_damage(ledger.path)
    if damage:
        return f"{ledger.path} is damaged: {damage}", (
            "Close all kernels and move it away: a new one is begun, and its sums are lost."
        )
    is_whole = file_checker.checks_every_page(ledger.path)
    count_text = f"with {ledger.history.count_calls():,} calls"
    if is_whole:
        return f"{ledger.path} is whole, {count_text}", ""
    return f"{ledger.path} can be read, {count_text}; {FULL_NOTE}", ""


def _check_databases(session: Session, file_checker: _FileChecker) -> CheckResult:
    """Check the databases beside the ledger for damage."""
    paths = [session.home / name for name in CONTENT_BY_DATABASE]
    for path in paths:
        damage = file_checker.find_damage(path)
        if damage:
            return f"{path} is damaged: {damage}", (
                "Close all kernels and move it away: a new one is begun, without "
                f"{CONTENT_BY_DATABASE[path.name]}."
            )
    is_whole = all(map(file_checker.checks_every_page, paths))
    state = "are whole" if is_whole else f"can be read; {FULL_NOTE}"
    return f"conversations and answers of maps {state}", ""


def _check_permissions(session: Session) -> CheckResult:
    """Return which files of state other users of this machine can read or write."""
    if not state_files.IS_POSIX:
        return f"{session.home} has the access list of its folder", ""
    open_paths = [
        f"{path} can be {rights}"
        for path, rights in state_files.iter_exposed_entries(session.home)
    ]
    if not open_paths:
        return f"only you can use what is kept in {session.home}", ""
    omission_note = (
        [f"and {len(open_paths) - MAX_LISTED_FINDINGS} more"]
        if len(open_paths) > MAX_LISTED_FINDINGS
        else []
    )
    path_list = "; ".join([*open_paths[:MAX_LISTED_FINDINGS], *omission_note])
    return (
        f"by other users of this machine, {path_list}",
        (f"Run chmod -R go= {session.home}, or set CFAI_HOME to a folder of your own."),
    )


def _check_model_list(session: Session) -> CheckResult:
    damaged_path = find_damaged_cache(session.home)
    if damaged_path:
        return f"{damaged_path} can't be read: the shipped list is used", (
            "%cfai models --refresh writes it anew."
        )
    catalog = session.catalog()
    age = (datetime.now(UTC).date() - date.fromisoformat(catalog.date)).days
    description = f"{catalog.source}, of {catalog.date}, {age} days old"
    return description, "%cfai models --refresh" if age > MAX_LIST_AGE_DAYS else ""


def _check_model(session: Session) -> CheckResult:
    model = session.resolve_model(session.settings.model)
    if model.deprecation_date is None:
        return model.name, ""
    return f"{model.name}, which retires on {model.deprecation_date}", "%cfai use another one."


def _check_notebook(session: Session, path_text: str) -> CheckResult:
    path = parse_user_path(path_text or session.notebook)
    if not (path_text or session.notebook):
        return "not looked at: %cfai doctor lesson.ipynb looks into one for secrets", ""
    findings = scan_notebook(path, list(_iter_secrets(session)))
    if not findings:
        return f"no secret in {path}", ""
    return f"{path} holds {_format_findings(findings)}", REVOKE_HINT


def _format_findings(findings: list[SecretFinding]) -> str:
    descriptions = [
        f"{finding.kind} in {finding.location}" for finding in findings[:MAX_LISTED_FINDINGS]
    ]
    hidden_count = len(findings) - MAX_LISTED_FINDINGS
    return "; ".join([*descriptions, *([f"and {hidden_count} more"] if hidden_count > 0 else [])])


def _iter_secrets(session: Session) -> Iterator[tuple[str, Secret]]:
    """Yield the secrets in use, by name."""
    try:
        yield "the API token in use", session.backend.credential_store.find().api_token
    except CfaiError:
        return
