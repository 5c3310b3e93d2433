"""Translates the errors of httpx into ours: the one place where they enter."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from ..errors import CfaiError, ConnectionFailed, RequestTimeout


def translated(error: Exception) -> CfaiError:
    """Return our error for one of httpx."""
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return ConnectionFailed("No connection in time")
    if isinstance(error, httpx.TimeoutException):
        return RequestTimeout("No answer in time")
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return ConnectionFailed("The address is not one that can be asked")
    if isinstance(error, httpx.ProxyError):
        return ConnectionFailed("The proxy refused the connection")
    if isinstance(error, httpx.ConnectError):
        return ConnectionFailed("The server could not be reached")
    return ConnectionFailed("The connection broke")


@contextmanager
def our_errors() -> Iterator[None]:
    """Raise our errors in place of those of httpx."""
    try:
        yield
    except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, httpx.CookieConflict) as error:
        raise translated(error) from None
