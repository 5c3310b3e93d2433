"""Parallel calls share one reservation, and one interrupt stops all of them."""

import threading
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from cfai_magics.errors import BudgetExceededError, DailyQuotaError, ModelNotFoundError
from cfai_magics.session.parallel import (
    MAX_CONCURRENT_CALLS,
    Finished,
    ParallelStreams,
)
from cfai_magics.session.session import Session
from cfai_magics.settings import Cfai
from cfai_magics.types.messages import Message, Request, TextDelta
from tests.standin import Fault, Standin
from tests.workers_ai.calls import Script, answered

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("has_threads")]

HI: list[Message] = [{"role": "user", "content": "Hi"}]
PRICED, UNPRICED = "gemma-4-26b-a4b-it", "@cf/no/price"


def requests(session: Session, count: int, **fields: object) -> list[Request]:
    return [session.build_request(HI, **fields) for _ in range(count)]  # type: ignore[arg-type]


def collect_finished(calls: ParallelStreams) -> dict[int, Finished]:
    return {number: event for number, event in calls if isinstance(event, Finished)}


def statuses(session: Session) -> list[str]:
    return [call["status"] for call in session.accounting.ledger.history.iter_calls()]


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name == "cfai"]


def test_each_answer_is_returned_with_its_number(session: Session, account: Standin) -> None:
    account.switch(answer=lambda prompt: prompt)
    batch = [session.build_request([{"role": "user", "content": f"No. {n}"}]) for n in range(20)]
    texts: dict[int, str] = dict.fromkeys(range(20), "")
    with session.parallel(batch) as calls:
        for number, event in calls:
            if isinstance(event, TextDelta):
                texts[number] += event.text
    assert texts == {n: f"No. {n}" for n in range(20)}
    assert [answer.text for answer in calls.answers] == list(texts.values())
    assert statuses(session) == ["ok"] * 20
    assert session.accounting.day_usage().billed == pytest.approx(account.billed)
    assert not threads()


def test_all_calls_are_reserved_before_the_first_request(
    session: Session, account: Standin
) -> None:
    reserved: list[float] = []
    account.switch(
        answer=lambda _: reserved.append(session.accounting.day_usage().reserved) or "A"
    )
    batch = requests(session, 3, max_tokens=100)
    cost = session.accounting.estimate_cost(batch[0], session.resolve_model(batch[0].model))
    assert cost is not None
    with session.parallel(batch) as calls:
        collect_finished(calls)
    assert reserved[0] == pytest.approx(3 * cost.high)
    assert session.accounting.day_usage().reserved == pytest.approx(0.0)


def test_calls_whose_sum_exceeds_the_budget_are_all_refused(
    session: Session, account: Standin
) -> None:
    session.accounting.ledger.budgets.set("day", 3.0)
    with (
        pytest.raises(BudgetExceededError, match="today's budget"),
        session.parallel(requests(session, 20)) as calls,
    ):
        collect_finished(calls)
    assert account.requests == ()
    assert statuses(session) == ["refused"] * 20
    assert session.accounting.day_usage().reserved == pytest.approx(0.0)


def test_a_tight_limit_lowers_max_tokens_of_all_calls(session: Session, account: Standin) -> None:
    account.switch(answer="word " * 3_000)
    with session.parallel(requests(session, 4), max_neurons=20.0) as calls:
        collect_finished(calls)
    lengths = {request.json["max_tokens"] for request in account.requests}
    assert len(account.requests) == 4
    assert len(lengths) == 1
    assert lengths.pop() < 2048
    assert account.billed <= 20.0
    assert all("max_tokens was lowered" in answer.notes[0] for answer in calls.answers)


def test_unpriced_models_share_the_remaining_limit(session: Session, account: Standin) -> None:
    names = (PRICED, UNPRICED, UNPRICED)
    batch = [session.build_request(HI, name, max_tokens=100) for name in names]
    cost = session.accounting.estimate_cost(batch[0], session.resolve_model(batch[0].model))
    assert cost is not None
    reserved: list[Sequence[float]] = []
    original = session.accounting.ledger.reserve_all

    def record_and_reserve(*args: object) -> list[int]:
        numbers = original(*args)  # type: ignore[arg-type]
        calls = session.accounting.ledger.history.iter_calls()
        reserved.append([call["neurons"] for call in calls])
        return numbers

    session.accounting.ledger.reserve_all = record_and_reserve  # type: ignore[method-assign]
    with session.parallel(batch, max_neurons=10.0) as calls:
        collect_finished(calls)
    share = (10.0 - cost.high) / 2
    assert reserved == [pytest.approx([cost.high, share, share])]


def test_leaving_early_stops_all_calls_and_books_the_started_ones(
    session: Session, account: Standin, has_threads: bool
) -> None:
    count = MAX_CONCURRENT_CALLS if has_threads else 1
    account.switch(answer="word " * 5_000, tokens_per_second=50)
    with session.parallel(requests(session, 12, max_tokens=9_000)) as calls:
        seen: set[int] = set()
        for number, _ in calls:
            seen.add(number)
            if len(seen) == count:
                break
    assert account.wait_for(lambda c: c.disconnects == count)
    assert not threads()
    assert len(calls.unsent) == 12 - count
    started = [answer for at, answer in enumerate(calls.answers) if at not in calls.unsent]
    assert all(answer.finish_reason == "interrupted" for answer in calls.answers)
    assert all(answer.text and answer.cost_basis == "estimated" for answer in started)
    assert statuses(session) == ["interrupted"] * 12
    assert session.accounting.day_usage().estimated == pytest.approx(
        sum(answer.neurons or 0.0 for answer in started)
    )
    assert len(account.requests) == count


@pytest.mark.parametrize("wait", ["delay_before_headers", "delay_before_first"])
def test_calls_without_an_answer_are_also_stopped(
    session: Session, account: Standin, wait: str, has_threads: bool
) -> None:
    if not has_threads:
        pytest.skip("another thread leaves the block")
    account.switch(**{wait: 60.0})
    calls = session.parallel(requests(session, 3))
    with calls:
        reader = threading.Thread(target=lambda: collect_finished(calls), daemon=True)
        reader.start()
        assert account.wait_for(lambda c: len(c.requests) == 3)
    assert account.wait_for(lambda c: c.disconnects == 3)
    assert not threads()
    assert statuses(session) == ["interrupted"] * 3


def test_a_call_that_waits_for_a_retry_is_stopped(
    session: Session, account: Standin, has_threads: bool
) -> None:
    count = 2 if has_threads else 1
    account.switch(error=Fault.of(3040), retry_after="50")
    waiting: list[str] = []

    def stop_after_last(_index: int, message: str) -> None:
        waiting.append(message)
        if len(waiting) == count:
            raise KeyboardInterrupt

    calls = session.parallel(requests(session, count), report_retry=stop_after_last)
    with pytest.raises(KeyboardInterrupt), calls:
        collect_finished(calls)
    assert "attempt 2 in 50 s" in waiting[0]
    assert not threads()
    assert len(account.requests) == count
    assert session.accounting.day_usage().reserved == pytest.approx(0.0)


def test_one_failure_does_not_affect_other_calls(session: Session, account: Standin) -> None:
    account.switch(retired=["@cf/meta/llama-3.2-3b-instruct"], answer="A")
    batch = [session.build_request(HI, name) for name in (PRICED, "llama-3.2-3b-instruct", PRICED)]
    with session.parallel(batch) as calls:
        finished = collect_finished(calls)
    assert [number for number in finished if finished[number].error] == [1]
    assert isinstance(finished[1].error, ModelNotFoundError)
    assert [answer.text for answer in calls.answers] == ["A", "", "A"]
    assert sorted(statuses(session)) == ["failed", "ok", "ok"]
    assert calls.answers[1].neurons == 0.0


def test_waiting_calls_are_not_sent_after_the_daily_quota_error(
    session: Session, account: Standin
) -> None:
    account.switch(error=Fault.of(4006))
    with session.parallel(requests(session, 30)) as calls:
        finished = collect_finished(calls)
    assert len(finished) == 30
    assert all(isinstance(event.error, DailyQuotaError) for event in finished.values())
    assert len(account.requests) <= 2 * MAX_CONCURRENT_CALLS
    assert session.accounting.day_usage().reserved == pytest.approx(0.0)


def test_an_unexpected_error_is_raised_in_the_reading_thread(account: Standin, home: Path) -> None:
    transport = httpx.MockTransport(Script(answered("Hi"), ZeroDivisionError()))
    session = Session(Cfai(), home, transport=transport)
    with session.parallel(requests(session, 2)) as calls, pytest.raises(ZeroDivisionError):
        collect_finished(calls)
    assert not threads()
    assert session.accounting.day_usage().reserved == pytest.approx(0.0)
    session.close()


def test_other_calls_of_the_session_continue(session: Session, account: Standin) -> None:
    account.switch(answer="word " * 50, tokens_per_second=100)
    with session.stream(session.build_request(HI)) as stream:
        deltas = iter(stream)
        next(deltas)
        with session.parallel(requests(session, 2)) as calls:
            next(iter(calls))
        assert sum(1 for _ in deltas) > 10
    assert stream.answer.finish_reason == "stop"


def test_the_seconds_of_a_call_begin_when_it_is_sent(session: Session, account: Standin) -> None:
    account.switch(delay_before_first=0.2)
    with session.parallel(requests(session, 2 * MAX_CONCURRENT_CALLS)) as calls:
        collect_finished(calls)
    assert max(answer.seconds for answer in calls.answers) < calls.seconds
