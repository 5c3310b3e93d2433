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
BOUNDED = Request(GEMMA, REQUEST.messages, max_tokens=100)

Call = Callable[[WorkersAI], Any]
ENDPOINTS: dict[str, Call] = {
    "chat": lambda client: client.chat(BOUNDED),
    "embeddings": lambda client: client.embed(["a"], "@cf/baai/bge-m3"),
    "run": lambda client: client.run(GEMMA, {"prompt": "a"}),
    "enqueue": lambda client: client.batches.enqueue([BOUNDED]),
    "fetch": lambda client: client.batches.fetch(GEMMA, "id"),
    "catalogue": lambda client: client.list_models(),
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
    ) as made:
        yield made


@each_endpoint
@pytest.mark.parametrize("kind", ["spaces", "gzip"])
def test_a_json_reply_without_an_end_is_one_error_on_every_endpoint(
    call: Call, kind: str, cloudflare: Standin, client: WorkersAI, pauses: list[float]
) -> None:
    cloudflare.switch(flood=kind)
    with pytest.raises(ResponseTooLargeError, match="larger than 64 MB"):
        call(client)
    assert pauses == []


@each_endpoint
def test_a_reply_that_drips_ends_with_the_timeout_on_every_endpoint(
    call: Call, cloudflare: Standin, impatient: WorkersAI, pauses: list[float]
) -> None:
    cloudflare.switch(flood="drips")
    with pytest.raises(APITimeoutError, match="was not complete after"):
        call(impatient)
    assert pauses == []


@pytest.mark.parametrize("kind", ["spaces", "gzip", "page", "one event", "text", "brotli"])
def test_a_refusal_without_an_end_is_told_by_its_status(
    kind: str, cloudflare: Standin, client: WorkersAI
) -> None:
    cloudflare.switch(flood=kind, flood_status=400)
    with pytest.raises(BadRequestError) as caught:
        client.chat(BOUNDED)
    assert caught.value.status == 400
    assert len(caught.value.cause) <= 300


@pytest.mark.parametrize("kind", ["gzip stream", "one event", "lines of one event", "page"])
def test_one_event_without_an_end_is_one_error(
    kind: str, cloudflare: Standin, client: WorkersAI, pauses: list[float]
) -> None:
    cloudflare.switch(flood=kind)
    with pytest.raises(ResponseTooLargeError, match="64 MB"):
        client.chat(BOUNDED)
    assert pauses == []


@pytest.mark.parametrize("kind", ["bytes", "deflate"])
def test_bytes_without_an_end_are_one_error(
    kind: str, cloudflare: Standin, client: WorkersAI
) -> None:
    cloudflare.switch(flood=kind)
    with pytest.raises(ResponseTooLargeError, match="64 MB"):
        client.run(GEMMA, {"prompt": "a"})


@pytest.mark.parametrize("kind", ["gzip twice", "brotli"])
def test_a_compression_that_was_not_asked_for_is_an_error_and_not_tried_again(
    kind: str, cloudflare: Standin, client: WorkersAI, pauses: list[float]
) -> None:
    cloudflare.switch(flood=kind)
    with pytest.raises(WorkersAIError, match="not requested"):
        client.chat(BOUNDED)
    assert cloudflare.requests[0].headers["accept-encoding"] == "gzip, deflate"
    assert (pauses, len(cloudflare.requests)) == ([], 1)


@pytest.mark.parametrize(
    ("kind", "most"),
    [("text", 4_000), ("long texts", 45_000), ("arguments", 0)],
)
def test_a_stream_without_an_end_ends_at_a_small_multiple_of_max_tokens(
    kind: str, most: int, cloudflare: Standin, client: WorkersAI
) -> None:
    cloudflare.switch(flood=kind)
    with pytest.raises(IncompleteStreamError, match="far more than the 100 tokens") as caught:
        client.chat(BOUNDED)
    assert len(caught.value.text) <= most
    assert bool(caught.value.text) == bool(most)
    assert cloudflare.wait_for(lambda server: server.disconnects == 1)


@pytest.mark.parametrize("kind", ["comment", "pings"])
def test_signs_of_life_without_an_answer_end_with_the_timeout(
    kind: str, cloudflare: Standin, impatient: WorkersAI, pauses: list[float]
) -> None:
    cloudflare.switch(flood=kind)
    with pytest.raises(APITimeoutError, match="No part of the answer was received"):
        impatient.chat(BOUNDED)
    assert pauses == []


def test_a_stream_that_says_nothing_ends_with_the_deadline_of_its_tokens(
    cloudflare: Standin, impatient: WorkersAI, pauses: list[float]
) -> None:
    cloudflare.switch(flood="empty frames")
    with pytest.raises(APITimeoutError, match="was not complete after"):
        impatient.chat(Request(GEMMA, REQUEST.messages, max_tokens=1))
    assert pauses == []


def test_an_answer_that_takes_longer_than_the_timeout_in_all_is_whole(
    cloudflare: Standin, impatient: WorkersAI
) -> None:
    cloudflare.switch(answer=" word" * 12, tokens_per_second=16)  # 0.75 s
    assert impatient.chat(REQUEST).text == " word" * 12


def test_tokens_of_many_spaces_are_no_stream_without_an_end() -> None:
    tokens = [event({"choices": [{"index": 0, "delta": {"content": " " * 60}}]})] * 100
    with Script(streamed(*tokens, DONE)).client() as client:
        assert len(client.chat(BOUNDED).text) == 6_000


def test_an_answer_in_single_letters_is_no_stream_without_an_end() -> None:
    letters = [event({"choices": [{"index": 0, "delta": {"content": "x"}}]})] * 600
    with Script(streamed(*letters, DONE)).client() as client:
        assert len(client.chat(BOUNDED).text) == 600


def test_a_large_event_is_read_in_the_time_of_its_length() -> None:
    size, piece = 20 * 2**20, b"x" * 64
    found = list(iter_events([b"data: ", *[piece] * (size // len(piece)), b"\n", b"\n"]))
    assert [len(one.data) for one in found] == [size]


def test_an_event_over_the_limit_is_an_error_however_it_is_cut() -> None:
    for chunks in ([b"data: " + b"x" * 200], [b"data: ", *[b"x"] * 200], [b"data: x\n"] * 9):
        with pytest.raises(ResponseTooLargeError):
            list(iter_events(chunks, limit=128))
