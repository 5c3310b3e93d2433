"""Map the exceptions of httpx to those of cfai_magics.errors."""

from collections.abc import Callable
from typing import TypeVar

import httpx

from ..errors import APIConnectionError, APITimeoutError, CfaiError, InvalidOptionError
from ..secret import call_without_traceback

Result = TypeVar("Result")
HTTPX_ERRORS = (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, httpx.CookieConflict)


def map_httpx_error(error: Exception) -> CfaiError:
    """Return the CfaiError for an exception of httpx."""
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return APIConnectionError("No connection in time")
    if isinstance(error, httpx.TimeoutException):
        return APITimeoutError("No answer in time")
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return InvalidOptionError(
            "The address is not one that can be asked", "Check CLOUDFLARE_API_BASE_URL."
        )
    if isinstance(error, httpx.ProxyError):
        return APIConnectionError("The proxy refused the connection")
    if isinstance(error, httpx.ConnectError):
        return APIConnectionError("The server could not be reached")
    return APIConnectionError("The connection broke")


def call_constructor(make: Callable[[], Result]) -> Result:
    """Call a constructor of httpx.

    Raises InvalidOptionError if the proxy or the certificates of the environment are not valid.
    The message of httpx is left out, because a proxy URL may contain a password.
    """
    try:
        return call_without_traceback(make)
    except ImportError:
        mapped_error = InvalidOptionError(
            "For a SOCKS proxy a package is missing", "Install httpx[socks], or unset ALL_PROXY."
        )
    except (ValueError, OSError, httpx.InvalidURL):
        mapped_error = InvalidOptionError(
            "The proxy or the certificates that the environment names cannot be used",
            "Check HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY and SSL_CERT_FILE.",
        )
    raise mapped_error from None


def call_httpx(call: Callable[[], Result]) -> Result:
    """Call a function of httpx and map its exceptions to those of this package.

    Interrupts and bugs are raised without the frames of httpx, whose local variables contain the
    header with the token.
    """
    try:
        return call_without_traceback(call)
    except HTTPX_ERRORS as error:
        mapped_error = map_httpx_error(error)
    raise mapped_error from None
