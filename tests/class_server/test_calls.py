"""Calls of students are answered as Workers AI answers them, and cost what it bills."""

import json
from typing import Any

import httpx
import pytest

from tests.class_server import MODEL, ClassServer
from tests.standin import Standin
from tests.standin.dialects import DIALECTS

ANSWER = "Grüße, 世界 👋🏽! " + "These words are longer than the end that is read. " * 50
PRICED_BY_TOKENS = ("rest202607", "cumulative")  # dialects without neurons
UNPRICED = "llama2024"  # a dialect without usage
EMBEDDING_MODEL = "@cf/baai/bge-m3"


def text_of(events: str) -> str:
    """Return the text of a streamed answer."""
    data = [line.removeprefix("data: ") for line in events.splitlines() if line]
    assert data[-1] == "[DONE]"
    parts = []
    for one in map(json.loads, data[:-1]):
        choices = one.get("choices") or [{}]
        parts.append(choices[0].get("delta", {}).get("content") or one.get("response") or "")
    return "".join(parts)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_streamed_answer_of_each_dialect_costs_what_cloudflare_bills(
    dialect: str, server: ClassServer, cloudflare: Standin, key: str
) -> None:
    cloudflare.switch(dialect=dialect, answer=ANSWER)
    before = cloudflare.billed
    response = server.chat(key, stream=True)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert text_of(response.text) == ANSWER
    spent, billed = server.settled(key)["spent"], cloudflare.billed - before
    if dialect == UNPRICED:
        assert spent == pytest.approx(billed, rel=0.1)
    elif dialect in PRICED_BY_TOKENS:
        # The price list is rounded.
        assert spent == pytest.approx(billed, rel=1e-3)
    else:
        assert spent == pytest.approx(billed)


@pytest.mark.parametrize("dialect", [name for name in DIALECTS if name != UNPRICED])
@pytest.mark.parametrize("header", [True, False], ids=["header", "body"])
def test_a_whole_answer_of_each_dialect_costs_what_cloudflare_bills(
    dialect: str, header: bool, server: ClassServer, cloudflare: Standin, key: str
) -> None:
    cloudflare.switch(dialect=dialect, answer=ANSWER, omit_neurons_header=not header)
    before = cloudflare.billed
    response = server.chat(key)
    assert response.status_code == httpx.codes.OK
    assert json.dumps(ANSWER, ensure_ascii=False)[1:-1] in response.text
    # The header has two decimal places.
    expected = pytest.approx(cloudflare.billed - before, abs=0.01 if header else 0, rel=1e-3)
    assert server.settled(key)["spent"] == expected


def test_a_whole_answer_without_usage_costs_its_reservation(
    server: ClassServer, cloudflare: Standin, key: str
) -> None:
    cloudflare.switch(dialect=UNPRICED, omit_neurons_header=True)
    server.chat(key, max_tokens=1000)
    assert 30 < server.settled(key)["spent"] < 35


@pytest.mark.parametrize("junk", [{"comments": True}, {"junk_frames": True}, {"crlf": True}])
def test_frames_that_are_no_part_of_the_answer_do_not_change_its_cost(
    junk: dict[str, bool], server: ClassServer, cloudflare: Standin, key: str
) -> None:
    cloudflare.switch(dialect="gemma", answer=ANSWER, split_utf8=True, **junk)
    before = cloudflare.billed
    assert server.chat(key, stream=True).status_code == httpx.codes.OK
    assert server.settled(key)["spent"] == pytest.approx(cloudflare.billed - before)


def test_a_stream_has_the_bytes_that_cloudflare_sent(
    server: ClassServer, cloudflare: Standin, key: str
) -> None:
    raw = 'data: {"response":"Hi"}\n\n: comment\n\ndata: [DONE]\n\n'
    cloudflare.switch(raw_stream=[raw])
    assert server.chat(key, stream=True).text == raw


def test_a_tool_call_is_passed_on(server: ClassServer, cloudflare: Standin, key: str) -> None:
    function = {"name": "add", "parameters": {"type": "object", "properties": {}}}
    cloudflare.switch(tool_calls=[{"name": "add", "arguments": {"a": 1}}])
    tools = [{"type": "function", "function": function}]
    response = server.chat(key, model="@cf/google/gemma-4-26b-a4b-it", tools=tools)
    call = response.json()["choices"][0]["message"]["tool_calls"][0]
    assert call["function"]["name"] == "add"
    assert cloudflare.requests[-1].json["tools"][0]["function"] == function


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (MODEL, {"prompt": "Hello"}),
        (MODEL, {"messages": [{"role": "user", "content": "Hello"}], "stream": True}),
        (EMBEDDING_MODEL, {"text": ["Hello", "World"]}),
        ("@cf/baai/bge-reranker-base", {"query": "cat", "contexts": [{"text": "a cat"}]}),
        ("@cf/huggingface/distilbert-sst-2-int8", {"text": "A good day"}),
        ("@cf/meta/m2m100-1.2b", {"text": "Hello", "target_lang": "french"}),
    ],
    ids=["prompt", "stream", "embeddings", "reranker", "classification", "translation"],
)
def test_a_task_is_answered_as_cloudflare_answers_it(
    model: str, body: dict[str, Any], server: ClassServer, cloudflare: Standin, key: str
) -> None:
    before = cloudflare.billed
    response = server.request("POST", f"/run/{model}", key, body)
    assert response.status_code == httpx.codes.OK, response.text
    spent = server.settled(key)["spent"]
    assert spent == pytest.approx(cloudflare.billed - before, abs=0.01)
    address = f"{cloudflare.base_url}/accounts/{cloudflare.account_id}/ai/run/{model}"
    headers = {"authorization": f"Bearer {cloudflare.token}"}
    direct = httpx.post(address, json=body, headers=headers, trust_env=False)
    assert response.headers["content-type"] == direct.headers["content-type"]
    if "stream" not in body:
        assert response.json() == direct.json()


def test_an_image_costs_at_most_the_bound_of_the_teacher(
    cloudflare: Standin, server: ClassServer, key: str
) -> None:
    model = "@cf/black-forest-labs/flux-1-schnell"
    body = {"prompt": "A cat"}
    assert server.request("POST", f"/run/{model}", key, body).status_code == httpx.codes.FORBIDDEN
    server.admin("PATCH", "class", {"bounds": {model: 100}})
    before = cloudflare.billed
    assert server.request("POST", f"/run/{model}", key, body).status_code == httpx.codes.OK
    assert server.settled(key)["spent"] == pytest.approx(cloudflare.billed - before, abs=0.01)


def test_embeddings_cost_what_cloudflare_bills(
    server: ClassServer, cloudflare: Standin, key: str
) -> None:
    before = cloudflare.billed
    body = {"model": EMBEDDING_MODEL, "input": ["Hello", "World"]}
    response = server.request("POST", "/v1/embeddings", key, body)
    assert len(response.json()["data"]) == len(body["input"])
    assert server.settled(key)["spent"] == pytest.approx(cloudflare.billed - before, abs=0.01)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_answer_has_the_budget_of_the_student(
    stream: bool, server: ClassServer, cloudflare: Standin, name: str
) -> None:
    key = server.add_student(name, budget=40)
    cloudflare.switch(answer=ANSWER)
    first = server.chat(key, max_tokens=100, stream=stream).headers
    assert (first["cfai-budget"], first["cfai-spent"]) == ("40", "0")
    spent = server.settled(key)["spent"]
    second = server.chat(key, max_tokens=100, stream=stream).headers
    assert float(second["cfai-spent"]) == pytest.approx(spent, abs=1e-6)
    assert spent > 1


def test_an_error_of_cloudflare_is_passed_on_and_costs_nothing(
    server: ClassServer, cloudflare: Standin, key: str
) -> None:
    cloudflare.switch(busy=True)
    response = server.chat(key)
    assert response.json()["errors"][0]["code"] == 3040
    assert server.settled(key)["spent"] == 0


def test_an_answer_from_the_cache_of_a_gateway_costs_nothing(cloudflare: Standin) -> None:
    cloudflare.switch(gateways=["class"], gateway_caches=True)
    with ClassServer(cloudflare, variables={"GATEWAY": "class"}) as server:
        key = server.add_student("Ada")
        answers = [server.chat(key) for _ in range(2)]
        assert [one.headers["cf-aig-cache-status"] for one in answers] == ["MISS", "HIT"]
        assert answers[0].content == answers[1].content
        assert server.settled(key)["spent"] == pytest.approx(
            cloudflare.calls[-1].neurons, abs=0.01
        )
    assert cloudflare.requests[-1].headers["cf-aig-collect-log"] == "false"


def test_the_price_list_of_cloudflare_replaces_the_bundled_one(
    server: ClassServer, cloudflare: Standin, key: str
) -> None:
    assert server.admin("POST", "prices")["models"] > 20
    cloudflare.switch(dialect="cumulative", answer=ANSWER)
    before = cloudflare.billed
    server.chat(key, stream=True)
    assert server.settled(key)["spent"] == pytest.approx(cloudflare.billed - before, rel=1e-3)
