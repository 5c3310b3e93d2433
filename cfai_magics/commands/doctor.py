"""Check the installation and the account, and suggest fixes."""

from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version

from .. import state_files
from ..backends.class_server import ClassServer
from ..backends.selector import describe_token
from ..chat.frontend import Frontend
from ..chat.options import Option
from ..display.tables import Table, format_date, format_neurons
from ..errors import CfaiError, MissingCredentialsError, SetupError
from ..i18n import _, mark, ngettext
from ..notebook import describe_front_end
from ..paths import parse_user_path
from ..pricing.catalog import SOURCE_LABELS, find_damaged_cache
from ..secret import Secret
from ..secret_patterns import SecretFinding, scan_notebook
from ..session.session import Session
from ..storage.database import WAIT_SECONDS, integrity_error, opening_error

OPTIONS = (
    Option("path", nargs="?", default="", help=mark("a notebook to check for secrets")),
    Option("--full", action="store_true", help=mark("check every page of large files too")),
)


PACKAGES = ("cfai-magics", "ipython", "ipykernel", "jupyterlab", "notebook", "ipywidgets", "httpx")
CONTENT_BY_DATABASE = {
    "threads.sqlite": mark("conversations (-c)"),
    "maps.sqlite": mark("map answers"),
}
LAB_PACKAGES = ("jupyterlab", "notebook")
MAX_LIST_AGE_DAYS = 30
MAX_LISTED_FINDINGS = 5
MAX_CHECKED_BYTES = 16_000_000  # checking a 142 MB file (a million calls) took up to 15 s
FULL_NOTE = mark("%cfai doctor --full checks every page")
CheckResult = tuple[str, str]  # the result, and what to do ("" if there is no problem)


def run(frontend: Frontend, options: Namespace) -> Table:
    """Return a table with the result of each check and the steps to fix any problem."""
    session = frontend.session
    file_checker = _FileChecker(frontend, is_full=options.full)
    checks: dict[str, Callable[[], CheckResult]] = {
        _("versions"): _check_versions,
        _("front end"): lambda: _check_front_end(session),
        _("answers from"): lambda: _check_backend(session),
        _("course"): lambda: _check_course(session),
        _("credentials"): lambda: _check_credentials(session),
        _("token"): lambda: _check_token(session),
        _("ledger"): lambda: _check_ledger(session, file_checker),
        _("other files"): lambda: _check_databases(session, file_checker),
        _("privacy"): lambda: _check_permissions(session),
        _("model list"): lambda: _check_model_list(session),
        _("model"): lambda: _check_model(session),
        _("notebook"): lambda: _check_notebook(session, options.path),
    }
    results = ((name, *_run_check(check)) for name, check in checks.items())
    rows = tuple(sorted(results, key=lambda row: not row[2]))  # problems first
    problem_count = sum(1 for *_, hint in rows if hint)
    return Table((_("check"), _("result"), _("what to do")), rows, _format_summary(problem_count))


def _run_check(check: Callable[[], CheckResult]) -> CheckResult:
    try:
        return check()
    except CfaiError as error:
        reference = f" ({error.reference})" if error.reference else ""
        return error.cause.rstrip(".") + reference, error.hint


def _format_summary(problem_count: int) -> str:
    if not problem_count:
        return _("No problems found.")
    return ngettext("{count} check failed.", "{count} checks failed.", problem_count).format(
        count=problem_count
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
    """Return the folders in which JupyterLab in this environment looks for extensions."""
    try:
        from jupyter_core.paths import jupyter_path
    except ImportError:  # JupyterLab is not installed
        return []
    return list(jupyter_path("labextensions"))


def _check_labextension(
    front_end_name: str, folders: Iterable[str], lab_packages: Iterable[str]
) -> CheckResult:
    """Check whether JupyterLab in this environment can find the extension."""
    if any(Path(folder, "cfai-magics", "package.json").exists() for folder in folders):
        message = _("{front_end}; the JupyterLab extension is installed in this environment")
        return message.format(front_end=front_end_name), ""
    if not any(map(_get_version, lab_packages)):
        message = _(
            "{front_end}; JupyterLab and its extension are not installed in this environment"
        )
        return message.format(front_end=front_end_name), ""
    message = _("{front_end}; the JupyterLab extension is not installed in this environment")
    return message.format(front_end=front_end_name), _(
        "Unset CFAI_NO_LABEXTENSION and install cfai-magics again."
    )


def _check_backend(session: Session) -> CheckResult:
    if session.settings.local:
        return _("this machine ({model})").format(model=session.settings.local), ""
    if session.settings.private:
        return _("recordings, because private is on"), ""
    if session.backend.server is not None:
        server = session.backend.server
        return _("{url}, from {source}").format(url=server.base_url, source=server.source), ""
    class_server = session.backend.class_server
    if class_server is not None:
        message = _("the class server {url}, from {source}")
        return message.format(url=class_server.url, source=class_server.source), ""
    gateway = session.backend.resolve_gateway()
    if gateway:
        return _("Workers AI through {gateway}").format(gateway=gateway.label), ""
    return "Workers AI", ""


def _check_course(session: Session) -> CheckResult:
    path = session.settings.course.path
    if path:
        return _("set by {path}").format(path=path), ""
    return _("no cfai.toml in this folder or its parents"), ""


def _check_credentials(session: Session) -> CheckResult:
    if session.settings.private:
        return _("not needed, because private is on"), ""
    class_server = session.backend.class_server
    if class_server is not None:
        key = session.backend.class_credentials(class_server)
        message = _("key {key}, from {source}")
        return message.format(key=key.masked_key, source=key.source), ""
    try:
        credentials = session.backend.credential_store.find()
    except MissingCredentialsError:
        if session.settings.local or session.backend.server:
            return _("none, and not needed"), ""
        raise
    message = _("account …{suffix}, from {source}")
    return message.format(suffix=credentials.account_suffix, source=credentials.source), ""


def _check_token(session: Session) -> CheckResult:
    """Ask Cloudflare whether the token is valid and which permissions it has.

    A class server is asked whether the key is valid. `_check_credentials` reports missing
    credentials.
    """
    if session.settings.private:
        return _("not checked, because private is on"), ""
    class_server = session.backend.class_server
    if class_server is not None:
        return _check_class_key(session, class_server)
    try:
        credentials = session.backend.credential_store.find()
    except SetupError:
        return _("not checked: there is no token"), ""
    token_check = session.backend.check_token(credentials)
    description = describe_token(token_check)
    if not token_check.can_read:
        return _("{token}; it can't list models").format(token=description), _(
            "Give it the Workers AI - Read permission on the dashboard's API Tokens page."
        )
    if not token_check.can_run:
        return _("{token}; it can't run models").format(token=description), _(
            "Give it the Workers AI - Edit permission on the dashboard's API Tokens page."
        )
    facts = _("{result}; {note}")
    return facts.format(result=description, note=_describe_usage_access(session)), ""


def _check_class_key(session: Session, server: ClassServer) -> CheckResult:
    try:
        credentials = session.backend.class_credentials(server)
    except SetupError:
        return _("not checked: there is no key"), ""
    status = session.backend.fetch_class_status(credentials)
    message = _("the key of {name} is valid; {spent} of {budget} neurons used today")
    return message.format(
        name=status.name,
        spent=format_neurons(status.spent),
        budget=format_neurons(status.budget),
    ), ""


def _describe_usage_access(session: Session) -> str:
    try:
        session.backend.neurons_by_model(datetime.now(UTC))
    except CfaiError:
        return _("it can list and run models, but not read the account's usage")
    return _("it can list and run models, and read the account's usage")


class _FileChecker:
    """A checker that looks for damage in database files.

    Every page of a small file is checked. A large file is only opened, unless --full is given.
    """

    def __init__(self, frontend: Frontend, *, is_full: bool) -> None:
        self._frontend = frontend
        self._is_full = is_full

    def checks_every_page(self, path: Path) -> bool:
        """Return whether `find_damage` checks every page of the file."""
        return self._is_full or not _is_large(path)

    def find_damage(self, path: Path) -> str:
        """Return a description of the damage to a file, or "" if the file is intact or missing."""
        if not _is_large(path):
            return integrity_error(path)
        if not self._is_full:
            return opening_error(path)
        seconds = 0.0
        size = f"{path.stat().st_size / 1e6:,.0f} MB"

        def report_progress() -> None:
            nonlocal seconds
            seconds += WAIT_SECONDS
            self._frontend.print(
                _("Still checking {file} after {seconds:.0f} s.").format(
                    file=path.name, seconds=seconds
                )
            )

        self._frontend.print(
            _("Checking every page of {file}, {size}.").format(file=path.name, size=size)
        )
        return integrity_error(path, report_progress)


def _is_large(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > MAX_CHECKED_BYTES


def _check_ledger(session: Session, file_checker: _FileChecker) -> CheckResult:
    ledger = session.accounting.ledger
    ledger.open()
    damage = file_checker.find_damage(ledger.path)
    if damage:
        return _("{path} is damaged: {damage}").format(path=ledger.path, damage=damage), _(
            "Shut down all kernels and move the file to another folder. cfai-magics then starts "
            "a new file, which does not contain the usage so far."
        )
    count = ledger.history.count_calls()
    if file_checker.checks_every_page(ledger.path):
        message = ngettext(
            "{path} is intact, with {count:,} call",
            "{path} is intact, with {count:,} calls",
            count,
        )
        return message.format(path=ledger.path, count=count), ""
    message = ngettext(
        "{path} is readable, with {count:,} call",
        "{path} is readable, with {count:,} calls",
        count,
    )
    result = message.format(path=ledger.path, count=count)
    return _("{result}; {note}").format(result=result, note=_(FULL_NOTE)), ""


def _check_databases(session: Session, file_checker: _FileChecker) -> CheckResult:
    """Check all databases except the ledger for damage."""
    paths = [session.home / name for name in CONTENT_BY_DATABASE]
    for path in paths:
        damage = file_checker.find_damage(path)
        if damage:
            return _("{path} is damaged: {damage}").format(path=path, damage=damage), _(
                "Shut down all kernels and move the file to another folder. cfai-magics then "
                "starts a new file, which does not contain {content}."
            ).format(content=_(CONTENT_BY_DATABASE[path.name]))
    if all(map(file_checker.checks_every_page, paths)):
        return _("conversations and map answers are intact"), ""
    readable = _("conversations and map answers are readable")
    return _("{result}; {note}").format(result=readable, note=_(FULL_NOTE)), ""


def _check_permissions(session: Session) -> CheckResult:
    """Check whether other users of this machine can read or write the data files."""
    if not state_files.IS_POSIX:
        message = _("{path} has the access rights of its parent folder")
        return message.format(path=session.home), ""
    open_paths = [
        _("{path} can be {rights}").format(path=path, rights=rights)
        for path, rights in state_files.iter_exposed_entries(session.home)
    ]
    if not open_paths:
        return _("only you can access {path}").format(path=session.home), ""
    omission_note = (
        [_("and {count} more").format(count=len(open_paths) - MAX_LISTED_FINDINGS)]
        if len(open_paths) > MAX_LISTED_FINDINGS
        else []
    )
    path_list = "; ".join([*open_paths[:MAX_LISTED_FINDINGS], *omission_note])
    return (
        _("by other users of this machine, {files}").format(files=path_list),
        _("Run chmod -R go= {path}, or set CFAI_HOME to a folder of your own.").format(
            path=session.home
        ),
    )


def _check_model_list(session: Session) -> CheckResult:
    damaged_path = find_damaged_cache(session.home)
    if damaged_path:
        message = _("{path} can't be read; the built-in list is used")
        return message.format(path=damaged_path), _("Run %cfai models --refresh to replace it.")
    catalog = session.catalog()
    age = (datetime.now(UTC).date() - date.fromisoformat(catalog.date)).days
    description = ngettext(
        "{source}, from {date}, {count} day old", "{source}, from {date}, {count} days old", age
    ).format(source=_(SOURCE_LABELS[catalog.source]), date=format_date(catalog.date), count=age)
    return description, _("Run %cfai models --refresh.") if age > MAX_LIST_AGE_DAYS else ""


def _check_model(session: Session) -> CheckResult:
    model = session.resolve_model(session.settings.model)
    if model.deprecation_date is None:
        return model.name, ""
    message = _("{model} retires on {date}")
    return message.format(model=model.name, date=format_date(model.deprecation_date)), _(
        "Choose another model with %cfai use."
    )


def _check_notebook(session: Session, path_text: str) -> CheckResult:
    path = parse_user_path(path_text or session.notebook)
    if not (path_text or session.notebook):
        return _("not checked; %cfai doctor lesson.ipynb checks a notebook for secrets"), ""
    findings = scan_notebook(path, list(_iter_secrets(session)))
    if not findings:
        return _("no secrets in {path}").format(path=path), ""
    message = _("{path} contains {secrets}")
    hints = dict.fromkeys(finding.hint for finding in findings)
    return message.format(path=path, secrets=_format_findings(findings)), " ".join(hints)


def _format_findings(findings: list[SecretFinding]) -> str:
    descriptions = [
        _("{secret} in {location}").format(secret=finding.kind, location=finding.location)
        for finding in findings[:MAX_LISTED_FINDINGS]
    ]
    hidden_count = len(findings) - MAX_LISTED_FINDINGS
    if hidden_count > 0:
        descriptions.append(_("and {count} more").format(count=hidden_count))
    return "; ".join(descriptions)


def _iter_secrets(session: Session) -> Iterator[tuple[str, Secret]]:
    """Yield the name and value of each secret in use."""
    with suppress(CfaiError):
        class_server = session.backend.class_server
        if class_server is not None:
            yield _("the class key in use"), session.backend.class_credentials(class_server).key
    try:
        yield _("the API token in use"), session.backend.credential_store.find().api_token
    except CfaiError:
        return
