"""Responses of the stand-in have the keys, order and types of recorded bodies.

`recorded/` has bodies that others published, with the date of the recording if it is known. Texts
and numbers are shortened. The bodies of REST /ai/v1 are in `tests/corpus/`.
"""

import itertools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.standin import Fault, Standin
from tests.standin_tests.api import DONE, GEMMA, LLAMA, Api, events

RECORDED = Path(__file__).parent / "recorded"
CORPUS = Path(__file__).parents[1] / "corpus"
STREAMS: Mapping[str, Path] = {
    "rest202607": CORPUS / "glm-5.2_2026-07.sse",
    "gemma": RECORDED / "gemma-4_2026-10.sse",
    "cumulative": RECORDED / "llama-3.3_2025-07.sse",
    "llama2024": RECORDED / "llama-3.1_2024-12.sse",
    "hybrid": RECORDED / "llama-3.3_hybrid_2026.sse",
    "native": RECORDED / "native_2026.sse",
}
NEMOTRON = {"dialect": "nemotron", "thought": "So many words. " * 9}
CONTEXTS = {"query": "cat", "contexts": [{"text": "cats"}]}
QWEN = "@cf/qwen/qwen3-embedding-0.6b"
Call = Callable[[Api], httpx.Response]
BODIES: Mapping[str, tuple[dict[str, Any], Call]] = {
    "glm-5.2_whole_2026-08": ({"dialect": "glm"}, lambda api: api.chat()),
    "embeddings_2026-08": (
        {},
        lambda api: api.post("/ai/v1/embeddings", {"model": QWEN, "input": "Hi"}),
    ),
    "error-3043_2026": ({"error": Fault()}, lambda api: api.chat()),
    "error-7001_2026-07": ({}, lambda api: api.get("/ai/v1/models")),
    "verified-token_2026": (
        {},
        lambda api: api.http.get(
            str(api.http.base_url).split("/accounts")[0] + "/user/tokens/verify"
        ),
    ),
    "rerank_2026": ({}, lambda api: api.run("@cf/baai/bge-reranker-base", **CONTEXTS)),
    "queued-batch_2026": (
        {},
        lambda api: api.post(f"/ai/run/{QWEN}?queueRequest=true", {"requests": [{"text": "Hi"}]}),
    ),
}


def shape(value: Any) -> Any:
    """Return keys and types, without values that differ between calls."""
    if isinstance(value, dict):
        return {key: shape(one) for key, one in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if isinstance(value, int | float) else type(value).__name__


def shapes(stream: list[Any]) -> list[Any]:
    """Return the shapes of events, with repeated ones once."""
    return [one for one, _ in itertools.groupby(map(shape, stream))]


@pytest.mark.parametrize("dialect", STREAMS)
def test_events_have_the_keys_and_order_of_the_recording(
    dialect: str, cloudflare: Standin, api: Api
) -> None:
    recorded = STREAMS[dialect].read_text(encoding="utf-8")
    thought = "Hm." if '"reasoning_content":"' in recorded else ""
    cloudflare.switch(dialect=dialect, answer="abcd", thought=thought)
    stream = api.stream()
    assert stream[-1] == DONE
    assert shapes(stream) == shapes(events(recorded))


def test_the_usage_and_its_copy_end_a_stream_of_the_openai_route(
    cloudflare: Standin, api: Api
) -> None:
    recorded = events((CORPUS / "deepseek-v4-pro_2026-08.sse").read_text(encoding="utf-8"))
    cloudflare.switch(cached_tokens=1)
    finish, usage, copy, done = api.stream()[-4:]
    assert shapes([finish, usage, copy]) == shapes(recorded[-3:])
    assert (usage["choices"], usage["usage"]["prompt_tokens_details"]) == (
        [],
        {"cached_tokens": 1},
    )
    assert copy["choices"] == finish["choices"]
    assert copy["usage"].items() < usage["usage"].items()
    assert done == DONE


def test_the_copy_of_the_older_recording_has_no_cached_tokens(
    cloudflare: Standin, api: Api
) -> None:
    cloudflare.switch(dialect="rest202607", cached_tokens=1)
    details = [one["usage"]["prompt_tokens_details"] for one in api.stream()[-3:-1]]
    assert details == [{"cached_tokens": 1}, {"cached_tokens": 0}]


def test_each_route_has_the_dialect_that_was_recorded_on_it(api: Api) -> None:
    assert "response" not in api.stream()[-2]
    assert "choices" in api.stream()[-2]
    newer, older = (
        events(api.run(name, prompt="Hi", stream=True).text) for name in (GEMMA, LLAMA)
    )
    assert set(newer[-2]) == set(older[-2]) == {"response", "usage"}
    assert (next(iter(newer[0])), next(iter(older[0]))) == ("choices", "response")


def test_the_keys_of_the_gemma_recording_are_in_alphabetical_order(
    cloudflare: Standin, api: Api
) -> None:
    cloudflare.switch(dialect="gemma")
    first = api.stream()[0]
    for keys in (first, first["choices"][0], first["choices"][0]["delta"]):
        assert list(keys) == sorted(keys)
    assert first["model"] == f"{GEMMA}-external"


@pytest.mark.parametrize("name", BODIES)
def test_complete_bodies_have_the_keys_of_the_recording(
    name: str, cloudflare: Standin, api: Api
) -> None:
    switches, call = BODIES[name]
    cloudflare.switch(**switches)
    recorded = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))
    assert shape(call(api).json()) == shape(recorded)


def test_reasoning_that_uses_all_tokens_ends_as_recorded(cloudflare: Standin, api: Api) -> None:
    recorded = json.loads((RECORDED / "nemotron_length_2026.json").read_text(encoding="utf-8"))
    cloudflare.switch(**NEMOTRON)
    assert shape(api.chat(max_tokens=3).json()["choices"][0]) == shape(recorded)
