"""`recording()` records what the OpenAI SDK and httpx clients send, and replays it offline."""

import asyncio
import json
import logging
import os
import subprocess
import sys
from array import array
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI, OpenAI

import cfai_magics as cfai
from cfai_magics.api import get_current_session, get_process_session
from cfai_magics.errors import (
    CoursePolicyError,
    InvalidOptionError,
    NotRecordedError,
    StorageError,
)
from cfai_magics.session.recording import Recording
from tests.kernels import running_kernel
from tests.standin import Fault, Standin

pytestmark = pytest.mark.slow

GEMMA, BGE = "@cf/google/gemma-4-26b-a4b-it", "@cf/baai/bge-m3"
QUESTION = "Why is the sky blue?"
WEATHER = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
}


def messages(text: str = QUESTION) -> list[Any]:
    return [{"role": "user", "content": text}]


def sdk(recording: Recording, **options: Any) -> OpenAI:
    return OpenAI(
        base_url=recording.base_url,
        api_key=recording.api_key,
        http_client=recording.client(),
        **options,
    )


def ask(recording: Recording, text: str = QUESTION, **fields: Any) -> Any:
    return sdk(recording).chat.completions.create(model=GEMMA, messages=messages(text), **fields)


def text_of(completion: Any) -> str:
    return str(completion.choices[0].message.content)


def stream_text(recording: Recording, text: str = QUESTION, **fields: Any) -> str:
    chunks = ask(recording, text, stream=True, **fields)
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


def to_floats(vector: list[float]) -> bytes:
    """Return the vector with the precision of recordings, 32 bits."""
    return array("f", vector).tobytes()


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def go_offline(
    account: Standin, own_session: None, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], None]:
    """Return a function that removes the account and starts a new session."""

    def remove_account() -> None:
        account.clear()
        get_process_session().close()
        get_process_session.cache_clear()
        for name in account.environ():
            monkeypatch.delenv(name)
        monkeypatch.setenv("CFAI_REPLAY_INSTANT", "1")

    return remove_account


CALLS: dict[str, Callable[[Recording], Any]] = {
    "completion": lambda r: text_of(ask(r, max_tokens=50, temperature=0.5)),
    "stream": stream_text,
    "stream with usage": lambda r: [
        chunk.model_dump(include={"choices", "usage"})
        for chunk in ask(r, stream=True, stream_options={"include_usage": True})
    ][-1],
    "embeddings": lambda r: [
        to_floats(item.embedding)
        for item in sdk(r).embeddings.create(model=BGE, input=["sun", "moon"]).data
    ],
    "embedding as numbers": lambda r: to_floats(
        sdk(r).embeddings.create(model=BGE, input="sun", encoding_format="float").data[0].embedding
    ),
    "httpx": lambda r: (
        r.client()
        .post("chat/completions", json={"model": GEMMA, "messages": messages()})
        .json()["choices"][0]["message"]["content"]
    ),
    "cfai.ask": lambda _r: cfai.ask(QUESTION).text,
}


@pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
def test_a_call_is_recorded_once_and_replayed_without_account_and_network(
    call: Callable[[Recording], Any], account: Standin, path: Path, go_offline: Callable[[], None]
) -> None:
    with cfai.recording(path) as recording:
        live = call(recording)
    assert len(account.requests) == len(lines(path)) == 1
    with cfai.recording(path) as recording:
        assert call(recording) == live
    assert len(account.requests) == 1, "the second block replays"
    before = path.read_bytes()
    go_offline()
    with cfai.recording(path, mode="only") as recording:
        assert call(recording) == live
    assert account.requests == ()
    assert path.read_bytes() == before
    assert live


def test_the_asynchronous_sdk_uses_the_same_recordings(
    account: Standin, path: Path, go_offline: Callable[[], None]
) -> None:
    async def ask_twice(recording: Recording) -> tuple[str, str]:
        async with AsyncOpenAI(
            base_url=recording.base_url,
            api_key=recording.api_key,
            http_client=recording.async_client(),
        ) as client:
            stream = await client.chat.completions.create(
                model=GEMMA, messages=messages(), stream=True
            )
            pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]
            whole = await client.chat.completions.create(model=GEMMA, messages=messages("Two?"))
        return "".join(pieces), text_of(whole)

    with cfai.recording(path) as recording:
        live = asyncio.run(ask_twice(recording))
    assert len(account.requests) == 2
    go_offline()
    with cfai.recording(path, mode="only") as recording:
        assert asyncio.run(ask_twice(recording)) == live
    with cfai.recording(path, mode="only") as recording:
        assert stream_text(recording) == live[0]


@pytest.mark.parametrize("think", [False, True])
def test_a_question_with_the_same_body_is_found_by_ask_and_by_the_sdk(
    account: Standin, own_session: None, path: Path, think: bool
) -> None:
    with cfai.recording(path) as recording:
        answer = cfai.ask(QUESTION, temperature=0.5, stop="END", think=think)
        (request,) = account.requests
        client = sdk(recording)
        body = {name: value for name, value in request.json.items() if name != "stream"}
        template = {"chat_template_kwargs": body.pop("chat_template_kwargs")}
    with cfai.recording(path) as recording:
        client = sdk(recording)
        completion = client.chat.completions.create(**body, extra_body=template)
        assert text_of(completion) == answer.text
    assert len(account.requests) == 1
    with cfai.recording(path.with_name("other.cfai.jsonl")) as recording:
        sdk(recording).chat.completions.create(**body, extra_body=template)
    with cfai.recording(path.with_name("other.cfai.jsonl")):
        again = cfai.ask(QUESTION, temperature=0.5, stop="END", think=think)
    assert again.cost_basis == "replayed"
    assert account.requests[1].json | {"stream": True} == request.json


def test_the_token_and_the_account_are_neither_in_the_file_nor_in_the_sdk(
    account: Standin, own_session: None, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with cfai.recording(path) as recording:
        client = sdk(recording)
        client.chat.completions.create(model=GEMMA, messages=messages())
    base_url = f"{account.base_url}/accounts/{account.account_id}/ai/v1"
    with cfai.recording(path) as recording, recording.client() as http_client:
        own = OpenAI(base_url=base_url, api_key=account.token, http_client=http_client)
        own.chat.completions.create(model=GEMMA, messages=messages("Two?"))
    assert account.requests[1].token == account.token
    assert len(lines(path)) == 2
    content = path.read_text()
    for secret in (account.token, account.account_id):
        assert secret not in content
        assert secret not in f"{vars(client)} {recording!r} {vars(recording)}"
    assert account.account_id not in "".join(
        record.getMessage() for record in caplog.records if "cfai.invalid" in record.getMessage()
    )


def test_a_prompt_with_a_token_is_answered_but_not_recorded(
    account: Standin, own_session: None, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with cfai.recording(path) as recording:
        assert ask(recording, f"Is {account.token} valid?")
    assert not path.exists()
    assert "Not recorded: the request or the answer seems to contain" in capsys.readouterr().err


def test_live_calls_are_billed_and_replayed_calls_are_free(
    account: Standin, own_session: None, path: Path
) -> None:
    session = get_current_session()
    with cfai.recording(path) as recording:
        completion = ask(recording)
    billed = session.day_usage()
    assert billed.billed == pytest.approx(completion.usage.neurons)
    assert billed.billed == pytest.approx(account.billed)
    assert billed.reserved == 0
    with cfai.recording(path) as recording:
        ask(recording)
    assert session.day_usage().billed == billed.billed


@pytest.mark.parametrize("is_streaming", [False, True])
def test_a_call_above_the_budget_is_refused_with_the_next_step(
    account: Standin, own_session: None, path: Path, is_streaming: bool
) -> None:
    get_current_session().accounting.ledger.budgets.set("day", 0.0001)
    with cfai.recording(path) as recording, pytest.raises(openai.RateLimitError) as raised:
        ask(recording, stream=is_streaming)
    assert "%cfai budget" in str(raised.value)
    assert account.requests == ()
    assert not path.exists()


def test_an_unrecorded_request_in_mode_only_is_an_error_with_the_next_step(
    account: Standin, path: Path, go_offline: Callable[[], None]
) -> None:
    with cfai.recording(path) as recording:
        ask(recording)
    go_offline()
    with cfai.recording(path, mode="only") as recording:
        with pytest.raises(openai.NotFoundError) as raised:
            ask(recording, "Why is the sea blue?")
        response = recording.client().post(
            "chat/completions", json={"model": GEMMA, "messages": messages("Two?")}
        )
    message = str(raised.value)
    assert "This request is not recorded; the closest recording" in message
    assert "sea blue?” instead of “" in message
    assert 'recording(path, mode="auto") makes such requests' in message
    assert response.status_code == 404
    assert response.json()["error"]["type"] == "NotRecordedError"


def test_a_missing_account_is_an_error_with_the_next_step(
    path: Path, go_offline: Callable[[], None]
) -> None:
    go_offline()
    with cfai.recording(path) as recording, pytest.raises(openai.AuthenticationError) as raised:
        ask(recording)
    assert "%cfai login" in str(raised.value)


ERRORS = {
    "status": ({"error": Fault.of(5006)}, openai.BadRequestError),
    "model": ({"error": Fault.of(5007)}, openai.APIStatusError),
    "dropped": ({"drop_connection_after": 3}, openai.APIError),
    "in the stream": ({"error": Fault.of(5006), "error_in_stream_after": 3}, openai.APIError),
    "truncated": ({"done": False, "finish_reason": ""}, openai.APIError),
}


@pytest.mark.parametrize(("switches", "error"), ERRORS.values(), ids=list(ERRORS))
def test_failed_answers_are_raised_by_the_sdk_once_and_not_recorded(
    account: Standin, own_session: None, path: Path, switches: dict[str, Any], error: type
) -> None:
    account.switch(answer="one two three four five six", **switches)
    with cfai.recording(path) as recording, pytest.raises(error) as raised:
        stream_text(recording)
    assert str(raised.value) != "Connection error."
    assert len(account.requests) == 1, "neither side retries"
    assert not path.exists()
    assert get_current_session().day_usage().reserved == 0


def test_an_interrupted_stream_is_not_recorded(
    account: Standin, own_session: None, path: Path
) -> None:
    account.switch(answer="word " * 500, tokens_per_second=50)
    with cfai.recording(path) as recording:
        with ask(recording, stream=True) as stream:
            next(iter(stream))
        unread = ask(recording, "Two?", stream=True)
        next(iter(unread))
    assert not path.exists()
    assert get_current_session().day_usage().reserved == 0
    with pytest.raises(openai.APIError):
        list(unread)


def test_a_stream_that_is_read_to_its_finish_reason_is_recorded(
    own_session: None, path: Path
) -> None:
    with cfai.recording(path) as recording, ask(recording, stream=True) as stream:
        for chunk in stream:
            if chunk.choices[0].finish_reason:
                break
    assert len(lines(path)) == 1


def test_tool_calls_and_reasoning_are_streamed_and_replayed(
    account: Standin, path: Path, go_offline: Callable[[], None]
) -> None:
    def call(recording: Recording) -> list[Any]:
        chunks = list(ask(recording, stream=True, tools=[WEATHER]))
        deltas = [chunk.choices[0].delta for chunk in chunks]
        calls = [call.function for delta in deltas for call in delta.tool_calls or ()]
        whole = ask(recording, "Two?", tools=[WEATHER]).choices[0]
        return [
            "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas),
            [(call.name, call.arguments) for call in calls],
            chunks[-1].choices[0].finish_reason,
            [(call.function.name, call.function.arguments) for call in whole.message.tool_calls],
        ]

    account.switch(
        thought="Let me see.",
        tool_calls=[
            {"name": "weather", "arguments": {"a": 1}},
            {"name": "weather", "arguments": {}},
        ],
    )
    with cfai.recording(path) as recording:
        live = call(recording)
    assert live[0] == "Let me see."
    assert [name for name, _ in live[1]] == ["weather", "weather"]
    assert live[2] == "tool_calls"
    go_offline()
    with cfai.recording(path, mode="only") as recording:
        assert call(recording) == live


def test_a_recorded_stream_answers_a_request_without_streaming_and_the_reverse(
    account: Standin, own_session: None, path: Path
) -> None:
    with cfai.recording(path) as recording:
        streamed, whole = stream_text(recording), text_of(ask(recording, "Two?"))
    with cfai.recording(path) as recording:
        completion = ask(recording)
        assert text_of(completion) == streamed
        assert stream_text(recording, "Two?") == whole
    assert len(account.requests) == 2
    assert (completion.model, completion.object) == (GEMMA, "chat.completion")
    assert completion.id
    assert completion.created
    usage = completion.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > 0


def test_requests_to_other_hosts_are_sent_unchanged_and_not_recorded(
    account: Standin, own_session: None, path: Path
) -> None:
    with Standin() as other, cfai.recording(path) as recording:
        url = f"{other.base_url}/accounts/{other.account_id}/ai/v1/chat/completions"
        body = {"model": GEMMA, "messages": messages()}
        headers = {"Authorization": f"Bearer {other.token}"}
        with recording.client() as client:
            assert client.post(url, json=body, headers=headers).status_code == 200
        (request,) = other.requests
        assert request.token == other.token
        assert request.json == body
        with cfai.recording(path, mode="only") as offline, offline.client() as client:
            refused = client.post(url, json=body, headers=headers)
        assert len(other.requests) == 1
    assert refused.status_code == 404
    assert "is not the endpoint of the recording" in refused.json()["error"]["message"]
    assert account.requests == ()
    assert not path.exists()


REFUSED: dict[str, tuple[str, Any, str]] = {
    "no JSON": ("chat/completions", b"{", "not a JSON object"),
    "no model": ("chat/completions", {"messages": messages()}, "has no model"),
    "no messages": ("chat/completions", {"model": GEMMA}, "messages must be a list"),
    "temperature": (
        "chat/completions",
        {"model": GEMMA, "messages": messages(), "temperature": 9},
        "out of range",
    ),
    "several streamed answers": (
        "chat/completions",
        {"model": GEMMA, "messages": messages(), "stream": True, "n": 2},
        "n can't be recorded in a stream",
    ),
    "streamed logprobs": (
        "chat/completions",
        {"model": GEMMA, "messages": messages(), "stream": True, "logprobs": True},
        "logprobs can't be recorded in a stream",
    ),
    "dimensions": (
        "embeddings",
        {"model": BGE, "input": "sun", "dimensions": 8},
        "no field dimensions",
    ),
    "tokens": ("embeddings", {"model": BGE, "input": [1, 2]}, "input"),
    "blank text": ("embeddings", {"model": BGE, "input": ["sun", " "]}, "input[1] is blank"),
    "endpoint": ("responses", {"model": GEMMA, "input": "Hi"}, "POST /chat/completions"),
}


@pytest.mark.parametrize(("endpoint", "body", "message"), REFUSED.values(), ids=list(REFUSED))
def test_an_invalid_request_is_refused_before_it_is_sent(
    account: Standin, own_session: None, path: Path, endpoint: str, body: Any, message: str
) -> None:
    with cfai.recording(path) as recording, recording.client() as client:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        response = client.post(endpoint, content=content)
    assert response.status_code == 400
    assert message in response.json()["error"]["message"]
    assert account.requests == ()
    assert not path.exists()


def test_another_account_than_the_one_logged_in_is_refused(
    account: Standin, own_session: None, path: Path
) -> None:
    with cfai.recording(path) as recording, recording.client() as client:
        url = f"{account.base_url}/accounts/{'a' * 32}/ai/v1/chat/completions"
        response = client.post(url, json={"model": GEMMA, "messages": messages()})
    assert response.status_code == 400
    assert "another account" in response.json()["error"]["message"]
    assert account.requests == ()


def test_a_client_is_usable_only_inside_the_block(
    account: Standin, own_session: None, path: Path
) -> None:
    recording = cfai.recording(path)
    client = sdk(recording)
    for _ in range(2):
        with pytest.raises(openai.BadRequestError, match="The recording is not open"):
            client.chat.completions.create(model=GEMMA, messages=messages())
        with recording, recording:
            client.chat.completions.create(model=GEMMA, messages=messages())
    assert len(account.requests) == len(lines(path)) == 1


def test_each_client_of_nested_blocks_uses_the_file_of_its_own_block(
    account: Standin, own_session: None, path: Path
) -> None:
    inner_path = path.with_name("inner.cfai.jsonl")
    with cfai.recording(path) as outer:
        client = sdk(outer)
        with cfai.recording(inner_path) as inner:
            client.chat.completions.create(model=GEMMA, messages=messages("outer"))
            ask(inner, "inner")
            cfai.ask("inner too")
        cfai.ask("outer too")
    questions = [
        {line["request"]["messages"][0]["content"] for line in lines(each)}
        for each in (path, inner_path)
    ]
    assert questions == [{"outer", "outer too"}, {"inner", "inner too"}]
    cfai.ask("outer too")
    assert len(account.requests) == 5, "after the blocks, nothing is replayed"


def test_blocks_that_end_in_another_order_leave_no_mode(own_session: None, path: Path) -> None:
    inner_path = path.with_name("inner.cfai.jsonl")
    outer, inner = cfai.recording(path).__enter__(), cfai.recording(inner_path).__enter__()
    recorder = get_current_session().recorder
    outer.__exit__(None, None, None)
    assert recorder.record_mode.path == inner_path
    inner.__exit__(None, None, None)
    assert recorder.record_mode.mode == "off"


def test_a_cell_and_the_sdk_share_the_file_of_a_notebook(account: Standin, path: Path) -> None:
    sdk_cell = f"""
import cfai_magics as cfai
from openai import OpenAI
with cfai.recording({str(path)!r}) as lesson:
    client = OpenAI(
        base_url=lesson.base_url, api_key=lesson.api_key, http_client=lesson.client()
    )
    completion = client.chat.completions.create(
        model="llama-3.2-3b-instruct", messages=[{{"role": "user", "content": "Hi"}}],
        max_tokens=99, temperature=0,
    )
print(completion.choices[0].message.content)
"""
    cell = "%%cfai -m llama-3.2-3b-instruct -t 0 --max-tokens 99 -f text\nHi"
    account.switch(answer="A *live* answer")
    with running_kernel() as kernel:
        kernel.run("%load_ext cfai_magics")
        kernel.run(f"%cfai replay auto {path}")
        assert "A *live* answer" in kernel.run(cell).text
        assert kernel.run(sdk_cell).text.strip() == "A *live* answer"
        assert len(account.requests) == len(lines(path)) == 1
        path.unlink()
        kernel.run(sdk_cell)
        assert "replayed" in kernel.run(cell).text
        assert len(account.requests) == 2


def test_parallel_threads_share_one_recording(
    account: Standin, path: Path, go_offline: Callable[[], None]
) -> None:
    texts = [f"Question {number}" for number in range(8)]

    def ask_all(recording: Recording) -> list[str]:
        client = sdk(recording)
        with ThreadPoolExecutor(4) as pool:
            return list(
                pool.map(
                    lambda text: text_of(
                        client.chat.completions.create(model=GEMMA, messages=messages(text))
                    ),
                    texts,
                )
            )

    with cfai.recording(path) as recording:
        live = ask_all(recording)
    assert len(account.requests) == len(lines(path)) == len(set(live)) == 8
    keys = [line["key"] for line in lines(path)]
    assert keys == sorted(keys), "the file is sorted when the block ends"
    go_offline()
    with cfai.recording(path, mode="only") as recording:
        assert ask_all(recording) == live


def test_repeated_questions_in_one_block_are_replayed_in_order(
    account: Standin, path: Path, go_offline: Callable[[], None]
) -> None:
    account.switch(answer=["one", "two"])
    with cfai.recording(path) as recording:
        assert [text_of(ask(recording)) for _ in range(2)] == ["one", "two"]
    go_offline()
    for _ in range(2):
        with cfai.recording(path, mode="only") as recording:
            assert [stream_text(recording) for _ in range(2)] == ["one", "two"]


def test_refresh_replaces_and_off_neither_records_nor_replays(
    account: Standin, own_session: None, path: Path
) -> None:
    account.switch(answer=["one", "two", "three"])
    for mode, text in (("auto", "one"), ("refresh", "two"), ("off", "three"), ("only", "two")):
        with cfai.recording(path, mode=mode) as recording:
            assert text_of(ask(recording)) == text
    assert len(lines(path)) == 1


MODES = [
    ({}, "", "auto"),
    ({"CFAI_REPLAY": "only"}, "", "only"),
    ({"CFAI_REPLAY": "only:elsewhere.cfai.jsonl"}, "", "only"),
    ({"CFAI_REPLAY": "only"}, "refresh", "refresh"),
    ({"CFAI_REPLAY": "off"}, "", "off"),
]


@pytest.mark.parametrize(("environ", "mode", "expected"), MODES, ids=str)
def test_the_mode_comes_from_the_argument_or_the_environment(
    own_session: None,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    environ: dict[str, str],
    mode: str,
    expected: str,
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    recording = cfai.recording(str(path), mode=mode)
    assert (recording.mode, recording.path) == (expected, path)
    with recording:
        assert get_current_session().recorder.record_mode.mode == expected


def test_a_locked_mode_of_a_course_applies_and_another_is_refused(
    account: Standin, tmp_path: Path, own_session: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cfai.toml").write_text('recording = "only"\nlocked = ["recording"]')
    monkeypatch.chdir(tmp_path)
    with cfai.recording("a.cfai.jsonl") as recording:
        assert recording.mode == "only"
        with pytest.raises(NotRecordedError):
            cfai.ask(QUESTION)
        with pytest.raises(openai.NotFoundError):
            ask(recording)
    with pytest.raises(CoursePolicyError):
        cfai.recording("a.cfai.jsonl", mode="auto")
    assert account.requests == ()


def test_invalid_arguments_and_unwritable_files_are_errors(
    account: Standin, own_session: None, path: Path
) -> None:
    for arguments in ({"path": 7}, {"mode": "replay"}, {"path": "a\0b"}, {"path": ""}):
        with pytest.raises(InvalidOptionError):
            cfai.recording(**arguments)  # type: ignore[arg-type]
    with pytest.raises(InvalidOptionError, match="Did you mean mode"):
        cfai.recording(path, mod="only")  # type: ignore[call-arg]
    path.symlink_to(path.with_name("target"))
    with pytest.raises(StorageError, match="symbolic link"), cfai.recording(path):
        pass
    assert get_current_session().recorder.record_mode.mode == "off"


def test_an_existing_file_keeps_its_other_lines(own_session: None, path: Path) -> None:
    with cfai.recording(path) as recording:
        ask(recording)
    before = path.read_text()
    path.write_text(f"damaged\n{before}")
    with cfai.recording(path) as recording:
        ask(recording)
        ask(recording, "Two?")
    assert path.read_text().splitlines()[0] == "damaged"
    assert before.strip() in path.read_text().splitlines()
    assert len(path.read_text().splitlines()) == 3


def test_an_existing_client_can_be_given_the_recording(
    account: Standin, own_session: None, path: Path
) -> None:
    with OpenAI(base_url="http://127.0.0.1:9/v1", api_key="unused") as plain:
        with cfai.recording(path) as recording:
            client = plain.with_options(
                base_url=recording.base_url,
                api_key=recording.api_key,
                http_client=recording.client(),
            )
            client.chat.completions.create(model=GEMMA, messages=messages())
        assert len(lines(path)) == len(account.requests) == 1


def test_the_base_url_reaches_no_host_without_the_clients_of_the_recording() -> None:
    assert httpx.URL(Recording.base_url).host.endswith(".invalid")


def test_the_example_of_the_readme_is_recorded_and_replayed_offline(
    account: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    example = readme.partition("### Record the OpenAI client")[2].partition("```python\n")[2]
    example = example.partition("```")[0]

    def run_example(**environ: str) -> str:
        command = [sys.executable, "-W", "error", "-c", example]
        root = str(Path(__file__).parents[2])
        variables = {**os.environ, "PYTHONPATH": root, "PYTHONUTF8": "1", **environ}
        return subprocess.check_output(command, env=variables, cwd=tmp_path, text=True)

    account.switch(answer="Because of *Rayleigh* scattering.")
    live = run_example()
    assert live == "Because of *Rayleigh* scattering.\n"
    assert len(account.requests) == 1
    for name in account.environ():
        monkeypatch.delenv(name)
    offline = run_example(CFAI_REPLAY="only", CFAI_HOME=str(tmp_path / "elsewhere"))
    assert offline == live
    assert len(account.requests) == 1
