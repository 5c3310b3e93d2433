"""The command that shows what was sent with the last question."""

from argparse import Namespace

from ..asking.door import Door
from ..errors import BadOption
from ..render.sent import SentBox


def sent(door: Door, _options: Namespace) -> SentBox:
    """Return the parts of the last question's prompt, each with its tokens and share of cost."""
    last = door.workspace.sent if door.workspace else None
    if last is None:
        hint = "Ask first." if door.workspace else "In a shell, ask with --sent."
        raise BadOption("Nothing was sent from here yet", hint)
    return SentBox(last)
