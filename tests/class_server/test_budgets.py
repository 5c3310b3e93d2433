"""Budgets and limits of students and of the account."""

import httpx
import pytest

from tests.class_server import ClassServer
from tests.standin import Fault, Standin

ANSWER = "These words are an answer of forty-eight letters. "


def test_calls_of_a_student_fit_its_budget_until_nothing_is_left(
    server: ClassServer, cloudflare: Standin, name: str
) -> None:
    key = server.add_student(name, budget=8)
    cloudflare.switch(answer=ANSWER, omit_neurons_header=True)
    before = cloudflare.billed
    while (response := server.chat(key, max_tokens=60)).status_code == httpx.codes.OK:
        server.settled(key)
    assert response.status_code == httpx.codes.TOO_MANY_REQUESTS
    error = response.json()["errors"][0]
    assert error["scope"] == "student"
    spent = server.settled(key)["spent"]
    assert 6 < spent <= 8
    assert spent == pytest.approx(cloudflare.billed - before)
    assert float(response.headers["cfai-budget"]) == 8
    assert float(response.headers["cfai-spent"]) == pytest.approx(spent, abs=1e-6)


def test_a_higher_budget_applies_to_the_next_call(
    server: ClassServer, cloudflare: Standin, name: str
) -> None:
    key = server.add_student(name, budget=0)
    assert server.chat(key).json()["errors"][0]["code"] == 4006
    assert cloudflare.requests == ()
    server.admin("PATCH", f"students/{name}", {"budget": 50})
    assert server.chat(key).headers["cfai-budget"] == "50"


def test_the_quota_of_the_account_closes_the_day_for_the_class(cloudflare: Standin) -> None:
    cloudflare.switch(daily_neurons=0)
    with ClassServer(cloudflare) as server:
        keys = [server.add_student(name) for name in ("Ada", "Bob")]
        errors = [server.chat(key).json()["errors"][0] for key in keys]
        assert [(error["code"], error["scope"]) for error in errors] == [(4006, "account")] * 2
        assert len(cloudflare.requests) == 1
        assert [server.settled(key)["spent"] for key in keys] == [0, 0]


def test_a_limit_per_minute_of_a_student_is_refused_with_the_time_to_wait(
    server: ClassServer, cloudflare: Standin, name: str
) -> None:
    key = server.add_student(name, requests_per_minute=2)
    answers = [server.chat(key) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 45 <= int(answers[-1].headers["retry-after"]) <= 60
    assert len(cloudflare.requests) == 2


def test_a_limit_per_minute_of_cloudflare_is_tried_again_without_a_second_bill(
    server: ClassServer, cloudflare: Standin, key: str
) -> None:
    cloudflare.switch(error=Fault.of(3021), errors_before_success=1)
    before = cloudflare.billed
    assert server.chat(key).status_code == httpx.codes.OK
    assert len(cloudflare.requests) == 2
    assert server.settled(key)["spent"] == pytest.approx(cloudflare.billed - before, abs=0.01)


def test_a_client_that_leaves_pays_for_what_was_sent(
    server: ClassServer, cloudflare: Standin, key: str
) -> None:
    cloudflare.switch(answer="word" * 2000, tokens_per_second=200, dialect="gemma")
    before = cloudflare.billed
    with server.stream(key) as response:
        next(response.iter_bytes())
    assert cloudflare.wait_for(lambda standin: standin.disconnects == 1)
    spent = server.settled(key)["spent"]
    assert 0 < spent < 60
    assert spent >= cloudflare.billed - before
