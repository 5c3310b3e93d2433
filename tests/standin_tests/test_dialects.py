"""Each dialect sends the same answer, and switches change its elements."""

from typing import Any

import pytest

from tests.standin import Standin
from tests.standin.dialects import DIALECTS
from tests.standin_tests.api import DONE, GEMMA, LLAMA, Api, text_of


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
    cloudflare.switch(answer="Hi.", dialect="gemma")
    assert missing in api.chat(stream=True).text
    cloudflare.switch(**changes)
    assert missing not in api.chat(stream=True).text


def test_a_switch_sends_constant_padding(cloudflare: Standin, api: Api) -> None:
    cloudflare.switch(padding="constant", dialect="gemma")
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
