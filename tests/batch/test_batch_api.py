"""Test maps with the Batch API. A batch survives the end of the kernel."""

import json
import subprocess
import sys
import time

import pytest

import cfai_magics
from cfai_magics import api
from cfai_magics.batch.batch_api import split_into_batches
from cfai_magics.batch.plan import make_plan
from cfai_magics.errors import (
    BatchFailedError,
    CfaiError,
    DailyQuotaError,
    InvalidOptionError,
    ServerError,
)
from cfai_magics.session.session import Session
from cfai_magics.storage.ledger import Ledger
from cfai_magics.storage.map_cache import Batch, MapCache
from tests.batch.maps import MAP, ROOT, sentiment
from tests.standin import Fault, Reply, Standin

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


def reply(result: object) -> Reply:
    return Reply(json.dumps({"result": result, "success": True}).encode())


@pytest.mark.parametrize("status", ["failed", "errored", "canceled", "expired"])
def test_a_failed_batch_ends_the_map_and_releases_its_reservation(
    account: Standin, session: Session, status: str
) -> None:
    failed = {"request_id": "id", "status": status, "error": "no capacity", "responses": []}
    account.switch(canned=reply(failed))
    with pytest.raises(BatchFailedError, match=f"the status {status}: no capacity"):
        session.backend.client().batches.fetch(QUEUE_MODEL, "id")
    rows = cfai_magics.map("{text}", ["a", "b"], model=QUEUE_MODEL, queue=True, max_tokens=9)
    assert all("no capacity" in str(row["error"]) for row in rows)
    assert session.accounting.day_usage().reserved == 0
    account.clear()
    account.switch(canned=None, batch_polls=0, answer="Yes")
    rows = cfai_magics.map("{text}", ["a", "b"], model=QUEUE_MODEL, queue=True, max_tokens=9)
    assert [row["answer"] for row in rows] == ["Yes", "Yes"]
    assert account.requests[0].query == {"queueRequest": "true"}


DAY = 86_400.0
OVER_QUOTA = {"code": 4006, "message": "you have used up your daily free allocation"}
QUOTA_ERROR = json.dumps({"success": False, "errors": [OVER_QUOTA], "result": None}).encode()


def queue_batch(session: Session, seconds_ago: float = 0.0) -> None:
    """Store a batch in Cloudflare's queue with the prompt "a"."""
    request = session.build_request((), QUEUE_MODEL, max_tokens=9)
    plan = make_plan(session, "{text}", ["a"], request)
    context, (key,) = session.accounting.get_context(), plan.requests
    ledger = Ledger(session.home, lambda: time.time() - seconds_ago)
    call_id = ledger.reserve(context, plan.model.name, plan.model.task, lambda *_: 1.0)
    ledger.close()
    with MapCache(session.home) as cache:
        cache.add_batch(Batch("id", context.account, plan.model.name, (key,), (call_id,)))


def map_a() -> str:
    """Map the prompt "a" with the Batch API, and return its error."""
    result = cfai_magics.map("{text}", ["a"], model=QUEUE_MODEL, queue=True, max_tokens=9)
    return str(result[0]["error"])


@pytest.mark.parametrize("is_queued", [False, True], ids=["enqueue", "poll"])
@pytest.mark.parametrize("status", [200, 429])
def test_a_batch_request_that_the_quota_refuses_closes_the_day(
    account: Standin, session: Session, status: int, is_queued: bool
) -> None:
    if is_queued:
        queue_batch(session)
    account.switch(canned=Reply(QUOTA_ERROR, status))
    with pytest.raises(DailyQuotaError, match="reset at 00:00 UTC, in "):
        map_a()
    assert ["requests" in request.json for request in account.requests] == [not is_queued]
    assert session.accounting.day_usage().is_closed


@pytest.mark.parametrize(
    "result",
    [
        {"status": "failed", "error": OVER_QUOTA},
        {"responses": [{"id": 0, "success": False, "errors": [OVER_QUOTA]}]},
        {"responses": [{"id": 0, "result": {"error": OVER_QUOTA}}]},
        {"responses": [{"id": 0, "result": {"choices": [{"error": OVER_QUOTA}]}}]},
    ],
    ids=["batch", "row", "result", "choice"],
)
@pytest.mark.parametrize("days_ago", [0, 1])
def test_a_batch_that_the_quota_ended_closes_the_day_on_which_it_was_sent(
    account: Standin, session: Session, result: object, days_ago: int
) -> None:
    queue_batch(session, days_ago * DAY)
    account.switch(canned=reply(result))
    assert "daily free allocation" in map_a()
    assert len(account.requests) == 1
    assert session.accounting.day_usage().is_closed == (days_ago == 0)


def test_a_batch_on_another_server_is_refused_with_a_next_step(
    account: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFAI_BASE_URL", "http://127.0.0.1:9/v1")
    with pytest.raises(InvalidOptionError, match=r"Batch API\.\nLeave out queue=True\."):
        cfai_magics.map("{text}", ["a"], model="gpt-4o", queue=True, max_tokens=9)


def test_a_pending_batch_has_no_answers_yet(account: Standin, session: Session) -> None:
    client = session.backend.client()
    for status in ("queued", "running", "Running", "starting"):
        responses = {} if status == "starting" else {"responses": []}
        account.switch(canned=reply({"status": status, **responses}))
        assert client.batches.fetch(QUEUE_MODEL, "id") is None
    account.switch(canned=reply({"status": "complete", "responses": []}))
    assert client.batches.fetch(QUEUE_MODEL, "id") == {}


@pytest.mark.parametrize("result", [None, [], "text", {}, {"responses": None}], ids=str)
def test_a_response_without_a_batch_is_an_error(
    account: Standin, session: Session, result: object
) -> None:
    account.switch(canned=reply(result))
    with pytest.raises(ServerError, match="does not contain a batch"):
        session.backend.client().batches.fetch(QUEUE_MODEL, "id")


def test_large_batches_are_split_by_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cfai_magics.batch.batch_api.MAX_BATCH_BYTES", 1000)
    session = api.get_current_session()
    request = session.build_request(())
    plan = make_plan(session, "Is it {text}?", [f"{n:0300}" for n in range(7)], request)
    batches = list(split_into_batches(plan, plan.requests))
    assert [len(batch) for batch in batches] == [2, 2, 2, 1]
    assert [key for batch in batches for key in batch] == list(plan.requests)
