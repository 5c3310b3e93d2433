"""Log out by deleting the saved account ID, API token and keys of servers."""

from argparse import Namespace

from ..backends.class_server import CLASS_SERVER_VARIABLE, SERVER_KEY_VARIABLE
from ..chat.frontend import Frontend
from ..i18n import _

OPTIONS = ()


def run(frontend: Frontend, _options: Namespace) -> str:
    """Delete the account ID, the token and keys from the keyring and the credentials file."""
    backend = frontend.session.backend
    messages = backend.credential_store.delete()
    backend.invalidate_credentials()
    class_server = backend.class_server
    if class_server is not None:
        if class_server.source == CLASS_SERVER_VARIABLE and SERVER_KEY_VARIABLE in backend.environ:
            message = _("{variable} is set in the environment. Unset it to log out.")
            messages.append(message.format(variable=SERVER_KEY_VARIABLE))
        message = _(
            "The class server {server} is still selected: %cfai login --class off ends this."
        )
        messages.append(message.format(server=class_server.name))
    return " ".join(messages)
