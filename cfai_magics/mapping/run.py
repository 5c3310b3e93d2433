"""Asks what a map wants to know, several at once; every answer is kept as it comes."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from threading import Lock

from ..errors import (
    BadInput,
    CfaiError,
    ContextTooLong,
    CutStream,
    Interrupted,
    NoCapacity,
    NotRecorded,
    RateLimited,
    ReplyTooLarge,
    RequestTimeout,
    ServerError,
)
from ..forms.form import Unfit
from ..forms.schema import without_field
from ..neurons.pricing import Cost
from ..render.formats import next_try
from ..render.tally import Tally
from ..session import Session
from ..session.answer_stream import AnswerStream
from ..session.answerer import Clients
from ..session.pool import Pool, pool
from ..store.answers import Answers, Kept
from ..values import Answer, Request
from .crew import Crew
from .plan import Plan

# What is about one row alone; every other error would befall the other rows too.
OF_ONE_ROW = (
    *(BadInput, ContextTooLong, CutStream, NoCapacity),
    *(RateLimited, ReplyTooLarge, RequestTimeout, ServerError),
)


Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Found:
    """What came of the different prompts: answers, and why there is none, by key."""

    answers: dict[str, Kept] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


def fault_of(plan: Plan, kept: Kept) -> str:
    """Return why an answer is none that can be used; "" where it can."""
    if not kept.text:
        return "the answer is empty; all its tokens may have gone into thinking"
    if plan.schema is None:
        return ""
    try:
        plan.schema.parse(kept.text)
    except Unfit as unfit:
        cut = ": it was cut at max_tokens" if kept.finish == "length" else ""
        return f"the answer does not fit the schema{cut} ({unfit})"
    return ""


class Run:
    """Asks by `concurrency` calls at once; `most` are the neurons that all may cost."""

    def __init__(
        self, session: Session, plan: Plan, store: Answers, concurrency: int, most: float | None
    ) -> None:
        self._session = session
        self._plan = plan
        self._store = store
        self._concurrency = concurrency
        self._most = most
        self._streams: set[AnswerStream] = set()
        self._lock = Lock()
        self._plainly = False  # whether the model refused the field for the schema

    def ask(
        self, keys: Sequence[str], costs: Mapping[str, Cost | None], found: Found, tally: Tally
    ) -> None:
        """Ask these and add to what is found; those without `costs` have a recording.

        What all may cost is reserved first. An error that every row would meet ends it; what was
        answered until then is kept.
        """
        clients = Clients(self._session.route)
        if costs:
            clients.shared()  # made on this thread
        with self._pool(clients, costs) as drawn:

            def work(key: str) -> tuple[str, Kept | CfaiError]:
                came = self._asked(key, drawn, tally.wait)
                if isinstance(came, CfaiError) and not isinstance(came, OF_ONE_ROW):
                    raise came
                return key, came

            def stop() -> None:
                self._interrupt()
                clients.hang_up()

            with Crew(self._concurrency, keys, work, stop, tally.show) as crew:
                for key, came in crew:
                    self._count(key, came, found, tally)

    def _pool(
        self, clients: Clients, costs: Mapping[str, Cost | None]
    ) -> AbstractContextManager[Pool | None]:
        if not costs:
            return nullcontext()
        books, model = self._session.books, self._plan.model
        return pool(books, clients, model, list(costs.values()), self._most)

    def _count(self, key: str, came: Kept | CfaiError, found: Found, tally: Tally) -> None:
        if isinstance(came, CfaiError):
            found.errors[key] = str(came)
            tally.count(failed=True)
            return
        found.answers[key] = came
        fault = fault_of(self._plan, came)
        if fault:
            found.errors[key] = fault
        tally.count(came.usage, failed=bool(fault))

    def _interrupt(self) -> None:
        with self._lock:
            for stream in self._streams:
                stream.interrupt()

    # --- on the threads

    def _asked(self, key: str, drawn: Pool | None, tell: Tell) -> Kept | CfaiError:
        """Return the answer, kept, or the error that came in its place."""
        request = self._plan.requests[key]
        try:
            answer = self._answered(request, drawn, tell)
        except CfaiError as error:
            return error
        kept = Kept(answer.text, answer.finish, answer.usage)
        if not fault_of(self._plan, kept):
            self._store.keep(key, kept)
        return kept

    def _answered(self, request: Request, drawn: Pool | None, tell: Tell) -> Answer:
        """Ask; again without the field for the schema where the model refuses that."""
        plain = without_field(request)
        if plain is None:
            return self._streamed(request, drawn, tell)
        if not self._plainly:
            try:
                return self._streamed(request, drawn, tell)
            except NotRecorded:  # of a model that had refused the field
                return self._streamed(plain, drawn, tell)
            except BadInput as error:
                if error.answer is not None:
                    raise
            self._plainly = True
        return self._streamed(plain, drawn, tell)

    def _streamed(self, request: Request, drawn: Pool | None, tell: Tell) -> Answer:
        def wait(error: CfaiError, pause: float, number: int) -> None:
            tell(next_try(error, pause, number))

        stream = self._session.stream(request, wait, pool=drawn)
        with self._lock:
            self._streams.add(stream)
        try:
            with stream:
                for _ in stream:
                    pass
        finally:
            with self._lock:
                self._streams.discard(stream)
        if stream.answer.finish == "interrupted":
            raise Interrupted("Stopped")
        return stream.answer
