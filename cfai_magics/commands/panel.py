"""Open the panel."""

from argparse import Namespace
from typing import TYPE_CHECKING

from ..chat.frontend import Frontend
from ..widgets.panel import format_summary

if TYPE_CHECKING:
    from ..widgets.panel import Panel

OPTIONS = ()


def run(frontend: Frontend, _options: Namespace) -> "Panel | str":
    """Return the session's panel, or its summary as text if the front end can't show widgets."""
    if not frontend.supports_widgets:
        return format_summary(frontend.session)
    from ..widgets.panel import open_panel

    return open_panel(frontend.session)
