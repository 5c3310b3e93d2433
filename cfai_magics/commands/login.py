"""Log in with an account ID and API token, or with the key for a class server or other server."""

import sys
from argparse import Namespace
from collections.abc import Callable
from typing import TypeVar

from .. import runtime
from ..backends import simple_one_api
from ..backends.addresses import check_encryption, normalize_base_url
from ..backends.class_server import (
    CLASS_SERVER_VARIABLE,
    SERVER_URL_VARIABLE,
    ClassCredentials,
    ClassServer,
    normalize_class_url,
    parse_class_key,
)
from ..backends.credentials import PRINTABLE, Credentials, parse_account_id, parse_token
from ..backends.selector import (
    API_TOKENS_PAGE,
    LOGIN_STEPS,
    WORKERS_AI_PAGE,
    LoginResult,
    log_in,
)
from ..chat.frontend import Frontend
from ..chat.options import Option
from ..display.tables import format_neurons, format_retry_message
from ..errors import (
    AccountNotFoundError,
    AuthenticationError,
    CfaiError,
    InvalidAccountIdError,
    InvalidOptionError,
    SetupError,
)
from ..i18n import _, mark
from ..paths import parse_user_path
from ..secret import Secret, call_without_traceback
from ..settings import update_settings_file

LOGIN_FROM_HELP = mark("read both from a config.json of simple-one-api")
LOGIN_SERVER_HELP = mark(
    "use another OpenAI-compatible server and enter its key; off switches back"
)
LOGIN_CLASS_HELP = mark(
    "use the class server of your teacher and enter your key; off switches back"
)
ACCOUNT_ID_HINT = mark(
    "Enter the account ID again. It has 32 characters, 0-9 and a-f: {account_page}"
)
TOKEN_HINT = mark("Enter the API token again, or create a new one: {token_page}")
CLASS_KEY_HINT = mark("Enter the key again: cfs_ and 43 more characters.")
MAX_RETRIES = 4  # of each question; then the command fails
T = TypeVar("T")
OPTIONS = (
    Option("--from", dest="file", default="", metavar="FILE", help=LOGIN_FROM_HELP),
    Option("--server", default="", metavar="ADDRESS", help=LOGIN_SERVER_HELP),
    Option("--class", dest="class_url", default="", metavar="ADDRESS", help=LOGIN_CLASS_HELP),
)


def run(frontend: Frontend, options: Namespace) -> str:
    """Log in to Cloudflare or another server, save the credentials, and return a message."""
    if options.class_url:
        return _use_class_server(frontend, options.class_url)
    if options.server:
        return _use_server(frontend, options.server)
    if runtime.IS_BROWSER:
        return _use_class_server(frontend, _get_site_class_server(frontend))
    if options.file:
        result = _log_in(frontend, _read_credentials(options.file))
    else:
        result = _log_in_with_prompts(frontend)
    class_server = frontend.session.backend.class_server
    if class_server is None:
        next_step = _("%cfai status shows the settings in use.")
    else:
        next_step = _(
            "The class server {server} still answers; %cfai login --class off switches to your "
            "account."
        ).format(server=class_server.name)
    return f"{result.message} {next_step}"


def _log_in(frontend: Frontend, credentials: Credentials) -> LoginResult:
    return log_in(
        frontend.session.backend,
        credentials,
        lambda *what: frontend.print(format_retry_message(*what)),
    )


def _log_in_with_prompts(frontend: Frontend) -> LoginResult:
    """Ask for the account ID and the token, and log in. Ask again for a wrong one."""
    for line in LOGIN_STEPS:
        frontend.print(_(line))
    frontend.print(_("Workers AI page: {url}").format(url=WORKERS_AI_PAGE))
    frontend.print(_("API tokens page: {url}").format(url=API_TOKENS_PAGE))
    account_id, token = _prompt_account_id(frontend), _prompt_token(frontend)
    for _attempt in range(MAX_RETRIES):
        try:
            return _log_in(frontend, Credentials(account_id, token, _("the prompt")))
        except AccountNotFoundError as error:
            _report(frontend, error, ACCOUNT_ID_HINT)
            account_id = _prompt_account_id(frontend)
        except AuthenticationError as error:
            _report(frontend, error, TOKEN_HINT)
            token = _prompt_token(frontend)
    return _log_in(frontend, Credentials(account_id, token, _("the prompt")))


def _prompt_account_id(frontend: Frontend) -> str:
    def read() -> str:
        return parse_account_id(
            Secret.from_reader(lambda: frontend.prompt_account_id(_("Account ID: ")))
        )

    return _read_until_valid(frontend, read, ACCOUNT_ID_HINT)


def _prompt_token(frontend: Frontend) -> Secret:
    def read() -> Secret:
        return parse_token(_prompt_secret(frontend, _("API token: ")))

    return _read_until_valid(frontend, read, TOKEN_HINT)


def _read_until_valid(frontend: Frontend, read: Callable[[], T], hint: str) -> T:
    for _attempt in range(MAX_RETRIES):
        try:
            return read()
        except (InvalidAccountIdError, InvalidOptionError, AuthenticationError) as error:
            _report(frontend, error, hint)
    return read()


def _use_class_server(frontend: Frontend, url_or_off: str) -> str:
    """Use a class server in this and later kernels, or the own account if the URL is "off"."""
    session = frontend.session
    if url_or_off == "off":
        _select_server(frontend, {"class_server": ""})
        return _("Now using Workers AI with your own account again.")
    server = ClassServer(normalize_class_url(url_or_off), "--class")
    check_encryption(server.url, server.source, session.backend.environ)
    session.settings.course.check_setting("class_server", server.url)
    _check_environment(frontend, server)
    if runtime.IS_BROWSER:
        _confirm_site(frontend, server)
    frontend.print(_("Class server: {server}").format(server=server.name))
    name, budget, spent, stored_in = _log_in_to_class(frontend, server)
    _select_server(frontend, {"class_server": server.url, "base_url": ""})
    sentences = [
        _("Logged in as {name}. Your budget: {budget} neurons a day, {spent} used.").format(
            name=name, budget=format_neurons(budget), spent=format_neurons(spent)
        ),
        _("The key is saved in {place}. %cfai login --class off switches back.").format(
            place=stored_in
        ),
    ]
    if session.settings.local:
        sentences.append(_("The local model still answers; %cfai local off switches back."))
    return " ".join(sentences)


def _get_site_class_server(frontend: Frontend) -> str:
    """Return the address of the class server of the site in the browser, or of the last login.

    Raises:
        SetupError: There is none.
    """
    class_server = frontend.session.backend.class_server
    if class_server is None:
        raise SetupError(
            _("This site has no class server, so it answers only from recordings"),
            _(
                "Your teacher can add one to the site. %cfai login --class ADDRESS uses one that "
                "allows this site."
            ),
        )
    return class_server.url


def _confirm_site(frontend: Frontend, server: ClassServer) -> None:
    """Ask whether the key may be entered in this site, because anyone can publish a site.

    Raises:
        SetupError: The user does not confirm.
    """
    import js  # a part of Pyodide

    site = js.location.host
    question = _("This site is {site}. It sends your key to {server}. Did your teacher name both?")
    if not frontend.confirm(question.format(site=site, server=server.name)):
        raise SetupError(
            _("No key was entered, because you did not confirm {site} and {server}").format(
                site=site, server=server.name
            ),
            _("Ask your teacher for the right address of the site."),
        )


def _check_environment(frontend: Frontend, server: ClassServer) -> None:
    """Raise InvalidOptionError if a variable sets another server, which takes precedence."""
    environ = frontend.session.backend.environ
    other = environ.get(SERVER_URL_VARIABLE, "").strip() and SERVER_URL_VARIABLE
    class_url = environ.get(CLASS_SERVER_VARIABLE, "").strip()
    if class_url and normalize_class_url(class_url, CLASS_SERVER_VARIABLE) != server.url:
        other = other or CLASS_SERVER_VARIABLE
    if other:
        raise InvalidOptionError(
            _("The environment variable {variable} sets another server").format(variable=other),
            _("Unset it, restart the kernel, and run %cfai login --class again."),
        )


def _log_in_to_class(frontend: Frontend, server: ClassServer) -> tuple[str, float, float, str]:
    """Ask for the key of a student until it is valid, and store it.

    Returns:
        The student's name, the budget and the neurons spent today, and where the key is stored.
    """
    backend = frontend.session.backend

    def log_in_to_class() -> tuple[str, float, float, str]:
        key = parse_class_key(
            _prompt_secret(frontend, _("Key for {server}: ").format(server=server.name))
        )
        status = backend.fetch_class_status(
            ClassCredentials(server, key, _("the prompt")),
            lambda *what: frontend.print(format_retry_message(*what)),
        )
        if runtime.IS_BROWSER:
            _choose_storage(frontend)
        stored_in = backend.credential_store.save_class_key(server.url, key)
        return status.name, status.budget, status.spent, stored_in

    return _read_until_valid(frontend, log_in_to_class, CLASS_KEY_HINT)


def _choose_storage(frontend: Frontend) -> None:
    """Ask whether the browser keeps the key after its tab is closed."""
    from ..browser_page import get_page

    page = get_page()
    if page is not None and page.wait():
        question = _(
            "Keep the key in this browser after you close the tab, until %cfai logout? Answer no "
            "if others use this computer."
        )
        page.keeps_credentials = frontend.confirm(question)


def _select_server(frontend: Frontend, addresses: dict[str, str]) -> None:
    """Set the addresses in this kernel and in settings.toml."""
    session = frontend.session
    changes: dict[str, str | float | None] = {}
    for name, url in addresses.items():
        if url or getattr(session.settings, name):
            session.settings.course.check_setting(name, url)
        changes[name] = url or None
    for name, url in addresses.items():
        setattr(session.settings, name, url)
    update_settings_file(session.home, changes)
    session.backend.invalidate_credentials()


def _report(frontend: Frontend, error: CfaiError, hint: str) -> None:
    """Show an error before the user is asked again. Raise it if the input comes from a pipe."""
    if frontend.is_one_shot and not (sys.stdin and sys.stdin.isatty()):
        raise error
    if not error.scope:  # a class server gives its own next step
        error.hint = _(hint).format(account_page=WORKERS_AI_PAGE, token_page=API_TOKENS_PAGE)
    frontend.print(str(error))


def _prompt_secret(frontend: Frontend, prompt_text: str) -> Secret:
    return Secret.from_reader(lambda: frontend.prompt_secret(prompt_text).strip())


def _read_credentials(file_name: str) -> Credentials:
    path = parse_user_path(file_name)
    account_and_token = call_without_traceback(
        lambda: simple_one_api.find_credentials(simple_one_api.read_config(path))
    )
    if account_and_token is None:
        raise InvalidOptionError(
            _("{file} contains no Cloudflare credentials").format(file=file_name),
            _(
                "An openai service for a Cloudflare account has a server_url that contains "
                "/accounts/ID/ai."
            ),
        )
    account_id, token = account_and_token
    return Credentials(parse_account_id(account_id), parse_token(token), file_name)


def _use_server(frontend: Frontend, url_or_off: str) -> str:
    """Use another server in this and later kernels, or Workers AI if the URL is "off"."""
    session = frontend.session
    base_url = "" if url_or_off == "off" else normalize_base_url(url_or_off)
    session.settings.course.check_setting("base_url", base_url)
    if base_url:
        key = _check_server_key(
            _prompt_secret(
                frontend, _("API key for {url} (empty for none): ").format(url=base_url)
            )
        )
        stored_in = session.backend.credential_store.save_server_key(base_url, key)
    if base_url:
        _select_server(frontend, {"base_url": base_url, "class_server": ""})
    else:
        _select_server(frontend, {"base_url": ""})
    if not base_url:
        return _("Now using Workers AI again.")
    return _(
        "Now using {url}; use its own model names. The key is saved in {place}. Neurons are "
        "shown only if the server reports them. %cfai login --server off switches back."
    ).format(url=base_url, place=stored_in)


def _check_server_key(api_key: Secret) -> Secret:
    if not api_key.matches(PRINTABLE):
        raise InvalidOptionError(
            _("An API key can't contain spaces or special characters"),
            _("Copy the whole key again."),
        )
    return api_key
