"""Cost of all calls by day, daily quota and rate limits."""

import itertools
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import NamedTuple

from .catalogue import Model
from .errors import refusal
from .switches import Switches

Clock = Callable[[], float]
PAID_MODEL_CALLS = 20
CALLS_PER_MINUTE = MappingProxyType(
    {
        "Automatic Speech Recognition": 720,
        "Image Classification": 3000,
        "Image-to-Text": 720,
        "Object Detection": 3000,
        "Summarization": 1500,
        "Text Classification": 2000,
        "Text Embeddings": 3000,
        "Text Generation": 300,
        "Text-to-Image": 720,
        "Translation": 720,
    }
)


class Call(NamedTuple):
    """One billed call."""

    model: str
    prompt_tokens: int
    completion_tokens: int
    neurons: float


@dataclass(frozen=True, slots=True)
class Entry:
    """A call with its time, in seconds since 1970."""

    at: float
    call: Call


class Tab:
    """An open call; it is billed once, with its tokens at that time."""

    def __init__(self, ledger: "Ledger", model: Model, prompt: int, cached: int) -> None:
        self._ledger = ledger
        self._model = model
        self._prompt = prompt
        self._cached = cached
        self._settled = False
        self.completion = 0

    def settle(self) -> None:
        """Bill the call; later calls do nothing."""
        if self._settled:
            return
        self._settled = True
        neurons = self._model.token_cost(self._prompt, self.completion, self._cached)
        self._ledger.book(Call(self._model.name, self._prompt, self.completion, neurons))


class Ledger:
    """Calls of the account; written by the server thread, read by any thread."""

    def __init__(self, clock: Clock, plan: str) -> None:
        self._clock = clock
        self._plan = plan
        self._entries: list[Entry] = []
        self._days: defaultdict[str, float] = defaultdict(float)
        self._admitted: dict[str, deque[float]] = defaultdict(deque)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All calls so far, in order."""
        return tuple(self._entries)

    def billed(self) -> float:
        """Return the neurons of this UTC day."""
        return self._days.get(day(self._clock()), 0.0)

    def book(self, call: Call) -> None:
        """Add a call."""
        now = self._clock()
        self._days[day(now)] += call.neurons
        self._entries.append(Entry(now, call))

    @contextmanager
    def open(self, model: Model, prompt: int, cached: int = 0) -> Iterator[Tab]:
        """Open a call that is billed when it ends, also after an error."""
        tab = Tab(self, model, prompt, cached)
        try:
            yield tab
        finally:
            tab.settle()

    def admit(self, model: Model, switches: Switches) -> None:
        """Count one call. Raises Refusal if the daily quota or the rate limit is reached."""
        if self._plan == "free" and self.billed() >= switches.daily_neurons:
            raise refusal(4006)
        paid = model.access == "paid"
        lane = self._admitted[model.name if paid else model.task]
        self._forget(lane)
        limit = PAID_MODEL_CALLS if paid else CALLS_PER_MINUTE.get(model.task)
        if switches.calls_per_minute is not None:
            limit = switches.calls_per_minute
        if limit is not None and len(lane) >= limit:
            raise refusal(3021)
        lane.append(self._clock())

    def _forget(self, lane: deque[float]) -> None:
        """Remove times older than a minute."""
        horizon = self._clock() - 60
        old = sum(1 for _ in itertools.takewhile(lambda at: at <= horizon, lane))
        for _ in range(old):
            lane.popleft()


def day(at: float) -> str:
    """Return the UTC date of a time in ISO format."""
    return datetime.fromtimestamp(at, UTC).date().isoformat()
