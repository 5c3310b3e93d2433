"""Log out: delete account id and API token."""

from argparse import Namespace

from ..chat.frontend import Frontend

OPTIONS = ()


def run(frontend: Frontend, _options: Namespace) -> str:
    """Delete account id and token from wherever they are stored."""
    messages = frontend.session.backend.credential_store.delete()
    frontend.session.backend.invalidate_credentials()
    return " ".join(messages)
