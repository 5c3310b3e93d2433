"""Parse and check the addresses of servers, and mask secrets in them."""

import re
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from ..errors import InvalidOptionError
from ..i18n import _
from ..secret import Environment

USER_PATTERN = re.compile(r"\A([\w+.-]+://)?.*@", re.DOTALL)
QUERY_PATTERN = re.compile("[?#]")
CHAT_PATH = "/chat/completions"
ALLOW_HTTP_VARIABLE = "CFAI_ALLOW_HTTP"
EXAMPLE_URL = "http://127.0.0.1:9090/v1"


def normalize_base_url(text: str, source: str = "", example: str = EXAMPLE_URL) -> str:
    """Return a base URL without the path that the client appends.

    `source` is the file or variable that contains the text, and `example` is a valid address, both
    for error messages.

    Raises:
        InvalidOptionError: The text is not a server URL. The message does not include the text,
            because it may be a key.
    """
    parts = _split_url(text.strip())
    if "@" in parts.netloc or not _is_base_url(parts, text):
        raise _address_error(source, example)
    return parts.geturl().rstrip("/").removesuffix(CHAT_PATH)


def _is_base_url(parts: SplitResult, url: str) -> bool:
    """Return whether a URL has a host, and paths can be appended to it."""
    has_host = parts.scheme in ("http", "https") and bool(parts.hostname)
    return has_host and "?" not in url and "#" not in url


def _address_error(source: str, example: str) -> InvalidOptionError:
    cause = _("Not a valid server address")
    return InvalidOptionError(
        _("In {source}: {cause}").format(source=source, cause=cause) if source else cause,
        _("Use an address such as {example}, without a key.").format(example=example),
    )


def mask_secrets(url: str) -> str:
    """Return a URL without its user name, password, query and fragment."""
    masked = USER_PATTERN.sub(r"\1…@", url)
    address = QUERY_PATTERN.split(masked, maxsplit=1)[0]
    return address if address == masked else f"{address}?…"


def check_encryption(url: str, source: str, environ: Environment) -> str:
    """Return a URL to which a token or key is sent.

    Raises:
        InvalidOptionError: The URL is not valid. Or it is for plain HTTP to another computer, so
            that others in the network could read the token, and the environment does not allow it.
    """
    parts = _split_url(url)
    if not _is_base_url(parts, url):
        raise _address_error(source, "https://api.cloudflare.com/client/v4")
    is_encrypted = parts.scheme.lower() != "http"
    if is_encrypted or is_loopback(parts.hostname or "") or environ.get(ALLOW_HTTP_VARIABLE):
        return url
    raise InvalidOptionError(
        _("The address in {source} is not encrypted, so others could read the token").format(
            source=source
        ),
        _("Use https. If you trust the network, set {variable}=1.").format(
            variable=ALLOW_HTTP_VARIABLE
        ),
    )


def is_loopback(host: str) -> bool:
    """Return whether a host is this computer."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a name
        return False


def _split_url(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _port = parts.port  # raises ValueError if the port is not valid
    except ValueError:
        return urlsplit("")
    return parts
