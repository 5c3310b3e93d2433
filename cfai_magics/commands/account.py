"""The commands about the account: log in, log out."""

from argparse import Namespace

from ..asking.door import Door
from ..credentials.store import PRINTABLE, Credentials, valid_account_id, valid_token
from ..errors import BadOption
from ..paths import user_path
from ..render.formats import next_try
from ..route import simple_one_api
from ..route.elsewhere import server_address
from ..route.login import HOW_TO, log_in
from ..secret import Secret, sealed
from ..settings import keep_settings


def login(door: Door, options: Namespace) -> str:
    """Ask for account id and token, or another server's key, and keep them."""
    if options.server:
        return _server(door, options.server)
    credentials = _from_file(options.file) if options.file else _asked(door)
    told = log_in(door.session.route, credentials, lambda *what: door.say(next_try(*what)))
    return f"{told} %cfai status shows what is in use."


def _asked(door: Door) -> Credentials:
    for line in HOW_TO:
        door.say(line)
    account_id = valid_account_id(_typed(door, "Account ID: "))
    return Credentials(account_id, valid_token(_typed(door, "API token: ")), "the prompt")


def _typed(door: Door, question: str) -> Secret:
    return Secret.of(lambda: door.prompt(question).strip())


def _from_file(named: str) -> Credentials:
    path = user_path(named)
    found = sealed(lambda: simple_one_api.credentials_in(simple_one_api.read(path)))
    if found is None:
        raise BadOption(
            f"{named} names no Cloudflare account",
            "Its openai services have a server_url with /accounts/ID/ai where they do.",
        )
    account_id, token = found
    return Credentials(valid_account_id(account_id), valid_token(token), named)


def _server(door: Door, named: str) -> str:
    """Answer from another server from here on, also in later kernels; "off" ends that."""
    session = door.session
    address = "" if named == "off" else server_address(named)
    session.settings.course.check_setting("base_url", address)
    if address:
        key = _server_key(_typed(door, f"API key for {address} (empty for none): "))
        kept_in = session.route.store.keep_server_key(address, key)
    session.settings.base_url = address
    keep_settings(session.home, {"base_url": address})
    session.route.credentials_changed()
    if not address:
        return "Questions go to Workers AI again."
    return (
        f"Questions now go to {address}, with models' names as it has them; its key is kept in "
        f"{kept_in}. Neurons show only where it tells them. %cfai login --server off ends it."
    )


def _server_key(typed: Secret) -> Secret:
    if not typed.fits(PRINTABLE):
        raise BadOption(
            "An API key holds no spaces or special characters", "Copy it again, all of it."
        )
    return typed


def logout(door: Door, _options: Namespace) -> str:
    """Forget account id and token, wherever they are kept."""
    forgotten = door.session.route.store.forget()
    door.session.route.credentials_changed()
    return " ".join(forgotten)
