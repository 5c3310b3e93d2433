"""The daily quota and the rate limits apply and reset."""

from dataclasses import dataclass

import pytest

from tests.standin import Standin
from tests.standin_tests.api import GLM, Api, code_of

NOON = 1_791_460_800.0
HOURS = 3600.0
BGE = "@cf/baai/bge-small-en-v1.5"


@dataclass
class Clock:
    """A clock that is set by the test."""

    now: float = NOON

    def __call__(self) -> float:
        return self.now


def test_the_free_daily_quota_resets_at_midnight_utc() -> None:
    clock = Clock()
    with Standin(clock=clock) as cloudflare, Api(cloudflare).http as http:
        path, body = f"/ai/run/{BGE}", {"text": "Hi"}
        cloudflare.spend(9_999.999)
        assert http.post(path, json=body).status_code == 200
        cloudflare.spend(0.001)
        rejected = http.post(path, json=body)
        assert code_of(rejected) == (429, 4006)
        assert "daily free allocation of 10,000 neurons" in rejected.text
        assert "retry-after" not in rejected.headers
        clock.now += 12 * HOURS
        assert cloudflare.billed == 0
        assert http.post(path, json=body).status_code == 200
        assert len(cloudflare.calls) == 4


def test_the_paid_plan_has_no_daily_quota(paid: Standin, paid_api: Api) -> None:
    paid.spend(50_000)
    assert paid_api.chat().status_code == 200


def test_a_switch_sets_the_daily_quota(cloudflare: Standin, api: Api) -> None:
    cloudflare.switch(daily_neurons=1)
    cloudflare.spend(1)
    assert code_of(api.chat()) == (429, 4006)


def test_the_301st_text_request_of_a_minute_is_rejected() -> None:
    clock = Clock()
    with Standin(clock=clock) as cloudflare:
        api = Api(cloudflare)
        with api.http:
            assert {api.chat(max_tokens=1).status_code for _ in range(300)} == {200}
            rejected = api.chat()
            assert code_of(rejected) == (429, 3021)
            assert "inference request per min rate reached" in rejected.text
            assert api.run(BGE, text="Hi").status_code == 200
            clock.now += 60
            assert api.chat().status_code == 200


def test_the_21st_call_of_a_paid_model_in_a_minute_is_rejected(paid_api: Api) -> None:
    assert {paid_api.chat(GLM, max_tokens=1).status_code for _ in range(20)} == {200}
    assert code_of(paid_api.chat(GLM)) == (429, 3021)
    assert paid_api.chat("@cf/zai-org/glm-5.3").status_code == 200


@pytest.mark.parametrize("limit", [0, 2])
def test_a_switch_sets_the_calls_per_minute(limit: int, cloudflare: Standin, api: Api) -> None:
    cloudflare.switch(calls_per_minute=limit)
    for _ in range(limit):
        assert api.chat().status_code == 200
    assert code_of(api.chat()) == (429, 3021)
    cloudflare.switch(calls_per_minute=10**6)
    assert api.chat().status_code == 200
