"""Log out by deleting the saved account ID and API token."""

from argparse import Namespace

from ..chat.frontend import Frontend

OPTIONS = ()


def run(frontend: Frontend, _options: Namespace) -> str:
    """Delete the account ID and token from the keyring and from the credentials file."""
    messages = frontend.session.backend.credential_store.delete()
    frontend.session.backend.invalidate_credentials()
    return " ".join(messages)
