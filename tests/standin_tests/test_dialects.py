"""Each dialect has the keys and key order of its recording."""

import json
from typing import Any

import pytest

from tests.standin import Standin
from tests.standin.dialects import DIALECTS
from tests.standin_tests.api import DONE, GEMMA, LLAMA, Api, text_of

USAGE = '"prompt_tokens":147,"completion_tokens":16,"total_tokens":163'
DETAILED = f'"usage":{{{USAGE},"prompt_tokens_details":{{"cached_tokens":0}},"neurons":1.77}}'
PLAIN = f'"usage":{{{USAGE}}}'
LAST = f'{{"response":"",{DETAILED}}}'

GEMMA_NAMES = (
    '"created":1791402526,"id":"f962","model":"@cf/google/gemma-4-26b-a4b-it-external",'
    '"object":"chat.completion.chunk","p":"pf8tbfo2fk",' + DETAILED
)
OLD_NAMES = (
    '"id":"chatcmpl-7047","object":"chat.completion.chunk","created":1751571006,'
    '"model":"@cf/meta/llama-3.3-70b-instruct-fp8-fast",'
)
# Keys and order of published recordings, with shortened numbers.
RECORDED = {
    "gemma": [
        '{"choices":[{"delta":{"content":"","reasoning_content":null,"role":"assistant"},'
        '"finish_reason":null,"index":0,"logprobs":null,"matched_stop":null}],'
        + GEMMA_NAMES
        + "}",
        '{"choices":[{"delta":{"content":"x","reasoning_content":null},"finish_reason":null,'
        '"index":0,"logprobs":null,"matched_stop":null}],' + GEMMA_NAMES + "}",
        '{"choices":[{"delta":{"reasoning_content":null},"finish_reason":"stop","index":0,'
        '"logprobs":null,"matched_stop":106}],' + GEMMA_NAMES + "}",
        '{"choices":[],' + GEMMA_NAMES + "}",
        LAST,
    ],
    "cumulative": [
        "{" + OLD_NAMES + '"choices":[{"index":0,"delta":{"role":"assistant","content":""},'
        '"logprobs":null,"finish_reason":null}],' + PLAIN + "}",
        "{" + OLD_NAMES + '"choices":[{"index":0,"delta":{"content":"A"},"logprobs":null,'
        '"finish_reason":null}],' + PLAIN + "}",
        "{" + OLD_NAMES + '"choices":[{"index":0,"delta":{},"logprobs":null,'
        '"finish_reason":"stop"}],' + PLAIN + "}",
        "{" + OLD_NAMES + '"choices":[],' + PLAIN + "}",
    ],
    "llama2024": [
        "{" + OLD_NAMES + '"choices":[{"delta":{"content":"","role":"assistant"}}]}',
        "{" + OLD_NAMES + '"choices":[{"delta":{"content":"**"}}]}',
    ],
    "hybrid": [
        '{"choices":[{"delta":{"content":"Here"}}],"response":"Here","tool_calls":[]}',
        LAST,
    ],
    "native": ['{"response":"Hello","p":"abdefgh"}', LAST],
}


def shape(value: Any) -> Any:
    """Return keys and types, without values that differ between calls."""
    if isinstance(value, dict):
        return {key: shape(one) for key, one in value.items()}
    if isinstance(value, list):
        return [shape(one) for one in value]
    return "number" if isinstance(value, int | float) else type(value).__name__


@pytest.mark.parametrize("dialect", RECORDED)
def test_events_have_the_keys_and_order_of_the_recording(
    dialect: str, cloudflare: Standin, api: Api
) -> None:
    cloudflare.switch(dialect=dialect, answer="abcd")
    events = api.stream()
    assert events[-1] == DONE
    assert [shape(one) for one in events[:-1]] == [
        shape(json.loads(one)) for one in RECORDED[dialect]
    ]


def test_the_default_is_the_newest_recording_with_its_key_order(api: Api) -> None:
    first = api.stream()[0]
    assert list(first) == sorted(first)
    assert list(first["choices"][0]) == sorted(first["choices"][0])
    assert first["model"] == f"{GEMMA}-external"


@pytest.mark.parametrize("dialect", [name for name in DIALECTS if name != "native"])
def test_each_dialect_sends_the_same_text(dialect: str, cloudflare: Standin, api: Api) -> None:
    cloudflare.switch(dialect=dialect, answer="Grüße, 世界 👋🏽!", thought="")
    assert text_of(api.stream()) == "Grüße, 世界 👋🏽!"
    assert api.chat().json()["choices"][0]["message"]["content"] == "Grüße, 世界 👋🏽!"


def test_the_native_dialect_sends_the_text_in_response(cloudflare: Standin, api: Api) -> None:
    cloudflare.switch(dialect="native", answer="Grüße, 世界!")
    assert "".join(one["response"] for one in api.stream()[:-1]) == "Grüße, 世界!"
    assert api.chat().json()["result"]["response"] == "Grüße, 世界!"


@pytest.mark.parametrize(
    ("dialect", "field"),
    [("gemma", "reasoning_content"), ("glm", "reasoning_content"), ("nemotron", "reasoning")],
)
def test_reasoning_is_sent_in_the_field_of_the_recording(
    dialect: str, field: str, cloudflare: Standin, api: Api
) -> None:
    cloudflare.switch(dialect=dialect, answer="Yes.", thought="Let me see.")
    deltas = [one["choices"][0]["delta"] for one in api.stream()[:-3]]
    assert "".join(delta.get(field) or "" for delta in deltas) == "Let me see."
    message = api.chat().json()["choices"][0]["message"]
    assert (message[field], message["content"]) == ("Let me see.", "Yes.")


def test_reasoning_can_be_sent_in_think_tags(cloudflare: Standin, api: Api) -> None:
    cloudflare.switch(answer="Yes.", thought="Hm.", thought_field="think_tag")
    assert text_of(api.stream()) == "<think>\nHm.\n</think>\n\nYes."


@pytest.mark.parametrize(("dialect", "empty"), [("gemma", ""), ("glm", ""), ("nemotron", None)])
def test_reasoning_that_uses_all_tokens_leaves_the_text_empty(
    dialect: str, empty: str | None, cloudflare: Standin, api: Api
) -> None:
    cloudflare.switch(dialect=dialect, answer="Yes.", thought="So many words. " * 9)
    body = api.chat(max_tokens=3).json()
    assert body["choices"][0]["message"]["content"] == empty
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["completion_tokens"] == 3


def test_complete_answers_have_the_keys_of_the_recording(cloudflare: Standin, api: Api) -> None:
    recorded = (
        '{"id":"id-1786911857176","object":"chat.completion","created":1786911857,'
        '"model":"@cf/zai-org/glm-5.2","choices":[{"index":0,"finish_reason":"stop",'
        '"logprobs":null,"message":{"role":"assistant","content":"ok"}}],' + DETAILED + "}"
    )
    cloudflare.switch(dialect="glm", answer="ok")
    assert shape(api.chat().json()) == shape(json.loads(recorded))


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"omit_neurons_body": True}, "neurons"),
        ({"omit_usage": True}, "usage"),
        ({"padding": ""}, '"p"'),
        ({"final_native_event": False}, "response"),
        ({"done": False}, DONE),
    ],
    ids=str,
)
def test_a_switch_removes_one_element_of_the_stream(
    changes: dict[str, Any], missing: str, cloudflare: Standin, api: Api
) -> None:
    cloudflare.switch(answer="Hi.")
    assert missing in api.chat(stream=True).text
    cloudflare.switch(**changes)
    assert missing not in api.chat(stream=True).text


def test_a_switch_sends_constant_padding(cloudflare: Standin, api: Api) -> None:
    cloudflare.switch(padding="constant")
    assert {one["p"] for one in api.stream()[:-2]} == {"abdefgh"}


def test_the_native_route_answers_in_the_format_of_the_model(api: Api) -> None:
    old = api.run(LLAMA, prompt="Hi").json()
    assert set(old) == {"result", "success", "errors", "messages"}
    assert set(old["result"]) == {"response", "tool_calls", "usage"}
    new = api.run(GEMMA, prompt="Hi").json()["result"]
    assert new["object"] == "chat.completion"


def test_the_native_route_streams_in_the_format_of_the_model(api: Api) -> None:
    assert api.run(LLAMA, prompt="Hi", stream=True).text.startswith('data: {"response":"')
    assert api.run(GEMMA, prompt="Hi", stream=True).text.startswith('data: {"choices":[{"delta"')
