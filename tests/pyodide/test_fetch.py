"""Test the fetch transport inside Pyodide, with the stand-in on the same machine."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from pyodide.ffi import run_sync

from cfai_magics.errors import (
    APIConnectionError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    CfaiError,
    DailyQuotaError,
    InvalidOptionError,
    RateLimitError,
)
from cfai_magics.session.session import Session
from cfai_magics.types.messages import Request, TextDelta
from cfai_magics.workers_ai import fetch
from cfai_magics.workers_ai.fetch import FetchTransport
from tests.pyodide.conftest import ANSWER, Control


@pytest.fixture(params=["fetch", "XMLHttpRequest"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Use `fetch`, or the requests of browsers without JSPI."""
    if request.param == "XMLHttpRequest":
        monkeypatch.setattr(fetch, "can_run_sync", lambda: False)
    return request.param


def question(session: Session) -> Request:
    return session.build_request([{"role": "user", "content": "Hi"}], max_tokens=50)


def test_an_answer_is_complete_and_booked(session: Session, way: str) -> None:
    answer = session.ask(question(session))
    assert answer.text == ANSWER
    assert answer.usage.cost_basis == "billed"
    assert session.day_usage().billed == pytest.approx(answer.neurons)


def test_tokens_arrive_while_the_answer_is_sent(session: Session, control: Control) -> None:
    before = control("GET", "calls")
    control("POST", "switches", {"tokens_per_second": 20})
    with session.stream(question(session)) as stream:
        unfinished = [
            control("GET", "calls") == before for delta in stream if isinstance(delta, TextDelta)
        ]
    assert len(unfinished) >= 10
    assert unfinished[0]


def test_closing_a_stream_ends_the_answer(session: Session, control: Control) -> None:
    before = len(control("GET", "calls"))
    control("POST", "switches", {"answer": "word " * 1000, "tokens_per_second": 50})
    with session.stream(question(session)) as stream:
        next(iter(stream))
    for _ in range(100):
        calls = control("GET", "calls")[before:]
        if calls:
            break
        run_sync(asyncio.sleep(0.05))
    assert calls[0]["completion_tokens"] < 50, "the server noticed that the client has gone"
    assert stream.answer.finish_reason == "interrupted"


def refuse(status: int, code: int, **headers: str) -> dict[str, Any]:
    body = {
        "success": False,
        "errors": [{"code": code, "message": "the request is refused"}],
        "result": None,
    }
    return {
        "canned": {"status": status, "body": json.dumps(body), "headers": headers},
        "error_path": "/ai/",
    }


@pytest.mark.parametrize(
    ("status", "code", "error_type"),
    [
        (400, 5004, BadRequestError),
        (401, 10000, AuthenticationError),
        (429, 4006, DailyQuotaError),
        (429, 10429, RateLimitError),
    ],
    ids=str,
)
def test_error_bodies_are_read(
    session: Session,
    control: Control,
    way: str,
    *,
    status: int,
    code: int,
    error_type: type[CfaiError],
) -> None:
    control("POST", "switches", refuse(status, code, **{"retry-after": "3600"}))
    with pytest.raises(error_type) as caught:
        session.ask(question(session))
    assert (caught.value.status, caught.value.code) == (status, code)
    assert len(control("GET", "requests")) == 1


def test_a_redirect_is_not_followed(
    session: Session, control: Control, transport: FetchTransport
) -> None:
    control("POST", "switches", refuse(307, 0, location="/client/v4/user"))
    with pytest.raises(CfaiError) as caught:
        session.ask(question(session))
    assert not isinstance(caught.value, APIConnectionError)
    assert len(control("GET", "requests")) == 1


def test_requests_to_cloudflare_are_refused_before_they_are_sent(
    session: Session, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLOUDFLARE_API_BASE_URL")
    monkeypatch.setattr(fetch, "js", None)  # nothing is sent
    with pytest.raises(InvalidOptionError, match="%cfai login --class URL"):
        session.ask(question(session))
    assert session.day_usage().spent == 0


def test_an_unreachable_server_is_a_connection_error(way: str) -> None:
    with (
        httpx.Client(transport=FetchTransport()) as client,
        pytest.raises(httpx.ConnectError),
    ):
        client.get("http://127.0.0.1:9/")


def test_a_slow_answer_ends_at_the_deadline_with_its_text(
    session: Session, control: Control, transport: FetchTransport
) -> None:
    transport.deadline = 0.5
    control("POST", "switches", {"answer": "word " * 1000, "tokens_per_second": 20})
    with pytest.raises(APITimeoutError, match=r"stopped after \d s") as caught:
        session.ask(question(session))
    assert caught.value.answer.text.startswith("word")
    assert len(control("GET", "requests")) == 1, "the request is not repeated"


def test_a_server_that_does_not_answer_is_a_timeout(
    session: Session, control: Control, way: str
) -> None:
    session.settings.timeout = 1.0
    control("POST", "switches", {"delay_before_headers": 4.0})
    with pytest.raises(APITimeoutError, match="did not answer in time"):
        session.ask(question(session))


def test_the_key_is_in_one_header_and_forbidden_headers_are_left_out(
    session: Session, control: Control, environ: Mapping[str, str]
) -> None:
    session.ask(question(session))
    (request,) = control("GET", "requests")
    sent = json.dumps(request)
    assert sent.count(environ["CLOUDFLARE_API_TOKEN"]) == 1
    assert "cfai-magics/" not in sent
