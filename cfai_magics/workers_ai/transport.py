"""Translates the errors of httpx into ours: the one place where they enter."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import httpx

from ..errors import BadOption, CfaiError, ConnectionFailed, RequestTimeout
from ..secret import sealed

Result = TypeVar("Result")
THEIRS = (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, httpx.CookieConflict)


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


def set_up(make: Callable[[], Result]) -> Result:
    """Call a constructor of httpx; our error if the environment's proxy or certificates misfit.

    What httpx says of them is left out: a proxy's address may hold a password.
    """
    try:
        return sealed(make)
    except ImportError:
        ours = BadOption(
            "For a SOCKS proxy a package is missing", "Install httpx[socks], or unset ALL_PROXY."
        )
    except (ValueError, OSError, httpx.InvalidURL):
        ours = BadOption(
            "The proxy or the certificates that the environment names cannot be used",
            "Check HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY and SSL_CERT_FILE.",
        )
    raise ours from None


def in_httpx(call: Callable[[], Result]) -> Result:
    """Call httpx and raise our errors in place of its own.

    Interrupts and bugs leave without the frames of httpx: the header with the token is in their
    local variables.
    """
    try:
        return sealed(call)
    except THEIRS as error:
        ours = translated(error)
    raise ours from None


def relayed(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the chunks of a body as httpx gives them; its errors are those of `in_httpx`."""
    while (chunk := in_httpx(lambda: next(chunks, None))) is not None:
        yield chunk
