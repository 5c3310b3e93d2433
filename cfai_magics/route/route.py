"""Finds where a call goes: to Cloudflare, directly or by a gateway, elsewhere, or nowhere out."""

from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from ..credentials.store import ACCOUNT_VARIABLE, TOKEN_VARIABLE, Credentials, CredentialStore
from ..errors import BadOption, CfaiError
from ..secret import environment
from ..settings import Cfai
from ..workers_ai.account import TokenCheck
from ..workers_ai.gateway import DIRECT, Gateway, gateway_metadata, gateway_name
from ..workers_ai.pacing import Wait
from .elsewhere import KEY_VARIABLE, Server, key_for, server_in_use

if TYPE_CHECKING:
    import httpx

    from ..local import LocalServer
    from ..workers_ai import WorkersAI

BASE_URL_VARIABLE = "CLOUDFLARE_API_BASE_URL"
ENVIRONMENT = (ACCOUNT_VARIABLE, TOKEN_VARIABLE, BASE_URL_VARIABLE, KEY_VARIABLE)
LOCAL_MODEL = "small"  # the value of Cfai.local that stands for the model we fetch ourselves
LOCAL_ACCOUNT = "local"

OnRetry = Callable[[CfaiError, float, int], None]
Progress = Callable[[int, int], None]
Wrap = Callable[["httpx.BaseTransport | None"], "httpx.BaseTransport"]


class Route:
    """The way of one session's calls: a client for Workers AI, or for a model on this machine.

    `wrap` returns what goes round the transport just now, if anything: who listens to answers.
    `asks` tells whether anybody may be asked now, so that a model on this machine has to run.
    """

    def __init__(
        self,
        settings: Cfai,
        home: Path,
        environ: Mapping[str, str] | None = None,
        transport: "httpx.BaseTransport | None" = None,
        on_change: Callable[[], None] = lambda: None,
        turn: Callable[[str, str], Wait | None] = lambda _account, _model: None,
    ) -> None:
        environ = self.environ = environment(environ)
        self.store = CredentialStore(home, environ)
        self.server: LocalServer | None = None
        self._settings = settings
        self._home = home
        self._transport = transport
        self._client: WorkersAI | None = None
        self._client_key: object = None
        self._account = ""
        self._found: tuple[int, Credentials] | None = None
        self._on_change = on_change
        self._turn = turn
        self.wrap: Callable[[], Wrap | None] = lambda: None
        self.asks: Callable[[], bool] = lambda: True

    @property
    def is_local(self) -> bool:
        """Whether a model on this machine answers."""
        return self.server is not None

    @property
    def is_cloudflare(self) -> bool:
        """Whether Workers AI itself answers."""
        return not self.is_local and self.elsewhere is None

    @property
    def elsewhere(self) -> Server | None:
        """The other server that answers, where one does: neither Workers AI nor this machine."""
        return None if self.is_local else server_in_use(self._settings, self.environ)

    def account(self) -> str:
        """Return the account that pays, hashed; "local" on this machine.

        Raises NoCredentials where there is none.
        """
        self.client()
        return self._account

    def gateway(self, named: str = "") -> Gateway | None:
        """Return the gateway of a call: as named for it, else the course's or the settings' own.

        "off" names none, to go directly.
        Raises BadOption where one is named that questions can't go through, as they go elsewhere.
        """
        course = self._settings.course
        if named:
            course.check_setting("gateway", named)
        name = named or course.gateway or self._settings.gateway
        if not name or name == DIRECT or (self.is_local and not named):
            return None
        if self.is_local or self.elsewhere:
            raise BadOption(
                f"Gateway {name} leads to Workers AI, but another server is to answer",
                "%cfai status shows which it is and where that is set.",
            )
        metadata = gateway_metadata({**self._settings.metadata, **course.metadata})
        return Gateway(gateway_name(name), metadata)

    def client(self) -> "WorkersAI":
        """Return the client for the present credentials or server, made once for each."""
        self.start_if_local()
        elsewhere = self.elsewhere
        variables = self.environ.digest(ENVIRONMENT)
        key = (self.wrap(), self._settings.timeout, elsewhere, variables)
        if self._client is None or key != self._client_key:
            self._drop_client()
            self._client, self._client_key = self._new_client(elsewhere), key
        return self._client

    def own_client(self) -> "WorkersAI":
        """Return a client like `client`'s that its caller shares with nobody, and closes."""
        self.start_if_local()
        return self._new_client(self.elsewhere)

    def credentials(self) -> Credentials:
        """Return the credentials in use, looked for once; NoCredentials where there are none."""
        key = self.environ.digest(ENVIRONMENT)
        if self._found is None or self._found[0] != key:
            self._found = key, self.store.find()
        return self._found[1]

    def payer(self) -> str:
        """Return the account that would pay, as `account` does, but begin nothing for it."""
        if self._settings.local:
            return LOCAL_ACCOUNT
        if self.elsewhere is not None:
            return hashed(self.elsewhere.base_url)
        return hashed(self.credentials().account_id)

    def _new_client(self, elsewhere: Server | None) -> "WorkersAI":
        if self.server is not None:
            return self._local_client(self.server)
        if elsewhere is not None:
            return self._client_elsewhere(elsewhere)
        found = self.credentials()
        self._account = hashed(found.account_id)
        return self._client_with(found)

    def _local_client(self, server: "LocalServer") -> "WorkersAI":
        import httpx

        from ..workers_ai import WorkersAI
        from ..workers_ai.http_pool import OwnTransport

        self._account = LOCAL_ACCOUNT
        return WorkersAI.openai_compatible(
            server.base_url,
            server.api_key,
            timeout=self._settings.timeout,
            transport=self._wrapped(OwnTransport(httpx.HTTPTransport)),
        )

    def _wrapped(self, transport: "httpx.BaseTransport | None") -> "httpx.BaseTransport | None":
        wrap = self.wrap()
        return wrap(transport) if wrap else transport

    def _client_elsewhere(self, server: Server) -> "WorkersAI":
        from ..workers_ai import WorkersAI

        self._account = hashed(server.base_url)
        return WorkersAI.openai_compatible(
            server.base_url,
            key_for(server, self.store, self.environ),
            timeout=self._settings.timeout,
            transport=self._wrapped(self._transport),
            proxies=True,
            via=server.name,
        )

    def _client_with(self, credentials: Credentials) -> "WorkersAI":
        from ..workers_ai import CLOUDFLARE, WorkersAI

        made = WorkersAI(
            credentials.account_id,
            credentials.api_token,
            base_url=self.environ.get(BASE_URL_VARIABLE) or CLOUDFLARE,
            timeout=self._settings.timeout,
            transport=self._wrapped(self._transport),
        )
        account = hashed(credentials.account_id)
        made.take_turns(lambda model: self._turn(account, model))
        return made

    def explained(self, error: CfaiError) -> CfaiError:
        """Return the error of a call with the next step that fits the way it went."""
        return error if self.elsewhere is None else self.elsewhere.explained(error)

    def _drop_client(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None

    def check(self, credentials: Credentials, on_retry: OnRetry | None = None) -> TokenCheck:
        """Ask Cloudflare what it says of these credentials."""
        with self._client_with(credentials) as client:
            return client.check_token(on_retry)

    def neurons_by_model(self, day: datetime) -> dict[str, float]:
        """Ask Cloudflare what the account used, wherever questions go now."""
        with self._client_with(self.store.find()) as client:
            return client.neurons_by_model(day)

    def credentials_changed(self) -> None:
        """Find the credentials anew at the next call; one that runs comes to its end."""
        self._found = self._client_key = None
        self._on_change()

    def start_if_local(self) -> None:
        """Start the model on this machine where the settings name one, unless nobody is asked."""
        runs = self.server and self.server.running
        if self._settings.local and not runs and self.asks():
            self.start_local(self._settings.local)

    def start_local(self, which: str, progress: Progress | None = None) -> None:
        """Answer from here on with a model on this machine: LOCAL_MODEL, or a GGUF file's path."""
        from ..local import LocalServer

        self._settings.course.check_setting("local", which)
        path = self.local_model(which, progress)
        self.close()
        self.server = LocalServer.start(path, log_dir=self._home / "logs")
        self._settings.local = which

    def local_model(self, which: str, progress: Progress | None = None) -> Path:
        """Return the file of the model, fetching the small one where it is missing."""
        from ..local import fetch_model, find_model

        if which == LOCAL_MODEL:
            return fetch_model(self._home / "models", progress)
        return find_model(Path(which))

    def stop_local(self) -> None:
        """Answer from Workers AI again."""
        self._settings.course.check_setting("local", "")
        self.close()
        self._settings.local = ""

    def close(self) -> None:
        """Close the connections and stop the local server."""
        self._drop_client()
        if self.server is not None:
            self.server.stop()
            self.server = None


def hashed(account_id: str) -> str:
    """Return what stands for an account in the ledger: not the id itself."""
    return sha256(account_id.encode()).hexdigest()[:16]
