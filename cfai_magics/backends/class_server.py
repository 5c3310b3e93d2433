"""Find the class server that answers a student's calls, and the student's key for it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from .. import runtime
from ..errors import (
    AccountNotFoundError,
    APIConnectionError,
    AuthenticationError,
    CfaiError,
    DailyQuotaError,
    InvalidOptionError,
    MissingCredentialsError,
    PermissionDeniedError,
    ResponseFormatError,
)
from ..i18n import _, mark
from ..secret import Environment, Secret, call_without_traceback
from ..types.usage import CLASS_PREFIX
from .addresses import check_encryption, normalize_base_url
from .credentials import EMPTY_SECRET, CredentialStore
from .server_keys import check_environment_key

if TYPE_CHECKING:
    from ..settings import Cfai

CLASS_SERVER_VARIABLE = "CFAI_CLASS_SERVER"
SERVER_URL_VARIABLE = "CFAI_BASE_URL"
SERVER_KEY_VARIABLE = "CFAI_API_KEY"
KEY_PREFIX = "cfs_"
KEY_PATTERN = re.compile(rf"{KEY_PREFIX}[\w-]{{43}}", re.ASCII)
KEY_HINT = mark("Copy the whole key that your teacher gave you: cfs_ and 43 more characters.")
EXAMPLE_URL = "https://class-server.example.workers.dev"
# A browser does not say whether the network failed or the server does not allow the page.
PAGE_HINT = mark(
    "Check the network. If it works, ask your teacher whether ALLOWED_ORIGINS of the class server "
    "has the address of this site."
)
TEACHER_HINT = mark("Ask your teacher: Cloudflare refused the account of the class server.")
HINTS: Mapping[type[CfaiError], str] = {
    AuthenticationError: mark("Run %cfai login --class ADDRESS with the key from your teacher."),
    PermissionDeniedError: TEACHER_HINT,
    AccountNotFoundError: TEACHER_HINT,
    DailyQuotaError: mark("Continue after 00:00 UTC, or ask your teacher for more."),
    APIConnectionError: PAGE_HINT
    if runtime.IS_BROWSER
    else mark("Check the network and the address of the class server, which %cfai status shows."),
    ResponseFormatError: mark(
        "%cfai status shows the address. Ask your teacher whether it is the one of the class."
    ),
}


class ClassServer(NamedTuple):
    """The address of a class server, without /v1, and the setting or variable that sets it."""

    url: str
    source: str

    @property
    def name(self) -> str:
        """The host and port."""
        return urlsplit(self.url).netloc

    @property
    def openai_url(self) -> str:
        """The base URL for OpenAI clients."""
        return f"{self.url}/v1"

    def with_hint(self, error: CfaiError) -> CfaiError:
        """Add a hint that fits a class server to an error, and return the error."""
        from ..workers_ai.error_mapping import is_wrong_address

        if error.scope:  # the server has given the next step
            return error
        if is_wrong_address(error):
            error.hint = _(
                "Check the address in {source}: the class server does not answer there."
            ).format(source=self.source)
        hint = HINTS.get(type(error))
        if hint is not None:
            error.hint = _(hint)
        return error


@dataclass(frozen=True, slots=True)
class ClassCredentials:
    """A student's key for a class server. `source` describes where the key was found."""

    server: ClassServer
    key: Secret
    source: str

    @property
    def masked_key(self) -> str:
        """The start and the last 4 characters of the key, which are safe to display."""
        return f"{KEY_PREFIX}…{self.key.reveal()[-4:]}"

    @property
    def account(self) -> str:
        """The hash that the ledger stores as the account of the student."""
        digest = call_without_traceback(
            lambda: sha256(f"{self.server.url} {self.key.reveal()}".encode()).hexdigest()
        )
        return f"{CLASS_PREFIX}{digest[:16]}"


def configured_class_server(settings: "Cfai", environ: Environment) -> ClassServer | None:
    """Return the class server set in the environment or settings, or None if none is set.

    Raises:
        InvalidOptionError: The address is not valid, or another server is set in the same place.
    """
    env_url = environ.get(CLASS_SERVER_VARIABLE, "").strip()
    has_env_server = bool(environ.get(SERVER_URL_VARIABLE, "").strip())
    if env_url:
        if has_env_server:
            raise server_conflict(CLASS_SERVER_VARIABLE, SERVER_URL_VARIABLE)
        return ClassServer(
            normalize_class_url(env_url, CLASS_SERVER_VARIABLE), CLASS_SERVER_VARIABLE
        )
    if not settings.class_server or has_env_server:
        return None
    if settings.base_url:
        raise server_conflict("Cfai.class_server", "Cfai.base_url")
    origin = _(settings.get_origin("class_server"))
    return ClassServer(normalize_class_url(settings.class_server, origin), origin)


def server_conflict(class_server: str, other_server: str) -> InvalidOptionError:
    """Return the error for a class server and another server that are both set."""
    return InvalidOptionError(
        _("{class_server} and {other_server} each set a server, and only one can answer").format(
            class_server=class_server, other_server=other_server
        ),
        _("Remove one of them. %cfai login --class ADDRESS and --server ADDRESS do this, too.")
        if class_server.startswith("Cfai.")
        else _("Unset one of them. Nothing was sent."),
    )


def normalize_class_url(text: str, source: str = "") -> str:
    """Return the address of a class server without /v1. The arguments are as for servers.

    Raises:
        InvalidOptionError: The text is not the URL of a server.
    """
    url = normalize_base_url(text, source, EXAMPLE_URL)
    return url.removesuffix("/v1").rstrip("/")


def parse_class_key(text: str | Secret) -> Secret:
    """Return a student's key without surrounding whitespace.

    Raises:
        InvalidOptionError: The text is not a student's key. The message does not contain it.
    """
    stripped = text = Secret.from_reader(
        text.strip if isinstance(text, str) else lambda: text.reveal().strip()
    )
    if stripped.matches(KEY_PATTERN):
        return stripped
    cause = call_without_traceback(lambda: _describe_wrong_key(stripped.reveal()))
    raise InvalidOptionError(cause, _(KEY_HINT))


def _describe_wrong_key(text: str) -> str:
    from ..secret_patterns import CLASS_KEY, find_token, looks_like_account_id

    if not text:
        return _("No key was given")
    if text.lower().startswith(KEY_PREFIX):
        return _("The key of the class server is not complete, or has wrong characters")
    if looks_like_account_id(text):
        return _("That looks like an account ID, not the key of a student")
    kind = find_token(text)
    if kind is None or kind is CLASS_KEY:
        return _("Not the key of a student")
    return _("That looks like {token}, not the key of a student").format(token=_(kind.name))


def find_class_credentials(
    server: ClassServer, store: CredentialStore, environ: Environment
) -> ClassCredentials:
    """Return the student's key for a class server, from the environment or the credential store.

    A key in the environment is used only if the environment also sets the address. A stored key
    is used only for the host that it was stored for.

    Raises:
        MissingCredentialsError: There is no key for this server.
        InvalidOptionError: The key is not valid, or the address is not encrypted.
    """
    check_encryption(server.url, server.source, environ)
    key, source = EMPTY_SECRET, SERVER_KEY_VARIABLE
    if server.source == CLASS_SERVER_VARIABLE:
        key = environ.get_secret(SERVER_KEY_VARIABLE)
    if key:
        check_environment_key(key, server.name, is_address_from_environment=True)
    else:
        key, source = store.class_key(server.url)
    if not key:
        raise MissingCredentialsError(
            _("There is no key for the class server {server}").format(server=server.name),
            _("Run %cfai login --class {url} and enter the key from your teacher.").format(
                url=server.url
            ),
        )
    try:
        return ClassCredentials(server, parse_class_key(key), source)
    except InvalidOptionError as error:
        raise InvalidOptionError(
            _("In {source}: {cause}").format(source=source, cause=error.cause), error.hint
        ) from None
