"""Select the backend for calls: Workers AI, another server or the local model."""

from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import urlsplit

from .. import runtime
from ..arguments import require_str
from ..errors import (
    APIConnectionError,
    AuthenticationError,
    CfaiError,
    ContextLengthError,
    InvalidOptionError,
    MissingCredentialsError,
    ModelNotFoundError,
    PermissionDeniedError,
    PrivacyError,
)
from ..i18n import _, mark
from ..pricing.limits import RateDelay
from ..secret import Environment, Secret, get_environment
from ..settings import Cfai
from ..workers_ai.endpoints import ClassStatus, TokenCheck, is_cloudflare_url
from ..workers_ai.gateway import NO_GATEWAY, Gateway, parse_gateway_metadata, parse_gateway_name
from ..workers_ai.retry import OnRetry
from .addresses import ALLOW_HTTP_VARIABLE, check_encryption, normalize_base_url
from .class_server import (
    CLASS_SERVER_VARIABLE,
    SERVER_KEY_VARIABLE,
    SERVER_URL_VARIABLE,
    ClassCredentials,
    ClassServer,
    configured_class_server,
    find_class_credentials,
    server_conflict,
)
from .credentials import ACCOUNT_VARIABLE, PRINTABLE, TOKEN_VARIABLE, Credentials, CredentialStore
from .server_keys import check_environment_key

if TYPE_CHECKING:
    import httpx

    from ..workers_ai.client import WorkersAI
    from ..workers_ai.http import FieldNames
    from .local_server import LocalServer

KEY_HINT = mark("Check CFAI_API_KEY, or run %cfai login --server ADDRESS again.")
HINTS: Mapping[type[CfaiError], str] = {
    AuthenticationError: KEY_HINT,
    PermissionDeniedError: KEY_HINT,
    ModelNotFoundError: mark("Use -m with the full name of a model on that server."),
    APIConnectionError: mark("Check that the server is running. %cfai status shows its address."),
    ContextLengthError: mark("Shorten the prompt, or lower --max-tokens."),
}
API_URL_VARIABLE = "CLOUDFLARE_API_BASE_URL"
ENVIRONMENT = (
    *(ACCOUNT_VARIABLE, TOKEN_VARIABLE, API_URL_VARIABLE),
    *(SERVER_KEY_VARIABLE, CLASS_SERVER_VARIABLE, ALLOW_HTTP_VARIABLE),
)
LOCAL_MODEL = "small"  # the value of Cfai.local that selects the downloaded model
LOCAL_ACCOUNT = "local"
# "account" is Workers AI, and "elsewhere" is another server.
BackendKind = Literal["account", "local", "elsewhere"]
Progress = Callable[[int, int], None]
WrapTransport = Callable[["httpx.BaseTransport | None"], "httpx.BaseTransport"]
WORKERS_AI_PAGE = "https://dash.cloudflare.com/?to=/:account/ai/workers-ai"
API_TOKENS_PAGE = "https://dash.cloudflare.com/profile/api-tokens"
LOGIN_STEPS = (
    mark("In the Cloudflare dashboard, open Workers AI and select “Use REST API”."),
    mark(
        "Create a Workers AI API token there, with the permissions “Workers AI - Read” and "
        "“Workers AI - Edit”."
    ),
    mark("Copy the Account ID from the same page."),
)


class OpenAIServer(NamedTuple):
    """An OpenAI-compatible server. `source` names the setting or variable that sets its URL."""

    base_url: str
    source: str

    @property
    def name(self) -> str:
        """The host and port, as shown in the footer of an answer."""
        return urlsplit(self.base_url).netloc

    def with_hint(self, error: CfaiError) -> CfaiError:
        """Add a hint that fits this server to an error, and return the error."""
        from ..workers_ai.error_mapping import is_wrong_address

        if error.scope:  # a class server has given the next step
            return error
        if is_wrong_address(error):
            error.hint = _("Check the address in {source}: most addresses end in /v1.").format(
                source=self.source
            )
        hint = HINTS.get(type(error))
        if hint is not None:
            error.hint = _(hint)
        return error


def configured_server(
    settings: Cfai, environ: Mapping[str, str] | None = None
) -> OpenAIServer | None:
    """Return the server set in the environment or settings, or None if no server is set.

    A class server in the environment replaces a server in the settings.

    Raises:
        InvalidOptionError: The URL is not valid, or a class server is set in the same place.
    """
    environ = get_environment(environ)
    env_url = environ.get(SERVER_URL_VARIABLE, "").strip()
    if not env_url and not settings.base_url:
        return None
    has_env_class = bool(environ.get(CLASS_SERVER_VARIABLE, "").strip())
    if env_url:
        if has_env_class:
            raise server_conflict(CLASS_SERVER_VARIABLE, SERVER_URL_VARIABLE)
        return OpenAIServer(normalize_base_url(env_url, SERVER_URL_VARIABLE), SERVER_URL_VARIABLE)
    if not has_env_class:
        if settings.class_server:
            raise server_conflict("Cfai.class_server", "Cfai.base_url")
        origin = _(settings.get_origin("base_url"))
        return OpenAIServer(normalize_base_url(settings.base_url, origin), origin)
    return None


def api_key_for(server: OpenAIServer, store: CredentialStore, environ: Environment) -> Secret:
    """Return the API key for a server from the environment or the credential store.

    The environment takes precedence. If there is no key, the result is empty.

    Raises:
        InvalidOptionError: The key contains spaces or special characters, or is a Cloudflare
            token that would be sent to another host.
    """
    from ..secret_patterns import contains_prefixed_token

    key = environ.get_secret(SERVER_KEY_VARIABLE)
    is_from_environment = server.source == SERVER_URL_VARIABLE
    check_environment_key(key, server.name, is_address_from_environment=is_from_environment)
    key = key or store.server_key(server.base_url)
    if not key.matches(PRINTABLE):
        raise InvalidOptionError(
            _("The key for {server} contains spaces or special characters").format(
                server=server.name
            ),
            _(KEY_HINT),
        )
    if is_cloudflare_url(server.base_url):
        return key
    if key and (contains_prefixed_token(key) or key == _cloudflare_token(store)):
        raise InvalidOptionError(
            _(
                "The key for {server} is a Cloudflare API token, which must not be sent to other "
                "servers"
            ).format(server=server.name),
            _("Set {variable} to that server's own key, or unset it.").format(
                variable=SERVER_KEY_VARIABLE
            ),
        )
    return key


def _cloudflare_token(store: CredentialStore) -> Secret | None:
    try:
        return store.find().api_token
    except CfaiError:
        return None


class Backend:
    """The backend for the calls of one session: Workers AI, another server or the local model.

    `get_transport_wrapper` returns a function that wraps a transport to record its responses, or
    None if nothing is recorded. `is_network_allowed` returns whether live calls are allowed. If
    they are not, the local model is not started. `acquire_slot(account, model)` reserves the next
    slot of the rate limiter. It returns the delay until that slot, or None if there is no delay.
    `save_class_status(account, budget, spent)` stores what a class server reports, in neurons.
    """

    def __init__(
        self,
        settings: Cfai,
        home: Path,
        environ: Mapping[str, str] | None = None,
        transport: "httpx.BaseTransport | None" = None,
        on_change: Callable[[], None] = lambda: None,
        acquire_slot: Callable[[str, str], RateDelay | None] = lambda _account, _model: None,
    ) -> None:
        environ = self.environ = get_environment(environ)
        self.credential_store = CredentialStore(home, environ)
        self.local_server: LocalServer | None = None
        self._settings = settings
        self._home = home
        self._transport = transport
        self._client: WorkersAI | None = None
        self._client_key: object = None
        self.client_account = ""  # hash of the account used by the newest client
        self._cached_credentials: tuple[int, Credentials] | None = None
        self._cached_class: tuple[object, ClassCredentials] | None = None
        self._on_change = on_change
        self._acquire_slot = acquire_slot
        self.save_class_status: Callable[[str, float, float], None] = lambda *_figures: None
        self._field_names: dict[str, FieldNames] = {}  # by base URL
        self.get_transport_wrapper: Callable[[], WrapTransport | None] = lambda: None
        self.is_network_allowed: Callable[[], bool] = lambda: True

    @property
    def is_local(self) -> bool:
        """Whether answers come from the local model."""
        return self.local_server is not None

    @property
    def is_cloudflare(self) -> bool:
        """Whether Workers AI answers, through a class server or not."""
        return not self.is_local and self.server is None

    @property
    def server(self) -> OpenAIServer | None:
        """The other server that answers, or None if Workers AI or the local model answers."""
        if self.local_server is not None:
            return None
        return configured_server(self._settings, self.environ)

    @property
    def class_server(self) -> ClassServer | None:
        """The class server that answers, or None if another backend answers."""
        if self.local_server is not None:
            return None
        return configured_class_server(self._settings, self.environ)

    @property
    def is_private(self) -> bool:
        """Whether the settings allow only the local model and recorded answers."""
        return self._settings.private

    def privacy_error(self) -> PrivacyError:
        """Return the error for a request that would leave this machine, but must not."""
        return self._settings.privacy_error()

    @property
    def free_note(self) -> str:
        """A note that calls use no neurons, or "" if Workers AI answers."""
        if self._settings.local:
            return _("The local model uses no neurons.")
        if self.is_private:
            return _("Only recorded answers are allowed, which use no neurons.")
        server = self.server
        if server is None:
            return ""
        return _("Requests go to {server} and use no neurons.").format(server=server.name)

    def resolve_gateway(self, requested: str = "") -> Gateway | None:
        """Return the AI Gateway for a call, or None if the call does not use a gateway.

        The requested gateway takes precedence over the one set by the course, which takes
        precedence over the one in the settings. "off" means no gateway.

        Raises:
            InvalidOptionError: A gateway is set, but calls do not go to Workers AI.
        """
        course = self._settings.course
        if require_str(requested, "gateway"):
            course.check_setting("gateway", requested)
        name = requested or course.gateway or self._settings.gateway
        if not name or name == NO_GATEWAY or (self.is_local and not requested):
            return None
        class_server = self.class_server
        if class_server is not None:
            raise InvalidOptionError(
                _("Gateway {name} can't be used: calls go to the class server {server}").format(
                    name=name, server=class_server.name
                ),
                _("Leave out --gateway, or use --gateway off. Your teacher can set a gateway."),
            )
        if self.is_local or self.server:
            raise InvalidOptionError(
                _("Gateway {name} sends requests to Workers AI, but another server is set").format(
                    name=name
                ),
                _("%cfai status shows the server and where it is set."),
            )
        metadata = parse_gateway_metadata({**self._settings.metadata, **course.metadata})
        return Gateway(parse_gateway_name(name), metadata)

    def _check_private(self) -> None:
        """Raise PrivacyError if requests must stay on this machine."""
        if self.is_private:
            raise self.privacy_error()

    def client(self) -> "WorkersAI":
        """Return the shared client for the current credentials, server and settings."""
        self.ensure_local_server()
        return self.get_client(self.server, self.get_transport_wrapper())

    def get_client(
        self, server: OpenAIServer | None, wrap_transport: WrapTransport | None
    ) -> "WorkersAI":
        """Return the shared client for a server.

        If `server` is None, the client is for Workers AI or the local model.
        """
        env_values = self.environ.hash_variables(ENVIRONMENT)
        settings = self._settings
        options = (settings.timeout, settings.class_server, settings.private)
        key = (wrap_transport, server, options, env_values)
        if self._client is None or key != self._client_key:
            self._close_client()
            self._client, self._client_key = self.new_client(server, wrap_transport), key
        return self._client

    def new_client(
        self, server: OpenAIServer | None, wrap_transport: WrapTransport | None
    ) -> "WorkersAI":
        """Return a new client, which the caller must close.

        The arguments are the same as for `get_client`.
        """
        if self.local_server is not None:
            return self._local_client(self.local_server, wrap_transport)
        self._check_private()  # before missing credentials are reported
        if server is not None:
            return self._server_client(server, wrap_transport)
        class_server = self.class_server
        if class_server is not None:
            class_credentials = self.class_credentials(class_server)
            self.client_account = class_credentials.account
            return self._class_client(class_credentials, wrap_transport)
        credentials = self.credentials()
        self.client_account = account_hash(credentials.account_id)
        return self._cloudflare_client(credentials, wrap_transport)

    def credentials(self) -> Credentials:
        """Return the current credentials, cached until the environment changes.

        Raises:
            MissingCredentialsError: The account ID or the API token is missing.
        """
        key = self.environ.hash_variables(ENVIRONMENT)
        if self._cached_credentials is None or self._cached_credentials[0] != key:
            self._cached_credentials = key, self.credential_store.find()
        return self._cached_credentials[1]

    def class_credentials(self, server: ClassServer) -> ClassCredentials:
        """Return the student's key for a class server, cached until the environment changes.

        Raises:
            MissingCredentialsError: There is no key for this server.
            InvalidOptionError: The key is not valid, or the address is not encrypted.
        """
        key = self.environ.hash_variables(ENVIRONMENT), server
        if self._cached_class is None or self._cached_class[0] != key:
            credentials = find_class_credentials(server, self.credential_store, self.environ)
            self._cached_class = key, credentials
        return self._cached_class[1]

    def billing_account(self) -> str:
        """Return the identifier of the account that calls are billed to.

        This is the hash of the Cloudflare account ID, of another server's URL, or of a class
        server's URL and the student's key. For the local model, it is "local".

        Raises:
            MissingCredentialsError: No account is set.
        """
        if self._settings.local:
            return LOCAL_ACCOUNT
        if self.server is not None:
            return account_hash(self.server.base_url)
        class_server = self.class_server
        if class_server is not None:
            return self.class_credentials(class_server).account
        return account_hash(self.credentials().account_id)

    def account_or_empty(self) -> str:
        """Return the result of `billing_account`, or "" if no account is set."""
        try:
            return self.billing_account()
        except MissingCredentialsError:  # budgets and recordings also work without an account
            return ""

    def _local_client(
        self, server: "LocalServer", wrap_transport: WrapTransport | None
    ) -> "WorkersAI":
        import httpx

        from ..workers_ai.client import WorkersAI
        from ..workers_ai.http import PerProcessTransport

        self.client_account = LOCAL_ACCOUNT
        return WorkersAI.openai_compatible(
            server.base_url,
            server.api_key,
            timeout=self._settings.timeout,
            transport=_wrap(PerProcessTransport(httpx.HTTPTransport), wrap_transport),
        )

    def _server_client(
        self, server: OpenAIServer, wrap_transport: WrapTransport | None
    ) -> "WorkersAI":
        from ..workers_ai.client import WorkersAI

        self.client_account = account_hash(server.base_url)
        api_key = api_key_for(server, self.credential_store, self.environ)
        if api_key:
            check_encryption(server.base_url, server.source, self.environ)
        client = WorkersAI.openai_compatible(
            server.base_url,
            api_key,
            timeout=self._settings.timeout,
            transport=_wrap(self._transport, wrap_transport),
            use_proxies=True,
            endpoint=server.name,
        )
        client.share_field_names(self._field_names.setdefault(server.base_url, {}))
        return client

    def _class_client(
        self, credentials: ClassCredentials, wrap_transport: WrapTransport | None = None
    ) -> "WorkersAI":
        from ..workers_ai.client import WorkersAI

        self._check_private()
        account = credentials.account
        client = WorkersAI.class_server(
            credentials.server.url,
            credentials.key,
            timeout=self._settings.timeout,
            transport=_wrap(self._transport, wrap_transport),
        )
        client.set_rate_limiter(lambda model: self._acquire_slot(account, model))
        client.observe_class_status(
            lambda budget, spent: self.save_class_status(account, budget, spent)
        )
        return client

    def fetch_class_status(
        self, credentials: ClassCredentials, on_retry: OnRetry | None = None
    ) -> ClassStatus:
        """Return a student's name and neurons today from the class server, and store them.

        Raises:
            AuthenticationError: The class server does not accept the key.
            WorkersAIError: The request failed, or the address is not that of a class server.
        """
        with self._class_client(credentials) as client:
            try:
                return client.fetch_class_status(on_retry)
            except CfaiError as error:
                raise credentials.server.with_hint(error) from None

    def _cloudflare_client(
        self, credentials: Credentials, wrap_transport: WrapTransport | None = None
    ) -> "WorkersAI":
        from ..workers_ai.client import CLOUDFLARE_API_URL, WorkersAI

        self._check_private()
        base_url = self.environ.get(API_URL_VARIABLE) or CLOUDFLARE_API_URL
        client = WorkersAI(
            credentials.account_id,
            credentials.api_token,
            base_url=check_encryption(base_url, API_URL_VARIABLE, self.environ),
            timeout=self._settings.timeout,
            transport=_wrap(self._transport, wrap_transport),
        )
        account = account_hash(credentials.account_id)
        client.set_rate_limiter(lambda model: self._acquire_slot(account, model))
        return client

    def with_hint(self, error: CfaiError) -> CfaiError:
        """Add a hint that fits the current backend to an error, and return the error."""
        if self.server is not None:
            return self.server.with_hint(error)
        class_server = self.class_server
        if class_server is not None:
            return class_server.with_hint(error)
        if self.is_local and isinstance(error, ContextLengthError):
            error.hint = _(HINTS[ContextLengthError])
        return error

    def _close_client(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None

    def check_token(self, credentials: Credentials, on_retry: OnRetry | None = None) -> TokenCheck:
        """Verify credentials with Cloudflare, and return the token's status and permissions."""
        with self._cloudflare_client(credentials) as client:
            return client.check_token(on_retry)

    def neurons_by_model(self, day: datetime) -> dict[str, float]:
        """Fetch the number of neurons that the account used with each model on a day.

        The data comes from Cloudflare, even if another backend is selected.
        """
        with self._cloudflare_client(self.credential_store.find()) as client:
            return client.fetch_neurons_by_model(day)

    def invalidate_credentials(self) -> None:
        """Discard the cached credentials and client. Calls in progress are not affected."""
        self._cached_credentials = self._cached_class = self._client_key = None
        self._on_change()

    def ensure_local_server(self) -> None:
        """Start the local server if the settings name a local model and live calls are allowed."""
        is_running = self.local_server and self.local_server.is_running
        if self._settings.local and not is_running and self.is_network_allowed():
            self.start_local(self._settings.local)

    def start_local(self, model_or_path: str, progress: Progress | None = None) -> None:
        """Switch to a local model, specified as LOCAL_MODEL or the path to a GGUF file."""
        from .local_server import LocalServer

        self._settings.course.check_setting("local", model_or_path)
        path = self.get_local_model_path(model_or_path, progress)
        self.close()
        self.local_server = LocalServer.start(path, log_dir=self._home / "logs")
        self._settings.local = model_or_path

    def get_local_model_path(self, model_or_path: str, progress: Progress | None = None) -> Path:
        """Return the path to a local model. Download the small model if it is missing."""
        from .local_model import check_gguf, fetch_model

        runtime.check_processes(_("The local model"))

        if model_or_path == LOCAL_MODEL:
            return fetch_model(self._home / "models", progress)
        return check_gguf(Path(model_or_path))

    def stop_local(self) -> None:
        """Stop the local model and switch back to Workers AI or the configured server."""
        self._settings.course.check_setting("local", "")
        self.close()
        self._settings.local = ""

    def close(self) -> None:
        """Close the connections and stop the local server."""
        self._close_client()
        if self.local_server is not None:
            self.local_server.stop()
            self.local_server = None


def _wrap(
    transport: "httpx.BaseTransport | None", wrap_transport: WrapTransport | None
) -> "httpx.BaseTransport | None":
    return wrap_transport(transport) if wrap_transport else transport


def account_hash(account_id: str) -> str:
    """Return the hash that the ledger stores instead of an account ID."""
    return sha256(account_id.encode()).hexdigest()[:16]


class LoginResult(NamedTuple):
    """A message for the user, and whether the token has all required permissions."""

    message: str
    has_permissions: bool


def log_in(
    backend: Backend, credentials: Credentials, on_retry: OnRetry | None = None
) -> LoginResult:
    """Verify credentials with Cloudflare and store them."""
    check = backend.check_token(credentials, on_retry)
    stored_in = backend.credential_store.save(credentials.account_id, credentials.api_token)
    backend.invalidate_credentials()
    active_source = backend.credentials().source
    sentences = [_describe_verified_token(check), _("Saved in {place}.").format(place=stored_in)]
    if active_source not in stored_in:
        sentences.append(
            _("The credentials in {source} take precedence.").format(source=active_source)
        )
    return LoginResult(" ".join(sentences), check.can_read and check.can_run)


def describe_token(check: TokenCheck) -> str:
    """Return a phrase with a token's type, status and expiry date."""
    if check.owner == "account":
        token = _("account token, {status}").format(status=check.status)
    else:
        token = _("user token, {status}").format(status=check.status)
    if not check.expires_on:
        return token
    return _("{token} until {date}").format(token=token, date=check.expires_on)


def _describe_verified_token(check: TokenCheck) -> str:
    """Return sentences that describe a verified token and its missing permissions."""
    lines = [_("Token verified: {token}.").format(token=describe_token(check))]
    if not check.can_read:
        lines.append(_("It lacks the Workers AI - Read permission, so it can't list models."))
    if not check.can_run:
        lines.append(_("It lacks the Workers AI - Edit permission, so it can't run models."))
    return " ".join(lines)
