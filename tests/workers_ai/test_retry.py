"""Which errors are tried again, how often, and how long is waited before."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cfai_magics import errors
from cfai_magics.errors import CfaiError, WorkersAIError
from cfai_magics.workers_ai.retry import LONGEST_WAIT, is_worth_another, seconds_before

TRIES: dict[type[WorkersAIError], int] = {
    errors.ConnectionFailed: 5,
    errors.NoCapacity: 5,
    errors.ServerError: 5,
    errors.RateLimited: 3,
}
TRANSIENT = {errors.NoCapacity: (1, 2, 4, 8), errors.RateLimited: (20, 40)}


def family(kind: type[CfaiError]) -> list[type[CfaiError]]:
    """Return a class with all below it."""
    return [kind, *(one for child in kind.__subclasses__() for one in family(child))]


@pytest.mark.parametrize("kind", family(CfaiError), ids=lambda kind: kind.__name__)
def test_only_what_may_pass_is_tried_again_and_not_for_ever(kind: type[CfaiError]) -> None:
    tried = [tries for tries in range(1, 10) if is_worth_another(kind("no"), tries)]
    assert len(tried) + 1 == TRIES.get(kind, 1)
    assert tried == list(range(1, len(tried) + 1))


@pytest.mark.parametrize("error", [None, KeyboardInterrupt(), ValueError()], ids=repr)
def test_what_is_no_refusal_is_not_tried_again(error: BaseException | None) -> None:
    assert not is_worth_another(error, 1)


@pytest.mark.parametrize(
    ("retry_after", "worth"),
    [(None, True), (0.0, True), (LONGEST_WAIT, True), (LONGEST_WAIT + 1, False)],
)
@pytest.mark.parametrize("kind", TRIES, ids=lambda kind: kind.__name__)
def test_a_wait_longer_than_a_minute_is_not_waited_for(
    kind: type[CfaiError], retry_after: float | None, *, worth: bool
) -> None:
    assert is_worth_another(kind("no", retry_after=retry_after), 1) is worth


@pytest.mark.parametrize("kind", TRANSIENT, ids=lambda kind: kind.__name__)
def test_each_wait_is_twice_as_long_and_half_of_it_is_left_to_chance(
    kind: type[CfaiError],
) -> None:
    for tries, longest in enumerate(TRANSIENT[kind], start=1):
        assert seconds_before(kind("no"), tries, lambda: 0.0) == longest / 2
        assert seconds_before(kind("no"), tries, lambda: 0.5) == longest * 0.75
        assert seconds_before(kind("no"), tries, lambda: 1.0) == longest


@pytest.mark.parametrize("asked", [0.0, 7.5, 60.0])
def test_the_server_decides_how_long_where_it_says_so(asked: float) -> None:
    for kind in TRIES:
        assert seconds_before(kind("no", retry_after=asked), 4, lambda: 0.5) == asked


@settings(deadline=None, derandomize=True)
@given(st.sampled_from([*TRIES]), st.integers(1, 50), st.floats(0, 1))
def test_no_wait_is_longer_than_a_minute(kind: type[CfaiError], tries: int, chance: float) -> None:
    assert 0 < seconds_before(kind("no"), tries, lambda: chance) <= LONGEST_WAIT
