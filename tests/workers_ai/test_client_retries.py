"""Retries of the client: which errors, how often, after which wait. Redirects are not followed."""

from collections.abc import Callable

import httpx
import pytest

from cfai_magics.errors import (
    APIConnectionError,
    APITimeoutError,
    CapacityError,
    CfaiError,
    DailyQuotaError,
    ServerError,
    WorkersAIError,
)
from cfai_magics.types.messages import TextDelta
from cfai_magics.workers_ai.client import WorkersAI
from tests.standin import Fault, Standin
from tests.standin.errors import RECORDED
from tests.workers_ai.calls import DONE, GEMMA, REQUEST, Script, answered, event, refused, streamed

TRANSIENT = {3021: 3, 3040: 5, 3043: 5, 8005: 5}  # code: attempts
PERMANENT = [code for code in RECORDED if code not in TRANSIENT]
IN_STREAM = {"errors": [{"code": 3040, "message": "Capacity temporarily exceeded"}], "result": {}}
CALLS: dict[str, Callable[[WorkersAI], object]] = {
    "chat": lambda client: client.chat(REQUEST),
    "embed": lambda client: client.embed(["Hi"], "@cf/baai/bge-m3"),
    "models": lambda client: client.list_models(),
    "run": lambda client: client.run(GEMMA, {"prompt": "Hi"}),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("code", TRANSIENT)
def test_transient_errors_are_retried(
    code: int, call: str, cloudflare: Standin, client: WorkersAI, pauses: list[float]
) -> None:
    cloudflare.switch(error=Fault.of(code), errors_before_success=2)
    assert CALLS[call](client)
    assert len(cloudflare.requests) == 3
    assert len(pauses) == 2


@pytest.mark.parametrize("code", TRANSIENT)
def test_a_lasting_transient_error_is_raised_after_all_attempts(
    code: int, cloudflare: Standin, client: WorkersAI, pauses: list[float]
) -> None:
    cloudflare.switch(error=Fault.of(code))
    with pytest.raises(WorkersAIError) as caught:
        client.chat(REQUEST)
    assert (caught.value.code, caught.value.model) == (code, GEMMA)
    assert len(cloudflare.requests) == TRANSIENT[code] == len(pauses) + 1


@pytest.mark.parametrize("data", [{}, {"data": None}], ids=["plain", "with data"])
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(("code", "attempts"), [(2003, 3), (3040, 5), (3043, 5), (3036, 1)])
def test_errors_with_status_200_are_retried_by_every_call(
    code: int, attempts: int, call: str, data: dict[str, None]
) -> None:
    body = {"success": False, "errors": [{"code": code, "message": "no"}], **data}
    script = Script(httpx.Response(200, json=body))
    with script.client() as client, pytest.raises(WorkersAIError) as caught:
        CALLS[call](client)
    assert caught.value.code == code
    assert len(script.requests) == attempts == len(script.pauses) + 1


@pytest.mark.parametrize("code", PERMANENT)
def test_permanent_errors_are_not_retried(
    code: int, cloudflare: Standin, client: WorkersAI, pauses: list[float]
) -> None:
    cloudflare.switch(error=Fault.of(code))
    with pytest.raises(WorkersAIError) as caught:
        client.chat(REQUEST)
    assert caught.value.code == code
    assert (len(cloudflare.requests), pauses) == (1, [])


def test_an_exhausted_daily_quota_is_not_retried(
    cloudflare: Standin, client: WorkersAI, pauses: list[float]
) -> None:
    cloudflare.spend(10_000)
    with pytest.raises(DailyQuotaError):
        client.chat(REQUEST)
    assert (len(cloudflare.requests), pauses) == (1, [])


@pytest.mark.parametrize("status", [500, 502, 503, 520, 530])
def test_a_server_error_without_a_code_is_retried(status: int) -> None:
    script = Script(httpx.Response(status, html="<title>Oops</title>"), answered("Hi"))
    with script.client() as client:
        assert client.chat(REQUEST).text == "Hi"
    assert len(script.pauses) == 1


@pytest.mark.parametrize(
    "error",
    [httpx.ConnectError(""), httpx.ConnectTimeout(""), httpx.ReadError(""), httpx.ProxyError("")],
    ids=lambda error: type(error).__name__,
)
def test_connection_errors_are_retried(error: Exception) -> None:
    script = Script(error, streamed(b"data: {}\n\n", error), answered("Hi"))
    with script.client() as client:
        assert client.chat(REQUEST).text == "Hi"
    assert len(script.pauses) == 2


def test_a_connection_dropped_before_the_first_token_is_retried(
    cloudflare: Standin, client: WorkersAI
) -> None:
    cloudflare.switch(drop_connection_after=0)
    with pytest.raises(APIConnectionError):
        client.chat(REQUEST)
    assert len(cloudflare.requests) == 5


def test_a_read_timeout_is_not_retried() -> None:
    script = Script(httpx.ReadTimeout(""))
    with script.client() as client, pytest.raises(APITimeoutError):
        client.chat(REQUEST)
    assert len(script.requests) == 1


def test_an_error_in_a_stream_before_the_first_token_is_retried() -> None:
    opening = event({"choices": [{"delta": {"role": "assistant", "content": ""}}]})
    script = Script(streamed(opening, event(IN_STREAM), DONE), answered("Hi"))
    with script.client() as client:
        assert client.chat(REQUEST).text == "Hi"
    assert (len(script.requests), len(script.pauses)) == (2, 1)


def test_the_usage_of_a_failed_attempt_is_discarded() -> None:
    usage = event({"choices": [], "usage": {"prompt_tokens": 9, "neurons": 5}})
    script = Script(streamed(usage, event(IN_STREAM)), answered("Hi"))
    with script.client() as client:
        assert client.chat(REQUEST).neurons is None


def test_errors_after_the_first_token_are_not_retried() -> None:
    script = Script(streamed(event({"response": "One"}), event(IN_STREAM)), answered("late"))
    deltas: list[object] = []
    with script.client() as client, pytest.raises(CapacityError) as caught:
        deltas.extend(client.stream(REQUEST))
    assert deltas == [TextDelta("One")]
    assert caught.value.text == "One"
    assert (len(script.requests), script.pauses) == (1, [])


@pytest.mark.parametrize(("retry_after", "pauses"), [("7", [7.0]), ("0", [0.0]), ("60", [60.0])])
def test_the_client_waits_as_long_as_retry_after_says(
    retry_after: str, pauses: list[float]
) -> None:
    script = Script(refused(429, 3040, **{"retry-after": retry_after}), answered("Hi"))
    with script.client() as client:
        assert client.chat(REQUEST).text == "Hi"
    assert script.pauses == pauses


@pytest.mark.parametrize("retry_after", ["61", "3600", "Thu, 21 Oct 2999 07:28:00 GMT"])
def test_a_retry_after_over_a_minute_is_not_retried(retry_after: str) -> None:
    script = Script(refused(429, 3040, **{"retry-after": retry_after}))
    with script.client() as client, pytest.raises(CapacityError):
        client.chat(REQUEST)
    assert (len(script.requests), script.pauses) == (1, [])


@pytest.mark.parametrize(
    ("retry_after", "expected"),
    [("0", []), ("7", [(CapacityError, 7.0, 2)])],
    ids=["short", "long"],
)
def test_on_retry_is_called_for_waits_over_two_seconds(
    retry_after: str, expected: list[tuple[type[CfaiError], float, int]]
) -> None:
    waits: list[tuple[type[CfaiError], float, int]] = []

    def on_retry(error: CfaiError, seconds: float, next_try: int) -> None:
        waits.append((type(error), seconds, next_try))

    script = Script(refused(429, 3040, **{"retry-after": retry_after}), answered("Hi"))
    with script.client() as client:
        assert client.chat(REQUEST, on_retry).text == "Hi"
    assert waits == expected


@pytest.mark.parametrize("name", ["list_models", "check_token"])
def test_on_retry_is_called_for_the_model_list_and_token_check(name: str) -> None:
    waits: list[str] = []
    response = httpx.Response(200, json={"result": [], "success": True})
    script = Script(refused(429, 3040, **{"retry-after": "7"}), response)
    with script.client() as client, pytest.raises(ServerError, match="does not contain"):
        getattr(client, name)(lambda error, *_: waits.append(error.cause))
    assert len(waits) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("call", CALLS)
def test_a_redirect_raises_an_error_and_is_not_followed(status: int, call: str) -> None:
    script = Script(httpx.Response(status, headers={"location": "https://elsewhere.invalid/"}))
    with script.client() as client, pytest.raises(WorkersAIError) as caught:
        CALLS[call](client)
    assert caught.value.status == status
    assert [one.url.host for one in script.requests] == ["api.cloudflare.com"]
    assert script.requests[0].headers["authorization"] == f"Bearer {script.token}"
    assert script.pauses == []
