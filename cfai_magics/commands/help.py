"""The command that lists the commands."""

from argparse import Namespace

from ..asking.door import Door
from ..render.formats import Table
from . import COMMANDS


def help_(_door: Door, _options: Namespace) -> Table:
    """Return the table of commands."""
    rows = tuple((name, command.summary) for name, command in COMMANDS.items())
    return Table(("command", "what it does"), rows, "%%cfai? lists the options of a cell.")
