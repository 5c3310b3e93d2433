"""Requests of clients in a `recording()` block: addresses, headers, timeouts and bodies."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

import cfai_magics as cfai
from cfai_magics.api import get_current_session, get_process_session
from cfai_magics.errors import InvalidOptionError, StorageError
from cfai_magics.types.messages import Request
from tests.frames import FrameServer, end, text
from tests.replay.test_recording_context import (
    BGE,
    GEMMA,
    QUESTION,
    ask,
    lines,
    messages,
    sdk,
    stream_text,
    text_of,
)
from tests.standin import Reply, Standin

pytestmark = pytest.mark.slow


def account_url(account: Standin) -> str:
    return f"{account.base_url}/accounts/{account.account_id}/ai/v1"


@pytest.fixture
def other_server(
    account: Standin, own_session: None, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], None]:
    """Return a function that uses another server, at this base URL."""

    def use(base_url: str) -> None:
        monkeypatch.setenv("CFAI_BASE_URL", base_url)
        get_process_session().close()
        get_process_session.cache_clear()

    return use


def test_a_request_to_the_account_is_refused_while_another_server_is_in_use(
    account: Standin, other_server: Callable[[str], None], path: Path
) -> None:
    other_server("http://127.0.0.1:9/v1")
    with cfai.recording(path) as recording, recording.client() as client:
        url = f"{account_url(account)}/chat/completions"
        response = client.post(url, json={"model": GEMMA, "messages": messages()})
    assert response.status_code == 400
    message = response.json()["error"]["message"]
    assert "The address is of Cloudflare, but CFAI_BASE_URL selects another server" in message
    assert "Nothing was sent" in message
    assert account.requests == ()


@pytest.mark.parametrize("change", [str.upper, str.lower], ids=["upper case", "lower case"])
def test_the_host_of_a_base_url_may_have_any_case(
    other_server: Callable[[str], None], path: Path, change: Callable[[str], str]
) -> None:
    with FrameServer(lambda _body: [text("Hi"), end()]) as server:
        base_url = change(server.base_url.replace("127.0.0.1", "localhost")) + "/v1"
        other_server(base_url)
        with cfai.recording(path) as recording:
            client = OpenAI(base_url=base_url, api_key="own", http_client=recording.client())
            completion = client.chat.completions.create(model="m", messages=messages())
        assert text_of(completion) == "Hi"
        assert len(lines(path)) == len(server.bodies) == 1


def test_the_host_of_the_account_may_have_any_case(
    account: Standin, own_session: None, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base_url = account.base_url.replace("127.0.0.1", "LOCALHOST")
    monkeypatch.setenv("CLOUDFLARE_API_BASE_URL", base_url)
    get_process_session().close()
    get_process_session.cache_clear()
    with cfai.recording(path) as recording:
        url = account_url(account).replace("127.0.0.1", "LocalHost")
        client = OpenAI(base_url=url, api_key="own", http_client=recording.client())
        client.chat.completions.create(model=GEMMA, messages=messages())
    assert len(lines(path)) == 1


def test_a_request_that_leaves_thinking_to_the_model_is_another_request(
    account: Standin, own_session: None, path: Path
) -> None:
    for model in ("gpt-oss-20b", GEMMA):
        before = len(account.requests)
        for _ in range(2):
            with cfai.recording(path) as recording:
                sdk(recording).chat.completions.create(
                    model=model, messages=messages(), max_tokens=2048
                )
        assert len(account.requests) == before + 1, "the second block replays"
        with cfai.recording(path):
            assert cfai.ask(QUESTION, model=model, max_tokens=2048).cost_basis == "billed"
        assert account.requests[-1].json["chat_template_kwargs"] == {"enable_thinking": False}
        assert "chat_template_kwargs" not in account.requests[-2].json


def test_a_stream_with_several_answers_is_not_recorded(
    account: Standin, own_session: None, path: Path
) -> None:
    session = get_current_session()
    with cfai.recording(path):
        request = Request(GEMMA, tuple(messages()), max_tokens=9, extra={"n": 2})
        notes = session.ask(request).notes
    assert "Not recorded: n can't be recorded in a stream." in notes
    assert not path.exists()


@pytest.mark.parametrize("count", [2, 3])
def test_several_answers_in_one_request_are_refused(
    account: Standin, own_session: None, count: int
) -> None:
    with pytest.raises(InvalidOptionError, match="only the first one would be returned"):
        cfai.ask(QUESTION, extra={"n": count})
    assert account.requests == ()
    assert cfai.ask(QUESTION, extra={"n": 1}).text


CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
MESSAGES: dict[str, dict[str, Any]] = {
    "think tags": {"content": "<think>Hm</think>Hi"},
    "reasoning": {"content": "Hi", "reasoning": "Hm"},
    "parts": {"content": [{"type": "text", "text": "Hi"}]},
    "object": {"content": {"a": 1}},
    "refusal": {"content": None, "refusal": "No."},
    "legacy call": {"content": None, "function_call": CALL["function"]},
    "call": {"content": None, "tool_calls": [CALL]},
}


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_a_whole_answer_has_the_content_of_the_streamed_answer(
    message: dict[str, Any], account: Standin, own_session: None, path: Path
) -> None:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
    body = {"choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
    account.switch(canned=Reply(json.dumps(body).encode()))
    with cfai.recording(path) as recording:
        whole = ask(recording).choices[0]
    with cfai.recording(path) as recording:
        chunks = [chunk.choices[0] for chunk in ask(recording, stream=True)]
    assert len(account.requests) == 1, "the stream is replayed"
    deltas = [chunk.delta for chunk in chunks]
    text = "".join(delta.content or "" for delta in deltas)
    reasoning = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
    calls = [call.function.name for delta in deltas for call in delta.tool_calls or ()]
    assert (whole.message.content or "") == text
    assert (getattr(whole.message, "reasoning_content", None) or "") == reasoning
    assert [call.function.name for call in whole.message.tool_calls or ()] == calls
    assert whole.finish_reason == chunks[-1].finish_reason


def test_other_fields_and_choices_of_a_whole_answer_are_kept(
    account: Standin, own_session: None, path: Path
) -> None:
    choices = [
        {"index": 1, "message": {"role": "assistant", "content": "B"}, "finish_reason": "stop"},
        {
            "index": 0,
            "message": {"role": "assistant", "content": "A", "annotations": []},
            "finish_reason": "stop",
            "logprobs": {"content": []},
        },
    ]
    account.switch(canned=Reply(json.dumps({"choices": choices, "created": 7}).encode()))
    with cfai.recording(path) as recording:
        completion = ask(recording, n=2, logprobs=True)
    assert [choice.message.content for choice in completion.choices] == ["B", "A"]
    first = completion.choices[1]
    assert first.logprobs.content == []
    assert first.message.annotations == []
    assert completion.created == 7


@pytest.mark.parametrize("endpoint", ["chat/completions", "embeddings"])
@pytest.mark.parametrize("header", ["cf-aig-gateway-id", "cf-aig-skip-cache", "CF-AIG-Metadata"])
def test_a_header_of_ai_gateway_is_refused(
    endpoint: str, header: str, account: Standin, own_session: None, path: Path
) -> None:
    body = {"model": GEMMA, "messages": messages()}
    if endpoint == "embeddings":
        body = {"model": BGE, "input": "sun"}
    with cfai.recording(path) as recording, recording.client() as client:
        response = client.post(endpoint, json=body, headers={header: "x"})
    assert response.status_code == 400
    assert header.lower() in response.json()["error"]["message"].lower()
    assert "%config Cfai.gateway" in response.json()["error"]["message"]
    assert account.requests == ()


def test_the_timeout_of_the_client_applies(
    account: Standin, own_session: None, path: Path
) -> None:
    account.switch(delay_before_headers=5)
    with cfai.recording(path) as recording, pytest.raises(openai.APIStatusError) as caught:
        sdk(recording, timeout=0.05, max_retries=0).chat.completions.create(
            model=GEMMA, messages=messages()
        )
    assert caught.value.status_code == 504
    with cfai.recording(path) as recording, pytest.raises(openai.APIStatusError) as caught:
        stream_text(recording, timeout=0.05)
    assert caught.value.status_code == 504
    assert not path.exists()


def test_a_missing_folder_and_a_folder_as_file_are_reported_at_the_start(
    account: Standin, own_session: None, path: Path
) -> None:
    missing = path.parent / "none" / "a.cfai.jsonl"
    with pytest.raises(StorageError, match="its folder does not exist") as caught:
        cfai.recording(missing).__enter__()
    assert caught.value.hint == "Create the folder, or use another path."
    path.mkdir()
    with pytest.raises(StorageError, match="it is not a regular file") as caught:
        cfai.recording(path).__enter__()
    assert caught.value.hint == "Use another path."


@pytest.mark.parametrize("mode", ["AUTO", "replay", "only:x"])
def test_an_invalid_mode_is_reported_with_an_example_for_python(
    own_session: None, path: Path, mode: str
) -> None:
    with pytest.raises(InvalidOptionError, match=f"mode is '{mode}', not one of") as caught:
        cfai.recording(path, mode=mode)
    assert caught.value.hint == 'Example: recording(path, mode="only")'
