"""The commands about the account: log in, log out, show what is in use."""

from argparse import Namespace

from .. import __version__
from ..credentials import Credentials, valid_account_id, valid_token
from ..door import Door
from ..errors import SetupError
from ..render.formats import Table, next_try
from ..route import BASE_URL_VARIABLE
from ..session import Session
from ..values import TokenCheck

HOW_TO = (
    "On the Cloudflare dashboard open Workers AI, then Use REST API.",
    "Create a Workers AI API Token there (permissions Workers AI - Read and Edit).",
    "Copy the Account ID from the same page.",
)


def login(door: Door, _options: Namespace) -> str:
    """Ask for account id and token, verify them at Cloudflare and keep them."""
    for line in HOW_TO:
        door.say(line)
    account_id = valid_account_id(door.prompt("Account ID: "))
    token = valid_token(door.prompt("API token: "))
    credentials, route = Credentials(account_id, token, "the prompt"), door.session.route
    check = route.check(credentials, lambda *what: door.say(next_try(*what)))
    kept_in = route.store.keep(account_id, token)
    route.credentials_changed()
    return f"{_verdict(check)} Kept in {kept_in}. %cfai status shows what is in use."


OWNERS = {"user": "a user", "account": "the account"}


def _verdict(check: TokenCheck) -> str:
    until = f" until {check.expires_on}" if check.expires_on else ""
    verdict = f"The token is {check.status}{until} and belongs to {OWNERS[check.owner]}."
    if check.can_read:
        return verdict
    return f"{verdict} It lacks the permission Workers AI - Read: models can't be listed."


def logout(door: Door, _options: Namespace) -> str:
    """Forget account id and token, wherever they are kept."""
    forgotten = door.session.route.store.forget()
    door.session.route.credentials_changed()
    return " ".join(forgotten)


def status(door: Door, _options: Namespace) -> Table:
    """Return what is in use and where it comes from."""
    session = door.session
    catalogue = session.catalogue()
    rows = (
        *_where(session),
        ("max tokens", f"{session.settings.max_tokens:,}"),
        ("model list", f"{catalogue.source}, of {catalogue.date}"),
        ("state kept in", str(session.home)),
        ("version", __version__),
    )
    return Table(("setting", "value"), rows)


def _where(session: Session) -> list[tuple[str, str]]:
    """Return the rows that tell where a question would go now."""
    if session.settings.local:
        local = f"this machine ({session.settings.local}); %cfai local off ends it"
        return [("answers from", local)]
    model = ("model", session.model(session.settings.model).name)
    address = session.route.environ.get(BASE_URL_VARIABLE)
    rows = [("address", f"{address} from {BASE_URL_VARIABLE}")] if address else []
    try:
        found = session.route.store.find()
    except SetupError as error:
        return [*rows, ("account", str(error)), model]
    return [*rows, ("account", f"…{found.account_tail}, from {found.source}"), model]
