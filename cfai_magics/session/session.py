"""Define the session, which reserves, sends, decodes and settles every model call."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import forks
from ..arguments import check_method_arguments, format_suggestions, require_str
from ..backends.class_server import ClassServer
from ..backends.selector import Backend, BackendKind
from ..errors import (
    CfaiError,
    DailyQuotaError,
    InvalidOptionError,
    ModelNotFoundError,
)
from ..i18n import _
from ..pricing.catalog import CatalogStore, exact_or_unlisted
from ..pricing.limits import RateDelay, rate_limit_for
from ..pricing.prices import Estimate, get_max_tokens_field, with_max_tokens
from ..replay.recorder import Recorder
from ..secret import Unpicklable, get_environment
from ..settings import Cfai
from ..storage.ledger import CallContext, Ledger
from ..types.messages import Answer, Message, Payload, Request, require_request
from ..types.usage import CLASS_PREFIX, ActiveCall, Catalog, DayUsage, Model
from ..workers_ai.chat_stream import AnswerBuilder
from ..workers_ai.retry import OnRetry
from .call import Call, CallOrigin, CallResolver, ClientGroup, Target, build_target_request
from .observers import Callback, Observers, Resource, Unwatch
from .reservation import Accounting, Reservation
from .stream import AnswerStream

if TYPE_CHECKING:
    import httpx

    from ..types.results import Embeddings, TaskResult
    from ..workers_ai.chat_stream import ChatStream
    from .parallel import BudgetPool, ParallelStreams, ReportRetry
    from .probabilities import ProbabilityMemory
    from .task_calls import TaskCalls

EMBEDDING_MODEL = "@cf/baai/bge-m3"


@check_method_arguments(
    *("build_request", "stream", "parallel", "ask", "embed", "run", "to_markdown"),
    *("estimate_cost", "resolve_model", "fetch_catalog", "watch"),
)
class Session(forks.ChildForkHook, Unpicklable):
    """One user's session with Workers AI, another server or the local model.

    Every call goes through a session. The session applies the settings, the course policy and the
    budgets, replays recorded answers, and records the cost in the ledger. The magics share one
    session, which `cfai_magics.api.get_current_session` returns. Call `close` on any session that
    you create.

    Args:
        settings: The settings, as returned by `cfai_magics.settings.load_settings`.
        home: Folder that stores the ledger, conversations, catalog and credentials.
        environ: Environment variables; None uses the environment of the process.
        transport: httpx transport for all requests; None uses the network.
        clock: Function that returns a time in seconds, used to measure durations.
        wall_clock: Function that returns the seconds since 1970-01-01 UTC.

    Attributes:
        settings: The settings, which may be changed at any time.
        home: The folder that stores the session's files.
        notebook: The notebook name used in the ledger.
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
        if not isinstance(settings, Cfai):
            raise InvalidOptionError(
                _("settings is of type {type}, not {expected}").format(
                    type=type(settings).__name__, expected="cfai_magics.settings.Cfai"
                ),
                _("{function} returns the settings.").format(
                    function="cfai_magics.settings.load_settings"
                ),
            )
        environ = get_environment(environ)
        self.settings = settings
        self.home = home
        self.notebook = ""
        ledger = Ledger(home, wall_clock, settings.course.budgets)
        # Views are updated when another kernel writes to the ledger, and once a minute.
        self.observers = Observers(lambda: (ledger.data_version(), int(wall_clock() // 60)))
        callbacks = (self.observers.notify, self._take_slot)
        self.backend = Backend(settings, home, environ, transport, *callbacks)
        self.backend.save_class_status = ledger.save_class_status
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
        self.warned_prompts: set[int] = set()  # hashes of prompts with apparent personal data
        self._probabilities: ProbabilityMemory | None = None
        settings.observe(self._on_setting_changed)
        self._wall_clock = wall_clock
        self._clock = clock
        self._catalog_store = CatalogStore(home)
        self._class_catalog: tuple[ClassServer, Catalog] | None = None
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

        The callback takes no arguments and runs on the thread that made the change. The new state
        is available from `settings`, `day_usage()` and `active_calls`.

        Returns:
            A function that removes the callback.
        """
        return self.observers.add(callback)

    def now(self) -> datetime:
        """Return the current time in UTC, according to this session's clock."""
        return datetime.fromtimestamp(self._wall_clock(), UTC)

    def _on_setting_changed(self, _change: object) -> None:
        self.observers.notify()

    @property
    def active_calls(self) -> tuple[ActiveCall, ...]:
        """The calls in progress, with their usage so far. Empty unless the session is watched."""
        return self.observers.active_calls

    def day_usage(self) -> DayUsage:
        """Return today's usage for the billing account, without starting the local server.

        Raises:
            MissingCredentialsError: No account is set.
        """
        return self.accounting.ledger.day_usage(self.backend.billing_account())

    def class_usage(self) -> DayUsage | None:
        """Return today's usage of a student, or None if no class server answers."""
        try:
            account = self.backend.billing_account()
        except CfaiError:  # the next prompt reports the error
            return None
        is_class = account.startswith(CLASS_PREFIX)
        return self.accounting.ledger.day_usage(account) if is_class else None

    def fetch_class_usage(self) -> DayUsage | None:
        """Do the same as `class_usage`, but ask the class server first.

        Its last report counts if it does not answer soon, or if live calls are not allowed.
        """

        def give_up(error: CfaiError, _seconds: float, _attempt: int) -> None:
            raise error

        class_usage = self.class_usage()
        if class_usage is None or not self.backend.is_network_allowed():
            return class_usage
        with suppress(CfaiError):  # %cfai status reports the error
            class_server = self.backend.class_server
            if class_server is not None:
                credentials = self.backend.class_credentials(class_server)
                self.backend.fetch_class_status(credentials, give_up)
        return self.class_usage()

    # --- calls

    @property
    def probabilities(self) -> "ProbabilityMemory":
        """The models that returned token probabilities in this session, or did not."""
        if self._probabilities is None:
            from .probabilities import ProbabilityMemory

            self._probabilities = ProbabilityMemory(
                self.resolver, self.backend.account_or_empty, self.now
            )
        return self._probabilities

    def build_request(  # noqa: PLR0913 - one argument per field, for tab completion
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
        probs: int | None = None,
    ) -> Request:
        """Build a request from messages, without sending the request.

        Args:
            messages: Messages in OpenAI format, such as {"role": "user", "content": "Hi"}.
            model: Full model name, or only the end of the name; "" uses the `model` setting.
            max_tokens: Maximum number of answer tokens; None uses the `max_tokens` setting.
            temperature: Sampling temperature from 0 to 5; None uses the `temperature` setting. If
                the setting is also unset, the request contains no temperature.
            top_p: Total probability, from 0 to 1, of the most likely tokens to sample from.
            seed: Number that makes sampling repeatable, if the model supports seeds.
            stop: One or more stop strings. The answer ends before the first stop string.
            think: Whether a reasoning model thinks before it answers. Thinking costs tokens.
            stream: Whether to stream the answer instead of receiving it in one response.
            extra: Additional fields for the JSON body. They override the arguments, except the
                model, the messages and `stream`.
            probs: Number of most likely tokens, from 0 to 20, that the model reports with their
                probabilities for each token of the answer. None requests no probabilities.

        Returns:
            The request, with the full name of the model.

        Raises:
            ModelNotFoundError: No model matches the name.
            InvalidOptionError: An argument is not valid.
            LocalModelError: The local model is selected but cannot be started.
        """
        return build_target_request(
            self.settings,
            self.resolve_target(model),
            messages,
            max_tokens=max_tokens,
            temperature=temperature,
            top_p=top_p,
            seed=seed,
            stop=stop,
            think=think,
            stream=stream,
            extra=extra,
            probs=probs,
        )

    def stream(
        self,
        request: Request,
        on_retry: OnRetry | None = None,
        *,
        max_neurons: float | None = None,
        thread: str = "",
        gateway: str = "",
        pool: "BudgetPool | None" = None,
    ) -> AnswerStream:
        """Return a stream of the answer to a request.

        Starting the iteration reserves the cost and then sends the request. Use a `with` block so
        that the connection is closed and the cost is recorded even if the loop ends early.

        Args:
            request: The request, as returned by `build_request`.
            on_retry: Function called before each retry, with the error, the delay in seconds and
                the number of the next attempt.
            max_neurons: Maximum cost of this call in neurons, in addition to the budgets.
            thread: Conversation name to store in the ledger.
            gateway: Name of the AI Gateway, or "off" for none; "" uses the `gateway` setting.
            pool: Shared reservation from which the cost is taken; None reserves the cost
                separately.

        Returns:
            An iterable of deltas with text, reasoning, tool calls, usage and finish reason. The
            `answer` attribute of the iterable is the answer received so far.

        Raises:
            InvalidOptionError: An argument is not valid. Nothing was sent.
            CoursePolicyError: The course's cfai.toml does not allow the request.
            MissingCredentialsError: No account or API token is set.
            BudgetExceededError: Raised during iteration if the cost exceeds a budget.
            BudgetCutoffError: Raised during iteration if the answer uses up a budget.
            WorkersAIError: Raised during iteration if the request fails.
        """
        require_request(request)
        target = self.find_target(request.model)
        request = _with_full_name(request, target)
        if request.extra and pool is None:
            self.probabilities.check([request], [target])
        return self.open_stream(
            request,
            target,
            on_retry,
            max_neurons=max_neurons,
            thread=thread,
            gateway=gateway,
            pool=pool,
        )

    def open_stream(  # noqa: PLR0913 - all but the first three are keyword-only
        self,
        request: Request,
        target: Target,
        on_retry: OnRetry | None = None,
        *,
        max_neurons: float | None = None,
        thread: str = "",
        gateway: str = "",
        pool: "BudgetPool | None" = None,
        origin: CallOrigin | None = None,
    ) -> AnswerStream:
        """Return the same as `stream`, but use a target that is already resolved.

        `origin` replaces the origin that `pool` and `thread` define.
        """
        if self.settings.course.path is not None:
            self.check_course_policy(request, target)
        if origin is None:
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
        on_idle: Callable[[], None] = lambda: None,
        report_retry: "ReportRetry" = lambda _index, _message: None,
    ) -> "ParallelStreams":
        """Return an object that streams the answers to several requests in parallel.

        The total cost is reserved before the first request is sent. In a browser, which has no
        threads, the requests are sent one after the other.

        Args:
            requests: One request, or a sequence of requests.
            max_neurons: Maximum cost of all requests together, in neurons.
            gateway: As in `stream`.
            targets: The resolved target of each request; None resolves the model names.
            on_idle: Called about every 0.1 seconds while no event arrives; without threads,
                before each request.
            report_retry: Called with the request index and a message when a request waits to be
                sent again.

        Returns:
            An iterable of (request index, event) pairs. An event is a delta or the end
            of an answer.

        Raises:
            CfaiError: As in `stream`. An error in one request does not stop the others.
        """
        from .parallel import ParallelStreams
        from .reservation import reserve_group

        request_list = list(requests) if isinstance(requests, Iterable) else [requests]
        for request in request_list:
            require_request(request)
        if targets is None:
            targets = [self.find_target(request.model) for request in request_list]
        request_list = list(map(_with_full_name, request_list, targets))
        clients = ClientGroup(self.backend)
        origin = CallOrigin(clients, self.recorder.record_mode)
        if any(request.extra for request in request_list):
            self.probabilities.check(request_list, targets)
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
            len(request_list),
            open_stream,
            lambda: reserve_group(paid_reservations),
            clients,
            on_idle,
            report_retry,
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
        if call.is_local and not call.is_recorded:
            self._note_ignored_model(request, reservation)
        if call.model.name != request.model:
            request = replace(request, model=call.model.name)
        builder = AnswerBuilder(
            request, self._clock, is_local=call.is_local, provenance=call.provenance
        )
        if request.extra:
            self.probabilities.watch(request, call, builder, reservation)

        def send(max_tokens: int) -> "ChatStream":
            body = call.body
            if max_tokens and max_tokens != get_max_tokens_field(body):
                body = with_max_tokens(body, max_tokens)
            return call.client.stream_body(body, on_retry, resolved_gateway, reservation.slot)

        return AnswerStream(builder, reservation, send, self.add_hints)

    def _note_ignored_model(self, request: Request, reservation: Reservation) -> None:
        """Add a note if the local model answers in place of a model that the user named."""
        default = self.resolver.full_model_name(self.settings.model, self.catalog())
        if request.requested_model not in ("", default, request.model):
            note = _("The local model answers, not {model}; %cfai local off switches back.")
            reservation.add_note(note.format(model=request.requested_model.rpartition("/")[2]))

    def check_course_policy(self, request: Request, target: Target | None = None) -> None:
        """Raise CoursePolicyError if the course's cfai.toml does not allow the request."""
        is_local = target.backend_kind == "local" if target else self.backend.is_local
        self.settings.course.check_request(request, is_local=is_local)

    def estimate_cost(self, request: Request, resolved_model: Model) -> Estimate | None:
        """Return the estimated cost of a request on the current backend.

        Args:
            request: The request, as returned by `build_request`.
            resolved_model: The model returned by `resolve_model`, with its prices.

        Returns:
            The typical and the maximum cost in neurons, or None if the price is unknown.
        """
        if not isinstance(resolved_model, Model):
            raise InvalidOptionError(
                _("resolved_model is of type {type}, not {expected}").format(
                    type=type(resolved_model).__name__, expected="Model"
                ),
                _("{function} returns the model for a name.").format(
                    function="Session.resolve_model"
                ),
            )
        return self.resolver.estimate_cost(request, self._target_of(resolved_model))

    def ask(
        self,
        request: Request,
        max_neurons: float | None = None,
        *,
        on_retry: OnRetry | None = None,
        thread: str = "",
        gateway: str = "",
    ) -> Answer:
        """Send a request and return its complete answer.

        The arguments work as in `stream`.

        Raises:
            CfaiError: As in `stream`. `error.answer` is the partial answer, if any.
        """
        with self.stream(
            request, on_retry, max_neurons=max_neurons, thread=thread, gateway=gateway
        ) as stream:
            for _delta in stream:
                pass
            return stream.answer

    def embed(
        self,
        texts: str | Iterable[str],
        model: str = "",
        *,
        on_retry: OnRetry | None = None,
        max_neurons: float | None = None,
    ) -> "Embeddings":
        """Return one embedding vector for each text, in order.

        Args:
            texts: One string, or an iterable of strings.
            model: Name of an embedding model; "" uses bge-m3.
            on_retry: As in `stream`.
            max_neurons: Maximum cost of all requests together, in neurons.

        Returns:
            One vector per text. The `array` attribute is a float64 array with one row per vector.

        Raises:
            InvalidOptionError: An item of `texts` is not a str, or is blank. Nothing was sent.
            CfaiError: As in `stream`.
        """
        from ..arguments import collect_filled_texts

        checked_texts = collect_filled_texts(texts, "texts")
        return self.embed_texts(checked_texts, model, on_retry, max_neurons)

    def embed_texts(
        self,
        texts: tuple[str, ...],
        model: str = "",
        on_retry: OnRetry | None = None,
        max_neurons: float | None = None,
        origin: CallOrigin = CallOrigin(),  # noqa: B008 - immutable
    ) -> "Embeddings":
        """Return the same as `embed`, for texts that are already checked."""
        requested = model or EMBEDDING_MODEL
        target = self.resolve_target(requested)
        if target.backend_kind != "local":
            self.settings.course.check_model(target.model.name)
        request = Request(target.model.name, tuple({"content": text} for text in texts))
        full_name = self.resolver.full_model_name(requested, self.catalog())
        call = self.resolver.resolve_embeddings(request, target, full_name, texts, origin)
        return self._create_task_calls().embed(texts, call, on_retry, max_neurons)

    def run(
        self,
        model: str,
        payload: Payload,
        *,
        content_type: str | None = None,
        files: Mapping[str, Any] | None = None,
        on_retry: OnRetry | None = None,
        max_neurons: float | None = None,
    ) -> "TaskResult":
        """Run a native Workers AI task and return its unparsed result.

        Args:
            model: Full model name, or only the end of the name.
            payload: The request fields to send as JSON, or the request body as bytes. Bytes that
                are a JSON object are sent like a dict. A chat model accepts nothing else.
            content_type: MIME type of `payload` if `payload` is bytes.
            files: Files by field name, in any format that httpx accepts. If set, all fields are
                sent as multipart/form-data, as required by the flux-2 models.
            on_retry: As in `stream`.
            max_neurons: Maximum cost of this call, in neurons.

        Returns:
            The result, with a JSON value in `result` or bytes in `content`. The `usage` attribute
            contains the cost in neurons.

        Raises:
            InvalidOptionError: An argument is not valid. Nothing was sent.
            CfaiError: As in `stream`.
        """
        from ..workers_ai.task_requests import check_payload, parse_payload

        check_payload(payload, files)
        self.backend.ensure_local_server()
        target = self._target_of(self.resolve_catalog_model(model))
        payload = parse_payload(payload, files, target.model)
        self.settings.course.check_task(target.model, payload)
        call_kwargs = {"content_type": content_type, "files": files}
        return self._create_task_calls().run(target, payload, on_retry, max_neurons, **call_kwargs)

    def to_markdown(
        self,
        files: Sequence[tuple[str, bytes, str]],
        *,
        on_retry: OnRetry | None = None,
        max_neurons: float | None = None,
    ) -> "TaskResult":
        """Convert documents to Markdown with Workers AI.

        Args:
            files: The documents, each as a tuple of file name, content as bytes and MIME type.
            on_retry: As in `stream`.
            max_neurons: Maximum cost of this call, in neurons.

        Returns:
            The result, with a list of one dict per document in `result`. The "data" item of each
            dict is the Markdown text.

        Raises:
            InvalidOptionError: An item of `files` is not valid. Nothing was sent.
            CfaiError: As in `stream`.
        """
        from ..workers_ai.task_requests import check_files
        from .task_calls import TO_MARKDOWN_MODEL

        check_files(files)
        self.settings.course.check_model(TO_MARKDOWN_MODEL.name)
        self.backend.ensure_local_server()
        target = self._target_of(TO_MARKDOWN_MODEL)
        return self._create_task_calls().to_markdown(target, files, on_retry, max_neurons)

    def _create_task_calls(self) -> "TaskCalls":
        from .task_calls import TaskCalls

        return TaskCalls(self.accounting, self.resolver, self._clock, self.add_hints)

    def _target_of(self, model: Model) -> Target:
        """Return the target for a model on the current backend."""
        server = self.backend.server
        kind: BackendKind = "elsewhere" if server else "account"
        return Target(model, "local" if self.backend.is_local else kind, server)

    def fetch_account_usage(self) -> dict[str, float]:
        """Fetch today's usage by model from Cloudflare, and store the total in the ledger.

        Raises:
            PermissionDeniedError: The token lacks the Account Analytics - Read permission.
        """
        client = self.backend.client()
        neurons_by_model = client.fetch_neurons_by_model(self.now())
        self.accounting.ledger.save_account_figure(
            self.accounting.get_context().account, sum(neurons_by_model.values())
        )
        return neurons_by_model

    def _take_slot(self, account: str, model: str) -> RateDelay | None:
        """Reserve the next send time for a request to a model, and return the delay until then.

        Returns None if the model has no rate limit.
        """
        rate_limit = rate_limit_for(self.resolve_catalog_model(model))
        return self.accounting.ledger.take_slot(account, rate_limit) if rate_limit else None

    def add_hints(self, error: CfaiError) -> CfaiError:
        """Return the error with additional hints, such as similar model names.

        An error of the daily quota closes the day in the ledger, unless a class server sent it.
        """
        from ..pricing.catalog import suggest_models

        if isinstance(error, ModelNotFoundError) and error.model:
            names = suggest_models(error.model, self.catalog())
            is_listed = any(model.name == error.model for model in self.catalog().models)
            suggestion = (
                _("Similar models: {names}.").format(names=", ".join(names))
                if is_listed and names  # the name is correct, but the model is retired
                else format_suggestions(names)
            )
            error.hint = f"{suggestion} {error.hint}".lstrip()
        is_quota_error = isinstance(error, DailyQuotaError) and self.backend.is_cloudflare
        # A teacher can raise a budget at any time, so each call asks the class server.
        if is_quota_error and self.backend.class_server is None:
            self.accounting.mark_quota_exhausted()
            error.hint = self.accounting.quota_error(error.cause).hint
        return self.backend.with_hint(error)

    # --- models

    def resolve_model(self, name: str) -> Model:
        """Return the model with this name, or the local model if a local server is running.

        If another server is in use, the name is used as typed.
        """
        return self.find_target(name).model

    def resolve_target(self, name: str = "") -> Target:
        """Return the model with this name, and the backend that runs the model.

        An empty name selects the default model. If a local model is set, its server is started
        if necessary.

        Raises:
            ModelNotFoundError: No model matches the name.
            InvalidOptionError: Several models match the name, or the name is not a str.
        """
        value: Any = name
        if not isinstance(value, str):
            require_str(value, "name")
        self.backend.ensure_local_server()
        return self.find_target(name or self.settings.model)

    def find_target(self, name: str, *, use_local: bool = True) -> Target:
        """Return the target for a model name, without starting the local server.

        If `use_local` is False, the target is the one that is used without the local model.
        """
        value: Any = name
        if not isinstance(value, str):
            require_str(value, "name")
        local_server = self.backend.local_server
        if use_local and local_server is not None:
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
        """Return the model with this name from the catalog or, if missing, from the recordings."""
        return self.resolver.resolve_model(name, self.catalog())

    def catalog(self) -> Catalog:
        """Return the stored model catalog, without using the network.

        With a class server, this is the list that was last fetched from it in this session, if
        any.
        """
        if self._class_catalog is not None and self._class_catalog[0] == self.backend.class_server:
            return self._class_catalog[1]
        return self._catalog_store.current()

    def fetch_catalog(self, on_retry: OnRetry | None = None) -> Catalog:
        """Fetch the model catalog from Cloudflare and store it on disk.

        A class server lists the models that the student may use. Their properties and prices come
        from the stored catalog, and the list is not stored.
        """
        try:
            models = self.backend.client().list_models(on_retry)
        except CfaiError as error:
            raise self.backend.with_hint(error) from None
        class_server = self.backend.class_server
        if class_server is None:
            catalog = self._catalog_store.update(models)
        else:
            catalog = self._catalog_store.select(models)
            self._class_catalog = class_server, catalog
        self.observers.notify()
        return catalog


def _with_full_name(request: Request, target: Target) -> Request:
    """Return the request with the full name of the model in `target`."""
    if request.model == target.model.name:
        return request
    requested_model = request.requested_model or target.requested_model
    return replace(request, model=target.model.name, requested_model=requested_model)
