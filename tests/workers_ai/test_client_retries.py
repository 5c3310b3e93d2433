"""Retries: which errors, when, and their messages. The token is sent to no other host."""

from collections.abc import Callable

import httpx
import pytest

from cfai_magics.errors import (
    APIConnectionError,
    APITimeoutError,
    CapacityError,
    CfaiError,
    DailyQuotaError,
    WorkersAIError,
)
from cfai_magics.types.messages import TextDelta
from cfai_magics.workers_ai.client import WorkersAI
from tests.standin import Fault, Standin
from tests.standin.errors import RECORDED
from tests.workers_ai.calls import DONE, GEMMA, REQUEST, Script, answered, event, refused, streamed

PASSING = {3021: 3, 3040: 5, 3043: 5, 8005: 5}  # code: attempts
LASTING = [code for code in RECORDED if code not in PASSING]
IN_STREAM = {"errors": [{"code": 3040, "message": "Capacity temporarily exceeded"}], "result": {}}
CALLS: dict[str, Callable[[WorkersAI], object]] = {
    "chat": lambda client: client.chat(REQUEST),
    "embed": lambda client: client.embed(["Hi"], "@cf/baai/bge-m3"),
    "models": lambda client: client.list_models(),
    "run": lambda client: client.run(GEMMA, {"prompt": "Hi"}),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("code", PASSING)
def test_what_may_pass_is_tried_again(
    code: int, call: str, cloudflare: Standin, client: WorkersAI, pauses: list[float]
) -> None:
    cloudflare.switch(error=Fault.of(code), errors_before_success=2)
    assert CALLS[call](client)
    assert len(cloudflare.requests) == 3
    assert len(pauses) == 2


@pytest.mark.parametrize("code", PASSING)
def test_what_does_not_pass_is_raised_after_some_tries(
    code: int, cloudflare: Standin, client: WorkersAI, pauses: list[float]
) -> None:
    cloudflare.switch(error=Fault.of(code))
    with pytest.raises(WorkersAIError) as caught:
        client.chat(REQUEST)
    assert (caught.value.code, caught.value.model) == (code, GEMMA)
    assert len(cloudflare.requests) == PASSING[code] == len(pauses) + 1


@pytest.mark.parametrize("code", LASTING)
def test_what_will_not_pass_is_never_tried_again(
    code: int, cloudflare: Standin, client: WorkersAI, pauses: list[float]
) -> None:
    cloudflare.switch(error=Fault.of(code))
    with pytest.raises(WorkersAIError) as caught:
        client.chat(REQUEST)
    assert caught.value.code == code
    assert (len(cloudflare.requests), pauses) == (1, [])


def test_a_used_up_day_is_never_tried_again(
    cloudflare: Standin, client: WorkersAI, pauses: list[float]
) -> None:
    cloudflare.spend(10_000)
    with pytest.raises(DailyQuotaError):
        client.chat(REQUEST)
    assert (len(cloudflare.requests), pauses) == (1, [])


@pytest.mark.parametrize("status", [500, 502, 503, 520, 530])
def test_a_server_that_fails_without_a_code_is_tried_again(status: int) -> None:
    script = Script(httpx.Response(status, html="<title>Oops</title>"), answered("Hi"))
    with script.client() as client:
        assert client.chat(REQUEST).text == "Hi"
    assert len(script.pauses) == 1


@pytest.mark.parametrize(
    "error",
    [httpx.ConnectError(""), httpx.ConnectTimeout(""), httpx.ReadError(""), httpx.ProxyError("")],
    ids=lambda error: type(error).__name__,
)
def test_trouble_with_the_connection_is_tried_again(error: Exception) -> None:
    script = Script(error, streamed(b"data: {}\n\n", error), answered("Hi"))
    with script.client() as client:
        assert client.chat(REQUEST).text == "Hi"
    assert len(script.pauses) == 2


def test_a_connection_dropped_before_the_first_token_is_tried_again(
    cloudflare: Standin, client: WorkersAI
) -> None:
    cloudflare.switch(drop_connection_after=0)
    with pytest.raises(APIConnectionError):
        client.chat(REQUEST)
    assert len(cloudflare.requests) == 5


def test_an_answer_that_takes_too_long_is_not_asked_for_again() -> None:
    script = Script(httpx.ReadTimeout(""))
    with script.client() as client, pytest.raises(APITimeoutError):
        client.chat(REQUEST)
    assert len(script.requests) == 1


def test_an_error_in_the_stream_before_the_first_token_is_tried_again() -> None:
    opening = event({"choices": [{"delta": {"role": "assistant", "content": ""}}]})
    script = Script(streamed(opening, event(IN_STREAM), DONE), answered("Hi"))
    with script.client() as client:
        assert client.chat(REQUEST).text == "Hi"
    assert (len(script.requests), len(script.pauses)) == (2, 1)


def test_the_usage_of_a_failed_try_is_forgotten() -> None:
    told = event({"choices": [], "usage": {"prompt_tokens": 9, "neurons": 5}})
    script = Script(streamed(told, event(IN_STREAM)), answered("Hi"))
    with script.client() as client:
        assert client.chat(REQUEST).neurons is None


def test_after_the_first_token_nothing_is_tried_again() -> None:
    script = Script(streamed(event({"response": "One"}), event(IN_STREAM)), answered("late"))
    deltas: list[object] = []
    with script.client() as client, pytest.raises(CapacityError) as caught:
        deltas.extend(client.stream(REQUEST))
    assert deltas == [TextDelta("One")]
    assert caught.value.text == "One"
    assert (len(script.requests), script.pauses) == (1, [])


@pytest.mark.parametrize(("asked", "pauses"), [("7", [7.0]), ("0", [0.0]), ("60", [60.0])])
def test_the_server_says_how_long_to_wait(asked: str, pauses: list[float]) -> None:
    script = Script(refused(429, 3040, **{"retry-after": asked}), answered("Hi"))
    with script.client() as client:
        assert client.chat(REQUEST).text == "Hi"
    assert script.pauses == pauses


@pytest.mark.parametrize("asked", ["61", "3600", "Thu, 21 Oct 2999 07:28:00 GMT"])
def test_nobody_is_kept_waiting_for_more_than_a_minute(asked: str) -> None:
    script = Script(refused(429, 3040, **{"retry-after": asked}))
    with script.client() as client, pytest.raises(CapacityError):
        client.chat(REQUEST)
    assert (len(script.requests), script.pauses) == (1, [])


@pytest.mark.parametrize(
    ("asked", "heard"), [("0", []), ("7", [(CapacityError, 7.0, 2)])], ids=["short", "long"]
)
def test_the_user_hears_of_a_wait_that_takes_longer_than_two_seconds(
    asked: str, heard: list[tuple[type[CfaiError], float, int]]
) -> None:
    told: list[tuple[type[CfaiError], float, int]] = []

    def on_retry(error: CfaiError, seconds: float, next_try: int) -> None:
        told.append((type(error), seconds, next_try))

    script = Script(refused(429, 3040, **{"retry-after": asked}), answered("Hi"))
    with script.client() as client:
        assert client.chat(REQUEST, on_retry).text == "Hi"
    assert told == heard


@pytest.mark.parametrize("name", ["list_models", "check_token"])
def test_the_user_hears_of_a_wait_for_the_list_or_the_token_too(name: str) -> None:
    told: list[str] = []
    found = httpx.Response(200, json={"result": [], "success": True})
    script = Script(refused(429, 3040, **{"retry-after": "7"}), found)
    with script.client() as client:
        getattr(client, name)(lambda error, *_: told.append(error.cause))
    assert len(told) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("call", CALLS)
def test_a_redirect_is_not_followed_and_the_token_does_not_travel(status: int, call: str) -> None:
    script = Script(httpx.Response(status, headers={"location": "https://elsewhere.invalid/"}))
    with script.client() as client, pytest.raises(WorkersAIError) as caught:
        CALLS[call](client)
    assert caught.value.status == status
    assert [one.url.host for one in script.requests] == ["api.cloudflare.com"]
    assert script.requests[0].headers["authorization"] == f"Bearer {script.token}"
    assert script.pauses == []
