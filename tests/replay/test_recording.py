"""Answers are recorded once and replayed without credentials, network or neurons."""

import json
import re
import struct
from base64 import b64encode
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from cfai_magics.errors import (
    BudgetCutoffError,
    CfaiError,
    IncompleteStreamError,
    NotRecordedError,
    ServerError,
)
from cfai_magics.session.session import Session
from tests.canaries import class_key, older_token, token
from tests.catalog_cache import cache_catalog_without
from tests.replay.sessions import HI, ask, lines, recording, replayed_fields, replaying
from tests.standin import Fault, Reply, Standin

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("switches", "error"),
    [
        ({"done": False, "finish_reason": ""}, IncompleteStreamError),
        ({"error": Fault.of(5006)}, CfaiError),
        ({"error": Fault.of(3040), "error_in_stream_after": 3}, CfaiError),
        ({"drop_connection_after": 3}, CfaiError),
        ({"finish_reason": "error"}, None),
    ],
    ids=str,
)
def test_failed_and_incomplete_answers_are_not_recorded(
    cloudflare: Standin, recorder: Session, path: Path, switches: dict[str, Any], error: Any
) -> None:
    cloudflare.switch(answer="one two three four five six", **switches)
    with pytest.raises(error) if error else nullcontext():
        assert any("Not recorded" in note for note in ask(recorder).notes)
    assert not path.exists()


def test_interrupted_answers_are_not_recorded(
    cloudflare: Standin, recorder: Session, path: Path
) -> None:
    cloudflare.switch(answer="word " * 500, tokens_per_second=50)
    with recorder.stream(recorder.build_request(HI)) as stream:
        next(iter(stream))
    assert not path.exists()


def test_answers_cut_by_a_budget_are_not_recorded(
    cloudflare: Standin, recorder: Session, path: Path
) -> None:
    cloudflare.switch(answer="word " * 3_000)
    answer = recorder.ask(recorder.build_request(HI), max_neurons=2.0)
    assert answer.finish_reason == "length"
    assert "Not recorded: a budget cut the answer short." in answer.notes
    recorder.accounting.ledger.budgets.set("day", recorder.accounting.day_usage().spent + 2.0)
    cache_catalog_without(recorder.home, recorder.settings.model)
    with recording(cloudflare, path) as unpriced, pytest.raises(BudgetCutoffError):
        unpriced.ask(unpriced.build_request(HI))
    assert not path.exists()


def test_a_complete_answer_is_recorded_with_the_original_max_tokens(
    recorder: Session, path: Path
) -> None:
    answer = recorder.ask(recorder.build_request(HI), max_neurons=2.0)
    assert any("max_tokens was lowered" in note for note in answer.notes)
    with replaying(path) as elsewhere:
        assert ask(elsewhere).text == answer.text


def test_a_retried_answer_is_recorded_once(
    cloudflare: Standin, recorder: Session, path: Path
) -> None:
    cloudflare.switch(error=Fault.of(3040), errors_before_success=1, retry_after="0")
    first = ask(recorder)
    cloudflare.switch(error=None, empty_json_for_stream=True)
    second = ask(recorder, "Are streams empty?")
    assert second.text
    with replaying(path) as elsewhere:
        assert ask(elsewhere).text == first.text
        assert ask(elsewhere, "Are streams empty?").text == second.text
    assert len(lines(path)) == 2


def test_recordings_do_not_contain_account_data(
    cloudflare: Standin, recorder: Session, path: Path
) -> None:
    ask(recorder)
    recorder.embed(["a"])
    content = path.read_bytes()
    assert cloudflare.token.encode() not in content
    assert cloudflare.account_id.encode() not in content
    assert b"cf-ray" not in content
    assert b"127.0.0.1" not in content


@pytest.mark.parametrize(
    ("make_token", "name"), [(token, "an API token"), (class_key, "a class key")]
)
def test_answers_that_contain_a_token_are_not_recorded(
    cloudflare: Standin,
    recorder: Session,
    path: Path,
    make_token: Callable[[], str],
    name: str,
) -> None:
    cloudflare.switch(answer=f"It is {make_token()}.")
    assert any(f"seems to contain {name}" in note for note in ask(recorder).notes)
    assert not path.exists()


@pytest.mark.parametrize("prompt", ["My key is {}", "My key is\n{}", "密钥是{}"])
@pytest.mark.parametrize("make_token", [token, older_token, class_key])
def test_prompts_that_contain_a_token_are_not_recorded(
    recorder: Session, path: Path, make_token: Callable[[], str], prompt: str
) -> None:
    request = recorder.build_request([{"role": "user", "content": prompt.format(make_token())}])
    assert any("seems to contain" in note for note in recorder.ask(request).notes)
    assert not path.exists()


def test_an_answer_is_returned_if_the_file_cannot_be_written(
    cloudflare: Standin, path: Path
) -> None:
    path.mkdir()
    with recording(cloudflare, path) as recorder, pytest.raises(CfaiError, match="can't be used"):
        ask(recorder)
    missing_folder = path.parent / "no" / "folder.jsonl"
    with recording(cloudflare, path, CFAI_REPLAY=f"refresh:{missing_folder}") as recorder:
        answer = ask(recorder)
    assert answer.text
    assert any("Not recorded" in note for note in answer.notes)


def test_vectors_are_recorded_and_replayed(
    cloudflare: Standin, recorder: Session, path: Path
) -> None:
    texts = [f"text {n}" for n in range(130)]
    first = recorder.embed(texts)
    with replaying(path) as elsewhere:
        again = elsewhere.embed(texts)
        with pytest.raises(NotRecordedError, match=r"text 1: “other” instead of “text 0”"):
            elsewhere.embed(["other", *texts[1:]])
    assert again.usage.cost_basis == "replayed"
    for one, other in zip(first.vectors, again.vectors, strict=True):
        assert other == pytest.approx(one, rel=1e-6)
    assert len(cloudflare.requests) == 2


@pytest.mark.parametrize(
    ("model", "payload"),
    [
        ("flux-1-schnell", {"prompt": "a lighthouse", "steps": 1}),
        ("phoenix-1.0", {"prompt": "a lighthouse", "width": 64, "height": 64}),
        ("m2m100-1.2b", {"text": "Hello", "source_lang": "en", "target_lang": "fr"}),
    ],
)
def test_native_tasks_are_recorded_and_replayed(
    recorder: Session, path: Path, model: str, payload: dict[str, Any]
) -> None:
    first = recorder.run(model, payload)
    with replaying(path) as elsewhere:
        again = elsewhere.run(model, payload)
        with pytest.raises(NotRecordedError, match=r"input .* instead of"):
            elsewhere.run(model, {**payload, "seed": 1})
    assert (again.result, again.content) == (first.result, first.content)
    assert (again.neurons, again.cost_basis) == (0.0, "replayed")
    assert again.provenance.recording is not None
    assert again.provenance.recording.neurons == first.neurons


def test_documents_and_audio_are_fingerprinted_by_content(recorder: Session, path: Path) -> None:
    files = [("a.html", b"<h1>Hi</h1>", "text/html")]
    first = recorder.to_markdown(files)
    sound = recorder.run("whisper", {"audio": [7] * 2_000})
    assert len(max(lines(path), key=len)) < 3_000
    with replaying(path) as elsewhere:
        assert elsewhere.to_markdown(files).result == first.result
        assert elsewhere.run("whisper", {"audio": [7] * 2_000}).result == sound.result
        with pytest.raises(NotRecordedError):
            elsewhere.run("whisper", {"audio": [8] * 2_000})


def test_an_answer_that_is_too_large_is_not_recorded(
    cloudflare: Standin, recorder: Session, path: Path
) -> None:
    vectors = recorder.embed(["x"] * 800)
    assert len(vectors) == 800
    (note,) = [note for note in vectors.notes if note.startswith("Not recorded")]
    assert re.match(r"Not recorded: the answer has 4\.\d MB, and the maximum is 4 MB", note)
    assert not path.exists()


def test_a_damaged_line_is_reported_once_and_skipped(
    cloudflare: Standin, recorder: Session, path: Path
) -> None:
    ask(recorder, "One?")
    ask(recorder, "Two?")
    first, second = lines(path)
    path.write_bytes(first[:-40] + b"\n" + second)
    intact = json.loads(second)["request"]["messages"][0]["content"]
    with replaying(path) as elsewhere:
        assert ask(elsewhere, intact).notes == (
            "lesson.cfai.jsonl has damaged lines, which are skipped: line 1 (not valid JSON).",
        )
        assert ask(elsewhere, intact).notes == ()
        with pytest.raises(NotRecordedError):
            ask(elsewhere, "Two?" if intact == "One?" else "One?")


def test_an_unplayable_answer_is_not_replayed(recorder: Session, path: Path) -> None:
    recorder.run("phoenix-1.0", {"prompt": "a", "width": 64, "height": 64})
    line = json.loads(path.read_bytes())
    line["replies"][0]["base64"] = "not base64"
    path.write_text(json.dumps(line) + "\n", encoding="utf-8")
    with replaying(path) as elsewhere, pytest.raises(NotRecordedError, match="is damaged"):
        elsewhere.run("phoenix-1.0", {"prompt": "a", "width": 64, "height": 64})


TEXT = 'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}]}\n\n'
STOP = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = 'data: {"choices":[],"usage":{"prompt_tokens":11,"completion_tokens":7,"neurons":0.5}}\n\n'
CALLS = [
    "data: "
    + json.dumps({"response": "", "tool_calls": [{"name": name, "arguments": {"a": value}}]})
    + "\n\n"
    for name, value in (("f", 1), ("f", 2), ("g", 2))
]
BROKEN = 'data: {"response":"","tool_calls":[{"name":"f","arguments":"{\\"a\\": "}]}\n\n'


@pytest.mark.parametrize("breaks", [False, True], ids=["closed", "broken"])
@pytest.mark.parametrize(
    "parts",
    [[TEXT, STOP, USAGE], [TEXT, STOP, USAGE[:-2]], [*CALLS, STOP, USAGE], [BROKEN, STOP, USAGE]],
    ids=["no [DONE]", "no final newline", "calls", "invalid JSON arguments"],
)
def test_an_unusual_stream_is_replayed_as_the_original_answer(
    cloudflare: Standin, recorder: Session, path: Path, parts: list[str], breaks: bool
) -> None:
    cloudflare.switch(raw_stream=parts, raw_stream_breaks=breaks)
    answer = ask(recorder)
    assert (answer.neurons, answer.cost_basis) == (0.5, "billed")
    with replaying(path) as elsewhere:
        replayed = ask(elsewhere)
    assert replayed_fields(replayed) == replayed_fields(answer)
    assert replayed.usage.completion_tokens == 7


def test_vectors_are_replayed_in_the_order_of_their_texts(
    cloudflare: Standin, recorder: Session, path: Path
) -> None:
    data = [{"index": 1, "embedding": [1.0, 1.0]}, {"index": 0, "embedding": [0.0, 0.0]}]
    cloudflare.switch(canned=Reply(json.dumps({"data": data}).encode()))
    first = recorder.embed(["a", "b"])
    assert first.vectors == ((0.0, 0.0), (1.0, 1.0))
    with replaying(path) as elsewhere:
        assert elsewhere.embed(["a", "b"]).vectors == first.vectors


LARGE_NUMBERS = ["1e39", "-3.5e38", "1" + "0" * 400, "NaN", "-Infinity", "1e999"]


@pytest.mark.parametrize("number", LARGE_NUMBERS)
def test_vectors_with_numbers_above_32_bits_are_an_error_and_not_recorded(
    cloudflare: Standin, recorder: Session, path: Path, number: str
) -> None:
    cloudflare.switch(canned=Reply(f'{{"data":[{{"embedding":[0.5,{number}]}}]}}'.encode()))
    with pytest.raises(ServerError, match="does not contain the vector of 1 text"):
        recorder.embed("a")
    assert not path.exists()


def test_the_largest_numbers_of_32_bits_are_replayed(
    cloudflare: Standin, recorder: Session, path: Path
) -> None:
    vector = [3.4028234e38, -3.40282347e38, 1e-46]
    cloudflare.switch(canned=Reply(json.dumps({"data": [{"embedding": vector}]}).encode()))
    first = recorder.embed("a")
    assert first.vectors == (tuple(vector),)
    with replaying(path) as elsewhere:
        assert elsewhere.embed("a").vectors[0] == pytest.approx(vector)


@pytest.mark.parametrize(
    "body",
    [
        {"result": {"data": [[1e39, 0.1]]}, "success": True},
        {"data": [{"embedding": [1e39, 0.1]}]},
    ],
    ids=["native", "OpenAI"],
)
def test_large_numbers_in_the_result_of_a_native_task_are_replayed(
    cloudflare: Standin, recorder: Session, path: Path, body: dict[str, Any]
) -> None:
    cloudflare.switch(canned=Reply(json.dumps(body).encode()))
    first = recorder.run("bge-m3", {"text": "a"})
    with replaying(path) as elsewhere:
        assert elsewhere.run("bge-m3", {"text": "a"}).result == first.result


@pytest.mark.parametrize("number", [float("inf"), float("nan")])
def test_a_recording_with_a_number_that_is_not_finite_is_damaged(
    recorder: Session, path: Path, number: float
) -> None:
    recorder.embed("a")
    line = json.loads(path.read_bytes())
    line["replies"][0]["vectors"] = [b64encode(struct.pack("<f", number)).decode()]
    path.write_text(json.dumps(line) + "\n", encoding="utf-8")
    with replaying(path) as elsewhere, pytest.raises(NotRecordedError, match="is damaged"):
        elsewhere.embed("a")


OTHER_TYPES = ["text/plain", "application/octet-stream", "text/event-stream", ""]


@pytest.mark.parametrize("content_type", OTHER_TYPES)
@pytest.mark.parametrize("finish", ["stop", "error"])
def test_json_under_another_type_is_recorded_as_json(
    cloudflare: Standin, recorder: Session, path: Path, content_type: str, finish: str
) -> None:
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "neurons": 0.5}
    choice = {"message": {"content": "Hi"}, "finish_reason": finish}
    body = {"choices": [choice], "usage": usage}
    cloudflare.switch(canned=Reply(json.dumps(body).encode(), 200, content_type))
    answer = ask(recorder, stream=False)
    assert (answer.text, answer.finish_reason) == ("Hi", finish)
    if finish == "error":
        assert "Not recorded: the model reported an error." in answer.notes
        assert not path.exists()
        return
    line = json.loads(lines(path)[0])
    assert (line["replies"][0]["json"], line["usage"]["completion_tokens"]) == (body, 7)
    with replaying(path) as elsewhere:
        assert replayed_fields(ask(elsewhere, stream=False)) == replayed_fields(answer)


@pytest.mark.parametrize("content_type", OTHER_TYPES)
def test_json_under_another_type_is_searched_for_tokens(
    cloudflare: Standin, recorder: Session, path: Path, content_type: str
) -> None:
    body = {"choices": [{"message": {"content": f"It is {token()}."}, "finish_reason": "stop"}]}
    cloudflare.switch(canned=Reply(json.dumps(body).encode(), 200, content_type))
    assert any("seems to contain an API token" in note for note in ask(recorder).notes)
    assert not path.exists()
