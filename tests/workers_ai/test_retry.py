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

TRIES: dict[type[WorkersAIError], int] = {
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
def test_only_what_may_pass_is_tried_again_and_not_for_ever(kind: type[CfaiError]) -> None:
    tried = [tries for tries in range(1, 10) if is_retryable(kind("no"), tries)]
    assert len(tried) + 1 == TRIES.get(kind, 1)
    assert tried == list(range(1, len(tried) + 1))


@pytest.mark.parametrize("error", [None, KeyboardInterrupt(), ValueError()], ids=repr)
def test_what_is_no_refusal_is_not_tried_again(error: BaseException | None) -> None:
    assert not is_retryable(error, 1)


@pytest.mark.parametrize(
    ("retry_after", "worth"),
    [(None, True), (0.0, True), (MAX_WAIT_SECONDS, True), (MAX_WAIT_SECONDS + 1, False)],
)
@pytest.mark.parametrize("kind", TRIES, ids=lambda kind: kind.__name__)
def test_a_wait_longer_than_a_minute_is_not_waited_for(
    kind: type[CfaiError], retry_after: float | None, *, worth: bool
) -> None:
    assert is_retryable(kind("no", retry_after=retry_after), 1) is worth


@pytest.mark.parametrize("kind", TRANSIENT, ids=lambda kind: kind.__name__)
def test_each_wait_is_twice_as_long_and_half_of_it_is_left_to_chance(
    kind: type[CfaiError],
) -> None:
    for tries, longest in enumerate(TRANSIENT[kind], start=1):
        assert backoff(kind("no"), tries, lambda: 0.0) == longest / 2
        assert backoff(kind("no"), tries, lambda: 0.5) == longest * 0.75
        assert backoff(kind("no"), tries, lambda: 1.0) == longest


@pytest.mark.parametrize("asked", [0.0, 7.5, 60.0])
def test_the_server_decides_how_long_where_it_says_so(asked: float) -> None:
    for kind in TRIES:
        assert backoff(kind("no", retry_after=asked), 4, lambda: 0.5) == asked


@settings(deadline=None, derandomize=True)
@given(st.sampled_from([*TRIES]), st.integers(1, 50), st.floats(0, 1))
def test_no_wait_is_longer_than_a_minute(kind: type[CfaiError], tries: int, chance: float) -> None:
    assert 0 < backoff(kind("no"), tries, lambda: chance) <= MAX_WAIT_SECONDS
