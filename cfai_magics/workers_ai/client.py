"""Client for Cloudflare Workers AI, with one method per endpoint."""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import quote

import httpx

from .. import runtime
from ..arguments import check_method_arguments, collect_filled_texts, require_str
from ..errors import (
    AuthenticationError,
    CfaiError,
    DailyQuotaError,
    InvalidAccountIdError,
    InvalidOptionError,
    PermissionDeniedError,
    ServerError,
    WorkersAIError,
)
from ..i18n import _
from ..pricing.limits import RateDelay
from ..secret import Secret, Unpicklable
from ..types.messages import Answer, FinishDelta, Request, TextDelta, require_request
from ..types.usage import Model, Usage
from .chat_stream import AnswerBuilder, ChatStream, StreamOptions
from .endpoints import (
    ANALYTICS_PERMISSION_HINT,
    GRAPHQL_PATH,
    PAGE_SIZE,
    PERMISSION_PROBE,
    RUN_PATH,
    USER_TOKEN_PATH,
    ClassStatus,
    TokenCheck,
    account_token_path,
    analytics_body,
    batch_body,
    chat_body,
    embeddings_body,
    is_cloudflare_url,
    is_last_page,
    multipart_kwargs,
    no_models_error,
    parse_batch_id,
    parse_batch_responses,
    parse_class_figures,
    parse_class_models,
    parse_class_status,
    parse_embeddings,
    parse_models,
    parse_neurons_by_model,
    parse_token_check,
    require_active_token,
    require_items,
    split_batches,
    task_result_from_bytes,
    task_result_from_json,
    unwrap_batch_response,
)
from .error_mapping import error_from_body, without_model_hints
from .frame_decoder import FrameDecoder, parse_usage
from .gateway import Gateway, require_gateway, with_gateway_headers
from .http import (
    NO_TOKEN,
    AcquireSlot,
    FieldNames,
    HTTPConnection,
    PerProcessTransport,
    content_kwargs,
    json_kwargs,
    parse_object,
    raise_if_page,
    read_body,
    reporting_bill,
)
from .retry import RETRYABLE, OnRetry

if TYPE_CHECKING:
    from ..types.results import Embeddings, TaskResult


CLOUDFLARE_API_URL = "https://api.cloudflare.com/client/v4"
ACCOUNT_ID_LENGTH = 32
HEX_DIGITS = frozenset("0123456789abcdef")
# Characters allowed in a header. With any other, the error from httpx would show the token.
TOKEN_PATTERN = re.compile(r"[!-~]+")
BODY_EXAMPLE = '{"model": "@cf/…", "messages": [{"role": "user", "content": "…"}]}.'
DEFAULT_TIMEOUT = 240.0  # s; models time out after 120 to 235 s


class BatchAnswer(NamedTuple):
    """The answer to one request in a batch; `error` is the reason if the request failed.

    `is_over_quota` is True if it failed because the daily quota was used up.
    """

    text: str = ""
    finish_reason: str = "unknown"
    usage: Usage = Usage()
    error: str = ""
    is_over_quota: bool = False


def parse_batch_answer(response: Mapping[str, Any]) -> BatchAnswer:
    """Return the answer or error from one response in a batch, in any known format."""
    error = error_from_body(response) or error_from_body(response.get("result"))
    if error is not None:
        return failed_batch_answer(error)
    decoder = FrameDecoder()
    deltas = [*decoder.decode(unwrap_batch_response(response)), *decoder.finish()]
    error = error_from_body({"error": decoder.error})
    if error is not None:
        return failed_batch_answer(error)
    text = "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))
    reasons = [delta.reason for delta in deltas if isinstance(delta, FinishDelta)]
    return BatchAnswer(text, reasons[-1] if reasons else "unknown", decoder.usage)


def failed_batch_answer(error: CfaiError) -> BatchAnswer:
    """Return the answer to a request that failed with this error, or in a batch that failed."""
    reason = error.__cause__ or error
    is_over_quota = isinstance(reason, DailyQuotaError)
    return BatchAnswer(error=error.format_line(), is_over_quota=is_over_quota)


@check_method_arguments("enqueue", "fetch")
class Batches:
    """Client for one account's Batch API; `account_url` is the account's base URL."""

    def __init__(self, connection: HTTPConnection, account_url: str) -> None:
        self._connection = connection
        self._account_url = account_url

    def enqueue(
        self,
        requests: Sequence[Request],
        on_retry: OnRetry | None = None,
        gateway: Gateway | None = None,
        listed_model: Model | None = None,
    ) -> str:
        """Submit requests to one model as a batch and return the batch ID.

        `listed_model` is the model in the catalog, as in `chat_body`.

        Raises:
            InvalidOptionError: `requests` is empty or contains something else. Nothing was sent.
            WorkersAIError: The request failed, or its response has no batch ID.
        """
        is_list = isinstance(requests, list | tuple) and bool(requests)
        if not is_list or not all(isinstance(request, Request) for request in requests):
            raise InvalidOptionError(
                _("requests must be a list of at least one Request"),
                _("Build each with {function}.").format(function="session.build_request()"),
            )
        model = requests[0].model
        body = batch_body([chat_body(request, model=listed_model) for request in requests])
        request_kwargs = with_gateway_headers(gateway, json_kwargs(body))
        url = f"{self._run_url(model)}?queueRequest=true"
        return parse_batch_id(
            self._connection.request_json("POST", url, model, on_retry, **request_kwargs)[0]
        )

    def fetch(
        self, model: str, batch_id: str, on_retry: OnRetry | None = None
    ) -> dict[int, BatchAnswer] | None:
        """Return the answers in a batch by request index; None while the batch is queued.

        Args:
            model: The model's full name.
            batch_id: The ID that `enqueue` returned.
            on_retry: The function that receives each retry, as in `WorkersAI`.

        Raises:
            BatchFailedError: The batch failed.
            WorkersAIError: The request failed.
        """
        with without_model_hints():
            request_kwargs = json_kwargs({"request_id": batch_id})
            response_body, _headers = self._connection.request_json(
                "POST", self._run_url(model), on_retry=on_retry, **request_kwargs
            )
            responses = parse_batch_responses(response_body)
            if responses is None:
                return None
            return {index: parse_batch_answer(response) for index, response in responses.items()}

    def _run_url(self, model: str) -> str:
        return self._account_url + RUN_PATH + quote(model, safe="@/")


class TokenChecker:
    """Checker for one API token, which sends requests to `base_url` and `openai_url`.

    `search_models` requests one model from the catalog.
    """

    def __init__(
        self,
        connection: HTTPConnection,
        base_url: str,
        openai_url: str,
        search_models: Callable[[], object],
    ) -> None:
        self._connection = connection
        self._base_url = base_url
        self._openai_url = openai_url
        self._search_models = search_models

    def check(self, account_id: str, on_retry: OnRetry | None = None) -> TokenCheck:
        """Return the owner, status and permissions of the token.

        Raises:
            AuthenticationError: The token is invalid or not active.
            WorkersAIError: A request failed, so that a permission is not known.
        """
        paths = {"user": USER_TOKEN_PATH, "account": account_token_path(account_id)}
        owner = "user"
        try:
            response_body, _headers = self._connection.request_json(
                "GET", self._base_url + paths[owner], on_retry=on_retry
            )
        except AuthenticationError:
            owner = "account"
            response_body, _headers = self._connection.request_json(
                "GET", self._base_url + paths[owner], on_retry=on_retry
            )
        require_active_token(response_body)
        return parse_token_check(
            response_body, owner, can_read=self._can_list_models(), can_run=self._can_run_models()
        )

    def _can_list_models(self) -> bool:
        try:
            self._search_models()
        except (PermissionDeniedError, AuthenticationError):
            return False
        return True

    def _can_run_models(self) -> bool:
        """Return whether the token may run models.

        The check requests a model that does not exist, which costs nothing.
        """
        try:
            self._connection.request_json(
                "POST",
                f"{self._openai_url}/chat/completions",
                **json_kwargs(PERMISSION_PROBE),
            )
        except (
            PermissionDeniedError,
            AuthenticationError,
        ):  # Cloudflare sends either error if the token lacks Edit
            return False
        except WorkersAIError as error:  # such as ModelNotFoundError
            if error.code is None or isinstance(error, RETRYABLE):
                raise
        return True


@check_method_arguments(
    *("openai_compatible", "class_server", "stream", "chat", "embed", "embed_batches", "run"),
    *("to_markdown", "list_models", "check_token", "fetch_neurons_by_model"),
)
class WorkersAI(Unpicklable):
    """Client for Cloudflare Workers AI, with one account and one connection pool.

    Budgets, the ledger and recordings are features of Session, not of this client. Models are
    specified by their full names, such as @cf/google/gemma-4-26b-a4b-it. Use the client in a
    `with` block, or call `close`. All methods raise only errors from `cfai_magics.errors`.

    Args:
        account_id: The account ID, 32 hexadecimal characters.
        api_token: An API token with the Workers AI - Read and Workers AI - Edit permissions.
        base_url: Base URL of Cloudflare's API.
        timeout: Maximum time to wait for the next part of an answer, in seconds, above 0.
        transport: httpx transport for all requests; None uses the network.
        sleep: Function that waits for a number of seconds before a retry.

    Raises:
        InvalidAccountIdError: The account ID is not 32 hexadecimal characters.
        InvalidOptionError: Another argument is not valid.
    """

    def __init__(
        self,
        account_id: str,
        api_token: str | Secret,
        *,
        base_url: str = CLOUDFLARE_API_URL,
        timeout: float = DEFAULT_TIMEOUT,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = runtime.sleep,
    ) -> None:
        self._account_id, self._is_class_server = "", False  # `repr` needs them in a traceback
        token = _to_secret(api_token)
        api_token = NO_TOKEN  # a traceback also shows the arguments
        if isinstance(token, InvalidOptionError):
            raise token
        account_error = _find_account_error(account_id)
        if account_error is not None:
            account_id = ""  # the user may have passed the token
            raise account_error
        if token is not NO_TOKEN and not token.matches(TOKEN_PATTERN):
            raise InvalidOptionError(
                _("The API token is not valid"),
                _("Run %cfai login again, or check CLOUDFLARE_API_TOKEN."),
            )
        self._base_url = require_str(base_url, "base_url").rstrip("/")
        self._account_id = account_id
        self._openai_url = f"{self._base_url}/accounts/{account_id}/ai/v1"
        self._run_url = f"{self._base_url}/accounts/{account_id}{RUN_PATH}"
        self._observe_class_status: Callable[[float, float], None] = lambda *_figures: None
        self._endpoint = ""
        self._connection = HTTPConnection(token, timeout, transport, sleep)

    @classmethod
    def openai_compatible(
        cls,
        base_url: str,
        api_key: str | Secret,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        transport: httpx.BaseTransport | None = None,
        use_proxies: bool = False,
        endpoint: str = "",
    ) -> Self:
        """Return a client for another OpenAI-compatible server, such as llama.cpp.

        The client supports `stream`, `chat` and `embed`. Other requests raise
        InvalidOptionError.

        Args:
            base_url: Base URL of the server, including /v1.
            api_key: API key for the server; "" sends no key.
            timeout: Maximum time to wait for the next part of an answer, in seconds, above 0.
            transport: httpx transport for all requests; None uses the network.
            use_proxies: Whether to use the proxies set in the environment. Requests to this
                computer must not go through a proxy.
            endpoint: Name of the server, which is stored in its answers.

        Raises:
            InvalidOptionError: An argument is not valid.
        """
        key = _to_secret(api_key)
        api_key = NO_TOKEN  # a traceback also shows the arguments
        if isinstance(key, InvalidOptionError):
            raise key
        if key and not key.matches(TOKEN_PATTERN):
            raise InvalidOptionError(_("The API key is not valid"), _("Check CFAI_API_KEY."))
        resolved_transport = transport or (
            PerProcessTransport(httpx.HTTPTransport)
            if runtime.HAS_SOCKETS and not use_proxies
            else None
        )
        client = cls(
            "0" * ACCOUNT_ID_LENGTH, key or NO_TOKEN, timeout=timeout, transport=resolved_transport
        )
        client._account_id = ""
        client._openai_url = require_str(base_url, "base_url").rstrip("/")
        client._connection.is_cloudflare = is_cloudflare_url(base_url)
        client._endpoint = endpoint
        return client

    @classmethod
    def class_server(
        cls,
        base_url: str,
        api_key: str | Secret,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        transport: httpx.BaseTransport | None = None,
    ) -> Self:
        """Return a client for Workers AI through the class server of a teacher.

        The client supports `stream`, `chat`, `embed`, `run` and `list_models`. Other requests
        raise InvalidOptionError.

        Args:
            base_url: Address of the class server, without /v1.
            api_key: Key of a student.
            timeout: Maximum time to wait for the next part of an answer, in seconds, above 0.
            transport: httpx transport for all requests; None uses the network.

        Raises:
            InvalidOptionError: An argument is not valid.
        """
        key = _to_secret(api_key)
        api_key = NO_TOKEN  # a traceback also shows the arguments
        if isinstance(key, InvalidOptionError):
            raise key
        client = cls(
            "0" * ACCOUNT_ID_LENGTH, key, base_url=base_url, timeout=timeout, transport=transport
        )
        client._account_id = ""
        client._openai_url = f"{client._base_url}/v1"
        client._run_url = f"{client._base_url}/run/"
        client._is_class_server = True
        return client

    def __repr__(self) -> str:
        if self._is_class_server:
            return "WorkersAI(class server)"
        return f"WorkersAI(…{self._account_id[-4:]})" if self._account_id else "WorkersAI(other)"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    def set_rate_limiter(self, acquire_slot: AcquireSlot) -> None:
        """Delay each request to a model by the RateDelay that `acquire_slot` returns."""
        self._connection.acquire_slot = acquire_slot

    def observe_class_status(self, observe: Callable[[float, float], None]) -> None:
        """Pass what a class server reports with each response to `observe`, in neurons.

        The arguments are the student's neurons per day, and those spent and reserved today
        without the call that is answered. Missing and invalid figures are ignored.
        """

        def read_headers(headers: Mapping[str, str]) -> None:
            figures = parse_class_figures(headers)
            if figures is not None:
                observe(*figures)

        self._observe_class_status = observe
        self._connection.observe_headers = read_headers

    def share_field_names(self, field_names: FieldNames) -> None:
        """Use the models' names of request fields, which the clients of one server share."""
        self._connection.field_names = field_names

    def abort(self) -> None:
        """Interrupt the requests in all threads. After that, the client can only be closed."""
        self._connection.abort()

    def with_extensions(self, extensions: Mapping[str, Any]) -> Self:
        """Return a client with the same connections that sends these httpx request extensions."""
        client = copy(self)
        client._connection = self._connection.with_extensions(extensions)  # noqa: SLF001 - our own
        return client

    def with_slot(self, slot: RateDelay) -> Self:
        """Return a client with the same connections that uses this slot for its first attempt."""
        client = copy(self)
        client._connection = self._connection.with_slot(slot)  # noqa: SLF001 - our own
        return client

    def stream(
        self, request: Request, on_retry: OnRetry | None = None, gateway: Gateway | None = None
    ) -> ChatStream:
        """Return a stream of the answer's deltas; iterating over it sends the request.

        If a transient error occurs before the first delta is received, the request is retried.

        Args:
            request: The request, with the full name of its model.
            on_retry: Function to call before each wait, once retries take more than 2 s in total.
                It receives the error, the seconds to wait and the number of the next attempt.
            gateway: The AI Gateway to use; None sends the request directly.

        Returns:
            An iterable of deltas: text, reasoning, tool calls, usage and finish reason.

        Raises:
            InvalidOptionError: `request` is not a Request. Nothing was sent.
            WorkersAIError: The request failed. This is raised during iteration.
        """
        require_request(request)
        body = chat_body(request, cloudflare=self._is_workers_ai)
        return self.stream_body(body, on_retry, gateway)

    def stream_body(
        self,
        body: Mapping[str, Any],
        on_retry: OnRetry | None = None,
        gateway: Gateway | None = None,
        slot: RateDelay | None = None,
    ) -> ChatStream:
        """Return a stream, as in `stream`, for the JSON body of a chat request.

        `slot` is the rate limiter's slot for the first attempt, if the caller already has it.

        Raises:
            InvalidOptionError: An argument is not valid. Nothing was sent.
        """
        value: Any = body
        if not isinstance(value, Mapping) or not isinstance(value.get("model"), str):
            raise InvalidOptionError(
                _("body is not a dict with the name of a model"),
                _("Example: {example}").format(example=BODY_EXAMPLE),
            )
        endpoint = self._endpoint if gateway is None else require_gateway(gateway).label
        options = StreamOptions(on_retry, gateway, slot)
        url = f"{self._openai_url}/chat/completions"
        return ChatStream(self._connection, url, body, options, endpoint)

    def chat(
        self, request: Request, on_retry: OnRetry | None = None, gateway: Gateway | None = None
    ) -> Answer:
        """Send a chat request and return the whole answer.

        Arguments and errors are the same as in `stream`. The answer's `seconds` is the time
        measured by this client. Its `neurons` is None if the response has no usage.
        """
        builder = AnswerBuilder(request, time.monotonic, is_local=not self._is_workers_ai)
        with self.stream(request, on_retry, gateway) as chat_stream:
            for delta in chat_stream:
                builder.add(delta)
            return builder.build_answer(
                chat_stream.usage,
                request_id=chat_stream.request_id,
                raw=chat_stream.response_body,
                notes=chat_stream.notes,
            )

    def embed(
        self,
        texts: str | Iterable[str],
        model: str,
        on_retry: OnRetry | None = None,
        gateway: Gateway | None = None,
    ) -> "Embeddings":
        """Return one embedding vector per text, in the order of `texts`.

        Args:
            texts: One string, or an iterable of strings. Each request contains up to 100 of them.
            model: Full name of an embedding model.
            on_retry: Works as in `stream`.
            gateway: Works as in `stream`.

        Returns:
            Embeddings with n vectors of d floats. The `array` has dtype float64 and shape (n, d).

        Raises:
            InvalidOptionError: An item of `texts` is not a str, or is blank. Nothing was sent.
            WorkersAIError: A request failed.
        """
        from ..types.results import Embeddings

        vectors: list[tuple[float, ...]] = []
        usage = Usage()
        for batch in self.embed_batches(texts, model, on_retry, gateway):
            vectors += batch.vectors
            usage += batch.usage
        return Embeddings(model, tuple(vectors), usage)

    def embed_batches(
        self,
        texts: str | Iterable[str],
        model: str,
        on_retry: OnRetry | None = None,
        gateway: Gateway | None = None,
    ) -> "Iterator[Embeddings]":
        """Yield the vectors for up to 100 texts at a time, with the usage for each request.

        Arguments and errors are the same as in `embed`.
        """
        from ..types.results import Embeddings

        for batch in split_batches(collect_filled_texts(texts, "texts")):
            request_kwargs = with_gateway_headers(
                gateway, json_kwargs(embeddings_body(model, batch))
            )
            response_body, headers = self._connection.request_json(
                "POST", f"{self._openai_url}/embeddings", model, on_retry, **request_kwargs
            )
            raw_usage = response_body.get("usage") if isinstance(response_body, dict) else None
            usage = parse_usage(raw_usage, headers)
            try:
                vectors = parse_embeddings(response_body, len(batch))
            except ServerError as error:
                error.usage = usage  # the model has run
                raise
            yield Embeddings(model, tuple(vectors), usage)

    def list_models(self, on_retry: OnRetry | None = None) -> tuple[Model, ...]:
        """Return all models in the catalog, with prices in neurons.

        A class server lists only the names of the models that the student may use. `on_retry`
        works as in `stream`.

        Raises:
            WorkersAIError: A request failed, or the list has no models.
        """
        if self._is_class_server:
            url = f"{self._openai_url}/models"
            with without_model_hints():
                response_body, _headers = self._connection.request_json(
                    "GET", url, on_retry=on_retry
                )
                return tuple(parse_class_models(response_body))
        with without_model_hints():
            all_models: list[Model] = []
            page = 1
            while True:
                response_body = self._search_models(page, PAGE_SIZE, on_retry)
                all_models += parse_models(response_body)
                if is_last_page(response_body, page):
                    break
                page += 1
            if not all_models:
                raise no_models_error()
            return tuple(all_models)

    def _search_models(self, page: int, per_page: int, on_retry: OnRetry | None = None) -> Any:
        url = f"{self._account_url('')}/ai/models/search?page={page}&per_page={per_page}"
        return self._connection.request_json("GET", url, on_retry=on_retry)[0]

    def check_token(self, on_retry: OnRetry | None = None) -> TokenCheck:
        """Return the token's owner, status and permissions, as reported by Cloudflare.

        `on_retry` works as in `stream`.

        Raises:
            AuthenticationError: The token is not valid for this account.
        """
        self._account_url(_("checks of API tokens"))
        checker = TokenChecker(
            self._connection,
            self._base_url,
            self._openai_url,
            lambda: require_items(self._search_models(1, 1)),
        )
        with without_model_hints():
            return checker.check(self._account_id, on_retry)

    def fetch_neurons_by_model(self, day: datetime) -> dict[str, float]:
        """Return the neurons that the account used on one UTC day, by model.

        The numbers come from Cloudflare's analytics, which are a few minutes behind.

        Args:
            day: Any time on that UTC day.

        Raises:
            InvalidOptionError: `day` is not a datetime. Nothing was sent.
            PermissionDeniedError: The token lacks the Account Analytics - Read permission.
        """
        self._account_url(_("the usage of the account"))
        with without_model_hints():
            request_kwargs = json_kwargs(analytics_body(self._account_id, day))
            try:
                response_body, _headers = self._connection.request_json(
                    "POST", self._base_url + GRAPHQL_PATH, has_own_errors=True, **request_kwargs
                )
            except PermissionDeniedError as error:
                error.hint = _(ANALYTICS_PERMISSION_HINT)
                raise
            return parse_neurons_by_model(response_body)

    def run(
        self,
        model: str,
        payload: Mapping[str, Any] | bytes,
        *,
        content_type: str | None = None,
        files: Mapping[str, Any] | None = None,
        gateway: Gateway | None = None,
        on_retry: OnRetry | None = None,
    ) -> "TaskResult":
        """Run a native task and return its unparsed result.

        Args:
            model: Full name of the model.
            payload: The request fields, which are sent as JSON, or the request body as bytes.
            content_type: MIME type of a `payload` that is bytes.
            files: Files by field name, in the format that httpx accepts. If it is set, all
                fields are sent as multipart/form-data, which the flux-2 models require.
            gateway: Works as in `stream`.
            on_retry: Works as in `stream`.

        Returns:
            The JSON value in `result` or the bytes in `content`, with the cost in neurons.

        Raises:
            InvalidOptionError: An argument is not valid. Nothing was sent.
            WorkersAIError: The request failed.
        """
        from .task_requests import check_payload

        check_payload(payload, files)
        if not self._is_class_server:
            self._account_url("")
        url = self._run_url + quote(model, safe="@/")
        request_kwargs = multipart_kwargs(payload, files) or content_kwargs(payload, content_type)
        request_kwargs = with_gateway_headers(gateway, request_kwargs)

        def send() -> "TaskResult":
            response = self._connection.send("POST", url, model, **request_kwargs)
            response_type = response.headers.get("content-type", "")
            with reporting_bill(response.headers):
                content = read_body(response)
                if "json" in response_type or parse_object(content) is not None:
                    reply = self._connection.parse_reply(response, content, model)
                    return task_result_from_json(reply, response_type, response.headers)
                raise_if_page(response, content)
            return task_result_from_bytes(content, response_type, response.headers)

        return self._connection.with_retries(send, on_retry, model)

    @property
    def batches(self) -> Batches:
        """The client for the Batch API."""
        return Batches(self._connection, self._account_url(_("the Batch API")))

    def to_markdown(
        self,
        files: Sequence[tuple[str, bytes, str]],
        on_retry: OnRetry | None = None,
        gateway: Gateway | None = None,
    ) -> "TaskResult":
        """Convert documents to Markdown.

        Args:
            files: The documents, each as a tuple of file name, bytes and MIME type.
            on_retry: Works as in `stream`.
            gateway: Works as in `stream`.

        Returns:
            The result, whose `result` is a list with one dict per document. The "data" key of
            each dict contains the Markdown.

        Raises:
            InvalidOptionError: A document is not a tuple of this form. Nothing was sent.
            WorkersAIError: The request failed.
        """
        from .task_requests import check_files

        check_files(files)
        request_kwargs = with_gateway_headers(
            gateway, {"files": [("files", file) for file in files]}
        )
        account_url = self._account_url(_("the conversion of documents"))
        with without_model_hints():
            response_body, headers = self._connection.request_json(
                "POST", f"{account_url}/ai/tomarkdown", on_retry=on_retry, **request_kwargs
            )
            return task_result_from_json(response_body, "application/json", headers)

    def fetch_class_status(self, on_retry: OnRetry | None = None) -> ClassStatus:
        """Return the name and today's neurons of the student whose key the client has.

        `on_retry` works as in `stream`.

        Raises:
            AuthenticationError: The class server does not accept the key.
            WorkersAIError: The request failed, or the server is not a class server.
        """
        with without_model_hints():
            response_body, _headers = self._connection.request_json(
                "GET", f"{self._base_url}/me", on_retry=on_retry
            )
            status = parse_class_status(response_body)
        self._observe_class_status(status.budget, status.spent)
        return status

    @property
    def _is_workers_ai(self) -> bool:
        return bool(self._account_id) or self._is_class_server

    def _account_url(self, feature: str) -> str:
        """Return the URL of the account. `feature` is what a class server does not offer."""
        if self._is_class_server:
            raise InvalidOptionError(
                _("The class server does not offer {feature}").format(feature=feature),
                _("Nothing was sent. %cfai login --class off switches to your own account."),
            )
        if not self._account_id:
            raise InvalidOptionError(
                _("The current server has no Workers AI account"),
                _("%cfai status shows the server and the setting that selects it."),
            )
        return f"{self._base_url}/accounts/{self._account_id}"


def _find_account_error(value: Any) -> CfaiError | None:
    """Return the error if a value is not a valid account ID.

    The error is returned, because the traceback of a raised error shows the value.
    """
    try:
        require_str(value, _("The account ID"))
    except InvalidOptionError as error:
        return error.with_traceback(None)
    if len(value) != ACCOUNT_ID_LENGTH or set(value) - HEX_DIGITS:
        return InvalidAccountIdError(_("The account ID is not valid"))
    return None


def _to_secret(value: Any) -> Secret | InvalidOptionError:
    """Return a token as a Secret, or the error if it is not a str or a Secret.

    The error is returned, because the traceback of a raised error shows the value.
    """
    if isinstance(value, Secret):
        return value
    try:
        return Secret(require_str(value, _("The API token")))
    except InvalidOptionError as error:
        return error.with_traceback(None)
