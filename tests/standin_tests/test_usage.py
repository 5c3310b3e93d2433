"""Billed neurons equal the recorded bills."""

from typing import Any

import pytest

from tests.standin import Standin
from tests.standin_tests.api import GEMMA, GLM, LLAMA, Api


def prompt(tokens: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": "word" * tokens}]


@pytest.mark.parametrize(
    ("model", "tokens", "neurons"),
    [
        (GEMMA, (147, 0, 16), 1.77273),
        (GLM, (376, 320, 3), 15.8909),
        (LLAMA, (388, 0, 63), 23.24979),
        ("@cf/nvidia/nemotron-3-120b-a12b", (23, 0, 16), 3.211),
    ],
)
def test_a_chat_costs_the_recorded_neurons(
    model: str, tokens: tuple[int, int, int], neurons: float, paid: Standin, paid_api: Api
) -> None:
    prompt_tokens, cached, completion_tokens = tokens
    paid.switch(answer="word" * (completion_tokens - 1), cached_tokens=cached)
    reply = paid_api.chat(model, messages=prompt(prompt_tokens))
    usage = reply.json()["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (
        prompt_tokens,
        completion_tokens,
    )
    assert usage["prompt_tokens_details"] == {"cached_tokens": cached}
    assert usage["neurons"] == pytest.approx(neurons, rel=1e-4)
    assert reply.headers["cf-ai-neurons"] == f"{usage['neurons']:.2f}"
    assert paid.calls == [(model, prompt_tokens, completion_tokens, usage["neurons"])]


@pytest.mark.parametrize(
    ("model", "body", "header", "neurons"),
    [
        ("@cf/black-forest-labs/flux-1-schnell", {}, "172.80", 172.8),
        ("@cf/leonardo/lucid-origin", {}, "3904.69", 3904.6875),
        ("@cf/leonardo/phoenix-1.0", {}, None, 3120),
        ("@cf/stabilityai/stable-diffusion-xl-base-1.0", {"num_steps": 20}, "0.00", 0),
    ],
)
def test_an_image_costs_the_recorded_neurons(
    model: str,
    body: dict[str, Any],
    header: str | None,
    neurons: float,
    paid: Standin,
    paid_api: Api,
) -> None:
    reply = paid_api.run(model, prompt="a grey square", **body)
    assert reply.headers.get("cf-ai-neurons") == header
    assert paid.billed == pytest.approx(neurons)


@pytest.mark.parametrize(
    ("model", "neurons"),
    [
        ("@cf/black-forest-labs/flux-2-klein-9b", 1363.64),
        ("@cf/black-forest-labs/flux-2-dev", 7500),
    ],
)
def test_an_image_of_a_form_request_costs_the_recorded_neurons(
    model: str, neurons: float, paid: Standin, paid_api: Api
) -> None:
    form = {"prompt": (None, "a square"), "width": (None, "1024")}
    reply = paid_api.http.post(f"/ai/run/{model}", files=form)
    assert reply.headers["cf-ai-neurons"] == f"{neurons:.2f}"
    assert paid.billed == pytest.approx(neurons, rel=1e-4)


def test_usage_of_the_chunks_sums_to_the_last_event_and_ledger(
    cloudflare: Standin, api: Api
) -> None:
    cloudflare.switch(answer="One two three four.", thought="Five six.", dialect="gemma")
    *chunks, last, _ = api.stream()
    for name in ("prompt_tokens", "completion_tokens", "total_tokens", "neurons"):
        assert sum(one["usage"][name] for one in chunks) == pytest.approx(last["usage"][name])
    assert cloudflare.billed == pytest.approx(last["usage"]["neurons"])


def test_the_usage_of_the_cumulative_dialect_is_a_running_sum(
    cloudflare: Standin, api: Api
) -> None:
    cloudflare.switch(dialect="cumulative", answer="One two three.", omit_neurons_body=False)
    usages = [one["usage"] for one in api.stream()[:-1]]
    counts = [usage["completion_tokens"] for usage in usages]
    assert counts == [0, 1, 2, 3, 4, 4, 5]
    assert cloudflare.billed == pytest.approx(usages[-1]["neurons"])


def test_a_stream_costs_the_same_as_a_complete_answer(cloudflare: Standin, api: Api) -> None:
    api.chat()
    api.stream()
    whole, streamed = cloudflare.calls
    assert whole == streamed


def test_a_switch_omits_the_neuron_header(cloudflare: Standin, api: Api) -> None:
    assert "cf-ai-neurons" in api.chat().headers
    cloudflare.switch(omit_neurons_header=True)
    assert "cf-ai-neurons" not in api.chat().headers


def test_a_stream_has_a_request_id_but_no_neuron_header(api: Api) -> None:
    headers = api.chat(stream=True).headers
    assert {"cf-ai-req-id", "cf-ray"} <= set(headers)
    assert "cf-ai-neurons" not in headers
    assert headers["content-type"] == "text/event-stream"


def test_usage_of_other_programs_is_billed(cloudflare: Standin) -> None:
    cloudflare.spend(9_000)
    assert cloudflare.billed == 9_000


def test_native_embeddings_and_scores_report_their_neurons(cloudflare: Standin, api: Api) -> None:
    contexts = [{"text": "word" * 17}, {"text": "word" * 16}]
    result = api.run("@cf/baai/bge-reranker-base", query="word", contexts=contexts).json()[
        "result"
    ]
    assert result["usage"]["prompt_tokens"] == 34
    assert result["usage"]["neurons"] == pytest.approx(0.0096, rel=0.01)
    vectors = api.run("@cf/baai/bge-m3", text="word").json()["result"]
    assert vectors["usage"]["neurons"] == cloudflare.calls[-1].neurons
