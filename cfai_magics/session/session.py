"""The session: reserve, send, decode and settle every model call."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import forks
from ..arguments import check_method_arguments, collect_texts
from ..backends.selector import Backend
from ..errors import (
    CfaiError,
    DailyQuotaError,
    MissingCredentialsError,
    ModelNotFoundError,
)
from ..pricing.catalog import CatalogStore, exact_or_unlisted, suggest_models
from ..pricing.prices import Cost, RequestSize
from ..replay.recorder import Recorder
from ..secret import Unpicklable, get_environment
from ..settings import Cfai
from ..storage.ledger import CallContext, Ledger
from ..storage.rate_limiter import RateLimiter
from ..types.messages import (
    Answer,
    Message,
    Request,
    check_messages,
    collect_stop_sequences,
    require_request,
)
from ..types.results import Embeddings, TaskResult
from ..types.usage import ActiveCall, Catalog, DayUsage, Model
from ..workers_ai.chat_stream import AnswerBuilder
from ..workers_ai.retry import OnRetry
from ..workers_ai.task_requests import Payload, check_files, check_payload
from .call import CallResolver, ClientGroup, ResolvedCall
from .observers import Callback, Observers, Resource, Unwatch
from .parallel import BudgetPool, ParallelStreams
from .reservation import Accounting, Reservation, reserve_group
from .stream import AnswerStream

if TYPE_CHECKING:
    import httpx
from .task_calls import TO_MARKDOWN_MODEL, Files, TaskCalls

EMBEDDING_MODEL = "@cf/baai/bge-m3"


@check_method_arguments
class Session(forks.ChildForkHook, Unpicklable):
    """One user's session with Workers AI, another server or the local model.

    Every call goes through a session: it applies the settings, the course's policy and the
    budgets, replays recorded answers, and books the cost in the ledger. The magics have one, which
    `cfai_magics.api.get_current_session` returns. Call `close` on a session of your own.

    Args:
        settings: The settings; `cfai_magics.settings.load_settings` reads them.
        home: Folder for the state: ledger, conversations, catalog and credentials.
        environ: Environment variables; None is those of the process.
        transport: Transport of httpx for all requests; None is the network.
        clock: Returns seconds, to measure durations.
        wall_clock: Returns the seconds since 1970-01-01 UTC.

    Attributes:
        settings: The settings, which may be changed at any time.
        home: The folder for the state.
        notebook: The notebook's name in the ledger.
    """

    def __init__(
        self,
        settings: Cfai,
        home: Path,
        *,
        environ: Mapping[str, str] | None = None,
        transport: "httpx.BaseTransport | None" = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        environ = get_environment(environ)
        self.settings = settings
        self.home = home
        self.notebook = ""
        ledger = Ledger(home, wall_clock, settings.course.budgets)
        # Views change when another kernel writes to the ledger, and each minute (clocks).
        self.observers = Observers(lambda: (ledger.data_version(), int(wall_clock() // 60)))
        self._rate_limiter = RateLimiter(home, wall_clock, self.resolve_catalog_model)
        callbacks = (self.observers.notify, self._rate_limiter.acquire)
        self.backend = Backend(settings, home, environ, transport, *callbacks)
        self.recorder = Recorder(
            settings, environ, home / "locks", lambda: self.notebook, wall_clock
        )
        self.backend.get_transport_wrapper, self.backend.is_network_allowed = (
            self.recorder.get_transport_wrapper,
            self.recorder.mode_resolver.is_network_allowed,
        )
        self.accounting = Accounting(ledger, self._call_context, self.observers)
        self.resolver = CallResolver(self.accounting, self.backend, self.recorder)
        self.resources: dict[str, Resource] = {}
        settings.observe(self._on_setting_changed)
        self._wall_clock = wall_clock
        self._clock = clock
        self._task_calls = TaskCalls(self.accounting, self.resolver, clock, self._add_hints)
        self._catalog_store = CatalogStore(home)
        forks.register(self)

    def after_fork_in_child(self) -> None:
        """Drop the resources that belong to the parent, such as panels."""
        self.resources = {}

    def _call_context(self) -> CallContext:
        try:
            account = self.backend.account()
        except MissingCredentialsError:  # nothing can be sent, but budgets can be shown
            account = ""
        return CallContext(account, self.notebook)

    def close(self) -> None:
        """Close attached resources, connections and ledger, and stop the local server."""
        for resource in list(self.resources.values()):
            resource.close()
        with suppress(ValueError):  # already closed
            self.settings.unobserve(self._on_setting_changed)
        self.observers.close()
        self.backend.close()
        self.accounting.ledger.close()
        self._rate_limiter.close()

    # --- watching

    def watch(self, callback: Callback) -> Unwatch:
        """Call `callback` when a setting, the account, today's usage or an active call changes.

        It is called without arguments, on the thread that made the change: read `settings`,
        `day_usage()` and `active_calls` there. Returns a function that removes the callback.
        """
        return self.observers.add(callback)

    def now(self) -> datetime:
        """Return the current time of this session's clock, in UTC."""
        return datetime.fromtimestamp(self._wall_clock(), UTC)

    def _on_setting_changed(self, _change: object) -> None:
        self.observers.notify()

    @property
    def active_calls(self) -> tuple[ActiveCall, ...]:
        """The calls in progress, with their usage so far."""
        return self.observers.active_calls

    def day_usage(self) -> DayUsage:
        """Return today's usage of the billing account, without starting the local server.

        Raises MissingCredentialsError if no account is set.
        """
        return self.accounting.ledger.day_usage(self.backend.billing_account())

    # --- calls

    def build_request(  # noqa: PLR0913 - one argument per field, for completion
        self,
        messages: Iterable[Message],
        model: str = "",
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        stop: str | Iterable[str] | None = None,
        think: bool = False,
        stream: bool = True,
        extra: Mapping[str, Any] | None = None,
    ) -> Request:
        """Build the request for these messages, with defaults from the settings; send nothing.

        Args:
            messages: OpenAI messages in order, such as {"role": "user", "content": "Hi"}.
            model: The model's name, of which the end is enough; "" is the setting `model`.
            max_tokens: At most so many tokens of the answer; None is the setting `max_tokens`.
            temperature: 0 to 5; None is the setting `temperature`, which sends none if unset.
            top_p: 0 to 1: sample only from the most likely tokens with this total probability.
            seed: Number that makes sampling repeatable, if the model supports it.
            stop: One text or several: the answer ends before the first of them.
            think: Let a reasoning model think first, which costs tokens.
            stream: Receive the answer in pieces; False receives it whole.
            extra: Further fields of the request's JSON body; they override the other fields.

        Returns:
            The request, with the model's full name. It sends and costs nothing.

        Raises:
            ModelNotFoundError: No model has this name.
            InvalidOptionError: An argument is not valid.
            LocalModelError: The local model is in use and cannot be started.
        """
        message_list, stop_sequences = check_messages(messages), collect_stop_sequences(stop)
        requested = model or self.settings.model
        self.backend.ensure_local_server()
        resolved_model = self.resolve_model(requested)
        local = self.backend.is_local
        return Request(
            resolved_model.name,
            message_list,
            max_tokens=self.settings.max_tokens if max_tokens is None else max_tokens,
            temperature=self.settings.temperature if temperature is None else temperature,
            top_p=top_p,
            seed=seed,
            stop=stop_sequences,
            think=think if resolved_model.reasoning else None,
            stream=stream,
            extra={} if extra is None else extra,
            requested_model=self.resolver.full_model_name(requested, self.catalog())
            if local
            else "",
        )

    def stream(
        self,
        request: Request,
        on_retry: OnRetry | None = None,
        max_neurons: float | None = None,
        thread: str = "",
        gateway: str = "",
        pool: BudgetPool | None = None,
    ) -> AnswerStream:
        """Return the stream of an answer: reserved when it starts, settled however it ends.

        Nothing is sent until the iteration starts. Use a `with` block, so that the connection is
        closed and the cost is booked when a loop ends early.

        Args:
            request: The request, as `build_request` returns it.
            on_retry: Called before a wait with the error, the seconds to wait, and the number of
                the next attempt.
            max_neurons: Maximum cost of this call in neurons, in addition to the budgets.
            thread: Name of the conversation in the ledger.
            gateway: Name of the AI Gateway, or "off" for none; "" is the setting `gateway`.
            pool: The cost is reserved from this pool of a map; None reserves it by itself.

        Returns:
            An iterator over the deltas: text, reasoning, tool calls, usage and finish reason. Its
            `answer` is the answer so far.

        Raises:
            InvalidOptionError: An argument is not valid. Nothing was sent.
            CoursePolicyError: The course's cfai.toml does not allow the request.
            MissingCredentialsError: No account or API token is set.
            BudgetExceededError: Raised by the iteration if a budget has too little left.
            BudgetCutoffError: Raised by the iteration if the answer reached the end of a budget.
            WorkersAIError: Raised by the iteration if the request failed.
        """
        resolved = self._resolve(request, pool.clients if pool else None)
        cost = self.resolver.estimate_cost(request, self.resolve_model(request.model))
        reservation = resolved.new_reservation(cost, max_neurons, thread)
        if pool and not resolved.is_recorded:
            pool.reserve_from(reservation)
        return self._open_stream(request, reservation, resolved, on_retry, gateway)

    def parallel(
        self,
        requests: Request | Sequence[Request],
        max_neurons: float | None = None,
        gateway: str = "",
    ) -> ParallelStreams:
        """Return the parallel streams of the answers to all requests.

        The cost of all is reserved as one sum before the first is sent.

        Args:
            requests: One request, or several.
            max_neurons: Maximum cost of all requests together, in neurons.
            gateway: As for `stream`.

        Returns:
            An iterator over pairs: the index of the request, and a delta or the end of its answer.

        Raises:
            CfaiError: As for `stream`. An error of one request does not stop the others.
        """
        request_list = (requests,) if isinstance(requests, Request) else requests
        clients = ClientGroup(self.backend)
        resolved_calls = [self._resolve(request, clients) for request in request_list]
        pairs = list(zip(request_list, resolved_calls, strict=True))
        costs = [
            self.resolver.estimate_cost(request, self.resolve_model(request.model))
            for request in request_list
        ]
        reservations = [
            resolved.new_reservation(cost, max_neurons)
            for resolved, cost in zip(resolved_calls, costs, strict=True)
        ]
        paid_reservations = [
            reservation
            for reservation, resolved in zip(reservations, resolved_calls, strict=True)
            if not resolved.is_recorded
        ]

        def open_stream(index: int, on_retry: OnRetry) -> AnswerStream:
            request, resolved = pairs[index]
            return self._open_stream(request, reservations[index], resolved, on_retry, gateway)

        return ParallelStreams(
            len(request_list), open_stream, lambda: reserve_group(paid_reservations), clients
        )

    def _resolve(self, request: Request, clients: ClientGroup | None = None) -> ResolvedCall:
        """Check the course policy, then resolve the call of a request."""
        require_request(request)
        self.check_course_policy(request)
        return self.resolver.resolve_chat(request, self.resolve_model(request.model), clients)

    def _open_stream(
        self,
        request: Request,
        reservation: Reservation,
        resolved: ResolvedCall,
        on_retry: OnRetry | None,
        gateway: str,
    ) -> AnswerStream:
        resolved_gateway = self.resolver.resolve_gateway(resolved, gateway)
        return AnswerStream(
            replace(request, model=resolved.model.name),
            reservation,
            lambda admitted_request: resolved.client.stream(
                admitted_request, on_retry, resolved_gateway
            ),
            lambda original_request: AnswerBuilder(
                original_request,
                self._clock,
                is_local=resolved.is_local,
                provenance=resolved.provenance,
            ),
            self._add_hints,
        )

    def check_course_policy(self, request: Request) -> None:
        """Raise CoursePolicyError if the course's file does not allow the request."""
        self.settings.course.check_request(request, is_local=self.backend.is_local)

    def estimate_cost(self, request: Request | RequestSize, resolved_model: Model) -> Cost | None:
        """Return the estimated cost of a request on its backend.

        Args:
            request: The request, or its size.
            resolved_model: The model of `resolve_model`, with its prices.

        Returns:
            Lower and upper bound in neurons; None if no price is known.
        """
        return self.resolver.estimate_cost(request, resolved_model)

    def ask(
        self,
        request: Request,
        max_neurons: float | None = None,
        *,
        on_retry: OnRetry | None = None,
        thread: str = "",
        gateway: str = "",
    ) -> Answer:
        """Send the request and return its complete answer; arguments as for `stream`.

        Raises:
            CfaiError: As for `stream`; `error.answer` is the part that was received.
        """
        with self.stream(request, on_retry, max_neurons, thread, gateway) as stream:
            for _ in stream:
                pass
            return stream.answer

    def embed(
        self,
        texts: str | Iterable[str],
        model: str = "",
        *,
        on_retry: OnRetry | None = None,
        max_neurons: float | None = None,
    ) -> Embeddings:
        """Return one embedding vector per text, in the order of the texts.

        Args:
            texts: One text, or an iterable of texts.
            model: Name of an embedding model; "" is bge-m3.
            on_retry: As for `stream`.
            max_neurons: Maximum cost of all requests together, in neurons.

        Returns:
            n vectors of d floats; their `array` has dtype float64 and shape (n, d).

        Raises:
            InvalidOptionError: One of the texts is not a str. Nothing was sent.
            CfaiError: As for `stream`.
        """
        requested, all_texts = (
            model or EMBEDDING_MODEL,
            collect_texts(texts, "texts"),
        )
        self.backend.ensure_local_server()
        resolved_model = self.resolve_model(requested)
        if not self.backend.is_local:
            self.settings.course.check_model(resolved_model.name)
        request = Request(resolved_model.name, tuple({"content": text} for text in all_texts))
        full_name = self.resolver.full_model_name(requested, self.catalog())
        resolved = self.resolver.resolve_embeddings(full_name, all_texts, resolved_model)
        cost = self.estimate_cost(request, resolved_model)
        return self._task_calls.embed(all_texts, resolved, cost, on_retry, max_neurons)

    def run(
        self,
        model: str,
        payload: Payload,
        *,
        content_type: str | None = None,
        files: Mapping[str, Any] | None = None,
        on_retry: OnRetry | None = None,
        max_neurons: float | None = None,
    ) -> TaskResult:
        """Run a native task of Workers AI and return its unparsed result.

        Args:
            model: The model's name, of which the end is enough.
            payload: The fields of the request, which are sent as JSON, or bytes.
            content_type: MIME type of `payload` if it is bytes.
            files: Files by field name, in the form that httpx takes. All fields are then sent as
                multipart/form-data, which the flux-2 models require.
            on_retry: As for `stream`.
            max_neurons: Maximum cost of this call, in neurons.

        Returns:
            The JSON value in `result`, or the bytes in `content`, with the cost in neurons.

        Raises:
            InvalidOptionError: An argument is not valid. Nothing was sent.
            CfaiError: As for `stream`.
        """
        check_payload(payload)
        resolved_model = self.resolve_catalog_model(model)
        self.settings.course.check_task(resolved_model, payload)
        call_kwargs = {"content_type": content_type, "files": files}
        return self._task_calls.run(resolved_model, payload, on_retry, max_neurons, **call_kwargs)

    def to_markdown(
        self,
        files: Files,
        *,
        on_retry: OnRetry | None = None,
        max_neurons: float | None = None,
    ) -> TaskResult:
        """Convert documents to Markdown with Workers AI.

        Args:
            files: Each document as a tuple of file name, bytes and MIME type.
            on_retry: As for `stream`.
            max_neurons: Maximum cost of this call, in neurons.

        Returns:
            A list in `result` with a dict per document, whose "data" is the Markdown.

        Raises:
            InvalidOptionError: A document has another form. Nothing was sent.
            CfaiError: As for `stream`.
        """
        check_files(files)
        self.settings.course.check_model(TO_MARKDOWN_MODEL.name)
        return self._task_calls.to_markdown(files, on_retry, max_neurons)

    def fetch_account_usage(self) -> dict[str, float]:
        """Fetch today's neurons by model from Cloudflare, and store their sum in the ledger.

        Raises PermissionDeniedError if the token lacks Account Analytics - Read.
        """
        client = self.backend.client()
        neurons_by_model = client.fetch_neurons_by_model(self.now())
        self.accounting.ledger.save_account_figure(
            self.accounting.get_context().account, sum(neurons_by_model.values())
        )
        return neurons_by_model

    def _add_hints(self, error: CfaiError) -> CfaiError:
        """Return the error with the session's hints, such as similar model names."""
        if isinstance(error, ModelNotFoundError) and error.model:
            suggestions = suggest_models(error.model, self.catalog())
            error.hint = (
                f"Nearest: {', '.join(suggestions)}. {error.hint}" if suggestions else error.hint
            )
        if isinstance(error, DailyQuotaError) and error.status is not None:
            self.accounting.mark_quota_exhausted()
            error.hint = self.accounting.quota_error(error.cause).hint
        return self.backend.with_hint(error)

    # --- models

    def resolve_model(self, name: str) -> Model:
        """Return the model of a name; with a local server, always the local model.

        Another server has its own model names: they are used as typed.
        """
        server = self.backend.local_server
        if server is not None:
            return Model(
                server.model_name, context_window=server.context_window, vision=server.vision
            )
        if self.backend.server is not None:
            return exact_or_unlisted(name, self.catalog())
        return self.resolve_catalog_model(name)

    def resolve_catalog_model(self, name: str) -> Model:
        """Return the model of a name from the catalog, or else from the recordings."""
        return self.resolver.resolve_model(name, self.catalog())

    def catalog(self) -> Catalog:
        """Return the model catalog without network access."""
        return self._catalog_store.current()

    def fetch_catalog(self, on_retry: OnRetry | None = None) -> Catalog:
        """Fetch the model catalog from Cloudflare and store it on disk."""
        catalog = self._catalog_store.update(self.backend.client().list_models(on_retry))
        self.observers.notify()
        return catalog
