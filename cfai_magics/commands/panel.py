"""The command that opens the panel."""

from argparse import Namespace
from typing import TYPE_CHECKING

from ..asking.door import Door
from ..widgets.summary import summary

if TYPE_CHECKING:
    from ..widgets.panel import Panel


def panel(door: Door, _options: Namespace) -> "Panel | str":
    """Return the panel of this session, or the same as text where widgets can't be shown."""
    if not door.widgets:
        return summary(door.session)
    from ..widgets.panel import open_panel

    return open_panel(door.session)
