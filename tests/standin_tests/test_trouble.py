"""Switches for failing streams, unusual bytes and disconnects."""

import itertools
import json
from typing import Any

import pytest

from tests.standin import Fault, Reply, Standin, Switches
from tests.standin_tests.api import DONE, Api, code_of, events, text_of

JSON, STREAM = "application/json", "text/event-stream"
GZIP, DEFLATE = b"\x1f\x8b", b"\x78\xda"
# Content type, first bytes and encoding of each endless response.
FLOODS = {
    "spaces": (JSON, b" ", ""),
    "drips": (JSON, b" ", ""),
    "gzip": (JSON, GZIP, "gzip"),
    "gzip stream": (STREAM, GZIP, "gzip"),
    "deflate": (JSON, DEFLATE, "deflate"),
    "gzip twice": (JSON, GZIP, "gzip, gzip"),
    "brotli": (JSON, b" ", "br"),
    "one event": (STREAM, b"data: {", ""),
    "lines of one event": (STREAM, b"data: x\ndata: x\n", ""),
    "comment": (STREAM, b": keep-alive\n\n", ""),
    "pings": (STREAM, b'data: {"type":"ping"}\n\n', ""),
    "empty frames": (STREAM, b'data: {"choices":[{"index":0,"delta":{"content":""}}]}', ""),
    "text": (STREAM, b'data: {"choices":[{"index":0,"delta":{"content":"word "}}]}', ""),
    "long texts": (STREAM, b'data: {"choices":[{"index":0,"delta":{"content":"word wo', ""),
    "arguments": (STREAM, b'data: {"choices":[{"index":0,"delta":{"tool_calls":', ""),
    "page": ("text/html", b"<title<title", ""),
    "bytes": ("image/png", b" ", ""),
}
POEM = "Grüße aus Łódź: 世界 👋🏽 — ça va?"


def raw(api: Api, **body: Any) -> list[bytes]:
    """Return the raw chunks of a stream."""
    request = {"model": "@cf/google/gemma-4-26b-a4b-it", "prompt": "Hi", "stream": True, **body}
    with api.http.stream("POST", "/ai/v1/chat/completions", json=request) as reply:
        return list(reply.iter_raw())


@pytest.mark.parametrize(
    "changes",
    [{"crlf": True}, {"comments": True}, {"split_utf8": True}, {"crlf": True, "split_utf8": True}],
    ids=str,
)
def test_unusual_bytes_contain_the_same_events(
    changes: dict[str, Any], cloudflare: Standin, api: Api
) -> None:
    cloudflare.switch(answer=POEM, **changes)
    received = events(b"".join(raw(api)).decode())
    assert text_of(received) == POEM
    assert received[-1] == DONE


def test_lines_can_end_with_crlf(cloudflare: Standin, api: Api) -> None:
    cloudflare.switch(crlf=True)
    body = b"".join(raw(api))
    assert body.endswith(b"data: [DONE]\r\n\r\n")
    assert body.count(b"\n") == body.count(b"\r\n")


def test_comments_can_be_sent_between_events(cloudflare: Standin, api: Api) -> None:
    cloudflare.switch(comments=True)
    assert b"".join(raw(api)).startswith(b": keep-alive\n\ndata: {")


def test_junk_is_sent_only_between_complete_events(cloudflare: Standin, api: Api) -> None:
    cloudflare.switch(answer=POEM * 3, junk_frames=True, dialect="gemma")
    body = b"".join(raw(api)).decode()
    assert "data: not json\n" in body
    lines = [line for line in body.splitlines() if line.startswith('data: {"choices":[{"delta":{')]
    assert text_of([json.loads(line.removeprefix("data: ")) for line in lines]) == POEM * 3


def test_chunks_can_split_a_character(cloudflare: Standin, api: Api) -> None:
    cloudflare.switch(answer="世" * 50, split_utf8=True)
    split = 0
    for piece in raw(api):
        try:
            piece.decode()
        except UnicodeDecodeError:
            split += 1
    assert split


def test_each_piece_of_a_raw_stream_is_one_chunk(cloudflare: Standin, api: Api) -> None:
    pieces = ["data: {}\r", "\n\r", "\ndata: \udcff\r\n\r\n"]
    cloudflare.switch(raw_stream=pieces)
    assert raw(api) == [piece.encode(errors="surrogateescape") for piece in pieces]


def test_a_raw_stream_can_end_without_its_last_chunk(cloudflare: Standin, api: Api) -> None:
    import httpx

    cloudflare.switch(raw_stream=["data: {}\n\n"], raw_stream_breaks=True)
    received = []
    body = {"model": "@cf/google/gemma-4-26b-a4b-it", "prompt": "Hi", "stream": True}
    with (
        pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"),
        api.http.stream("POST", "/ai/v1/chat/completions", json=body) as reply,
    ):
        received.extend(reply.iter_raw())
    assert b"".join(received) == b"data: {}\n\n"
    assert cloudflare.disconnects == 0


@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_is_endless_until_the_client_leaves(
    kind: str, cloudflare: Standin, api: Api
) -> None:
    cloudflare.switch(flood=kind, flood_status=503, error_path="/models/")
    content_type, start, encoding = FLOODS[kind]
    with api.http.stream("GET", "/ai/models/search") as reply:
        assert (reply.status_code, reply.headers["content-type"]) == (503, content_type)
        assert reply.headers.get("content-encoding", "") == encoding
        pieces = reply.iter_raw()
        received = b"".join(itertools.islice(pieces, 4))
        pieces.close()
    assert received.startswith(start)
    assert cloudflare.wait_for(lambda server: server.disconnects == 1)
    assert api.chat().status_code == 200


def test_a_test_can_send_a_complete_response(cloudflare: Standin, api: Api) -> None:
    cloudflare.switch(canned=Reply(b"<title>Hi", 418, "text/html"), error_path="/models/")
    reply = api.get("/ai/models/search")
    assert (reply.status_code, reply.headers["content-type"], reply.text) == (
        418,
        "text/html",
        "<title>Hi",
    )
    assert api.chat().status_code == 200


def test_tokens_contain_complete_characters(cloudflare: Standin, api: Api) -> None:
    cloudflare.switch(answer=POEM)
    pieces = [text_of([one]) for one in api.stream()]
    assert "".join(pieces) == POEM
    assert max(map(len, pieces)) == 4


@pytest.mark.parametrize(("after", "expected"), [(0, ""), (2, "One two ")])
def test_a_dropped_connection_delivers_the_text_before_it(
    after: int, expected: str, cloudflare: Standin, api: Api
) -> None:
    import httpx

    cloudflare.switch(answer="One two three four.", drop_connection_after=after)
    lines = []
    with (
        pytest.raises(httpx.RemoteProtocolError),
        api.http.stream(
            "POST",
            "/ai/v1/chat/completions",
            json={"model": "@cf/google/gemma-4-26b-a4b-it", "prompt": "Hi", "stream": True},
        ) as reply,
    ):
        lines.extend(reply.iter_lines())
    assert text_of(events("\n".join(lines))) == expected
    assert [call.completion_tokens for call in cloudflare.calls] == [after]
    assert cloudflare.disconnects == 0


def test_a_connection_can_be_dropped_without_streaming(cloudflare: Standin, api: Api) -> None:
    import httpx

    cloudflare.switch(drop_connection_after=0)
    with pytest.raises(httpx.RemoteProtocolError):
        api.chat()
    with pytest.raises(httpx.RemoteProtocolError):
        api.run("@cf/baai/bge-m3", text="Hi")


@pytest.mark.parametrize(
    ("fault", "key"), [(None, "errors"), (Fault.of(3046, "B"), "error")], ids=["A", "B"]
)
def test_an_error_can_be_sent_inside_the_stream(
    fault: Fault | None, key: str, cloudflare: Standin, api: Api
) -> None:
    cloudflare.switch(answer="One two three.", error=fault, error_in_stream_after=2)
    reply = api.chat(stream=True)
    received = events(reply.text)
    assert reply.status_code == 200
    assert text_of(received) == "One two "
    assert key in received[-1]
    assert cloudflare.calls[-1].completion_tokens == 2


def test_a_switch_sends_json_for_a_streaming_request(cloudflare: Standin, api: Api) -> None:
    cloudflare.switch(json_for_stream=True, answer="Whole.")
    reply = api.chat(stream=True)
    assert reply.headers["content-type"] == "application/json"
    assert reply.json()["choices"][0]["message"]["content"] == "Whole."


def test_a_switch_sends_empty_json_for_a_streaming_request(cloudflare: Standin, api: Api) -> None:
    cloudflare.switch(empty_json_for_stream=True)
    reply = api.run("@cf/openai/gpt-oss-20b", prompt="Hi", stream=True)
    assert (reply.json()["result"], reply.json()["success"]) == ({}, True)
    assert api.run("@cf/openai/gpt-oss-20b", prompt="Hi").json()["result"]["choices"]


@pytest.mark.parametrize(
    "changes", [{"tokens_per_second": 0.001}, {"delay_before_first": 600}], ids=str
)
def test_a_client_disconnect_ends_the_stream_and_bills_sent_tokens(
    changes: dict[str, float], cloudflare: Standin, api: Api
) -> None:
    cloudflare.switches = Switches(answer="One two three.", **changes)
    body = {"model": "@cf/google/gemma-4-26b-a4b-it", "prompt": "Hi", "stream": True}
    with api.http.stream("POST", "/ai/v1/chat/completions", json=body) as reply:
        if "tokens_per_second" in changes:
            lines = reply.iter_lines()
            assert any("One " in line for line in lines)
    assert cloudflare.wait_for(lambda server: server.disconnects == 1)
    assert [call[1:3] for call in cloudflare.calls] == [(1, int("tokens_per_second" in changes))]


@pytest.mark.parametrize("delay", ["delay_before_headers", "delay_before_first"])
def test_a_disconnect_before_a_complete_answer_is_counted(
    delay: str, cloudflare: Standin, api: Api
) -> None:
    import httpx

    cloudflare.switch(**{delay: 600})
    with pytest.raises(httpx.ReadTimeout):
        api.http.post("/ai/run/@cf/openai/gpt-oss-20b", json={"prompt": "Hi"}, timeout=0.2)
    assert cloudflare.wait_for(lambda server: server.disconnects == 1)


def test_a_client_that_reads_all_answers_is_not_a_disconnect(
    cloudflare: Standin, api: Api
) -> None:
    for _ in range(20):
        assert api.stream()[-1] == DONE
    api.http.close()
    assert cloudflare.disconnects == 0


def test_errors_can_be_limited_to_the_first_requests(cloudflare: Standin, api: Api) -> None:
    cloudflare.switch(error=Fault.of(3040), errors_before_success=2, retry_after="1")
    failed = [api.chat(), api.chat()]
    assert [code_of(reply) for reply in failed] == [(429, 3040)] * 2
    assert {reply.headers["retry-after"] for reply in failed} == {"1"}
    assert api.chat().status_code == 200
    cloudflare.switch(errors_before_success=1)
    assert api.chat().status_code == 429


def test_an_error_can_be_limited_to_one_route(cloudflare: Standin, api: Api) -> None:
    cloudflare.switch(error=Fault.of(3043), error_path="/models/search")
    assert api.get("/ai/models/search").status_code == 500
    assert api.chat().status_code == 200
