"""Chat requests on their way: one, or several side by side, each booked and streamed."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from ..errors import CfaiError
from ..route.route import OnRetry, Route
from ..settings import Cfai
from ..values import Model, Request
from ..workers_ai.gathering import Gathering
from .answer_stream import AnswerStream
from .answerer import Answerer, Answerers, Clients
from .booking import Booking, reserve_together
from .parallel import Parallel
from .pool import Pool


class Chats:
    """One session's chat requests; `model` finds one by its name.

    `explained` adds to an error what the session knows.
    """

    def __init__(
        self,
        settings: Cfai,
        route: Route,
        answerers: Answerers,
        clock: Callable[[], float],
        model: Callable[[str], Model],
        explained: Callable[[CfaiError], CfaiError],
    ) -> None:
        self._settings = settings
        self._route = route
        self._answerers = answerers
        self._clock = clock
        self._model = model
        self._explained = explained

    def check(self, request: Request) -> None:
        """Raise CourseRule where the course's file does not allow the request."""
        self._settings.course.check(request, local=self._route.is_local)

    def stream(
        self,
        request: Request,
        on_retry: OnRetry | None = None,
        max_neurons: float | None = None,
        thread: str = "",
        gateway: str = "",
        pool: Pool | None = None,
    ) -> AnswerStream:
        """Return one answer as it comes; the parameters are those of Session.stream."""
        found = self._answerer(request, pool.clients if pool else None)
        cost = self._answerers.cost(request, self._model(request.model))
        booking = found.booking(cost, max_neurons, thread)
        if pool and not found.is_recorded:
            pool.draw(booking)
        return self._stream(request, booking, found, on_retry, gateway)

    def parallel(
        self, requests: Sequence[Request], max_neurons: float | None, gateway: str
    ) -> Parallel:
        """Return several answers as they come; the parameters are those of Session.parallel."""
        clients = Clients(self._route)
        found = [self._answerer(each, clients) for each in requests]
        pairs = list(zip(requests, found, strict=True))
        costs = [self._answerers.cost(each, self._model(each.model)) for each in requests]
        bookings = [f.booking(cost, max_neurons) for f, cost in zip(found, costs, strict=True)]
        asked = [b for b, each in zip(bookings, found, strict=True) if not each.is_recorded]

        def begin(number: int, on_retry: OnRetry) -> AnswerStream:
            request, each = pairs[number]
            return self._stream(request, bookings[number], each, on_retry, gateway)

        return Parallel(len(requests), begin, lambda: reserve_together(asked), clients)

    def _answerer(self, request: Request, clients: Clients | None = None) -> Answerer:
        """Return who answers a request that the course allows."""
        self.check(request)
        return self._answerers.chat(request, self._model(request.model), clients)

    def _stream(
        self,
        request: Request,
        booking: Booking,
        found: Answerer,
        on_retry: OnRetry | None,
        gateway: str,
    ) -> AnswerStream:
        way = self._answerers.gateway(found, gateway)
        return AnswerStream(
            replace(request, model=found.model.name),
            booking,
            lambda admitted: found.client.stream(admitted, on_retry, way),
            lambda asked: Gathering(asked, self._clock, local=found.local, origin=found.origin),
            self._explained,
        )
