"""The client limits the size, tokens and time of endless responses on each endpoint."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from cfai_magics.errors import (
    APITimeoutError,
    BadRequestError,
    IncompleteStreamError,
    ResponseTooLargeError,
    WorkersAIError,
)
from cfai_magics.types.messages import Request
from cfai_magics.workers_ai.client import WorkersAI
from cfai_magics.workers_ai.sse import iter_events
from tests.standin import Standin
from tests.workers_ai.calls import DONE, GEMMA, REQUEST, Script, event, streamed

pytestmark = pytest.mark.slow

QUICK = 0.5  # s until the timeout
LIMITED = Request(GEMMA, REQUEST.messages, max_tokens=100)

Call = Callable[[WorkersAI], Any]
ENDPOINTS: dict[str, Call] = {
    "chat": lambda client: client.chat(LIMITED),
    "embeddings": lambda client: client.embed(["a"], "@cf/baai/bge-m3"),
    "run": lambda client: client.run(GEMMA, {"prompt": "a"}),
    "enqueue": lambda client: client.batches.enqueue([LIMITED]),
    "fetch": lambda client: client.batches.fetch(GEMMA, "id"),
    "model list": lambda client: client.list_models(),
    "analytics": lambda client: client.fetch_neurons_by_model(datetime.now(UTC)),
    "token check": lambda client: client.check_token(),
    "documents": lambda client: client.to_markdown([("a.txt", b"a", "text/plain")]),
}
each_endpoint = pytest.mark.parametrize("call", ENDPOINTS.values(), ids=ENDPOINTS)


@pytest.fixture
def impatient(cloudflare: Standin, pauses: list[float]) -> Iterator[WorkersAI]:
    with WorkersAI(
        cloudflare.account_id,
        cloudflare.token,
        base_url=cloudflare.base_url,
        timeout=QUICK,
        sleep=pauses.append,
    ) as workers_ai:
        yield workers_ai


@each_endpoint
@pytest.mark.parametrize("kind", ["spaces", "gzip"])
def test_an_endless_json_response_raises_one_error_on_each_endpoint(
    call: Call, kind: str, cloudflare: Standin, client: WorkersAI, pauses: list[float]
) -> None:
    cloudflare.switch(flood=kind)
    with pytest.raises(ResponseTooLargeError, match="larger than 64 MB"):
        call(client)
    assert pauses == []


@each_endpoint
def test_a_slow_response_times_out_on_each_endpoint(
    call: Call, cloudflare: Standin, impatient: WorkersAI, pauses: list[float]
) -> None:
    cloudflare.switch(flood="drips")
    with pytest.raises(APITimeoutError, match="was not complete after"):
        call(impatient)
    assert pauses == []


@pytest.mark.parametrize("kind", ["spaces", "gzip", "page", "one event", "text", "brotli"])
def test_an_endless_error_response_is_mapped_by_its_status(
    kind: str, cloudflare: Standin, client: WorkersAI
) -> None:
    cloudflare.switch(flood=kind, flood_status=400)
    with pytest.raises(BadRequestError) as caught:
        client.chat(LIMITED)
    assert caught.value.status == 400
    assert len(caught.value.cause) <= 300


@pytest.mark.parametrize("kind", ["gzip stream", "one event", "lines of one event", "page"])
def test_an_endless_event_raises_one_error(
    kind: str, cloudflare: Standin, client: WorkersAI, pauses: list[float]
) -> None:
    cloudflare.switch(flood=kind)
    with pytest.raises(ResponseTooLargeError, match="64 MB"):
        client.chat(LIMITED)
    assert pauses == []


@pytest.mark.parametrize("kind", ["bytes", "deflate"])
def test_an_endless_binary_response_raises_an_error(
    kind: str, cloudflare: Standin, client: WorkersAI
) -> None:
    cloudflare.switch(flood=kind)
    with pytest.raises(ResponseTooLargeError, match="64 MB"):
        client.run(GEMMA, {"prompt": "a"})


@pytest.mark.parametrize("kind", ["gzip twice", "brotli"])
def test_an_unrequested_compression_raises_an_error_without_retry(
    kind: str, cloudflare: Standin, client: WorkersAI, pauses: list[float]
) -> None:
    cloudflare.switch(flood=kind)
    with pytest.raises(WorkersAIError, match="not requested"):
        client.chat(LIMITED)
    assert cloudflare.requests[0].headers["accept-encoding"] == "gzip, deflate"
    assert (pauses, len(cloudflare.requests)) == ([], 1)


@pytest.mark.parametrize(
    ("kind", "max_length"),
    [("text", 4_000), ("long texts", 45_000), ("arguments", 0)],
)
def test_an_endless_stream_ends_at_a_small_multiple_of_max_tokens(
    kind: str, max_length: int, cloudflare: Standin, client: WorkersAI
) -> None:
    cloudflare.switch(flood=kind)
    with pytest.raises(IncompleteStreamError, match="far more than the 100 tokens") as caught:
        client.chat(LIMITED)
    assert len(caught.value.text) <= max_length
    assert bool(caught.value.text) == bool(max_length)
    assert cloudflare.wait_for(lambda server: server.disconnects == 1)


@pytest.mark.parametrize("kind", ["comment", "pings"])
def test_keep_alives_without_an_answer_time_out(
    kind: str, cloudflare: Standin, impatient: WorkersAI, pauses: list[float]
) -> None:
    cloudflare.switch(flood=kind)
    with pytest.raises(APITimeoutError, match="No part of the answer was received"):
        impatient.chat(LIMITED)
    assert pauses == []


def test_a_stream_without_text_ends_at_the_deadline_of_its_tokens(
    cloudflare: Standin, impatient: WorkersAI, pauses: list[float]
) -> None:
    cloudflare.switch(flood="empty frames")
    with pytest.raises(APITimeoutError, match="was not complete after"):
        impatient.chat(Request(GEMMA, REQUEST.messages, max_tokens=1))
    assert pauses == []


def test_a_steady_answer_may_take_longer_than_the_timeout(
    cloudflare: Standin, impatient: WorkersAI
) -> None:
    cloudflare.switch(answer=" word" * 12, tokens_per_second=16)  # 0.75 s
    assert impatient.chat(REQUEST).text == " word" * 12


def test_tokens_with_many_spaces_do_not_exceed_the_limit() -> None:
    tokens = [event({"choices": [{"index": 0, "delta": {"content": " " * 60}}]})] * 100
    with Script(streamed(*tokens, DONE)).client() as client:
        assert len(client.chat(LIMITED).text) == 6_000


def test_an_answer_in_single_letters_does_not_exceed_the_limit() -> None:
    letters = [event({"choices": [{"index": 0, "delta": {"content": "x"}}]})] * 600
    with Script(streamed(*letters, DONE)).client() as client:
        assert len(client.chat(LIMITED).text) == 600


def test_a_large_event_is_parsed_in_linear_time() -> None:
    size, piece = 20 * 2**20, b"x" * 64
    events = list(iter_events([b"data: ", *[piece] * (size // len(piece)), b"\n", b"\n"]))
    assert [len(one.data) for one in events] == [size]


def test_an_event_over_the_limit_raises_an_error_for_any_split() -> None:
    for chunks in ([b"data: " + b"x" * 200], [b"data: ", *[b"x"] * 200], [b"data: x\n"] * 9):
        with pytest.raises(ResponseTooLargeError):
            list(iter_events(chunks, limit=128))
