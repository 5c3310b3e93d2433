"""The client of Workers AI: its endpoints as methods that take and return values."""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from datetime import datetime
from typing import Any, Self
from urllib.parse import quote

import httpx

from ..arguments import texts_of
from ..errors import BadOption, NotAnAccountId, PermissionDenied
from ..secret import Secret, Unpickled
from ..values import Answer, Model, Request, Usage
from ..values.results import Embeddings, RawResult
from . import account, analytics, catalogue, chat, tasks
from .batches import Batches
from .body import whole
from .chat_stream import ChatStream
from .connection import (
    NO_TOKEN,
    Connection,
    OnRetry,
    Turn,
    content,
    json_content,
    json_of,
)
from .gateway import Gateway, through
from .gathering import Gathering
from .http_pool import OwnTransport
from .token_check import TokenChecker
from .usage import usage_of
from .work import check_files, check_payload

CLOUDFLARE = "https://api.cloudflare.com/client/v4"
ACCOUNT_ID_LENGTH = 32
HEX = frozenset("0123456789abcdef")
TOKEN = re.compile(r"[!-~]+")  # what a header can bear; httpx would name the rest in its error
TIMEOUT = 240.0  # s: models themselves give up after 120 to 235 s


class WorkersAI(Unpickled):
    """Cloudflare Workers AI over HTTP: one account, one connection pool.

    `timeout` is in seconds, for the next piece of an answer. Use a `with` block, or close it.
    Every method raises the errors of `cfai_magics.errors` and no other.
    """

    def __init__(
        self,
        account_id: str,
        api_token: str | Secret,
        *,
        base_url: str = CLOUDFLARE,
        timeout: float = TIMEOUT,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        token = api_token = _secret(api_token)  # a traceback shows the arguments too
        if len(account_id) != ACCOUNT_ID_LENGTH or set(account_id) - HEX:
            account_id = ""  # it may be the token
            raise NotAnAccountId("What stands for the account id is none")
        if token is not NO_TOKEN and not token.fits(TOKEN):
            raise BadOption(
                "What stands for the API token is none",
                "Run %cfai login again, or check CLOUDFLARE_API_TOKEN.",
            )
        self._root = base_url.rstrip("/")
        self._account_id = account_id
        self._openai = f"{self._root}/accounts/{account_id}/ai/v1"
        self._via = ""
        self._connection = Connection(token, timeout, transport, sleep)

    @classmethod
    def openai_compatible(
        cls,
        base_url: str,
        api_key: str | Secret,
        *,
        timeout: float = TIMEOUT,
        transport: httpx.BaseTransport | None = None,
        proxies: bool = False,
        via: str = "",
    ) -> Self:
        """Return a client of another server with OpenAI's routes, such as llama.cpp's own.

        It has stream, chat and embed; what only Cloudflare offers raises BadOption. The proxies
        that the environment names are used only with `proxies`: what stays on this machine passes
        through none. An empty `api_key` sends none; `via` is what its answers name as their way.
        """
        key = api_key = _secret(api_key)
        if key and not key.fits(TOKEN):
            raise BadOption("What stands for the API key is none", "Check CFAI_API_KEY.")
        way = transport or (None if proxies else OwnTransport(httpx.HTTPTransport))
        made = cls("0" * ACCOUNT_ID_LENGTH, key or NO_TOKEN, timeout=timeout, transport=way)
        made._account_id = ""
        made._openai = base_url.rstrip("/")
        made._via = via
        return made

    def __repr__(self) -> str:
        return f"WorkersAI(…{self._account_id[-4:]})" if self._account_id else "WorkersAI(other)"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    def take_turns(self, turn: Turn) -> None:
        """Let each request to a model wait first, as long as `turn` says of it."""
        self._connection.turn = turn

    def hang_up(self) -> None:
        """End at once what other threads wait for; nothing more can be sent, and close remains."""
        self._connection.hang_up()

    def bearing(self, extensions: Mapping[str, Any]) -> Self:
        """Return this client with what httpx hands on to the transport beside each request."""
        made = copy(self)
        made._connection = self._connection.bearing(extensions)  # noqa: SLF001 - our own
        return made

    def stream(
        self, request: Request, on_retry: OnRetry | None = None, gateway: Gateway | None = None
    ) -> ChatStream:
        """Return the answer's deltas as they come; nothing is sent before the first is asked for.

        A refusal is tried again where that is worth it, as long as nothing has arrived;
        `on_retry(error, seconds, next_try)` is called before a wait once that takes over 2 s.
        """
        body = chat.body(request, cloudflare=bool(self._account_id))
        url = f"{self._openai}/chat/completions"
        return ChatStream(
            lambda changes: self._connection.send(
                "POST", url, request.model, **through(gateway, json_content({**body, **changes}))
            ),
            lambda send: self._connection.tried(send, on_retry, request.model),
            request,
            gateway.shown if gateway else self._via,
        )

    def chat(self, request: Request, on_retry: OnRetry | None = None) -> Answer:
        """Return the whole answer."""
        gathering = Gathering(request, time.monotonic, local=not self._account_id)
        with self.stream(request, on_retry) as deltas:
            for delta in deltas:
                gathering.add(delta)
            return gathering.answer(deltas.usage, request_id=deltas.request_id, raw=deltas.body)

    def embed(self, texts: str | Iterable[str], model: str) -> Embeddings:
        """Return one vector per text, in their order; a request contains up to 100 texts."""
        vectors: list[tuple[float, ...]] = []
        usage = Usage()
        for batch in self.embed_batches(texts, model):
            vectors += batch.vectors
            usage += batch.usage
        return Embeddings(model, tuple(vectors), usage)

    def embed_batches(
        self,
        texts: str | Iterable[str],
        model: str,
        on_retry: OnRetry | None = None,
        gateway: Gateway | None = None,
    ) -> Iterator[Embeddings]:
        """Yield the vectors of 100 texts at a time, with what each request used."""
        for batch in tasks.batches(texts_of(texts, "texts")):
            body = through(gateway, json_content(tasks.embeddings_body(model, batch)))
            reply, headers = self._connection.ask(
                "POST", f"{self._openai}/embeddings", model, on_retry, **body
            )
            found = tasks.vectors(reply, len(batch))
            usage = usage_of(reply.get("usage"), headers)
            yield Embeddings(model, tuple(found), usage)

    def models(self, on_retry: OnRetry | None = None) -> tuple[Model, ...]:
        """Return the catalogue, every page of it; `on_retry` as for stream."""
        found: list[Model] = []
        page = 1
        while True:
            reply = self._search(page, catalogue.PAGE_SIZE, on_retry)
            found += catalogue.models(reply)
            if catalogue.is_last_page(reply, page):
                return tuple(found)
            page += 1

    def _search(self, page: int, per_page: int, on_retry: OnRetry | None = None) -> Any:
        path = f"{self._account()}/ai/models/search?page={page}&per_page={per_page}"
        return self._connection.ask("GET", path, on_retry=on_retry)[0]

    def check_token(self, on_retry: OnRetry | None = None) -> account.TokenCheck:
        """Ask Cloudflare what the token is: its owner, its state, and what it may do.

        Raises AuthenticationError when it is no valid token of this account; `on_retry` as for
        stream.
        """
        self._account()
        token = TokenChecker(
            self._connection, self._root, self._openai, lambda: self._search(1, 1)
        )
        return token.check(self._account_id, on_retry)

    def neurons_by_model(self, day: datetime) -> dict[str, float]:
        """Return the neurons that the account used on a UTC day, by model, as Cloudflare counts.

        They come some minutes late. Raises PermissionDenied without Account Analytics - Read.
        """
        self._account()
        body = json_content(analytics.body(self._account_id, day))
        try:
            reply, _ = self._connection.ask("POST", self._root + analytics.PATH, **body)
        except PermissionDenied as error:
            error.hint = analytics.PERMISSION
            raise
        return analytics.neurons_by_model(reply)

    def run(
        self,
        model: str,
        payload: Mapping[str, Any] | bytes,
        *,
        content_type: str | None = None,
        files: Mapping[str, Any] | None = None,
        gateway: Gateway | None = None,
        on_retry: OnRetry | None = None,
    ) -> RawResult:
        """Run a native task and return its reply in its raw form.

        `payload` is sent as JSON; bytes are sent as they are, with their `content_type`; with
        `files`, as httpx takes them, all goes as multipart/form-data, as the flux-2 models want;
        `on_retry` as for stream.
        """
        check_payload(payload)
        url = self._account() + tasks.run_path(quote(model, safe="@/"))
        sent = tasks.multipart(payload, files) or content(payload, content_type)
        sent = through(gateway, sent)
        response = self._connection.tried(
            lambda: self._connection.send("POST", url, model, **sent), on_retry, model
        )
        kind = response.headers.get("content-type", "")
        if "json" in kind:
            return tasks.json_result(json_of(response), kind, response.headers)
        return tasks.bytes_result(whole(response), kind, response.headers)

    @property
    def batches(self) -> Batches:
        """The queue of the Batch API."""
        return Batches(self._connection, self._account())

    def to_markdown(
        self,
        files: Sequence[tuple[str, bytes, str]],
        on_retry: OnRetry | None = None,
        gateway: Gateway | None = None,
    ) -> RawResult:
        """Return documents as Markdown; they are given as (name, bytes, MIME type)."""
        check_files(files)
        form = through(gateway, {"files": [("files", file) for file in files]})
        url = f"{self._account()}/ai/tomarkdown"
        reply, headers = self._connection.ask("POST", url, on_retry=on_retry, **form)
        return tasks.json_result(reply, "application/json", headers)

    def _account(self) -> str:
        if not self._account_id:
            raise BadOption(
                "The server that answers now has no Workers AI account",
                "%cfai status shows which it is and where that is set.",
            )
        return f"{self._root}/accounts/{self._account_id}"


def _secret(given: str | Secret) -> Secret:
    return given if isinstance(given, Secret) else Secret(given)
