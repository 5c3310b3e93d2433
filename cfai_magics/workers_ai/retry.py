"""Which refusals are worth another try, and how long to wait before it."""

from collections.abc import Callable

from ..errors import CfaiError, ConnectionFailed, NoCapacity, RateLimited, ServerError

WORTH_IT = (ConnectionFailed, NoCapacity, RateLimited, ServerError)
MOST_TRIES = 5
MOST_MINUTE_TRIES = 3  # a per-minute limit is over within a minute: two waits will do
LONGEST_WAIT = 60.0  # s; a longer Retry-After is not waited for
FIRST_WAIT = 1.0  # s, doubled each time
FIRST_MINUTE_WAIT = 20.0  # s, doubled too


def is_worth_another(error: BaseException | None, tries: int) -> bool:
    """Whether to try again after this error and so many tries."""
    if not isinstance(error, WORTH_IT) or (error.retry_after or 0.0) > LONGEST_WAIT:
        return False
    return tries < (MOST_MINUTE_TRIES if isinstance(error, RateLimited) else MOST_TRIES)


def seconds_before(error: CfaiError, tries: int, random: Callable[[], float]) -> float:
    """Return how long to wait after so many tries: as the server asks, else longer each time.

    `random` gives numbers from 0 to 1: half of each wait is left to chance, so that a class of
    notebooks does not come back all at once.
    """
    if error.retry_after is not None:
        return error.retry_after
    first = FIRST_MINUTE_WAIT if isinstance(error, RateLimited) else FIRST_WAIT
    longest = first * 2.0 ** (tries - 1)
    return min(LONGEST_WAIT, longest * (0.5 + random() / 2))
