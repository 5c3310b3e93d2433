"""Owns the one path of every call: find where to send it, send, gather, price, hand over."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from . import catalogue as model_list
from .credentials import Credentials, CredentialStore
from .errors import CfaiError, UnknownModel
from .gathering import Gathering
from .pricing import with_price
from .settings import Cfai
from .values import (
    Answer,
    Catalogue,
    Delta,
    Embeddings,
    Message,
    Model,
    Request,
    TokenCheck,
    Usage,
)

if TYPE_CHECKING:
    import httpx

    from .local import LocalServer
    from .workers_ai import ChatStream, WorkersAI

BASE_URL_VARIABLE = "CLOUDFLARE_API_BASE_URL"
ENVIRONMENT = ("CLOUDFLARE_ACCOUNT_ID", "CLOUDFLARE_API_TOKEN", BASE_URL_VARIABLE)
EMBEDDING_MODEL = "@cf/baai/bge-m3"
LOCAL_MODEL = "small"  # the value of Cfai.local that stands for the model we fetch ourselves

OnRetry = Callable[[CfaiError, float, int], None]
Progress = Callable[[int, int], None]


class AnswerStream:
    """The deltas of one call as they come; `answer` is what has arrived, whole at the end.

    Leaving its `with` block closes the connection at once. An error out of it bears the answer so
    far as `error.answer`, where one was begun.
    """

    def __init__(
        self,
        chat: "ChatStream",
        gathering: Gathering,
        priced: Callable[[Usage], Usage],
        explained: Callable[[CfaiError], CfaiError],
    ) -> None:
        self._chat = chat
        self._gathering = gathering
        self._priced = priced
        self._explained = explained
        self._ended: str | None = "interrupted"  # until the stream says otherwise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._chat.close()

    def __iter__(self) -> Iterator[Delta]:
        try:
            for delta in self._chat:
                self._gathering.add(delta)
                yield delta
            self._ended = None
        except CfaiError as error:
            self._ended = "cut"
            error.answer = self.answer if self._gathering.begun else None
            raise self._explained(error) from None

    @property
    def answer(self) -> Answer:
        """What has arrived: as billed where the call came to its end, else as an estimate."""
        usage = self._gathering.usage or self._chat.usage
        if not usage.prompt_tokens:
            usage = replace(self._gathering.guessed_usage(), neurons=usage.neurons)
        usage = self._priced(usage)
        if self._ended and usage.neurons is not None:
            usage = replace(usage, basis="estimated")
        return self._gathering.answer(
            usage, self._ended, request_id=self._chat.request_id, raw=self._chat.body
        )


class Session:
    """One user's way to Workers AI, or to the small model on this machine.

    Where state lives, the environment, the transport and the clock come in by the constructor.
    """

    def __init__(
        self,
        settings: Cfai,
        home: Path,
        *,
        environ: Mapping[str, str] = os.environ,
        transport: "httpx.BaseTransport | None" = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.home = home
        self.store = CredentialStore(home, environ)
        self.server: LocalServer | None = None
        self.environ = environ
        self._transport = transport
        self._clock = clock
        self._client: WorkersAI | None = None
        self._client_key: int | None = None
        self._catalogue: Catalogue | None = None

    # --- asking

    def request(self, messages: Iterable[Message], model: str = "", **fields: Any) -> Request:
        """Return the request for these messages, filled up from the settings.

        `model` may be a short name; the fields are those of Request. Raises UnknownModel or
        BadOption before anything is sent.
        """
        self._start_if_local()
        chosen = self.model(model or self.settings.model)
        if fields.get("max_tokens") is None:
            fields["max_tokens"] = self.settings.max_tokens
        if fields.get("temperature") is None:
            fields["temperature"] = self.settings.temperature
        fields["think"] = bool(fields.get("think")) if chosen.reasoning else None
        return Request(chosen.name, tuple(messages), **fields)

    def stream(self, request: Request, on_retry: OnRetry | None = None) -> AnswerStream:
        """Send the request and return its answer as it comes."""
        model = self.model(request.model)
        chat = self.client().stream(request, on_retry=on_retry)
        gathering = Gathering(request, self._clock, local=self.server is not None)
        return AnswerStream(
            chat, gathering, lambda usage: with_price(model, usage), self._explained
        )

    def ask(self, request: Request) -> Answer:
        """Send the request and return its whole answer."""
        with self.stream(request) as stream:
            for _ in stream:
                pass
            return stream.answer

    def embed(self, texts: Iterable[str], model: str = "") -> Embeddings:
        """Return one vector a text, in their order."""
        self._start_if_local()
        chosen = self.model(model or EMBEDDING_MODEL)
        try:
            embeddings = self.client().embed(tuple(texts), chosen.name)
        except CfaiError as error:
            raise self._explained(error) from None
        return replace(embeddings, usage=with_price(chosen, embeddings.usage))

    def _explained(self, error: CfaiError) -> CfaiError:
        """Return the error, with the nearest names where it is about an unknown model."""
        if isinstance(error, UnknownModel) and error.model:
            near = model_list.nearest(error.model, self.catalogue())
            error.hint = f"Nearest: {', '.join(near)}. {error.hint}" if near else error.hint
        return error

    # --- models

    def model(self, name: str) -> Model:
        """Return the model a name stands for; on this machine, whatever model runs here."""
        if self.server is not None:
            return Model(self.server.model_name)
        return self.catalogue_model(name)

    def catalogue_model(self, name: str) -> Model:
        """Return the catalogue's model that a name stands for."""
        return model_list.resolve(name, self.catalogue())

    def catalogue(self) -> Catalogue:
        """Return the list of models without asking the network."""
        if self._catalogue is None:
            self._catalogue = model_list.cached(self.home) or model_list.shipped()
        return self._catalogue

    def fetch_catalogue(self) -> Catalogue:
        """Ask Cloudflare for the list of models and keep it on disk."""
        models = self.client().models()
        today = datetime.now(UTC).date().isoformat()
        self._catalogue = model_list.keep(self.home, models, today)
        return self._catalogue

    # --- where the calls go

    def client(self) -> "WorkersAI":
        """Return the client for the present credentials or local server, made once for each."""
        self._start_if_local()
        key = hash((id(self.server), *map(self.environ.get, ENVIRONMENT)))
        if self._client is None or key != self._client_key:
            self._drop_client()
            self._client, self._client_key = self._new_client(), key
        return self._client

    def _new_client(self) -> "WorkersAI":
        from .workers_ai import WorkersAI

        if self.server is not None:
            return WorkersAI.openai_compatible(
                self.server.base_url, self.server.api_key.reveal(), timeout=self.settings.timeout
            )
        return self._client_with(self.store.find())

    def _client_with(self, credentials: Credentials) -> "WorkersAI":
        from .workers_ai import CLOUDFLARE, WorkersAI

        return WorkersAI(
            credentials.account_id,
            credentials.api_token.reveal(),
            base_url=self.environ.get(BASE_URL_VARIABLE) or CLOUDFLARE,
            timeout=self.settings.timeout,
            transport=self._transport,
        )

    def _drop_client(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None

    def check(self, credentials: Credentials) -> TokenCheck:
        """Ask Cloudflare what it says of these credentials."""
        with self._client_with(credentials) as client:
            return client.check_token()

    def credentials_changed(self) -> None:
        """Find the credentials anew at the next call."""
        self._drop_client()

    # --- the model on this machine

    def _start_if_local(self) -> None:
        """Start the model on this machine where the settings name one and none runs yet."""
        if self.settings.local and self.server is None:
            self.start_local(self.settings.local)

    def start_local(self, which: str, progress: Progress | None = None) -> None:
        """Answer from here on with a model on this machine: LOCAL_MODEL, or a GGUF file's path."""
        from .local import LocalServer

        path = self.local_model(which, progress)
        self.stop_local()
        self.server = LocalServer.start(path, log_dir=self.home / "logs")
        self.settings.local = which

    def local_model(self, which: str, progress: Progress | None = None) -> Path:
        """Return the file of the model, fetching the small one where it is missing."""
        from .local import fetch_model, find_model

        if which == LOCAL_MODEL:
            return fetch_model(self.home / "models", progress)
        return find_model(Path(which))

    def stop_local(self) -> None:
        """Answer from Workers AI again."""
        if self.server is not None:
            self.server.stop()
        self.server = None
        self.settings.local = ""

    def close(self) -> None:
        """Close the connections and stop the local server."""
        self._drop_client()
        if self.server is not None:
            self.server.stop()
            self.server = None
