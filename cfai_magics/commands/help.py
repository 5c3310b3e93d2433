"""List the commands."""

from argparse import Namespace

from ..chat.frontend import Frontend
from ..display.tables import Table
from ..i18n import _
from . import COMMANDS

OPTIONS = ()


def run(_frontend: Frontend, _options: Namespace) -> Table:
    """Return the table of commands."""
    rows = tuple((name, _(summary)) for name, summary in COMMANDS.items())
    return Table(
        (_("command"), _("what it does")), rows, _("%%cfai? lists the options of a cell.")
    )
