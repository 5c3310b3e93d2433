"""Retry rules: which errors are retried, how often, and after what delay."""

from collections.abc import Callable

from ..errors import APIConnectionError, CapacityError, CfaiError, RateLimitError, ServerError

OnRetry = Callable[[CfaiError, float, int], None]  # error, seconds to wait, next attempt

RETRYABLE = (APIConnectionError, CapacityError, RateLimitError, ServerError)
MAX_ATTEMPTS = 5
MAX_RATE_LIMIT_ATTEMPTS = 3  # a per-minute limit resets within a minute: two waits suffice
MAX_WAIT_SECONDS = 60.0  # if Retry-After is longer, the request is not retried
FIRST_WAIT_SECONDS = 1.0  # doubled after each attempt
FIRST_RATE_LIMIT_WAIT_SECONDS = 20.0  # doubled after each attempt


def is_retryable(error: BaseException | None, attempts: int) -> bool:
    """Return whether to retry after this error and this number of attempts."""
    if not isinstance(error, RETRYABLE) or (error.retry_after or 0.0) > MAX_WAIT_SECONDS:
        return False
    return attempts < (
        MAX_RATE_LIMIT_ATTEMPTS if isinstance(error, RateLimitError) else MAX_ATTEMPTS
    )


def backoff(error: CfaiError, attempts: int, random_source: Callable[[], float]) -> float:
    """Return the seconds to wait before the next attempt.

    If the error has a Retry-After value, it is used; otherwise, the wait grows exponentially.
    `random_source` returns numbers from 0 to 1. Up to half of each exponential wait is random, so
    that the notebooks of a class do not all retry at the same time.
    """
    if error.retry_after is not None:
        return error.retry_after
    first_wait = (
        FIRST_RATE_LIMIT_WAIT_SECONDS if isinstance(error, RateLimitError) else FIRST_WAIT_SECONDS
    )
    max_wait = first_wait * 2.0 ** (attempts - 1)
    return min(MAX_WAIT_SECONDS, max_wait * (0.5 + random_source() / 2))
