"""Owns whose turn it is: requests wait here, not there, for the minute's limit of Workers AI."""

from collections.abc import Callable
from pathlib import Path

from ..store.pace import Pace
from ..values import Model
from ..workers_ai.pacing import WINDOW, Wait, lane_of


class Turns:
    """The turns of one session's requests, in the file that all kernels share.

    `find` gives the model of a name; `clock` the seconds since 1970.
    """

    def __init__(
        self, home: Path, clock: Callable[[], float], find: Callable[[str], Model]
    ) -> None:
        self._pace = Pace(home, clock)
        self._find = find

    def close(self) -> None:
        """Close the file."""
        self._pace.close()

    def take(self, account: str, model: str) -> Wait | None:
        """Take the next turn of a request to a model; None where it need not wait."""
        lane = lane_of(self._find(model))
        if lane is None:
            return None
        seconds = self._pace.turn(account, lane.name, lane.limit, WINDOW)
        return Wait(seconds, lane.told) if seconds > 0 else None
