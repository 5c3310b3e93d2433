"""Test maps with the Batch API. A batch survives the end of the kernel."""

import subprocess
import sys

import pytest

import cfai_magics
from cfai_magics import api
from cfai_magics.batch.batch_api import split_into_batches
from cfai_magics.batch.plan import make_plan
from cfai_magics.errors import CfaiError
from cfai_magics.session.session import Session
from tests.batch.maps import MAP, ROOT, sentiment
from tests.standin import Fault, Standin

QUEUE_MODEL = "gpt-oss-20b"


def test_a_batch_is_one_request_and_each_answer_is_booked(
    account: Standin, session: Session
) -> None:
    account.switch(answer=sentiment, batch_polls=0)
    result = cfai_magics.map(
        "Is it {text}?", ["a", "awful", "a", "c"], model=QUEUE_MODEL, queue=True, max_tokens=9
    )
    assert [row["answer"] for row in result] == ["good", "bad", "good", "good"]
    queued, polled = account.requests
    assert queued.query == {"queueRequest": "true"}
    assert len(queued.json["requests"]) == 3
    assert set(polled.json) == {"request_id"}
    calls = list(session.accounting.ledger.history.iter_calls())
    assert [call["status"] for call in calls] == ["ok"] * 3
    assert sum(call["neurons"] for call in calls) == pytest.approx(account.billed)


def test_a_queued_batch_survives_a_killed_kernel_and_is_not_sent_again(
    account: Standin, session: Session
) -> None:
    account.switch(answer=sentiment, batch_polls=10**6)
    command = [sys.executable, "-c", MAP, "5", "queue"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert account.wait_for(lambda c: len(c.requests) >= 2)
        process.kill()
    rows = [f"review {number}" for number in range(5)]
    assert session.accounting.day_usage().estimated > account.billed == 0
    account.clear()
    account.switch(batch_polls=0)
    result = cfai_magics.map("Classify: {text}", rows, model=QUEUE_MODEL, queue=True, max_tokens=9)
    assert [row["answer"] for row in result] == ["good"] * 5
    assert [set(request.json) for request in account.requests] == [{"request_id"}]
    usage = session.accounting.day_usage()
    assert (usage.billed, usage.estimated) == (pytest.approx(account.billed), 0)


def test_a_missing_batch_raises_an_error_and_releases_its_reservation(
    account: Standin, session: Session
) -> None:
    account.switch(batch_polls=0, error=Fault(404, 3042, "No such request"))
    account.switch(error_path="/ai/run", errors_before_success=2)
    with pytest.raises(CfaiError):
        cfai_magics.map("Is it {text}?", ["a"], model=QUEUE_MODEL, queue=True, max_tokens=9)
    assert session.accounting.day_usage().reserved == 0


def test_large_batches_are_split_by_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cfai_magics.batch.batch_api.MAX_BATCH_BYTES", 1000)
    session = api.get_current_session()
    request = session.build_request(())
    plan = make_plan(session, "Is it {text}?", [f"{n:0300}" for n in range(7)], request)
    batches = list(split_into_batches(plan, plan.requests))
    assert [len(batch) for batch in batches] == [2, 2, 2, 1]
    assert [key for batch in batches for key in batch] == list(plan.requests)
