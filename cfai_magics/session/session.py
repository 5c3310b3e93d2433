"""Owns the one path of every call: reserve, send, gather, price, settle, hand over."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from .. import catalogue as model_list
from .. import forks
from ..arguments import checked_names, text_of, texts_of
from ..errors import AllowanceUsedUp, CfaiError, NoCredentials, UnknownModel
from ..neurons.pricing import Cost, Extent
from ..replay import Replay
from ..route.route import OnRetry, Route
from ..secret import Unpickled, environment
from ..settings import Cfai
from ..store.budgets import Place
from ..store.ledger import Ledger
from ..values import (
    Answer,
    Catalogue,
    Message,
    Model,
    Request,
    Running,
    Standing,
)
from ..values.request import Fields, messages_of, stops
from ..values.results import Embeddings, RawResult
from ..workers_ai.work import Payload, check_files, check_payload
from .answer_stream import AnswerStream
from .answerer import Answerers
from .books import Books
from .calls import TO_MARKDOWN, Calls, Files
from .chats import Chats
from .parallel import Parallel
from .pool import Pool
from .turns import Turns
from .watchers import Attached, Callback, Unwatch, Watchers

if TYPE_CHECKING:
    import httpx

EMBEDDING_MODEL = "@cf/baai/bge-m3"


class Session(forks.InChild, Unpickled):
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
        environ: Mapping[str, str] | None = None,
        transport: "httpx.BaseTransport | None" = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        environ = environment(environ)
        self.settings = settings
        self.home = home
        self.notebook = ""
        ledger = Ledger(home, wall_clock, settings.course.budgets)
        # Others' entries in the ledger change what is seen; so does each minute, for clocks.
        self.watchers = Watchers(lambda: (ledger.version(), int(wall_clock() // 60)))
        self._turns = Turns(home, wall_clock, self.catalogue_model)
        ways = (self.watchers.tell, self._turns.take)
        self.route = Route(settings, home, environ, transport, *ways)
        self.replay = Replay(settings, environ, home / "locks", lambda: self.notebook, wall_clock)
        self.route.wrap, self.route.asks = self.replay.wrap, self.replay.choice.asks
        self.books = Books(ledger, self._place, self.watchers)
        self.answerers = Answerers(self.books, self.route, self.replay)
        self.attached: dict[str, Attached] = {}
        settings.observe(self._setting_changed)
        self._wall_clock = wall_clock
        known = (self.model, self._explained)
        self._chats = Chats(settings, self.route, self.answerers, clock, *known)
        self._calls = Calls(self.books, self.answerers, clock, self._explained)
        self._models = model_list.Known(home)
        forks.register(self)

    def in_child(self) -> None:
        """Leave the panels of the parent to the parent."""
        self.attached = {}

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

    @checked_names
    def request(
        self, messages: Iterable[Message], model: str = "", **fields: Unpack[Fields]
    ) -> Request:
        """Return the request for these messages, filled up from the settings.

        `model` may be a short name; the fields are those of Request. Raises UnknownModel or
        BadOption before anything is sent.
        """
        said, stop = messages_of(messages), stops(fields.get("stop"))
        named = text_of(model or "", "model") or self.settings.model
        self.route.start_if_local()
        chosen = self.model(named)
        max_tokens, temperature = fields.get("max_tokens"), fields.get("temperature")
        local = self.route.is_local
        return Request(
            chosen.name,
            said,
            max_tokens=self.settings.max_tokens if max_tokens is None else max_tokens,
            temperature=self.settings.temperature if temperature is None else temperature,
            top_p=fields.get("top_p"),
            seed=fields.get("seed"),
            stop=stop,
            think=bool(fields.get("think")) if chosen.reasoning else None,
            stream=fields.get("stream") is not False,
            extra={} if (extra := fields.get("extra")) is None else extra,
            instead_of=self.answerers.name(named, self.catalogue()) if local else "",
        )

    def stream(
        self,
        request: Request,
        on_retry: OnRetry | None = None,
        max_neurons: float | None = None,
        thread: str = "",
        gateway: str = "",
        pool: Pool | None = None,
    ) -> AnswerStream:
        """Return the answer as it comes: booked when it begins, and settled however it ends.

        `max_neurons` is a limit for this call alone, beside the budgets; `thread` the name of the
        conversation, for the ledger; `gateway` as for Route.gateway; a `pool` pays for it.
        """
        return self._chats.stream(request, on_retry, max_neurons, thread, gateway, pool)

    def parallel(
        self,
        requests: Request | Sequence[Request],
        max_neurons: float | None = None,
        gateway: str = "",
    ) -> Parallel:
        """Return the answers to all requests as they come, side by side.

        What all may cost is reserved as one sum before the first is sent; `max_neurons` is a
        limit for that sum.
        """
        several = (requests,) if isinstance(requests, Request) else requests
        return self._chats.parallel(several, max_neurons, gateway)

    def check(self, request: Request) -> None:
        """Raise CourseRule where the course's file does not allow the request."""
        self._chats.check(request)

    def cost(self, request: Request | Extent, model: Model) -> Cost | None:
        """Return what a request may cost, wherever it goes; None where nobody knows."""
        return self.answerers.cost(request, model)

    def ask(self, request: Request, max_neurons: float | None = None) -> Answer:
        """Send the request and return its whole answer."""
        with self.stream(request, max_neurons=max_neurons) as stream:
            for _ in stream:
                pass
            return stream.answer

    @checked_names
    def embed(
        self,
        texts: str | Iterable[str],
        model: str = "",
        *,
        on_retry: OnRetry | None = None,
        max_neurons: float | None = None,
    ) -> Embeddings:
        """Return one vector per text, in their order; a single text is a list of one.

        `max_neurons` limits all requests together. Raises BadOption for what is not a text.
        """
        named, wanted = text_of(model or "", "model") or EMBEDDING_MODEL, texts_of(texts, "texts")
        self.route.start_if_local()
        chosen = self.model(named)
        if not self.route.is_local:
            self.settings.course.check_model(chosen.name)
        asked = Request(chosen.name, tuple({"content": text} for text in wanted))
        full = self.answerers.name(named, self.catalogue())
        found = self.answerers.embeddings(full, wanted, chosen)
        cost = self.cost(asked, chosen)
        return self._calls.embed(wanted, found, cost, on_retry, max_neurons)

    @checked_names
    def run(
        self,
        model: str,
        payload: Payload,
        *,
        content_type: str | None = None,
        files: Mapping[str, Any] | None = None,
        on_retry: OnRetry | None = None,
        max_neurons: float | None = None,
    ) -> RawResult:
        """Run a native task and return its reply in its raw form.

        `content_type` and `files` are those of WorkersAI.run; `max_neurons` limits this call.
        """
        check_payload(payload)
        chosen = self.catalogue_model(text_of(model or "", "model"))
        self.settings.course.check_task(chosen, payload)
        how = {"content_type": content_type, "files": files}
        return self._calls.run(chosen, payload, on_retry, max_neurons, **how)

    @checked_names
    def to_markdown(
        self,
        files: Files,
        *,
        on_retry: OnRetry | None = None,
        max_neurons: float | None = None,
    ) -> RawResult:
        """Convert documents, given as (name, bytes, MIME type), to Markdown."""
        check_files(files)
        self.settings.course.check_model(TO_MARKDOWN.name)
        return self._calls.to_markdown(files, on_retry, max_neurons)

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
            return Model(server.model_name, context_window=server.context, vision=server.vision)
        if self.route.elsewhere is not None:
            return model_list.as_typed(name, self.catalogue())
        return self.catalogue_model(name)

    def catalogue_model(self, name: str) -> Model:
        """Return the catalogue's model that a name stands for, or a recorded one that has gone."""
        return self.answerers.model(name, self.catalogue())

    def catalogue(self) -> Catalogue:
        """Return the list of models without asking the network."""
        return self._models.all()

    def fetch_catalogue(self, on_retry: OnRetry | None = None) -> Catalogue:
        """Ask Cloudflare for the list of models and keep it on disk."""
        fetched = self._models.take(self.route.client().models(on_retry))
        self.watchers.tell()
        return fetched
