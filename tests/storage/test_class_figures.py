"""The ledger stores what a class server reports about a student."""

from pathlib import Path

import pytest

from cfai_magics.storage.ledger import CallContext, CallOutcome, Ledger
from cfai_magics.types.usage import CLASS_PREFIX, ClassFigure, Limit, Usage

STUDENT = f"{CLASS_PREFIX}0123456789abcdef"
NOON = 1_800_014_400.0  # 2027-01-15 12:00 UTC
HALF_DAY = 43_200.0


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> Ledger:
    return Ledger(tmp_path, clock)


def reserve(ledger: Ledger, neurons: float = 10.0) -> int:
    return ledger.reserve(CallContext(STUDENT), "m", "Text Generation", lambda *_: neurons)


def settle(ledger: Ledger, call: int, neurons: float) -> None:
    ledger.settle(call, CallOutcome("ok", Usage(3, 4, neurons=neurons, cost_basis="billed"), 1.0))


def test_an_unknown_class_budget_is_not_the_free_quota(ledger: Ledger) -> None:
    day = ledger.day_usage(STUDENT)
    assert (day.limit, day.limit_source, day.class_figure) == (None, "class", None)
    assert day.is_class


def test_a_reported_budget_limits_the_day(ledger: Ledger) -> None:
    ledger.save_class_status(STUDENT, 300, 40)
    day = ledger.day_usage(STUDENT)
    assert (day.limit, day.limit_source, day.spent) == (300, "class", 40)
    assert day.class_figure == ClassFigure(300, 40, NOON)
    assert ledger.day_usage("another account").limit == 10_000


@pytest.mark.parametrize(
    ("own", "limit", "source"), [(200, 200, "user"), (300, 300, "class"), (400, 300, "class")]
)
def test_the_lowest_budget_limits_the_day(
    ledger: Ledger, own: float, limit: float, source: str
) -> None:
    ledger.save_class_status(STUDENT, 300, 40)
    ledger.budgets.set("day", own)
    day = ledger.day_usage(STUDENT)
    assert (day.limit, day.limit_source) == (limit, source)
    assert ledger.budgets.limits(CallContext(STUDENT)) == [Limit("day", own, 40)]


def test_calls_after_a_report_are_added_to_it(ledger: Ledger) -> None:
    settle(ledger, reserve(ledger), 5)
    call = reserve(ledger)
    ledger.save_class_status(STUDENT, 300, 45)  # in the headers of the response
    assert ledger.day_usage(STUDENT).spent == 45
    settle(ledger, call, 7)
    day = ledger.day_usage(STUDENT)
    assert (day.billed, day.elsewhere, day.spent) == (12, 40, 52)


def test_a_server_that_counted_less_does_not_lower_the_figure(ledger: Ledger) -> None:
    settle(ledger, reserve(ledger), 5)
    ledger.save_class_status(STUDENT, 300, 2)
    assert ledger.day_usage(STUDENT).spent == 5


def test_reservations_of_parallel_calls_do_not_count_twice(ledger: Ledger) -> None:
    ledger.save_class_status(STUDENT, 300, 20)
    calls = [reserve(ledger) for _ in range(3)]
    ledger.save_class_status(STUDENT, 250, 140)  # the server has reserved 60 for each other call
    for call in calls:
        settle(ledger, call, 5)
    day = ledger.day_usage(STUDENT)
    assert (day.limit, day.spent) == (250, 35)


def test_the_budget_stays_known_on_the_next_day(ledger: Ledger, clock: Clock) -> None:
    ledger.save_class_status(STUDENT, 300, 40)
    clock.now += HALF_DAY
    day = ledger.day_usage(STUDENT)
    assert (day.limit, day.spent) == (300, 0)
    assert day.class_figure == ClassFigure(300, 0, NOON)
    ledger.save_class_status(STUDENT, 300, 1)
    assert ledger.day_usage(STUDENT).spent == 1


@pytest.mark.parametrize(
    ("budget", "spent"), [(float("nan"), 1), (-1, 1), (float("inf"), 1), (300, float("nan"))]
)
def test_implausible_reports_are_ignored(ledger: Ledger, budget: float, spent: float) -> None:
    ledger.save_class_status(STUDENT, 300, 40)
    ledger.save_class_status(STUDENT, budget, spent)
    assert ledger.day_usage(STUDENT).class_figure == ClassFigure(300, 40, NOON)


def test_a_report_that_cannot_be_written_is_stored_later(ledger: Ledger, tmp_path: Path) -> None:
    impatient = Ledger(tmp_path, Clock(), lock_timeout=0.0)
    ledger.reserve_all(
        CallContext(STUDENT),
        [("m", "Text Generation", "")],
        lambda *_: [1.0],
        lambda _connection: impatient.save_class_status(STUDENT, 300, 40),
    )
    assert impatient.day_usage(STUDENT).limit == 300
