"""Log in: ask for account id and API token, or for another server's key."""

from argparse import Namespace

from ..backends import simple_one_api
from ..backends.credentials import PRINTABLE, Credentials, parse_account_id, parse_token
from ..backends.selector import LOGIN_STEPS, log_in, normalize_base_url
from ..chat.frontend import Frontend
from ..chat.options import Option
from ..display.tables import format_retry_message
from ..errors import InvalidOptionError
from ..paths import parse_user_path
from ..secret import Secret, call_without_traceback
from ..settings import update_settings_file

LOGIN_FROM_HELP = "take both from simple-one-api's config.json instead of asking"
LOGIN_SERVER_HELP = "use another OpenAI-compatible server, and ask for its key; off ends that"
OPTIONS = (
    Option("--from", dest="file", default="", metavar="FILE", help=LOGIN_FROM_HELP),
    Option("--server", default="", metavar="ADDRESS", help=LOGIN_SERVER_HELP),
)


def run(frontend: Frontend, options: Namespace) -> str:
    """Ask for account id and token, or another server's key, and keep them."""
    if options.server:
        return _use_server(frontend, options.server)
    credentials = (
        _read_credentials(options.file) if options.file else _prompt_credentials(frontend)
    )
    result = log_in(
        frontend.session.backend,
        credentials,
        lambda *what: frontend.print(format_retry_message(*what)),
    )
    return f"{result} %cfai status shows what is in use."


def _prompt_credentials(frontend: Frontend) -> Credentials:
    for line in LOGIN_STEPS:
        frontend.print(line)
    account_id = parse_account_id(_prompt_secret(frontend, "Account ID: "))
    return Credentials(
        account_id, parse_token(_prompt_secret(frontend, "API token: ")), "the prompt"
    )


def _prompt_secret(frontend: Frontend, prompt_text: str) -> Secret:
    return Secret.from_reader(lambda: frontend.prompt_secret(prompt_text).strip())


def _read_credentials(file_name: str) -> Credentials:
    path = parse_user_path(file_name)
    account_and_token = call_without_traceback(
        lambda: simple_one_api.find_credentials(simple_one_api.read_config(path))
    )
    if account_and_token is None:
        raise InvalidOptionError(
            f"{file_name} names no Cloudflare account",
            "Its openai services have a server_url with /accounts/ID/ai where they do.",
        )
    account_id, token = account_and_token
    return Credentials(parse_account_id(account_id), parse_token(token), file_name)


def _use_server(frontend: Frontend, url_or_off: str) -> str:
    """Answer from another server from here on, also in later kernels; "off" ends that."""
    session = frontend.session
    base_url = "" if url_or_off == "off" else normalize_base_url(url_or_off)
    session.settings.course.check_setting("base_url", base_url)
    if base_url:
        key = _check_server_key(
            _prompt_secret(frontend, f"API key for {base_url} (empty for none): ")
        )
        stored_in = session.backend.credential_store.save_server_key(base_url, key)
    session.settings.base_url = base_url
    update_settings_file(session.home, {"base_url": base_url})
    session.backend.invalidate_credentials()
    if not base_url:
        return "Questions go to Workers AI again."
    return (
        f"Questions now go to {base_url}, with models' names as it has them; its key is kept in "
        f"{stored_in}. Neurons show only where it tells them. %cfai login --server off ends it."
    )


def _check_server_key(api_key: Secret) -> Secret:
    if not api_key.matches(PRINTABLE):
        raise InvalidOptionError(
            "An API key holds no spaces or special characters", "Copy it again, all of it."
        )
    return api_key
