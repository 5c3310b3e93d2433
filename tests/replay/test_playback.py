"""A recorded answer is played back like a server response, with its original timing."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from cfai_magics.replay.playback import PlaybackTransport, RecordingTransport, is_playable, to_http
from cfai_magics.session.session import Session
from tests.replay.sessions import HI, ask, lines, recording, replaying
from tests.replay.test_cassette import record
from tests.standin import Standin

STREAM = {
    "thought": [[300, "Hm"]],
    "text": [[1200, "Blue"], [1900, " sky"]],
    "tool_calls": [],
    "finish": "stop",
    "usage": {"prompt_tokens": 1, "completion_tokens": 2},
}


def test_chunks_keep_their_times_and_reasoning_its_position() -> None:
    chunks = list(to_http({"ms": 2000, "stream": STREAM}, is_streaming=True).chunks)
    assert [chunk.ms for chunk in chunks] == [300, 1200, 1900, 2000, 2000, 2000]
    assert b"reasoning_content" in chunks[0].content
    assert chunks[-1].content == b"data: [DONE]\n\n"


def test_playback_waits_before_each_chunk() -> None:
    sleeps: list[float] = []
    interaction = record("a")
    response: Any = {"ms": 2000, "stream": STREAM}
    object.__setattr__(interaction, "responses", (response,))
    for sleep, expected in ((sleeps.append, [0.3, 0.9, 0.7, 0.1]), (None, [0.3, 0.9, 0.7, 0.1])):
        transport = PlaybackTransport(interaction, sleep)
        with httpx.Client(transport=transport) as client:
            http_response = client.post("http://recorded", json={"stream": True})
        assert "[DONE]" in http_response.text
        assert [round(seconds, 3) for seconds in sleeps] == expected


def test_recorded_times_equal_those_of_the_stream(cloudflare: Standin, path: Path) -> None:
    cloudflare.switch(answer="one two three four", tokens_per_second=20)
    with recording(cloudflare, path) as session:
        answer = ask(session)
    (reply,) = json.loads(lines(path)[0])["replies"]
    times = [ms for ms, _ in reply["stream"]["text"]]
    assert len(times) >= 4
    assert times == sorted(times)
    assert times[0] - 1 <= (answer.first_token_seconds or 0.0) * 1000, "times are rounded to 1 ms"
    assert times[-1] <= reply["ms"]


def test_a_replay_works_after_an_interrupted_one(cloudflare: Standin, path: Path) -> None:
    cloudflare.switch(answer="word " * 50)
    with recording(cloudflare, path) as session:
        text = ask(session).text
    with replaying(path) as elsewhere:
        for delta in elsewhere.stream(elsewhere.build_request(HI)):
            assert delta
            break
        assert ask(elsewhere).text == text


def test_unplayable_responses_are_detected() -> None:
    assert is_playable(record("a").responses)
    for broken in (
        {"ms": 1, "vectors": ["AAA"]},
        {"ms": 1, "base64": "*", "type": "image/png"},
        {"ms": 1, "stream": {**STREAM, "tool_calls": [{}]}},
    ):
        assert not is_playable([broken])


def test_a_session_without_a_recording_uses_no_recording_transport(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("the request bypassed the recording transport")

    monkeypatch.setattr(RecordingTransport, "handle_request", fail)
    assert session.backend.get_transport_wrapper() is None
    assert ask(session).cost_basis == "billed"
