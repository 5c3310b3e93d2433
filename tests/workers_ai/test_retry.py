"""Which errors are retried, how often, and after how long."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cfai_magics.errors import (
    APIConnectionError,
    CapacityError,
    CfaiError,
    RateLimitError,
    ServerError,
    WorkersAIError,
)
from cfai_magics.workers_ai.retry import MAX_WAIT_SECONDS, backoff, is_retryable

ATTEMPTS: dict[type[WorkersAIError], int] = {
    APIConnectionError: 5,
    CapacityError: 5,
    ServerError: 5,
    RateLimitError: 3,
}
TRANSIENT = {CapacityError: (1, 2, 4, 8), RateLimitError: (20, 40)}


def family(kind: type[CfaiError]) -> list[type[CfaiError]]:
    """Return a class with all its subclasses."""
    return [kind, *(one for child in kind.__subclasses__() for one in family(child))]


@pytest.mark.parametrize("kind", family(CfaiError), ids=lambda kind: kind.__name__)
def test_only_transient_errors_are_retried_a_limited_number_of_times(
    kind: type[CfaiError],
) -> None:
    retried = [tries for tries in range(1, 10) if is_retryable(kind("no"), tries)]
    assert len(retried) + 1 == ATTEMPTS.get(kind, 1)
    assert retried == list(range(1, len(retried) + 1))


@pytest.mark.parametrize("error", [None, KeyboardInterrupt(), ValueError()], ids=repr)
def test_errors_of_other_types_are_not_retried(error: BaseException | None) -> None:
    assert not is_retryable(error, 1)


@pytest.mark.parametrize(
    ("retry_after", "expected"),
    [(None, True), (0.0, True), (MAX_WAIT_SECONDS, True), (MAX_WAIT_SECONDS + 1, False)],
)
@pytest.mark.parametrize("kind", ATTEMPTS, ids=lambda kind: kind.__name__)
def test_an_error_with_a_retry_after_over_a_minute_is_not_retried(
    kind: type[CfaiError], retry_after: float | None, *, expected: bool
) -> None:
    assert is_retryable(kind("no", retry_after=retry_after), 1) is expected


@pytest.mark.parametrize("kind", TRANSIENT, ids=lambda kind: kind.__name__)
def test_each_wait_doubles_and_half_of_it_is_random(
    kind: type[CfaiError],
) -> None:
    for tries, longest in enumerate(TRANSIENT[kind], start=1):
        assert backoff(kind("no"), tries, lambda: 0.0) == longest / 2
        assert backoff(kind("no"), tries, lambda: 0.5) == longest * 0.75
        assert backoff(kind("no"), tries, lambda: 1.0) == longest


@pytest.mark.parametrize("retry_after", [0.0, 7.5, 60.0])
def test_retry_after_sets_the_wait(retry_after: float) -> None:
    for kind in ATTEMPTS:
        assert backoff(kind("no", retry_after=retry_after), 4, lambda: 0.5) == retry_after


@settings(deadline=None, derandomize=True)
@given(st.sampled_from([*ATTEMPTS]), st.integers(1, 50), st.floats(0, 1))
def test_each_wait_is_at_most_a_minute(kind: type[CfaiError], tries: int, chance: float) -> None:
    assert 0 < backoff(kind("no"), tries, lambda: chance) <= MAX_WAIT_SECONDS
