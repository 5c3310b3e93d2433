"""Stands in the place of a client: every reply comes from one recorded answer."""

import time
from math import inf
from threading import Event, current_thread, main_thread

import httpx

from ..workers_ai import WorkersAI
from .record import Record
from .transport import ReplayTransport


class Player(WorkersAI):
    """A client without an account and a network, for one call."""

    def __init__(self, record: Record, *, instant: bool) -> None:
        self._stopped = Event()
        transport = ReplayTransport(record, None if instant else self._wait)
        address = "http://recorded"
        super().__init__("0" * 32, "recorded", base_url=address, timeout=inf, transport=transport)

    def hang_up(self) -> None:
        """End at once, whatever is played on other threads."""
        self._stopped.set()
        super().hang_up()

    def _wait(self, seconds: float) -> None:
        """Keep the rhythm: on other threads than the main one, until hung up."""
        if current_thread() is main_thread():
            time.sleep(seconds)  # which an interrupt ends, on Windows too
        elif self._stopped.wait(seconds):
            raise httpx.ReadError("hung up")
