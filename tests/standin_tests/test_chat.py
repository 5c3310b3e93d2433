"""Chat answers, and the request fields that change them."""

import json
from typing import Any

import pytest

from tests.standin import Standin
from tests.standin_tests.api import GEMMA, GLM, HELLO, LLAMA, Api, text_of

TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]
CALL = {"name": "weather", "arguments": {"city": "Łódź", "days": 3}}
SCHEMA = {
    "type": "object",
    "properties": {
        "label": {"enum": ["spam", "ham"]},
        "count": {"type": "integer"},
        "share": {"type": "number"},
        "sure": {"type": "boolean"},
        "words": {"type": "array", "items": {"type": "string"}},
    },
}


def message_for(api: Api, **body: Any) -> Any:
    return api.chat(**body).json()["choices"][0]["message"]


def test_the_default_answer_quotes_the_question(api: Api) -> None:
    assert "*Why is the sky blue?*" in message_for(api)["content"]
    other = message_for(api, messages=[{"role": "user", "content": "And the\nsea?"}])
    assert "*And the sea?*" in other["content"]


def test_the_answer_switch_accepts_text_lists_and_functions(cloudflare: Standin, api: Api) -> None:
    cloudflare.switch(answer="# Hi")
    assert [message_for(api)["content"], message_for(api)["content"]] == ["# Hi", "# Hi"]
    cloudflare.switch(answer=["one", "two"])
    assert [message_for(api)["content"] for _ in range(3)] == ["one", "two", "one"]
    cloudflare.switch(answer=str.upper)
    assert message_for(api)["content"] == "WHY IS THE SKY BLUE?"


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_the_answer_is_cut_at_max_tokens(name: str, cloudflare: Standin, api: Api) -> None:
    cloudflare.switch(answer="One two three four.")
    body = api.chat(**{name: 2}).json()
    assert body["choices"][0]["message"]["content"] == "One two "
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["completion_tokens"] == 2
    *chunks, _, last, _ = api.stream(**{name: 2})
    assert text_of(chunks) == "One two "
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"
    assert last["usage"]["completion_tokens"] == 2


def test_older_models_stop_after_256_tokens_by_default(cloudflare: Standin, api: Api) -> None:
    cloudflare.switch(answer="word" * 1000)
    assert api.run(LLAMA, prompt="Hi").json()["result"]["usage"]["completion_tokens"] == 256
    assert api.chat().json()["usage"]["completion_tokens"] == 1001


def test_an_answer_ends_at_a_stop_sequence(cloudflare: Standin, api: Api) -> None:
    cloudflare.switch(answer="One. Two. Three.")
    assert message_for(api, stop=" Two")["content"] == "One."
    assert message_for(api, stop=["Three", "Two"])["content"] == "One. "


def test_a_switch_sets_the_finish_reason(cloudflare: Standin, api: Api) -> None:
    cloudflare.switch(finish_reason="content_filter")
    assert api.chat().json()["choices"][0]["finish_reason"] == "content_filter"


@pytest.mark.parametrize(("model", "thinks"), [(GEMMA, False), ("@cf/zai-org/glm-5.3", True)])
def test_reasoning_is_disabled_if_the_model_supports_it(
    model: str, *, thinks: bool, paid: Standin, paid_api: Api
) -> None:
    paid.switch(thought="Hm.")
    off = {"chat_template_kwargs": {"enable_thinking": False}}
    assert ("reasoning_content" in message_for(paid_api, model=model, **off)) is thinks
    assert message_for(paid_api, model=model)["reasoning_content"] == "Hm."


def test_tools_are_called_once_and_then_answered(cloudflare: Standin, api: Api) -> None:
    cloudflare.switch(tool_calls=[CALL], answer="Sunny.")
    assert message_for(api)["content"] == "Sunny."
    message = message_for(api, tools=TOOLS)
    assert message["content"] is None
    call = message["tool_calls"][0]
    assert (call["type"], call["function"]["name"]) == ("function", "weather")
    assert json.loads(call["function"]["arguments"]) == CALL["arguments"]
    tool_result = {"role": "tool", "tool_call_id": call["id"], "content": "22"}
    assert (
        message_for(api, tools=TOOLS, messages=[*HELLO, message, tool_result])["content"]
        == "Sunny."
    )


def test_tools_can_be_called_in_several_steps(cloudflare: Standin, api: Api) -> None:
    cloudflare.switch(tool_calls=[CALL], tool_steps=2)
    first = message_for(api, tools=TOOLS)
    second = message_for(api, tools=TOOLS, messages=[*HELLO, first])
    assert second["tool_calls"][0]["id"] != first["tool_calls"][0]["id"]
    assert message_for(api, tools=TOOLS, messages=[*HELLO, first, second])["content"]


def test_streamed_tool_calls_are_sent_in_pieces(cloudflare: Standin, api: Api) -> None:
    cloudflare.switch(tool_calls=[CALL, {**CALL, "name": "tides"}])
    events = api.stream(tools=TOOLS)
    deltas = [one["choices"][0]["delta"] for one in events[:-3]]
    calls = [call for delta in deltas for call in delta.get("tool_calls", ())]
    starts = [call for call in calls if call["function"].get("name")]
    assert [call["function"]["name"] for call in starts] == ["weather", "tides"]
    assert set(starts[0]) == {"index", "id", "type", "function"}
    pieces = [call for call in calls if call["index"] == 1 and call not in starts]
    assert {(call["id"], call["function"]["name"]) for call in pieces} == {(None, None)}
    joined = "".join(call["function"]["arguments"] for call in pieces)
    assert json.loads(joined) == CALL["arguments"]
    assert events[-4]["choices"][0]["finish_reason"] == "tool_calls"


def test_a_tool_call_of_the_nemotron_dialect_ends_with_an_empty_piece(
    cloudflare: Standin, api: Api
) -> None:
    cloudflare.switch(tool_calls=[CALL], dialect="nemotron")
    last = api.stream(tools=TOOLS)[-5]["choices"][0]["delta"]["tool_calls"][0]
    assert (last["id"], last["function"]) == (None, {"arguments": None, "name": None})


def test_native_tool_calls_have_object_arguments_and_no_id(cloudflare: Standin, api: Api) -> None:
    cloudflare.switch(tool_calls=[CALL])
    result = api.run(LLAMA, prompt="Hi", tools=TOOLS).json()["result"]
    assert result["tool_calls"] == [CALL]
    assert (
        '"tool_calls":[{"name":"weather"'
        in api.run(LLAMA, prompt="Hi", tools=TOOLS, stream=True).text
    )


@pytest.mark.parametrize(
    "json_schema",
    [SCHEMA, {"name": "x", "strict": True, "schema": SCHEMA}],
    ids=["bare", "wrapped"],
)
def test_json_answers_match_the_requested_schema(json_schema: Any, api: Api) -> None:
    response_format = {"type": "json_schema", "json_schema": json_schema}
    answer = json.loads(message_for(api, response_format=response_format)["content"])
    assert answer == {
        "label": "spam",
        "count": 1,
        "share": 0.5,
        "sure": True,
        "words": ["Why is the sky blue?"],
    }


def test_a_json_list_has_at_least_min_items(api: Api) -> None:
    schema = {"type": "array", "items": {"type": "integer"}, "minItems": 3}
    response_format = {"type": "json_schema", "json_schema": schema}
    assert json.loads(message_for(api, response_format=response_format)["content"]) == [1, 1, 1]


def test_json_object_mode_returns_an_object(api: Api) -> None:
    answer = message_for(api, response_format={"type": "json_object"})["content"]
    assert json.loads(answer) == {"answer": "Why is the sky blue?"}


def test_older_models_return_json_as_an_object(api: Api) -> None:
    response_format = {"type": "json_schema", "json_schema": SCHEMA}
    result = api.run(LLAMA, prompt="Hi", response_format=response_format).json()["result"]
    assert result["response"]["label"] == "spam"


def test_models_without_tool_support_reject_tools(api: Api) -> None:
    assert api.chat("@cf/qwen/qwq-32b", tools=TOOLS).status_code == 400


def test_the_native_route_accepts_the_model_in_the_body(cloudflare: Standin, api: Api) -> None:
    body = api.post("/ai/run", {"model": GEMMA, "input": {"prompt": "Hello?"}}).json()
    assert "*Hello?*" in body["result"]["choices"][0]["message"]["content"]
    assert cloudflare.calls[-1].model == GEMMA


def test_json_is_accepted_with_any_content_type(api: Api) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    reply = api.http.post(f"/ai/run/{LLAMA}", content=b'{"prompt": "Hello?"}', headers=form)
    assert "*Hello?*" in reply.json()["result"]["response"]


def test_the_responses_route_returns_the_same_text(cloudflare: Standin, api: Api) -> None:
    cloudflare.switch(answer="One two three.", thought="Hm.")
    request = {"model": "@cf/openai/gpt-oss-20b", "input": "Hi", "instructions": "Be brief."}
    body = api.post("/ai/v1/responses", request).json()
    assert (body["object"], body["status"], body["output_text"]) == (
        "response",
        "completed",
        "One two three.",
    )
    assert [one["type"] for one in body["output"]] == ["reasoning", "message"]
    streamed = api.post("/ai/v1/responses", {**request, "stream": True}).text
    kinds = [line.removeprefix("event: ") for line in streamed.splitlines() if "event: " in line]
    assert kinds == [
        "response.created",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * 4,
        "response.output_item.done",
        "response.completed",
    ]
    assert len(cloudflare.calls) == 2


def test_the_price_depends_on_the_model(paid: Standin, paid_api: Api) -> None:
    paid_api.chat(GLM)
    paid_api.chat(GEMMA)
    expensive, cheap = paid.calls
    assert expensive.neurons > 10 * cheap.neurons
