"""Say what the platform supports: a browser has no threads, sockets or other processes."""

import sys
import time

from .errors import SetupError
from .i18n import _

# Pyodide, the Python of JupyterLite, is built with Emscripten.
IS_BROWSER = sys.platform == "emscripten"
HAS_THREADS = HAS_SOCKETS = HAS_PROCESSES = not IS_BROWSER


def check_processes(feature: str) -> None:
    """Raise SetupError if a feature needs another process, but the platform can't start one.

    `feature` is its name in the error message, such as "The local model".
    """
    if not HAS_PROCESSES:
        raise SetupError(
            _("{feature} can't run in a browser").format(feature=feature),
            _("Install cfai-magics on a computer and run it there."),
        )


def sleep(seconds: float) -> None:
    """Wait a number of seconds. An interrupt ends the wait, also in a browser."""
    if IS_BROWSER:
        from . import browser_page

        browser_page.sleep(seconds)
    else:
        time.sleep(seconds)
