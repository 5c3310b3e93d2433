"""Translates the errors of httpx into ours: the one place where they enter."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from ..errors import BadOption, CfaiError, ConnectionFailed, RequestTimeout


def translated(error: Exception) -> CfaiError:
    """Return our error for one of httpx."""
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return ConnectionFailed("No connection in time")
    if isinstance(error, httpx.TimeoutException):
        return RequestTimeout("No answer in time")
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return BadOption(
            "The address is not one that can be asked", "Check CLOUDFLARE_API_BASE_URL."
        )
    if isinstance(error, httpx.ProxyError):
        return ConnectionFailed("The proxy refused the connection")
    if isinstance(error, httpx.ConnectError):
        return ConnectionFailed("The server could not be reached")
    return ConnectionFailed("The connection broke")


@contextmanager
def our_setup_errors() -> Iterator[None]:
    """Raise our error where httpx can't use the proxy or certificates that the environment names.

    What httpx says of them is left out: a proxy's address may hold a password.
    """
    try:
        yield
    except ImportError:
        raise BadOption(
            "For a SOCKS proxy a package is missing", "Install httpx[socks], or unset ALL_PROXY."
        ) from None
    except (ValueError, OSError, httpx.InvalidURL):
        raise BadOption(
            "The proxy or the certificates that the environment names cannot be used",
            "Check HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY and SSL_CERT_FILE.",
        ) from None


@contextmanager
def our_errors() -> Iterator[None]:
    """Raise our errors in place of those of httpx."""
    try:
        yield
    except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, httpx.CookieConflict) as error:
        raise translated(error) from None
