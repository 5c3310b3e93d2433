"""List the commands."""

from argparse import Namespace

from ..chat.frontend import Frontend
from ..display.tables import Table
from . import COMMANDS

OPTIONS = ()


def run(_frontend: Frontend, _options: Namespace) -> Table:
    """Return the table of commands."""
    rows = tuple(COMMANDS.items())
    return Table(("command", "what it does"), rows, "%%cfai? lists the options of a cell.")
