"""The client sends chat requests: bodies, answers and credentials."""

import secrets
from dataclasses import replace

import httpx
import pytest

import cfai_magics
from cfai_magics.errors import AuthenticationError, InvalidAccountIdError, InvalidOptionError
from cfai_magics.types.messages import Request
from cfai_magics.types.usage import Usage
from cfai_magics.workers_ai.client import CLOUDFLARE_API_URL, WorkersAI
from tests.canaries import reachable
from tests.standin import Fault, Standin
from tests.standin.dialects import DIALECTS
from tests.workers_ai.calls import ACCOUNT_ID, GEMMA, REQUEST, Script, answered

POEM = "Grüße aus Łódź: 世界 👋🏽 — ça va?"
WHOLE = replace(REQUEST, stream=False)


def test_the_package_exports_exactly_the_names_in_all() -> None:
    assert all(hasattr(cfai_magics, name) for name in cfai_magics.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        cfai_magics.nothing  # noqa: B018


@pytest.mark.parametrize("request_", [REQUEST, WHOLE], ids=["streamed", "whole"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_dialect_yields_the_answer_and_its_usage(
    dialect: str, request_: Request, cloudflare: Standin, client: WorkersAI
) -> None:
    cloudflare.switch(dialect=dialect, answer=POEM, thought="Hm.")
    answer = client.chat(request_)
    call = cloudflare.calls[-1]
    assert (answer.text.strip(), answer.reasoning.strip()) == (POEM, "Hm.")
    if answer.usage.completion_tokens:
        assert answer.usage.prompt_tokens == call.prompt_tokens
        assert answer.usage.completion_tokens == call.completion_tokens
    if answer.neurons is not None:
        assert answer.neurons == pytest.approx(call.neurons, abs=0.005)
    assert (answer.usage == Usage()) == (dialect == "llama2024" and request_.stream)


def test_unusual_bytes_yield_the_same_answer(cloudflare: Standin, client: WorkersAI) -> None:
    cloudflare.switch(answer=POEM, split_utf8=True, crlf=True, comments=True, junk_frames=True)
    assert client.chat(REQUEST).text == POEM


def test_fields_with_the_value_none_are_not_sent(cloudflare: Standin, client: WorkersAI) -> None:
    client.chat(REQUEST)
    received = cloudflare.requests[-1]
    assert received.json == {"model": GEMMA, "messages": [*REQUEST.messages], "stream": True}
    assert received.content_type == "application/json"
    assert received.headers["user-agent"].startswith("cfai-magics/")
    assert received.token == cloudflare.token


def test_all_fields_are_sent_and_extra_fields_take_precedence() -> None:
    script = Script(answered("Hi"))
    request = Request(
        GEMMA,
        ({"role": "user", "content": "世"}, {"role": "assistant", "content": None}),
        *(9, 0.0, 0.9, 7, ("END",)),
        think=False,
        extra={"seed": 8, "top_k": 40},
    )
    with script.client() as client:
        client.chat(request)
    assert script.requests[0].headers["content-type"] == "application/json"
    assert "世".encode() in script.requests[0].content
    assert httpx.Response(200, content=script.requests[0].content).json() == {
        "model": GEMMA,
        "messages": [{"role": "user", "content": "世"}, {"role": "assistant", "content": ""}],
        "stream": True,
        "max_tokens": 9,
        "temperature": 0.0,
        "top_p": 0.9,
        "seed": 8,
        "stop": ["END"],
        "top_k": 40,
        "chat_template_kwargs": {"enable_thinking": False},
    }


def test_a_lone_surrogate_in_the_prompt_is_replaced() -> None:
    script = Script(answered("Hi"))
    request = replace(REQUEST, messages=({"role": "user", "content": "a\ud83db"},))
    with script.client() as client:
        assert client.chat(request).text == "Hi"
    assert b'"a?b"' in script.requests[0].content


@pytest.mark.parametrize(
    "account_id",
    ["", "0" * 31, "0" * 33, "g" * 32, "A" * 32, "0" * 31 + "\n", "cfut_" + "0" * 27],
)
def test_an_invalid_account_id_is_rejected(account_id: str) -> None:
    with pytest.raises(InvalidAccountIdError):
        WorkersAI(account_id, secrets.token_hex(20))


@pytest.mark.parametrize("token", ["", " ", "a b", "a\nb", "tok\n", "ż", "a\ud83d"], ids=repr)
def test_a_token_with_invalid_header_characters_is_rejected(token: str) -> None:
    with pytest.raises(InvalidOptionError, match="The API token is not valid"):
        WorkersAI(ACCOUNT_ID, token)


def test_the_token_is_not_in_any_printed_text(cloudflare: Standin, client: WorkersAI) -> None:
    objects = reachable(client)
    assert any(isinstance(each, httpx.Client) for each in objects)
    printed = [repr(client), repr(client.stream(REQUEST)), *(repr(vars(each)) for each in objects)]
    cloudflare.switch(error=Fault.of(10000))
    with pytest.raises(AuthenticationError) as caught:
        client.chat(REQUEST)
    printed += [str(caught.value), repr(vars(caught.value)), *caught.value._render_traceback_()]
    assert not [one for one in printed if cloudflare.token in one]
    assert repr(client) == f"WorkersAI(…{cloudflare.account_id[-4:]})"
    assert CLOUDFLARE_API_URL.startswith("https://")


def test_cached_tokens_are_kept_if_a_copy_of_the_usage_lacks_them(
    cloudflare: Standin, client: WorkersAI
) -> None:
    cloudflare.switch(dialect="rest", cached_tokens=1)
    assert client.chat(REQUEST).usage.cached_tokens == 1
