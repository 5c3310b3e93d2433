"""Owns the one path of every call: reserve, send, gather, price, settle, hand over."""

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import catalogue as model_list
from .answer_stream import AnswerStream
from .books import Booking, Books, Way, reserve_together
from .calls import TO_MARKDOWN, Calls, Files
from .errors import AllowanceUsedUp, CfaiError, NoCredentials, UnknownModel
from .gathering import Gathering
from .parallel import Parallel
from .pricing import Cost, Extent, list_rates
from .results import Embeddings, RawResult
from .route import OnRetry, Route
from .settings import Cfai
from .store.ledger import Ledger, Place
from .turns import Turns
from .values import (
    Answer,
    Catalogue,
    Message,
    Model,
    Request,
    Running,
    Standing,
)
from .watchers import Attached, Callback, Unwatch, Watchers
from .workers_ai.work import Payload

if TYPE_CHECKING:
    import httpx

    from .workers_ai import ChatStream

EMBEDDING_MODEL = "@cf/baai/bge-m3"


class Session:
    """One user's way to Workers AI, or to the small model on this machine.

    Where state lives, the environment, the transport and the clocks come in by the constructor:
    `clock` measures durations, `wall_clock` gives the seconds since 1970. `notebook` is the name
    under which the ledger keeps this session's calls.
    """

    def __init__(
        self,
        settings: Cfai,
        home: Path,
        *,
        environ: Mapping[str, str] = os.environ,
        transport: "httpx.BaseTransport | None" = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self.home = home
        self.notebook = ""
        ledger = Ledger(home, wall_clock, settings.course.budgets)
        # Others' entries in the ledger change what is seen; so does each minute, for clocks.
        self.watchers = Watchers(lambda: (ledger.version(), int(wall_clock() // 60)))
        self._turns = Turns(home, wall_clock, self.catalogue_model)
        ways = (self.watchers.tell, self._turns.take)
        self.route = Route(settings, home, environ, transport, *ways)
        self.books = Books(ledger, self._place, self.watchers)
        self.attached: dict[str, Attached] = {}
        settings.observe(self._setting_changed)
        self._clock = clock
        self._wall_clock = wall_clock
        self._calls = Calls(self.books, self.route, clock, self._explained)
        self._models = model_list.Known(home)

    def _place(self) -> Place:
        try:
            account = self.route.account()
        except NoCredentials:  # nothing can be sent then, but budgets and sums can be looked at
            account = ""
        return Place(account, self.notebook)

    def close(self) -> None:
        """Close what is attached, the connections and the ledger, and stop the local server."""
        for each in list(self.attached.values()):
            each.close()
        with suppress(ValueError):  # closed before
            self.settings.unobserve(self._setting_changed)
        self.watchers.close()
        self.route.close()
        self.books.ledger.close()
        self._turns.close()

    # --- watching

    def watch(self, callback: Callback) -> Unwatch:
        """Call back whenever a setting, the account, today's sums or a running call changes.

        It is called without arguments, on the thread that made the change: read `settings`,
        `standing()` and `running` then. Call what is returned to end that.
        """
        return self.watchers.add(callback)

    def now(self) -> datetime:
        """Return the time by this session's clock, in UTC."""
        return datetime.fromtimestamp(self._wall_clock(), UTC)

    def _setting_changed(self, _change: object) -> None:
        self.watchers.tell()

    @property
    def running(self) -> tuple[Running, ...]:
        """The calls that run just now, with what each has used so far."""
        return self.watchers.running

    def standing(self) -> Standing:
        """Return where today stands for the account that would pay; begin nothing for it.

        Raises NoCredentials where there is none.
        """
        return self.books.ledger.standing(self.route.payer())

    # --- asking

    def request(self, messages: Iterable[Message], model: str = "", **fields: Any) -> Request:
        """Return the request for these messages, filled up from the settings.

        `model` may be a short name; the fields are those of Request. Raises UnknownModel or
        BadOption before anything is sent.
        """
        self.route.start_if_local()
        chosen = self.model(model or self.settings.model)
        if fields.get("max_tokens") is None:
            fields["max_tokens"] = self.settings.max_tokens
        if fields.get("temperature") is None:
            fields["temperature"] = self.settings.temperature
        fields["think"] = bool(fields.get("think")) if chosen.reasoning else None
        return Request(chosen.name, tuple(messages), **fields)

    def stream(
        self,
        request: Request,
        on_retry: OnRetry | None = None,
        max_neurons: float | None = None,
        thread: str = "",
        gateway: str = "",
    ) -> AnswerStream:
        """Return the answer as it comes: booked when it begins, and settled however it ends.

        `max_neurons` is a limit for this call alone, beside the budgets; `thread` the name of the
        conversation, for the ledger; `gateway` as for Route.gateway.
        """
        client, way = self.route.client(), self.route.gateway(gateway)
        booking = self._admissible(request, max_neurons, thread)
        return self._stream(
            request, booking, lambda admitted: client.stream(admitted, on_retry, way)
        )

    def parallel(
        self, requests: Sequence[Request], max_neurons: float | None = None, gateway: str = ""
    ) -> Parallel:
        """Return the answers to all requests as they come, side by side.

        What all may cost is reserved as one sum before the first is sent; `max_neurons` is a
        limit for that sum.
        """
        client, way = self.route.own_client(), self.route.gateway(gateway)
        bookings = [self._admissible(each, max_neurons) for each in requests]

        def begin(number: int, on_retry: OnRetry) -> AnswerStream:
            return self._stream(
                *(requests[number], bookings[number]),
                lambda admitted: client.stream(admitted, on_retry, way),
            )

        return Parallel(len(requests), begin, lambda: reserve_together(bookings), client)

    def _admissible(
        self, request: Request, most: float | None = None, thread: str = ""
    ) -> Booking:
        """Return the booking of a request that the course allows."""
        self.check(request)
        model = self.model(request.model)
        return self._booking(model, self.cost(request, model), most, thread)

    def _stream(
        self, request: Request, booking: Booking, send: Callable[[Request], "ChatStream"]
    ) -> AnswerStream:
        local = self.route.is_local
        return AnswerStream(
            request,
            booking,
            send,
            lambda asked: Gathering(asked, self._clock, local=local),
            self._explained,
        )

    def check(self, request: Request) -> None:
        """Raise CourseRule where the course's file does not allow the request."""
        self.settings.course.check(request, local=self.route.is_local)

    def cost(self, request: Request | Extent, model: Model) -> Cost | None:
        """Return what a request may cost, wherever it goes; None where nobody knows."""
        return self.books.cost(request, model, local=self._is_free(model))

    def _is_free(self, model: Model) -> bool:
        """Whether nothing is billed in neurons: here, or elsewhere by a model of another sort."""
        unlisted = self.route.elsewhere is not None and list_rates(model) is None
        return self.route.is_local or unlisted

    def _booking(
        self, model: Model, cost: Cost | None, most: float | None = None, thread: str = ""
    ) -> Booking:
        way: Way = "elsewhere" if self.route.elsewhere else "account"
        way = "local" if self.route.is_local else way
        return Booking(self.books, model, cost, most=most, thread=thread, way=way)

    def ask(self, request: Request, max_neurons: float | None = None) -> Answer:
        """Send the request and return its whole answer."""
        with self.stream(request, max_neurons=max_neurons) as stream:
            for _ in stream:
                pass
            return stream.answer

    def embed(self, texts: Iterable[str], model: str = "", **how: Any) -> Embeddings:
        """Return one vector a text, in their order; `how` is on_retry and max_neurons."""
        chosen, wanted = self.model(model or EMBEDDING_MODEL), tuple(texts)
        if not self.route.is_local:
            self.settings.course.check_model(chosen.name)
        asked = Request(chosen.name, tuple({"content": text} for text in wanted))
        cost = self.cost(asked, chosen)
        return self._calls.embed(
            wanted, chosen.name, lambda most: self._booking(chosen, cost, most), **how
        )

    def run(self, model: str, payload: Payload, **how: Any) -> RawResult:
        """Run a native task and return its reply in its raw form.

        `how` is WorkersAI.run's, and max_neurons.
        """
        chosen = self.catalogue_model(model)
        self.settings.course.check_task(chosen, payload)
        return self._calls.run(chosen, payload, **how)

    def to_markdown(self, files: Files, **how: Any) -> RawResult:
        """Convert documents, given as (name, bytes, MIME type), to Markdown."""
        self.settings.course.check_model(TO_MARKDOWN.name)
        return self._calls.to_markdown(files, **how)

    def fetch_account_usage(self) -> dict[str, float]:
        """Ask Cloudflare what the account used today, by model; the ledger keeps the sum."""
        client = self.route.client()
        told = client.neurons_by_model(self.now())
        self.books.ledger.note_account(self.books.place().account, sum(told.values()))
        return told

    def _explained(self, error: CfaiError) -> CfaiError:
        """Return the error with what only the session knows: names, and what day it is."""
        if isinstance(error, UnknownModel) and error.model:
            near = model_list.nearest(error.model, self.catalogue())
            error.hint = f"Nearest: {', '.join(near)}. {error.hint}" if near else error.hint
        if isinstance(error, AllowanceUsedUp) and error.status is not None:
            self.books.close_day()
            error.hint = self.books.closed(error.cause).hint
        return self.route.explained(error)

    # --- models

    def model(self, name: str) -> Model:
        """Return the model a name stands for; on this machine, whatever model runs here.

        Another server has names of its own: they stand as typed.
        """
        server = self.route.server
        if server is not None:
            return Model(server.model_name, context_window=server.context)
        if self.route.elsewhere is not None:
            return model_list.as_typed(name, self.catalogue())
        return self.catalogue_model(name)

    def catalogue_model(self, name: str) -> Model:
        """Return the catalogue's model that a name stands for."""
        return model_list.resolve(name, self.catalogue())

    def catalogue(self) -> Catalogue:
        """Return the list of models without asking the network."""
        return self._models.all()

    def fetch_catalogue(self, on_retry: OnRetry | None = None) -> Catalogue:
        """Ask Cloudflare for the list of models and keep it on disk."""
        fetched = self._models.take(self.route.client().models(on_retry))
        self.watchers.tell()
        return fetched
