"""The session: reserve, send, decode and settle every model call."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from .. import forks
from ..arguments import collect_texts, reject_unknown_arguments, require_str
from ..backends.selector import Backend, BackendKind
from ..errors import (
    CfaiError,
    DailyQuotaError,
    ModelNotFoundError,
)
from ..pricing.catalog import CatalogStore, exact_or_unlisted, suggest_models
from ..pricing.limits import RateDelay, rate_limit_for
from ..pricing.prices import Cost, RequestSize, get_max_tokens_field, with_max_tokens
from ..replay.recorder import Recorder
from ..secret import Unpicklable, get_environment
from ..settings import Cfai
from ..storage.ledger import CallContext, Ledger
from ..types.messages import (
    Answer,
    Fields,
    Message,
    Request,
    check_messages,
    collect_stop_sequences,
)
from ..types.results import Embeddings, TaskResult
from ..types.usage import ActiveCall, Catalog, DayUsage, Model
from ..workers_ai.chat_stream import AnswerBuilder
from ..workers_ai.retry import OnRetry
from ..workers_ai.task_requests import Payload, check_files, check_payload
from .call import Call, CallOrigin, CallResolver, ClientGroup, Target
from .observers import Callback, Observers, Resource, Unwatch
from .parallel import BudgetPool, ParallelStreams
from .reservation import Accounting, Reservation, reserve_group
from .stream import AnswerStream
from .task_calls import TO_MARKDOWN_MODEL, Files, TaskCalls

if TYPE_CHECKING:
    import httpx

    from ..workers_ai.chat_stream import ChatStream

EMBEDDING_MODEL = "@cf/baai/bge-m3"


class Session(forks.ChildForkHook, Unpicklable):
    """One user's session with Workers AI, another server or the local model.

    The constructor gets the state folder `home`, the environment, the transport and the clocks:
    `clock` measures durations, `wall_clock` returns seconds since 1970. `notebook` is the
    notebook's name in the ledger.
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
        callbacks = (self.observers.notify, self._take_slot)
        self.backend = Backend(settings, home, environ, transport, *callbacks)
        self.recorder = Recorder(
            settings, environ, home / "locks", lambda: self.notebook, wall_clock
        )
        self.backend.get_transport_wrapper, self.backend.is_network_allowed = (
            self.recorder.get_transport_wrapper,
            self.recorder.mode_resolver.is_network_allowed,
        )
        self.accounting = Accounting(ledger, self._call_context, self.observers)
        self.resolver = CallResolver(
            self.accounting, self.backend, self.recorder, lambda: self.notebook
        )
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
        return CallContext(self.backend.account_or_empty(), self.notebook)

    def close(self) -> None:
        """Close attached resources, connections and files, and stop the local server."""
        for resource in list(self.resources.values()):
            resource.close()
        with suppress(ValueError):  # already closed
            self.settings.unobserve(self._on_setting_changed)
        self.observers.close()
        self.backend.close()
        self.accounting.ledger.close()
        self.recorder.close()

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
        """The calls in progress, with their usage so far; empty if nothing watches the session."""
        return self.observers.active_calls

    def day_usage(self) -> DayUsage:
        """Return today's usage of the billing account, without starting the local server.

        Raises MissingCredentialsError if no account is set.
        """
        return self.accounting.ledger.day_usage(self.backend.billing_account())

    # --- calls

    @reject_unknown_arguments
    def build_request(
        self, messages: Iterable[Message], model: str | Target = "", **fields: Unpack[Fields]
    ) -> Request:
        """Build the request for these messages, with defaults from the settings.

        `model` may be a short name, or a target that is resolved; the fields are those of Request.

        Raises ModelNotFoundError or InvalidOptionError before anything is sent.
        """
        target = model if isinstance(model, Target) else self.resolve_target(model)
        max_tokens, temperature = fields.get("max_tokens"), fields.get("temperature")
        return Request(
            target.model.name,
            check_messages(messages),
            max_tokens=self.settings.max_tokens if max_tokens is None else max_tokens,
            temperature=self.settings.temperature if temperature is None else temperature,
            top_p=fields.get("top_p"),
            seed=fields.get("seed"),
            stop=collect_stop_sequences(fields.get("stop")),
            think=bool(fields.get("think")) if target.model.reasoning else None,
            stream=fields.get("stream") is not False,
            extra={} if (extra := fields.get("extra")) is None else extra,
            requested_model=target.requested_model,
        )

    def stream(  # noqa: PLR0913 - all but the first two are given by name
        self,
        request: Request,
        on_retry: OnRetry | None = None,
        *,
        max_neurons: float | None = None,
        thread: str = "",
        gateway: str = "",
        pool: BudgetPool | None = None,
        target: Target | None = None,
    ) -> AnswerStream:
        """Return the stream of an answer: reserved when it starts, settled however it ends.

        `max_neurons` limits this call in addition to the budgets. `thread` is the name of the
        conversation in the ledger. `gateway` is as in Backend.resolve_gateway. With `pool`, the
        cost is reserved from that pool. `target` is the model of the request, if it is resolved.
        """
        target = target or self._find_target(request.model)
        if request.model != target.model.name:
            request = _with_full_name(request, target)
        if self.settings.course.path is not None:
            self.check_course_policy(request, target)
        origin = CallOrigin(pool.clients if pool else None, None, thread)
        call = self.resolver.resolve_chat(request, target, origin)
        reservation = call.new_reservation(self.accounting, max_neurons)
        if pool and not call.is_recorded:
            pool.reserve_from(reservation)
        elif call.is_rate_limited:
            reservation.rate_limit = rate_limit_for(call.model)
        return self._open_stream(request, call, reservation, on_retry, gateway)

    def parallel(
        self,
        requests: Request | Sequence[Request],
        max_neurons: float | None = None,
        gateway: str = "",
        targets: Sequence[Target] | None = None,
    ) -> ParallelStreams:
        """Return the parallel streams of the answers to all requests.

        The cost of all is reserved as one sum before the first is sent; `max_neurons` limits
        that sum. `targets` are the models of the requests, if they are resolved.
        """
        request_list = [requests] if isinstance(requests, Request) else list(requests)
        if targets is None:
            targets = [self._find_target(request.model) for request in request_list]
        request_list = list(map(_with_full_name, request_list, targets))
        clients = ClientGroup(self.backend)
        origin = CallOrigin(clients, self.recorder.record_mode)
        calls = []
        for request, target in zip(request_list, targets, strict=True):
            self.check_course_policy(request, target)
            calls.append(self.resolver.resolve_chat(request, target, origin))
        reservations = [call.new_reservation(self.accounting, max_neurons) for call in calls]
        paid_reservations = [
            reservation
            for reservation, call in zip(reservations, calls, strict=True)
            if not call.is_recorded
        ]

        def open_stream(index: int, on_retry: OnRetry) -> AnswerStream:
            return self._open_stream(
                request_list[index], calls[index], reservations[index], on_retry, gateway
            )

        return ParallelStreams(
            len(request_list), open_stream, lambda: reserve_group(paid_reservations), clients
        )

    def _open_stream(
        self,
        request: Request,
        call: Call,
        reservation: Reservation,
        on_retry: OnRetry | None,
        gateway: str,
    ) -> AnswerStream:
        resolved_gateway = self.resolver.resolve_gateway(call, gateway)
        if call.model.name != request.model:
            request = replace(request, model=call.model.name)
        builder = AnswerBuilder(
            request, self._clock, is_local=call.is_local, provenance=call.provenance
        )

        def send(max_tokens: int) -> "ChatStream":
            body = call.body
            if max_tokens and max_tokens != get_max_tokens_field(body):
                body = with_max_tokens(body, max_tokens)
            return call.client.stream_body(body, on_retry, resolved_gateway, reservation.slot)

        return AnswerStream(builder, reservation, send, self._add_hints)

    def check_course_policy(self, request: Request, target: Target | None = None) -> None:
        """Raise CoursePolicyError if the course's file does not allow the request."""
        is_local = target.backend_kind == "local" if target else self.backend.is_local
        self.settings.course.check_request(request, is_local=is_local)

    def estimate_cost(self, request: Request | RequestSize, model: Model) -> Cost | None:
        """Return the estimated cost of a request on its backend; None if it is unknown."""
        return self.resolver.estimate_cost(request, self._target_of(model))

    def ask(self, request: Request, max_neurons: float | None = None) -> Answer:
        """Send the request and return its complete answer."""
        with self.stream(request, max_neurons=max_neurons) as stream:
            for _ in stream:
                pass
            return stream.answer

    @reject_unknown_arguments
    def embed(
        self,
        texts: str | Iterable[str],
        model: str = "",
        *,
        on_retry: OnRetry | None = None,
        max_neurons: float | None = None,
    ) -> Embeddings:
        """Return one vector per text, in order; a single text gives one vector.

        `max_neurons` limits all requests together. Raises InvalidOptionError if a text is not a
        string.
        """
        requested, all_texts = (
            require_str(model or "", "model") or EMBEDDING_MODEL,
            collect_texts(texts, "texts"),
        )
        target = self.resolve_target(requested)
        if target.backend_kind != "local":
            self.settings.course.check_model(target.model.name)
        request = Request(target.model.name, tuple({"content": text} for text in all_texts))
        full_name = self.resolver.full_model_name(requested, self.catalog())
        call = self.resolver.resolve_embeddings(request, target, full_name, all_texts)
        return self._task_calls.embed(all_texts, call, on_retry, max_neurons)

    @reject_unknown_arguments
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
        """Run a native task and return its raw result.

        `content_type` and `files` are those of WorkersAI.run; `max_neurons` limits this call.
        """
        check_payload(payload)
        self.backend.ensure_local_server()
        target = self._target_of(self.resolve_catalog_model(require_str(model or "", "model")))
        self.settings.course.check_task(target.model, payload)
        call_kwargs = {"content_type": content_type, "files": files}
        return self._task_calls.run(target, payload, on_retry, max_neurons, **call_kwargs)

    @reject_unknown_arguments
    def to_markdown(
        self,
        files: Files,
        *,
        on_retry: OnRetry | None = None,
        max_neurons: float | None = None,
    ) -> TaskResult:
        """Convert documents, given as (name, bytes, MIME type), to Markdown."""
        check_files(files)
        self.settings.course.check_model(TO_MARKDOWN_MODEL.name)
        self.backend.ensure_local_server()
        target = self._target_of(TO_MARKDOWN_MODEL)
        return self._task_calls.to_markdown(target, files, on_retry, max_neurons)

    def _target_of(self, model: Model) -> Target:
        """Return the target of a model on the current backend."""
        server = self.backend.server
        kind: BackendKind = "elsewhere" if server else "account"
        return Target(model, "local" if self.backend.is_local else kind, server)

    def fetch_account_usage(self) -> dict[str, float]:
        """Fetch today's neurons by model from Cloudflare, and store their sum in the ledger."""
        client = self.backend.client()
        neurons_by_model = client.fetch_neurons_by_model(self.now())
        self.accounting.ledger.save_account_figure(
            self.accounting.get_context().account, sum(neurons_by_model.values())
        )
        return neurons_by_model

    def _take_slot(self, account: str, model: str) -> RateDelay | None:
        """Take the next slot of the rate limiter for a request to a model."""
        rate_limit = rate_limit_for(self.resolve_catalog_model(model))
        return self.accounting.ledger.take_slot(account, rate_limit) if rate_limit else None

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
        return self._find_target(name).model

    def resolve_target(self, name: str = "") -> Target:
        """Return the model of a name, else the default model, and the backend that runs it.

        Starts the local server if it is set and does not run. Raises ModelNotFoundError or
        InvalidOptionError if the name is unknown or ambiguous.
        """
        self.backend.ensure_local_server()
        return self._find_target(require_str(name or "", "model") or self.settings.model)

    def _find_target(self, name: str) -> Target:
        local_server = self.backend.local_server
        if local_server is not None:
            model = Model(
                local_server.model_name,
                context_window=local_server.context_window,
                vision=local_server.vision,
            )
            return Target(
                model, "local", None, self.resolver.full_model_name(name, self.catalog())
            )
        server = self.backend.server
        if server is not None:
            return Target(exact_or_unlisted(name, self.catalog()), "elsewhere", server)
        return Target(self.resolve_catalog_model(name))

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


def _with_full_name(request: Request, target: Target) -> Request:
    """Return the request with the full name of its model; `target` is that model."""
    if request.model == target.model.name:
        return request
    requested_model = request.requested_model or target.requested_model
    return replace(request, model=target.model.name, requested_model=requested_model)
