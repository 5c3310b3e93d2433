"""Who answers one question: its recording, Workers AI, or the model on this machine."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..catalogue import resolve
from ..errors import CfaiError, UnknownModel
from ..neurons.pricing import Cost, Extent, list_rates, with_price
from ..replay import Asked, Look, Record, Replay, asked_chat, asked_embeddings, asked_run
from ..route.route import Route
from ..values import Catalogue, Model, Request
from ..values.provenance import Origin, Recorded
from ..workers_ai.gateway import Gateway
from ..workers_ai.work import Payload
from .booking import Booking, Way
from .books import Books
from .replayed import ReplayedBooking

if TYPE_CHECKING:
    from ..workers_ai import WorkersAI


@dataclass(frozen=True, slots=True)
class Answerer:
    """Who answers: the client to ask, the model that it is, and where its answer comes from."""

    client: "WorkersAI"
    model: Model
    local: bool
    origin: Origin
    look: Look
    books: Books
    way: Way = "account"

    @property
    def is_recorded(self) -> bool:
        """Whether a recording answers."""
        return self.look.record is not None

    def booking(self, cost: Cost | None, most: float | None = None, thread: str = "") -> Booking:
        """Return the call's place in the ledger; `most` is a limit for it alone."""
        if self.is_recorded:
            booking: Booking = ReplayedBooking(self.books, self.model, thread, self.look.notes)
        else:
            booking = Booking(self.books, self.model, cost, most=most, thread=thread, way=self.way)
            booking.keep = self.look.keep
        booking.request = self.origin.request
        return booking


class Clients:
    """The clients of calls that run together: one that asks, made when needed, and the players."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self._asking: WorkersAI | None = None
        self._all: list[WorkersAI] = []

    def shared(self) -> "WorkersAI":
        """Return the one that asks."""
        if self._asking is None:
            self._asking = self._route.own_client()
            self.add(self._asking)
        return self._asking

    def add(self, client: "WorkersAI") -> None:
        """Take in one more."""
        self._all.append(client)

    def hang_up(self) -> None:
        """End at once what other threads wait for."""
        for client in self._all:
            client.hang_up()

    def close(self) -> None:
        """Close all connections."""
        for client in self._all:
            client.close()


class Answerers:
    """Tells who answers the questions of one session."""

    def __init__(self, books: Books, route: Route, replay: Replay) -> None:
        self._books = books
        self._route = route
        self._replay = replay

    def chat(self, request: Request, model: Model, clients: Clients | None = None) -> Answerer:
        """Return who answers a chat request; the errors and `clients` are those of `find`."""
        return self.find(asked_chat(request, self._here()), model, clients)

    def embeddings(self, named: str, texts: Sequence[str], model: Model) -> Answerer:
        """Return who answers a request for vectors; `named` is the model that was asked for."""
        return self.find(asked_embeddings(named, texts, self._here()), model)

    def task(self, model: Model, payload: Payload, how: Mapping[str, Any]) -> Answerer:
        """Return who answers a native task; `how` is that of WorkersAI.run."""
        return self.find(asked_run(model.name, payload, how), model)

    def is_recorded(self, request: Request) -> bool:
        """Whether a recording would answer a chat request."""
        return self._replay.knows(asked_chat(request, self._here()))

    def recorded(self, requests: Iterable[Request]) -> list[bool]:
        """Return of each chat request whether a recording would answer it, as of one cell's."""
        asked = [asked_chat(request, self._here()) for request in requests]
        before: Counter[str] = Counter()
        found = []
        for each in asked:
            found.append(self._replay.knows(each, before[each.key]))
            before[each.key] += 1
        return found

    def is_task_recorded(self, model: str, payload: Payload, how: Mapping[str, Any]) -> bool:
        """Whether a recording would answer a native task; `how` is that of WorkersAI.run."""
        return self._replay.knows(asked_run(model, payload, how))

    def expect(self, request: Request) -> None:
        """Raise NotRecorded where only recordings may answer, and none answers this request."""
        self._replay.expect(asked_chat(request, self._here()))

    def gateway(self, found: Answerer, named: str = "") -> Gateway | None:
        """Return the gateway that a call goes through; a recording needs none."""
        return None if found.is_recorded else self._route.gateway(named)

    def _way(self) -> Way:
        if self._route.is_local:
            return "local"
        return "elsewhere" if self._route.elsewhere else "account"

    def cost(self, request: Request | Extent, model: Model) -> Cost | None:
        """Return what a request may cost, wherever it goes; None where nobody knows.

        Nothing is billed in neurons here, and elsewhere for a model of another sort.
        """
        unlisted = self._route.elsewhere is not None and list_rates(model) is None
        return self._books.cost(request, model, local=self._route.is_local or unlisted)

    def model(self, name: str, catalogue: Catalogue) -> Model:
        """Return the model that a name stands for: a listed one, or a recorded one that is not."""
        try:
            return resolve(name, catalogue)
        except UnknownModel:
            recorded = self._replay.model(name)
            if not recorded:
                raise
            return Model(recorded)

    def name(self, named: str, catalogue: Catalogue) -> str:
        """Return the full name that was asked for, though another model may answer."""
        try:
            return self.model(named, catalogue).name
        except CfaiError:
            return named

    def _here(self) -> str:
        """Return the name of the model on this machine, where one answers."""
        return self._route.server.model_name if self._route.server else ""

    def find(self, asked: Asked, model: Model, clients: Clients | None = None) -> Answerer:
        """Return who answers a question that is put to this model.

        `clients` are those of calls that run together. Raises NotRecorded, or NoCredentials,
        before anything is booked or sent.
        """
        route, books = self._route, self._books
        client, look = self._replay.answering(asked, clients.shared if clients else route.client)
        if look.record is None:
            asking = client.bearing(look.extensions)
            local, way = route.is_local, self._way()
            return Answerer(asking, model, local, look.origin, look, books, way)
        if clients:
            clients.add(client)
        local = bool(look.record.asked.local)
        known = model if model.name == look.record.model else Model(look.record.model)
        origin = replace(look.origin, recorded=_recorded(books, known, look.record))
        return Answerer(client, known, local, origin, look, books)


def _recorded(books: Books, model: Model, record: Record) -> Recorded:
    """Return what is told of a recording: what asking would cost, as billed or by its tokens."""
    local = bool(record.asked.local)
    told = record.usage if local else with_price(books.rates(model), record.usage)
    neurons = 0.0 if local else told.neurons
    return Recorded(record.date, neurons, record.version, record.model, local)
