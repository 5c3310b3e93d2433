"""Resolve whether a cassette, Workers AI, another server or the local model answers a call."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..backends.selector import Backend
from ..errors import CfaiError, ModelNotFoundError
from ..pricing.catalog import find_model
from ..pricing.prices import Cost, RequestSize, catalog_rates, with_estimate
from ..replay.fingerprint import (
    RecordedRequest,
    fingerprint_chat,
    fingerprint_embeddings,
    fingerprint_task,
)
from ..replay.interaction import Interaction
from ..replay.lookup import Lookup
from ..replay.recorder import Recorder
from ..types.messages import Request
from ..types.results import Provenance, RecordingInfo
from ..types.usage import Catalog, Model
from ..workers_ai.gateway import Gateway
from ..workers_ai.task_requests import Payload
from .reservation import Accounting, BackendKind, FreeReservation, Reservation

if TYPE_CHECKING:
    from ..workers_ai.client import WorkersAI


@dataclass(frozen=True, slots=True)
class ResolvedCall:
    """A call with its client, model, provenance and cassette lookup resolved."""

    client: "WorkersAI"
    model: Model
    is_local: bool
    provenance: Provenance
    lookup: Lookup
    accounting: Accounting
    backend_kind: BackendKind = "account"

    @property
    def is_recorded(self) -> bool:
        """Whether a recorded answer is replayed."""
        return self.lookup.interaction is not None

    def new_reservation(
        self, cost: Cost | None, max_neurons: float | None = None, thread: str = ""
    ) -> Reservation:
        """Return a reservation for the call in the ledger.

        `max_neurons` limits this call alone; `thread` is the name of the conversation.
        """
        if self.is_recorded:
            reservation: Reservation = FreeReservation(
                self.accounting, self.model, thread, self.lookup.notes
            )
        else:
            reservation = Reservation(
                self.accounting,
                self.model,
                cost,
                max_neurons=max_neurons,
                thread=thread,
                backend_kind=self.backend_kind,
            )
            reservation.on_success = self.lookup.save_recording
        reservation.request_fingerprint = self.provenance.request_fingerprint
        return reservation


class ClientGroup:
    """The clients of parallel calls: one shared live client, and the playback clients."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._shared_client: WorkersAI | None = None
        self._clients: list[WorkersAI] = []

    def get_shared_client(self) -> "WorkersAI":
        """Return the live client that all calls share; create it on first use."""
        if self._shared_client is None:
            self._shared_client = self._backend.new_client()
            self.add(self._shared_client)
        return self._shared_client

    def add(self, client: "WorkersAI") -> None:
        """Add a client, so that `abort` and `close` include it."""
        self._clients.append(client)

    def abort(self) -> None:
        """Abort the requests of all clients, from any thread."""
        for client in self._clients:
            client.abort()

    def close(self) -> None:
        """Close all connections."""
        for client in self._clients:
            client.close()


class CallResolver:
    """Resolve client, model and provenance for the calls of one session."""

    def __init__(self, accounting: Accounting, backend: Backend, recorder: Recorder) -> None:
        self._accounting = accounting
        self._backend = backend
        self._recorder = recorder

    def resolve_chat(
        self, request: Request, model: Model, clients: ClientGroup | None = None
    ) -> ResolvedCall:
        """Return the resolved call of a chat request; parameters and errors as in `resolve`."""
        return self.resolve(fingerprint_chat(request, self._local_model_name()), model, clients)

    def resolve_embeddings(
        self, requested_model: str, texts: Sequence[str], model: Model
    ) -> ResolvedCall:
        """Return the resolved call of an embeddings request; `requested_model` is a full name."""
        return self.resolve(
            fingerprint_embeddings(requested_model, texts, self._local_model_name()), model
        )

    def resolve_task(
        self, model: Model, payload: Payload, send_kwargs: Mapping[str, Any]
    ) -> ResolvedCall:
        """Return the resolved call of a native task; `send_kwargs` as in WorkersAI.run."""
        return self.resolve(fingerprint_task(model.name, payload, send_kwargs), model)

    def is_recorded(self, request: Request) -> bool:
        """Return whether a recording would answer a chat request."""
        return self._recorder.has_recording(fingerprint_chat(request, self._local_model_name()))

    def are_recorded(self, requests: Iterable[Request]) -> list[bool]:
        """Return for each chat request of one cell whether a recording would answer it."""
        recorded_requests = [
            fingerprint_chat(request, self._local_model_name()) for request in requests
        ]
        counts: Counter[str] = Counter()
        results = []
        for recorded_request in recorded_requests:
            results.append(
                self._recorder.has_recording(
                    recorded_request, counts[recorded_request.fingerprint]
                )
            )
            counts[recorded_request.fingerprint] += 1
        return results

    def is_task_recorded(
        self, model: str, payload: Payload, send_kwargs: Mapping[str, Any]
    ) -> bool:
        """Return whether a recording would answer a native task.

        `send_kwargs` are those of WorkersAI.run.
        """
        return self._recorder.has_recording(fingerprint_task(model, payload, send_kwargs))

    def require_recording(self, request: Request) -> None:
        """Raise NotRecordedError in record mode "only" if the request is not recorded."""
        self._recorder.require_recording(fingerprint_chat(request, self._local_model_name()))

    def resolve_gateway(self, call: ResolvedCall, requested: str = "") -> Gateway | None:
        """Return the AI Gateway of a call; None for a recorded call."""
        return None if call.is_recorded else self._backend.resolve_gateway(requested)

    def _backend_kind(self) -> BackendKind:
        if self._backend.is_local:
            return "local"
        return "elsewhere" if self._backend.server else "account"

    def estimate_cost(self, request: Request | RequestSize, model: Model) -> Cost | None:
        """Return the estimated cost of a request on its backend; None if it is unknown.

        The local model, and models of another server without a catalog price, cost nothing.
        """
        is_unlisted = self._backend.server is not None and catalog_rates(model) is None
        return self._accounting.estimate_cost(
            request, model, is_local=self._backend.is_local or is_unlisted
        )

    def resolve_model(self, name: str, catalog: Catalog) -> Model:
        """Return the model of a name from the catalog, or else from the recordings."""
        try:
            return find_model(name, catalog)
        except ModelNotFoundError:
            recorded_name = self._recorder.find_full_model_name(name)
            if not recorded_name:
                raise
            return Model(recorded_name)

    def full_model_name(self, requested: str, catalog: Catalog) -> str:
        """Return the full name of the requested model, even if another model answers."""
        try:
            return self.resolve_model(requested, catalog).name
        except CfaiError:
            return requested

    def _local_model_name(self) -> str:
        """Return the name of the local model; empty if it does not answer."""
        return self._backend.local_server.model_name if self._backend.local_server else ""

    def resolve(
        self, request: RecordedRequest, model: Model, clients: ClientGroup | None = None
    ) -> ResolvedCall:
        """Return the client, model and provenance of a request.

        `clients` is the group of calls that run in parallel.

        Raises NotRecordedError or MissingCredentialsError before the call is reserved or sent.
        """
        backend, accounting = self._backend, self._accounting
        client, lookup = self._recorder.resolve(
            request, clients.get_shared_client if clients else backend.client
        )
        if lookup.interaction is None:
            live_client = client.with_extensions(lookup.extensions)
            is_local, backend_kind = backend.is_local, self._backend_kind()
            return ResolvedCall(
                live_client, model, is_local, lookup.provenance, lookup, accounting, backend_kind
            )
        if clients:
            clients.add(client)
        is_local = bool(lookup.interaction.request.local_model)
        recorded_model = (
            model if model.name == lookup.interaction.model else Model(lookup.interaction.model)
        )
        provenance = replace(
            lookup.provenance,
            recording=_recording_info(accounting, recorded_model, lookup.interaction),
        )
        return ResolvedCall(client, recorded_model, is_local, provenance, lookup, accounting)


def _recording_info(
    accounting: Accounting, model: Model, interaction: Interaction
) -> RecordingInfo:
    """Return the recording's date and the neurons that a live call would cost.

    The neurons are those billed, or an estimate from its tokens.
    """
    is_local = bool(interaction.request.local_model)
    usage = (
        interaction.usage
        if is_local
        else with_estimate(accounting.get_rates(model), interaction.usage)
    )
    neurons = 0.0 if is_local else usage.neurons
    return RecordingInfo(
        interaction.date, neurons, interaction.version, interaction.model, is_local
    )
