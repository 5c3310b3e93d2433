"""Another OpenAI-compatible server that answers instead of Workers AI: its address and its key."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from ..credentials.secret_forms import new_token_in
from ..credentials.store import PRINTABLE, CredentialStore
from ..errors import (
    AuthenticationError,
    BadInput,
    BadOption,
    CfaiError,
    ConnectionFailed,
    PermissionDenied,
    UnknownModel,
)
from ..secret import Environment, Secret, environment
from ..settings import Cfai

BASE_URL_VARIABLE = "CFAI_BASE_URL"
KEY_VARIABLE = "CFAI_API_KEY"
CLOUDFLARE_HOST = "cloudflare.com"
CHAT_PATH = "/chat/completions"
KEY_HINT = f"Check {KEY_VARIABLE}, or run %cfai login --server ADDRESS again."
HINTS: Mapping[type[CfaiError], str] = {
    AuthenticationError: KEY_HINT,
    PermissionDenied: KEY_HINT,
    UnknownModel: "Name a model of that server with -m, in full.",
    ConnectionFailed: "Check that the server runs, and its address: %cfai status shows it.",
}


@dataclass(frozen=True, slots=True)
class Server:
    """A server by its base URL; `source` names where that was set."""

    base_url: str
    source: str

    @property
    def name(self) -> str:
        """Its host and port: what may be shown of it under an answer."""
        return urlsplit(self.base_url).netloc

    def explained(self, error: CfaiError) -> CfaiError:
        """Return the error of a call to it with the next step that fits it."""
        if isinstance(error, BadInput) and error.status == 404:  # noqa: PLR2004 - not found
            error.hint = f"Check the address in {self.source}: most end in /v1."
        error.hint = HINTS.get(type(error), error.hint)
        return error


def server_in_use(settings: Cfai, environ: Mapping[str, str] | None = None) -> Server | None:
    """Return the server that the environment or the settings name; None for Workers AI itself."""
    named = environment(environ).get(BASE_URL_VARIABLE, "").strip()
    if named:
        return Server(server_address(named), BASE_URL_VARIABLE)
    if settings.base_url:
        return Server(server_address(settings.base_url), settings.origin("base_url"))
    return None


def server_address(text: str) -> str:
    """Return a server's base URL as typed, without what the client adds; BadOption if none.

    What was typed is not repeated: it might be a key.
    """
    parts = _split(text.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise BadOption(
            "That is no address of a server",
            "Write for example http://127.0.0.1:9090/v1; a key does not belong in it.",
        )
    address = parts._replace(query="", fragment="").geturl().rstrip("/")
    return address.removesuffix(CHAT_PATH)


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises where it is none
    except ValueError:
        return urlsplit("")
    return parts


def key_for(server: Server, store: CredentialStore, environ: Environment) -> Secret:
    """Return the key of this server: the environment's, else the kept one; it may be empty.

    Raises BadOption for a token of Cloudflare's, which no other host may get.
    """
    key = environ.secret(KEY_VARIABLE) or store.server_key(server.base_url)
    if not key.fits(PRINTABLE):
        raise BadOption(f"The key for {server.name} holds spaces or special characters", KEY_HINT)
    host = urlsplit(server.base_url).hostname or ""
    if host == CLOUDFLARE_HOST or host.endswith(f".{CLOUDFLARE_HOST}"):
        return key
    if key and (new_token_in(key) or key == _cloudflare_token(store)):
        raise BadOption(
            f"The key for {server.name} is an API token of Cloudflare, which no other server may "
            "get",
            f"Set {KEY_VARIABLE} to that server's own key, or unset it.",
        )
    return key


def _cloudflare_token(store: CredentialStore) -> Secret | None:
    try:
        return store.find().api_token
    except CfaiError:
        return None
