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


def test_the_package_names_what_it_has_and_nothing_else() -> None:
    assert all(hasattr(cfai_magics, name) for name in cfai_magics.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        cfai_magics.nothing  # noqa: B018


@pytest.mark.parametrize("request_", [REQUEST, WHOLE], ids=["streamed", "whole"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_gives_the_answer_and_what_was_billed(
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


def test_unusual_bytes_give_the_same_answer(cloudflare: Standin, client: WorkersAI) -> None:
    cloudflare.switch(answer=POEM, split_utf8=True, crlf=True, comments=True, junk_frames=True)
    assert client.chat(REQUEST).text == POEM


def test_what_is_none_is_not_sent(cloudflare: Standin, client: WorkersAI) -> None:
    client.chat(REQUEST)
    received = cloudflare.requests[-1]
    assert received.json == {"model": GEMMA, "messages": [*REQUEST.messages], "stream": True}
    assert received.content_type == "application/json"
    assert received.headers["user-agent"].startswith("cfai-magics/")
    assert received.token == cloudflare.token


def test_every_field_is_sent_and_extra_ones_win() -> None:
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


def test_half_a_surrogate_pair_in_the_prompt_is_no_crash() -> None:
    script = Script(answered("Hi"))
    broken = replace(REQUEST, messages=({"role": "user", "content": "a\ud83db"},))
    with script.client() as client:
        assert client.chat(broken).text == "Hi"
    assert b'"a?b"' in script.requests[0].content


@pytest.mark.parametrize(
    "account_id",
    ["", "0" * 31, "0" * 33, "g" * 32, "A" * 32, "0" * 31 + "\n", "cfut_" + "0" * 27],
)
def test_what_is_no_account_id_is_not_sent_anywhere(account_id: str) -> None:
    with pytest.raises(InvalidAccountIdError):
        WorkersAI(account_id, secrets.token_hex(20))


@pytest.mark.parametrize("token", ["", " ", "a b", "a\nb", "tok\n", "ż", "a\ud83d"], ids=repr)
def test_what_no_header_can_bear_is_no_token(token: str) -> None:
    with pytest.raises(InvalidOptionError, match="The API token is not valid"):
        WorkersAI(ACCOUNT_ID, token)


def test_the_token_is_in_nothing_that_prints(cloudflare: Standin, client: WorkersAI) -> None:
    held = reachable(client)
    assert any(isinstance(each, httpx.Client) for each in held)
    shown = [repr(client), repr(client.stream(REQUEST)), *(repr(vars(each)) for each in held)]
    cloudflare.switch(error=Fault.of(10000))
    with pytest.raises(AuthenticationError) as caught:
        client.chat(REQUEST)
    shown += [str(caught.value), repr(vars(caught.value)), *caught.value._render_traceback_()]
    assert not [one for one in shown if cloudflare.token in one]
    assert repr(client) == f"WorkersAI(…{cloudflare.account_id[-4:]})"
    assert CLOUDFLARE_API_URL.startswith("https://")
