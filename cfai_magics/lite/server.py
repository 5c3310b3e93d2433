"""Serve a static site on this machine."""

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ..errors import SetupError
from ..i18n import _

HOST = "127.0.0.1"


class SiteHandler(SimpleHTTPRequestHandler):
    """A handler with the media types that browsers require for Pyodide, on all systems."""

    extensions_map = {  # noqa: RUF012 - as in the base class
        **SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".json": "application/json",
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def log_message(self, *_arguments: Any) -> None:
        """Log nothing: a page makes hundreds of requests."""


def create_server(folder: Path, port: int) -> ThreadingHTTPServer:
    """Return a server for the files in a folder, which listens on this machine only.

    Args:
        folder: The folder of the site.
        port: The port, or 0 for any free port.

    Raises:
        SetupError: The port is in use.
    """
    try:
        return ThreadingHTTPServer((HOST, port), partial(SiteHandler, directory=str(folder)))
    except OSError as error:
        raise SetupError(
            _("Port {port} can't be used: {reason}").format(port=port, reason=error.strerror),
            _("Choose another one with --port."),
        ) from None
