"""Each response format in this folder is read as the JSON file next to it specifies.

The payloads are written for these tests, in the format of a model or server on the date in their
name. `call` is the method of the session, `server` is where it sends the request, and the other
keys are expected values. Values that the file does not contain are not checked.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from cfai_magics.errors import CfaiError
from cfai_magics.session.session import Session
from cfai_magics.settings import Cfai
from cfai_magics.types.messages import Answer, Request
from cfai_magics.types.usage import Usage
from tests.replay.sessions import recording, replayed_fields, replaying
from tests.standin import Reply, Standin

LOGPROBS = {"logprobs": True, "top_logprobs": 2}
FOLDER = Path(__file__).parent
MODEL = "gemma-4-26b-a4b-it"
CONTENT_TYPES = {
    ".sse": "text/event-stream",
    ".body": "application/json",
    ".html": "text/html; charset=UTF-8",
    ".ndjson": "application/x-ndjson",
    ".txt": "text/plain",
}
READINGS = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


def payload(name: str) -> Path:
    """Return the path of the one payload with this name."""
    (path,) = (
        FOLDER / f"{name}{ending}"
        for ending in CONTENT_TYPES
        if (FOLDER / f"{name}{ending}").exists()
    )
    return path


def canned(path: Path, reading: dict[str, Any]) -> Reply:
    """Return the response of a payload; its status and type are removed from the reading."""
    content_type = reading.pop("content_type", CONTENT_TYPES[path.suffix])
    return Reply(path.read_bytes(), reading.pop("status", 200), content_type)


def ask(session: Session, *, stream: bool, **extra: Any) -> Any:
    messages = ({"role": "user", "content": "Hi"},)
    return session.ask(Request(MODEL, messages, max_tokens=512, stream=stream, extra=extra))


CALLS: Mapping[str, Callable[[Session], Any]] = {
    "stream": lambda session: ask(session, stream=True),
    "whole": lambda session: ask(session, stream=False),
    "probs": lambda session: ask(session, stream=True, **LOGPROBS),
    "probs_whole": lambda session: ask(session, stream=False, **LOGPROBS),
    "embed": lambda session: session.embed(["Hi"]),
    "run": lambda session: session.run("m2m100-1.2b", {"text": "Hi", "target_lang": "fr"}),
    "models": lambda session: session.fetch_catalog(),
    "batch": lambda session: session.backend.client().batches.fetch(MODEL, "id"),
}


def figures(usage: Usage) -> list[Any]:
    counts = (usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens)
    return [*counts, usage.neurons, usage.cost_basis]


def describe(answer: Answer) -> dict[str, Any]:
    """Return the parts of an answer that a reading may contain."""
    return {
        "text": answer.text,
        "reasoning": answer.reasoning,
        "tool_calls": [[call.name, json.loads(call.arguments)] for call in answer.tool_calls],
        "finish_reason": answer.finish_reason,
        "usage": figures(answer.usage),
        "tokens": figures(answer.usage)[:3],
        "notes": list(answer.notes),
        "probabilities": [
            [token.text, token.probability, [[a.text, a.probability] for a in token.alternatives]]
            for token in answer.tokens
        ],
    }


def ledger_figures(session: Session) -> list[Any]:
    """Return the usage of the only call in the ledger."""
    (call,) = session.accounting.ledger.history.iter_calls()
    return [call[n] for n in ("tokens_in", "tokens_out", "tokens_cached", "neurons", "basis")]


def open_session(
    server: str, home: Path, cloudflare: Standin, patch: pytest.MonkeyPatch
) -> Session:
    """Return a session whose requests go to Workers AI, a gateway or another server."""
    if server == "other":
        patch.setenv("CFAI_BASE_URL", f"{cloudflare.base_url}/v1")
    session = Session(Cfai(), home)
    if server == "gateway":
        session.settings.gateway = "default"
    return session


def test_each_payload_has_a_reading() -> None:
    paths = {path for path in FOLDER.iterdir() if path.suffix in CONTENT_TYPES}
    assert paths == {payload(name) for name in READINGS}
    assert paths


@pytest.mark.parametrize("name", READINGS)
def test_a_recorded_response_is_read_as_expected(
    name: str,
    home: Path,
    account: Standin,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.setattr("cfai_magics.workers_ai.retry.FIRST_WAIT_SECONDS", 0.0)
    reading, path = dict(READINGS[name]), payload(name)
    account.switch(canned=canned(path, reading))
    session = open_session(reading.pop("server", "workers_ai"), home, account, monkeypatch)
    request.addfinalizer(session.close)
    call, expected_error = CALLS[reading.pop("call")], reading.pop("error", None)
    if expected_error is None:
        answer = call(session)
        found = describe(answer)
        assert {key: found[key] for key in reading} == reading
        assert ledger_figures(session) == figures(answer.usage)
    else:
        with pytest.raises(CfaiError) as caught:
            call(session)
        error = caught.value
        found = {
            "class": type(error).__name__,
            "code": error.code,
            "cause": error.cause,
            "hint": error.hint,
            "text": error.text,
            "requests": len(account.requests),
        }
        assert {key: found[key] for key in expected_error} == expected_error


ANSWERS = [
    name
    for name, reading in READINGS.items()
    if reading["call"] in ("stream", "whole", "probs", "probs_whole") and "error" not in reading
]


@pytest.mark.parametrize("name", ANSWERS)
def test_a_recorded_answer_is_replayed_as_it_was_read(
    name: str, cloudflare: Standin, tmp_path: Path
) -> None:
    reading, path = dict(READINGS[name]), tmp_path / "lesson.cfai.jsonl"
    cloudflare.switch(canned=canned(payload(name), reading))
    call = CALLS[reading["call"]]
    with recording(cloudflare, path) as session:
        first = call(session)
    with replaying(path) as session:
        assert replayed_fields(call(session)) == replayed_fields(first)
