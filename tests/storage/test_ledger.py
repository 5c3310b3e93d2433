"""The ledger reserves and settles calls, and is shared by several kernels."""

import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cfai_magics.errors import BudgetExceededError
from cfai_magics.storage.ledger import CallContext, CallOutcome, Ledger
from cfai_magics.types.usage import Limit, Status, Usage

ME = CallContext("account", "lesson.ipynb")
NOON = 1_800_014_400.0  # 2027-01-15 12:00 UTC
DAY = 86_400.0


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


def admit_exactly(neurons: float) -> Callable[[Sequence[Limit], bool], float]:
    """Return an AdmitCall that reserves exactly this many neurons or raises an error."""

    def fit(limits: Sequence[Limit], closed: bool) -> float:
        if closed or any(limit.remaining < neurons for limit in limits):
            raise BudgetExceededError("the limit is too low")
        return neurons

    return fit


def book(ledger: Ledger, neurons: float = 10.0, place: CallContext = ME, model: str = "m") -> int:
    return ledger.reserve(place, model, "Text Generation", admit_exactly(neurons))


def billed(neurons: float, tokens: tuple[int, int] = (3, 4)) -> CallOutcome:
    return CallOutcome("ok", Usage(*tokens, neurons=neurons, cost_basis="billed"), 1.5, 0.5)


def test_settling_replaces_reserved_by_billed_neurons(ledger: Ledger) -> None:
    number = book(ledger, 10.0)
    day = ledger.day_usage("account")
    assert (day.billed, day.estimated, day.reserved) == (0, 0, 10)
    ledger.settle(number, billed(2.5))
    day = ledger.day_usage("account")
    assert (day.billed, day.estimated, day.reserved) == (2.5, 0, 0)


def test_a_row_contains_all_fields_of_a_call(ledger: Ledger) -> None:
    ledger.settle(book(ledger), billed(2.5))
    (row,) = ledger.history.iter_calls()
    assert row == {
        "id": 1,
        "started": NOON,
        "day": "2027-01-15",
        "account": "account",
        "model": "m",
        "task": "Text Generation",
        "status": "ok",
        "basis": "billed",
        "neurons": 2.5,
        "tokens_in": 3,
        "tokens_cached": 0,
        "tokens_out": 4,
        "seconds": 1.5,
        "first_token_seconds": 0.5,
        "notebook": "lesson.ipynb",
        "kernel": ledger.kernel,
        "thread": "",
        "request": "",
    }


def test_a_refused_call_is_listed_and_costs_nothing(ledger: Ledger) -> None:
    ledger.budgets.set("day", 5)
    with pytest.raises(BudgetExceededError):
        book(ledger, 10)
    assert [row["status"] for row in ledger.history.iter_calls()] == ["refused"]
    assert ledger.day_usage("account").spent == 0


def test_the_free_quota_limits_the_day_until_a_budget_is_set(ledger: Ledger) -> None:
    assert ledger.day_usage("account").limit == 10_000
    ledger.budgets.set("day", 2_000)
    assert ledger.day_usage("account").limit == 2_000
    assert [limit.neurons for limit in ledger.budgets.limits(ME)] == [2_000]
    ledger.budgets.set("day", None)
    assert ledger.budgets.limits(ME) == []


def test_each_budget_counts_its_own_calls(ledger: Ledger, tmp_path: Path, clock: Clock) -> None:
    for scope in ("day", "session", "notebook"):
        ledger.budgets.set(scope, 100, "lesson.ipynb")
    other = Ledger(tmp_path, clock)
    book(other, 1, CallContext("account", "other.ipynb"))
    book(other, 2, ME)
    book(ledger, 4, CallContext("account", "other.ipynb"))
    book(ledger, 8, ME)
    book(ledger, 16, CallContext("another account", "lesson.ipynb"))
    spent = {limit.scope: limit.spent for limit in ledger.budgets.limits(ME)}
    assert spent == {"day": 15, "session": 28, "notebook": 10}
    assert {limit.scope for limit in other.budgets.limits(CallContext("account"))} == {"day"}


def test_a_new_day_begins_at_midnight_utc(ledger: Ledger, clock: Clock) -> None:
    ledger.budgets.set("day", 100)
    number = book(ledger, 60)
    assert ledger.day_usage("account").seconds_left == DAY / 2
    clock.now += DAY / 2 - 1
    assert ledger.day_usage("account").seconds_left == 1
    assert ledger.day_usage("account").reserved == 60
    clock.now += 1
    assert ledger.day_usage("account").reserved == 0
    ledger.settle(number, billed(50))
    assert ledger.day_usage("account").spent == 0, "the call counts for the day of its start"
    assert [total.billed for total in ledger.history.totals("day")] == [50]


def test_a_closed_day_is_closed_in_every_kernel_until_midnight(
    ledger: Ledger, tmp_path: Path, clock: Clock
) -> None:
    other = Ledger(tmp_path, clock)
    ledger.close_day("account")
    ledger.close_day("account")
    assert other.day_usage("account").is_closed
    with pytest.raises(BudgetExceededError):
        book(other)
    assert not other.day_usage("another account").is_closed
    clock.now += DAY / 2
    assert not other.day_usage("account").is_closed


def test_a_closed_day_can_be_opened_again(ledger: Ledger) -> None:
    ledger.close_day("account")
    ledger.reopen_day("account")
    assert book(ledger)


def test_reservations_of_a_killed_kernel_become_estimates(
    ledger: Ledger, tmp_path: Path, clock: Clock
) -> None:
    code = f"""
import os, signal
from tests.storage.test_ledger import Clock, Ledger, Path, book
book(Ledger(Path({str(tmp_path)!r}), Clock()), 40)
os.kill(os.getpid(), signal.SIGKILL)
"""
    root = Path(__file__).parents[2]
    process = subprocess.run([sys.executable, "-c", code], cwd=root, check=False)
    assert process.returncode == -9
    day = ledger.day_usage("account")
    assert (day.estimated, day.reserved) == (40, 0)
    assert [row["status"] for row in ledger.history.iter_calls()] == ["interrupted"]
    assert list((tmp_path / "kernels").iterdir()) == []


def test_reservations_of_a_running_kernel_remain_reserved(
    ledger: Ledger, tmp_path: Path, clock: Clock
) -> None:
    number = book(ledger, 40)
    other = Ledger(tmp_path, clock)
    book(other, 1)
    assert other.day_usage("account").reserved == 41
    ledger.settle(number, billed(5))
    assert other.day_usage("account").spent == 5


def test_simultaneous_calls_of_many_threads_are_all_reserved(ledger: Ledger) -> None:
    barrier = threading.Barrier(8)

    def reserve(_: int) -> int:
        barrier.wait()
        return book(ledger, 1)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(reserve, range(8)))) == 8
    ledger.close()
    assert list((ledger.path.parent / "kernels").iterdir()) == []


def test_reservations_of_a_closed_kernel_become_estimates(ledger: Ledger, tmp_path: Path) -> None:
    book(ledger, 40)
    ledger.close()
    assert Ledger(tmp_path, Clock()).day_usage("account").estimated == 40


def test_totals_are_grouped_by_model_notebook_task_or_day(ledger: Ledger, clock: Clock) -> None:
    ledger.settle(book(ledger, model="a"), billed(1, (10, 1)))
    clock.now += DAY
    ledger.settle(book(ledger, model="b"), billed(2, (20, 2)))
    ledger.settle(book(ledger, model="a"), CallOutcome("interrupted", Usage(neurons=4.0)))
    by_model = ledger.history.totals("model")
    assert [(t.name, t.calls, t.tokens_in, t.billed, t.estimated) for t in by_model] == [
        ("a", 2, 10, 1, 4),
        ("b", 1, 20, 2, 0),
    ]
    assert [t.name for t in ledger.history.totals("day")] == ["2027-01-15", "2027-01-16"]
    assert [t.neurons for t in ledger.history.totals("notebook", days=1)] == [6]
    assert ledger.history.totals("task", account="unknown account") == []
    assert [row["model"] for row in ledger.history.iter_calls(days=1)] == ["b", "a"]


def test_recent_models_are_those_that_answered_last(ledger: Ledger) -> None:
    assert ledger.history.recent_models("account", 5) == []
    calls: list[tuple[str, Status]] = [("a", "ok"), ("b", "interrupted"), ("a", "ok")]
    for model, status in [*calls, ("c", "failed")]:
        ledger.settle(book(ledger, model=model), CallOutcome(status, Usage(neurons=1.0)))
    book(ledger, model="d")
    assert ledger.history.recent_models("account", 5) == ["a", "b"]
    assert ledger.history.recent_models("account", 1) == ["a"]
    assert ledger.history.recent_models("another account", 5) == []


def test_recent_answer_tokens_are_those_of_complete_answers(ledger: Ledger) -> None:
    assert ledger.history.recent_answer_tokens("account") == {}
    for tokens, status in [(5, "ok"), (0, "ok"), (6, "interrupted"), (7, "replayed"), (8, "ok")]:
        ledger.settle(book(ledger), CallOutcome(status, Usage(1, tokens, neurons=1.0)))
    ledger.settle(book(ledger, model="other"), CallOutcome("ok", Usage(1, 9, neurons=1.0)))
    assert ledger.history.recent_answer_tokens("account") == {"m": [8, 5], "other": [9]}
    assert ledger.history.recent_answer_tokens("another account") == {}


def test_the_newest_bills_of_a_model_are_returned(ledger: Ledger) -> None:
    for neurons in range(60):
        ledger.settle(book(ledger), billed(neurons))
    ledger.settle(book(ledger), CallOutcome("ok", Usage(neurons=7.0, cost_basis="estimated")))
    ledger.settle(book(ledger, model="other"), billed(9))
    assert [usage.neurons for usage in ledger.recent_billed_usage("m")] == list(range(59, 9, -1))


def test_several_calls_are_reserved_together_or_not_at_all(ledger: Ledger) -> None:
    ledger.budgets.set("day", 25.0)
    calls = [("m", "Text Generation", ""), ("n", "Text Generation", "")]

    def fit(limits: Sequence[Limit], closed: bool) -> list[float]:
        admit_exactly(20.0)(limits, closed)
        return [5.0, 15.0]

    first, second = ledger.reserve_all(ME, calls, fit)
    assert ledger.day_usage("account").reserved == 20.0
    ledger.settle(second, billed(1.0))
    assert ledger.day_usage("account").reserved == 5.0
    with pytest.raises(BudgetExceededError):
        ledger.reserve_all(ME, calls, fit)
    assert ledger.day_usage("account").reserved == 5.0
    ledger.settle(first, billed(1.0))
    assert [call["status"] for call in ledger.history.iter_calls()] == ["ok", "ok"] + [
        "refused"
    ] * 2
