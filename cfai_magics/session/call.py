"""Resolve the model, backend, client, recording and cost of each call."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from ..backends.selector import Backend, BackendKind, OpenAIServer, WrapTransport
from ..errors import CfaiError, InvalidOptionError, ModelNotFoundError
from ..i18n import _
from ..pricing.catalog import find_model
from ..pricing.prices import (
    Cost,
    Estimate,
    Rates,
    count_answers,
    with_estimate,
)
from ..replay.fingerprint import (
    RecordedRequest,
    fingerprint_chat,
    fingerprint_embeddings,
    fingerprint_task,
)
from ..replay.lookup import Lookup
from ..replay.record_mode import RecordMode
from ..replay.recorder import Recorder
from ..settings import Cfai
from ..storage.ledger import CallContext
from ..types.messages import Message, Payload, Request
from ..types.provenance import Provenance, RecordingInfo
from ..types.usage import Catalog, Model
from ..workers_ai.endpoints import chat_body
from ..workers_ai.gateway import Gateway
from .reservation import Accounting, FreeReservation, Reservation, price_request

if TYPE_CHECKING:
    from ..replay.interaction import Interaction
    from ..workers_ai.client import WorkersAI
    from ..workers_ai.task_requests import TaskRequest

PROBABILITY_FIELDS = {"logprobs", "top_logprobs"}
NO_BODY: Mapping[str, Any] = {}
NO_EXTENSIONS: Mapping[str, Any] = {}


class Target(NamedTuple):
    """The model for a request, and the backend that runs the model.

    `server` is the OpenAI-compatible server, or None for Workers AI and the local model.
    `requested_model` is the full name of the model that the local model replaces, or "" if
    another backend is used.
    """

    model: Model
    backend_kind: BackendKind = "account"
    server: OpenAIServer | None = None
    requested_model: str = ""

    @property
    def is_other_server(self) -> bool:
        """Whether the model runs on another server, which may not have a known price."""
        return self.backend_kind == "elsewhere"

    @property
    def is_openai_compatible(self) -> bool:
        """Whether the model runs outside Workers AI and is not in the catalog."""
        return self.backend_kind != "account" and not self.model.task


def build_target_request(  # noqa: PLR0913 - one argument per request field
    settings: Cfai,
    target: Target,
    messages: Iterable[Message],
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
    """Build a request for a resolved model, using the settings for omitted arguments.

    The magics, shell command, Python API, panel and maps all use this function.
    """
    if probs is not None:
        extra = _with_probabilities(extra or {}, probs)
    request = Request(
        target.model.name,
        cast("tuple[Message, ...]", messages),  # Request checks and converts them
        max_tokens=settings.max_tokens if max_tokens is None else max_tokens,
        temperature=settings.temperature if temperature is None else temperature,
        top_p=top_p,
        seed=seed,
        stop=cast("tuple[str, ...]", () if stop is None else stop),  # as above
        think=think if target.model.reasoning else None,
        stream=stream,
        extra={} if extra is None else extra,
        requested_model=target.requested_model,
    )
    if request.extra and count_answers(request.extra) > 1:
        raise InvalidOptionError(
            _("The field n requests several answers, but only the first one would be returned"),
            _("Remove it. The option -n of %%cfai asks several times."),
        )
    return request


def _with_probabilities(extra: Mapping[str, Any], count: int) -> dict[str, Any]:
    """Return the fields with those that request the `count` most likely tokens per position."""
    if PROBABILITY_FIELDS & extra.keys():
        raise InvalidOptionError(
            _("probs and {field} can't be combined").format(
                field=min(PROBABILITY_FIELDS & extra.keys())
            ),
            _("Remove one of them."),
        )
    return {"logprobs": True, "top_logprobs": count, **extra}


class Call(NamedTuple):
    """A model call with all the data needed to send or replay it.

    `lookup` contains the recorded answer, if any. For a recorded answer, `model` and `is_local`
    come from the recording. `rates` and `cost` are None if the price is unknown or the answer is
    recorded. `body` is the JSON body of a chat request, and empty for other calls.
    """

    client: "WorkersAI"
    model: Model
    backend_kind: BackendKind
    is_local: bool
    record_mode: RecordMode
    lookup: Lookup
    provenance: Provenance
    context: CallContext
    rates: Rates | None
    cost: Cost | None
    body: Mapping[str, Any]

    @property
    def is_recorded(self) -> bool:
        """Whether the call replays a recorded answer."""
        return self.lookup.interaction is not None

    @property
    def is_rate_limited(self) -> bool:
        """Whether the rate limits of Workers AI apply to the call."""
        return self.backend_kind == "account" and self.lookup.interaction is None

    def new_reservation(
        self, accounting: Accounting, max_neurons: float | None = None
    ) -> Reservation:
        """Return a new ledger reservation for the call.

        `max_neurons` is the maximum cost of the call in neurons, or None for no limit.
        """
        if self.is_recorded:
            reservation: Reservation = FreeReservation(
                accounting, self.model, self.context, self.lookup.notes
            )
        else:
            reservation = Reservation(
                accounting,
                self.model,
                self.context,
                (self.cost, self.rates),
                max_neurons=max_neurons,
                backend_kind=self.backend_kind,
            )
            reservation.on_success = self.lookup.save_recording
        reservation.request_fingerprint = self.provenance.request_fingerprint
        return reservation


class CallPreview(NamedTuple):
    """The body and estimated cost of a chat request that has not been sent.

    `refusal` is the reason why the request would be refused, or "" if it would be allowed.
    """

    body: Mapping[str, Any]
    cost: Estimate | None
    is_recorded: bool
    refusal: str = ""


class ClientGroup:
    """The shared live client and the playback clients for a group of parallel calls."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._shared_client: WorkersAI | None = None
        self._clients: list[WorkersAI] = []

    def get_shared_client(self) -> "WorkersAI":
        """Return the shared live client, starting the local server if needed."""
        self._backend.ensure_local_server()
        return self.get_client(self._backend.server, self._backend.get_transport_wrapper())

    def get_client(
        self, server: OpenAIServer | None, wrap_transport: WrapTransport | None
    ) -> "WorkersAI":
        """Return the shared live client, creating it on first use."""
        if self._shared_client is None:
            self._shared_client = self._backend.new_client(server, wrap_transport)
            self.add(self._shared_client)
        return self._shared_client

    def add(self, client: "WorkersAI") -> None:
        """Add a client to the group, so that `abort` and `close` also apply to the client."""
        self._clients.append(client)

    def abort(self) -> None:
        """Abort the requests of all clients. This method can be called from any thread."""
        for client in self._clients:
            client.abort()

    def close(self) -> None:
        """Close the connections of all clients."""
        for client in self._clients:
            client.close()


class CallOrigin(NamedTuple):
    """The context in which a call is made.

    `clients` and `record_mode` are shared by parallel calls, and are None for a single call.
    `thread` is the conversation name to store in the ledger. `extensions` are httpx extensions
    of the request, such as its timeout.
    """

    clients: ClientGroup | None = None
    record_mode: RecordMode | None = None
    thread: str = ""
    extensions: Mapping[str, Any] = NO_EXTENSIONS


class CallResolver:
    """A resolver for the calls of one session.

    `get_notebook` returns the name of the current notebook.
    """

    def __init__(
        self,
        accounting: Accounting,
        backend: Backend,
        recorder: Recorder,
        get_notebook: Callable[[], str],
    ) -> None:
        self._accounting = accounting
        self._backend = backend
        self._recorder = recorder
        self._get_notebook = get_notebook

    def resolve_chat(
        self,
        request: Request,
        target: Target,
        origin: CallOrigin = CallOrigin(),  # noqa: B008 - immutable
    ) -> Call:
        """Return the resolved call for a chat request.

        Raises:
            NotRecordedError: The record mode is "only", and the request is not recorded.
            MissingCredentialsError: No account is set, and no recording answers the request.
        """
        body = _build_body(request, target)
        call = self._resolve(_fingerprint(request, target, body), target, origin, body)
        if call.is_recorded:
            return call
        return call._replace(cost=price_request(request, target.model, call.rates))

    def resolve_embeddings(
        self,
        request: Request,
        target: Target,
        requested_model: str,
        texts: Sequence[str],
        origin: CallOrigin = CallOrigin(),  # noqa: B008 - immutable
    ) -> Call:
        """Return the resolved call for an embeddings request.

        `request` contains each text as a message, and is used only to estimate the cost.
        `requested_model` is the full name of the requested model.
        """
        local_model = target.model.name if target.backend_kind == "local" else ""
        call = self._resolve(
            fingerprint_embeddings(requested_model, texts, local_model),
            target,
            origin,
        )
        return call._replace(cost=price_request(request, target.model, call.rates))

    def resolve_task(
        self,
        target: Target,
        payload: Payload,
        send_kwargs: Mapping[str, Any],
        task_request: "TaskRequest",
    ) -> Call:
        """Return the resolved call for a native task.

        `send_kwargs` are the keyword arguments for the client method that sends the request.
        """
        call = self._resolve(fingerprint_task(target.model.name, payload, send_kwargs), target)
        cost = self._accounting.estimate_task_cost(target.model, task_request)
        return call._replace(cost=cost)

    def preview_chat(self, request: Request, target: Target) -> CallPreview:
        """Return a preview of a chat request, without sending the request."""
        return self.preview_chats([request], [target])[0]

    def preview_chats(
        self, requests: Sequence[Request], targets: Sequence[Target]
    ) -> list[CallPreview]:
        """Return a preview of each chat request in one cell, without sending any request."""
        record_mode = self._recorder.record_mode
        counts: Counter[str] = Counter()
        previews = []
        costs = self.estimate_costs(requests, targets)
        for request, target, cost in zip(requests, targets, costs, strict=True):
            body = _build_body(request, target)
            recorded_request = _fingerprint(request, target, body)
            fingerprint = recorded_request.fingerprint
            is_recorded = self._recorder.has_recording(
                recorded_request, record_mode, counts[fingerprint]
            )
            counts[fingerprint] += 1
            refusal = ""
            # A request with a schema may be recorded without its `response_format` field.
            if not is_recorded and "response_format" not in request.extra:
                refusal = self._recorder.refusal(recorded_request, record_mode)
                if self._is_too_private(target):
                    refusal = self._backend.privacy_error().cause
            previews.append(CallPreview(body, cost, is_recorded, refusal))
        return previews

    def is_recorded(self, request: Request, target: Target) -> bool:
        """Return whether a chat request would be answered from a recording."""
        recorded_request = _fingerprint(request, target)
        return self._recorder.has_recording(recorded_request, self._recorder.record_mode)

    def get_fingerprint(self, request: Request, target: Target) -> str:
        """Return the fingerprint of a chat request to a target."""
        return _fingerprint(request, target).fingerprint

    def is_task_recorded(
        self, model: str, payload: Payload, send_kwargs: Mapping[str, Any]
    ) -> bool:
        """Return whether a native task would be answered from a recording.

        `send_kwargs` are the keyword arguments for `WorkersAI.run`.
        """
        return self._recorder.has_recording(
            fingerprint_task(model, payload, send_kwargs), self._recorder.record_mode
        )

    def require_recording(self, request: Request, target: Target) -> None:
        """Raise an error if a live call is not allowed and the request is not recorded.

        Raises:
            NotRecordedError: The record mode is "only".
            PrivacyError: The call would leave the machine, but must not.
        """
        recorded_request = _fingerprint(request, target)
        self._recorder.require_recording(recorded_request, self._recorder.record_mode)
        if self._is_too_private(target) and not self.is_recorded(request, target):
            raise self._backend.privacy_error()

    def _is_too_private(self, target: Target) -> bool:
        """Return whether a live call to the target would leave the machine, but must not."""
        return self._backend.is_private and target.backend_kind != "local"

    def resolve_gateway(self, call: Call, requested: str = "") -> Gateway | None:
        """Return the call's AI Gateway, or None if the call is recorded or uses no gateway."""
        return None if call.is_recorded else self._backend.resolve_gateway(requested)

    def estimate_cost(self, request: Request, target: Target) -> Estimate | None:
        """Return the estimated cost of a request, or None if the price is unknown."""
        return self.estimate_costs([request], [target])[0]

    def estimate_costs(
        self, requests: Sequence[Request], targets: Sequence[Target]
    ) -> list[Estimate | None]:
        """Return the estimated cost of each request, or None if its price is unknown.

        All estimates that users see come from this function.
        """
        from ..pricing.typical import make_estimate

        account = self._accounting.get_context().account
        recent_answer_tokens = self._accounting.ledger.history.recent_answer_tokens(account)
        rates_by_model: dict[tuple[str, BackendKind], Rates | None] = {}
        costs: list[Estimate | None] = []
        for request, target in zip(requests, targets, strict=True):
            model, kind = target.model, target.backend_kind
            key = model.name, kind
            if key not in rates_by_model:
                is_local = kind == "local"
                rates_by_model[key] = self._accounting.get_rates(model, is_local=is_local)
            rates = rates_by_model[key]
            cost = price_request(request, model, rates)
            if rates is None or cost is None:
                costs.append(None)
                continue
            lengths = recent_answer_tokens.get(model.name, ())
            costs.append(make_estimate(request, cost, rates, lengths))
        return costs

    def resolve_model(self, name: str, catalog: Catalog) -> Model:
        """Return the model with this name from the catalog or, if missing, from the recordings."""
        try:
            return find_model(name, catalog)
        except ModelNotFoundError:
            recorded_name = self._recorder.find_full_model_name(name)
            if not recorded_name:
                raise
            return Model(recorded_name)

    def full_model_name(self, requested: str, catalog: Catalog) -> str:
        """Return the full name of the requested model, or `requested` if no model matches."""
        try:
            return self.resolve_model(requested, catalog).name
        except CfaiError:
            return requested

    def _resolve(
        self,
        request: RecordedRequest,
        target: Target,
        origin: CallOrigin = CallOrigin(),  # noqa: B008 - immutable
        body: Mapping[str, Any] = NO_BODY,
    ) -> Call:
        backend, clients = self._backend, origin.clients
        record_mode = origin.record_mode or self._recorder.mode_resolver.current
        wrap_transport = self._recorder.get_transport_wrapper(record_mode)
        source = clients or backend
        get_client = partial(source.get_client, target.server, wrap_transport)
        client, lookup = self._recorder.resolve(request, record_mode, get_client)
        interaction = lookup.interaction
        context = CallContext(
            backend.client_account if interaction is None else backend.account_or_empty(),
            self._get_notebook(),
            origin.thread,
        )
        if interaction is None:
            is_local = target.backend_kind == "local"
            rates = self._accounting.get_rates(target.model, is_local=is_local)
            if lookup.capture or origin.extensions:
                client = client.with_extensions({**origin.extensions, **lookup.extensions})
            return Call(
                client,
                target.model,
                target.backend_kind,
                is_local,
                record_mode,
                lookup,
                lookup.provenance,
                context,
                rates,
                None,
                body,
            )
        if clients:
            clients.add(client)
        model = (
            target.model if target.model.name == interaction.model else Model(interaction.model)
        )
        is_local = bool(interaction.request.local_model)
        recording = _recording_info(
            self._accounting, model, interaction, is_instant=record_mode.instant
        )
        provenance = replace(lookup.provenance, recording=recording)
        return Call(
            client,
            model,
            "local",
            is_local,
            record_mode,
            lookup,
            provenance,
            context,
            None,
            None,
            body,
        )


def _build_body(request: Request, target: Target) -> dict[str, Any]:
    is_cloudflare = target.backend_kind == "account"
    return chat_body(request, cloudflare=is_cloudflare, model=target.model)


def _fingerprint(
    request: Request, target: Target, body: Mapping[str, Any] | None = None
) -> RecordedRequest:
    """Return the canonical form of a chat request to a target; `body` is its body, if built."""
    return fingerprint_chat(
        request,
        target.model.name if target.backend_kind == "local" else "",
        body,
        is_reasoning_model=target.model.reasoning,
    )


def _recording_info(
    accounting: Accounting, model: Model, interaction: "Interaction", *, is_instant: bool
) -> RecordingInfo:
    """Return details of a recording, including the cost of a live call in neurons.

    The cost is the number of neurons billed for the recorded call. If this number is missing, the
    cost is estimated from the tokens. Calls to a local model cost 0 neurons.
    """
    is_local = bool(interaction.request.local_model)
    usage = (
        interaction.usage
        if is_local
        else with_estimate(accounting.get_rates(model), interaction.usage)
    )
    neurons = 0.0 if is_local else usage.neurons
    return RecordingInfo(
        interaction.date, neurons, interaction.version, interaction.model, is_local, is_instant
    )
