"""Limit the request rate per account and model across all kernels."""

from collections.abc import Callable
from pathlib import Path

from ..pricing.limits import WINDOW_SECONDS, RateDelay, rate_limit_for
from ..types.usage import Model
from .database import Database

FILE_NAME = "pace.sqlite"
MIGRATIONS = (
    (
        "sendings",
        """
        CREATE TABLE sendings (
          account TEXT NOT NULL,               -- hashed
          lane TEXT NOT NULL,
          at REAL NOT NULL                     -- seconds since 1970
        );
        CREATE INDEX sendings_by_lane ON sendings (account, lane, at);
        """,
    ),
)


class SlotStore:
    """The send times of the last minute's requests and of waiting requests, in a shared file.

    `clock` returns seconds since 1970.
    """

    def __init__(self, home: Path, clock: Callable[[], float]) -> None:
        self._database = Database(home / FILE_NAME, MIGRATIONS)
        self._clock = clock

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def acquire(self, account: str, limit_name: str, limit: int, window: float) -> float:
        """Reserve the next send time of a request; return the seconds until then.

        At most `limit` requests are sent in any `window` of seconds. One transaction does it all,
        so two kernels never get the same slot.
        """
        with self._database.transaction() as connection:
            now = self._clock()
            connection.execute(
                "DELETE FROM sendings WHERE account = ? AND lane = ? AND at < ?",
                (account, limit_name, now - window),
            )
            row = connection.execute(
                "SELECT at FROM sendings WHERE account = ? AND lane = ?"
                " ORDER BY at DESC LIMIT 1 OFFSET ?",
                (account, limit_name, limit - 1),
            ).fetchone()
            slot_time = max(now, row["at"] + window) if row else now
            connection.execute(
                "INSERT INTO sendings VALUES (?, ?, ?)", (account, limit_name, slot_time)
            )
        return float(slot_time - now)


class RateLimiter:
    """The rate limiter of one session; its slots are shared by all kernels.

    `resolve_model` returns the model of a name; `clock` returns seconds since 1970.
    """

    def __init__(
        self, home: Path, clock: Callable[[], float], resolve_model: Callable[[str], Model]
    ) -> None:
        self._slots = SlotStore(home, clock)
        self._resolve_model = resolve_model

    def close(self) -> None:
        """Close the file."""
        self._slots.close()

    def acquire(self, account: str, model: str) -> RateDelay | None:
        """Reserve the next slot for a request to a model; return its delay, or None."""
        rate_limit = rate_limit_for(self._resolve_model(model))
        if rate_limit is None:
            return None
        seconds = self._slots.acquire(
            account, rate_limit.name, rate_limit.requests_per_minute, WINDOW_SECONDS
        )
        return RateDelay(seconds, rate_limit.message) if seconds > 0 else None
