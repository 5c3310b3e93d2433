"""Owns when each request may be sent, so that all kernels together keep the limit of a minute."""

from collections.abc import Callable
from pathlib import Path

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


class Pace:
    """One file for all kernels; `clock` gives seconds since 1970.

    It holds the times of the last minute's requests, and of those that wait for theirs.
    """

    def __init__(self, home: Path, clock: Callable[[], float]) -> None:
        self._database = Database(home / FILE_NAME, MIGRATIONS)
        self._clock = clock

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def turn(self, account: str, lane: str, limit: int, window: float) -> float:
        """Take the next time at which a request may be sent; return the seconds until then.

        At most `limit` requests fall into any `window` of seconds. All in one transaction, so no
        two kernels take the same time, and none has to look twice.
        """
        with self._database.transaction() as connection:
            now = self._clock()
            connection.execute(
                "DELETE FROM sendings WHERE account = ? AND lane = ? AND at < ?",
                (account, lane, now - window),
            )
            row = connection.execute(
                "SELECT at FROM sendings WHERE account = ? AND lane = ?"
                " ORDER BY at DESC LIMIT 1 OFFSET ?",
                (account, lane, limit - 1),
            ).fetchone()
            at = max(now, row["at"] + window) if row else now
            connection.execute("INSERT INTO sendings VALUES (?, ?, ?)", (account, lane, at))
        return float(at - now)
