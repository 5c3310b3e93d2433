"""Each error response has the recorded status, code and format."""

import re
from typing import Any

import pytest

from tests.standin import Fault, Standin
from tests.standin.errors import RECORDED
from tests.standin_tests.api import GEMMA, GLM, HELLO, LLAMA, Api, code_of

RETIRED = "@cf/meta/llama-3.1-8b-instruct"
PARTS = [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]
PICTURE = [{"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}]


WRONG_PARTS = {
    "'/messages/0/content/0/image_url', 'string' not in 'object'": {
        "type": "image_url",
        "image_url": "data:image/png;base64,AA==",
    },
    "'/messages/0/content/0/image_url', 'null' not in 'object'": {"type": "image_url"},
    "'/messages/0/content/0/image_url/url', 'number' not in 'string'": {
        "type": "image_url",
        "image_url": {"url": 5},
    },
    "'/messages/0/content/0', 'string' not in 'object'": "Hi",
}


@pytest.mark.parametrize(("message", "part"), WRONG_PARTS.items(), ids=WRONG_PARTS)
@pytest.mark.parametrize("path", ["/ai/v1/chat/completions", f"/ai/run/{GEMMA}"])
def test_a_part_that_does_not_match_the_schema_is_refused(
    path: str, message: str, part: Any, api: Api, cloudflare: Standin
) -> None:
    messages = [{"role": "user", "content": [part, {"type": "text", "text": "What is this?"}]}]
    reply = api.post(path, {"model": GEMMA, "messages": messages})
    assert code_of(reply) == (400, 5006)
    assert f"Type mismatch of {message}" in reply.json()["errors"][0]["message"]
    assert cloudflare.calls == []


@pytest.mark.parametrize(
    ("path", "body", "code", "message"),
    [
        ("/ai/run/@cf/no/such", {"prompt": "Hi"}, (400, 7000), "No route for that URI"),
        (
            "/ai/v1/chat/completions",
            {"model": "@cf/no/such"},
            (400, 5007),
            "No such model @cf/no/such",
        ),
        ("/ai/v1/chat/completions", {"model": "@cf/baai/bge-m3"}, (400, 5007), "No such model"),
        ("/ai/v1/chat/completions", {}, (400, 3003), "Missing headers or body"),
        ("/ai/v1/chat/completions", {"model": GEMMA}, (400, 5006), "'messages'"),
        (
            f"/ai/run/{GLM}",
            {"prompt": "Hi"},
            (403, 5035),
            "not available on the Workers Free plan",
        ),
        (f"/ai/run/{RETIRED}", {"prompt": "Hi"}, (400, 5028), "deprecated on 2026-05-30"),
        ("/ai/run/@cf/moonshotai/kimi-k2.5", {"prompt": "Hi"}, (403, 5035), "kimi-k2.6"),
        ("/ai/run/@cf/swiss-ai/apertus-v1.5-8b", {"prompt": "Hi"}, (403, 5018), "not allowed"),
        (f"/ai/run/{LLAMA}", {"messages": PARTS}, (400, 5006), "'array' not in 'string'"),
        (f"/ai/run/{GEMMA}", {"messages": [{"role": "user"}]}, (400, 8001), "Invalid input"),
        (f"/ai/run/{GEMMA}", {"messages": ["Hi"]}, (400, 5006), "'role,content'"),
        (f"/ai/run/{GEMMA}", {"messages": HELLO, "max_tokens": 0}, (400, 8001), "Invalid input"),
        (f"/ai/run/{GEMMA}", {"messages": HELLO, "tool_choice": "any"}, (400, 8001), "Invalid"),
        (f"/ai/run/{GEMMA}", {"prompt": "Hi", "max_tokens": 256_000}, (413, 5021), "(256001)"),
        (
            "/ai/v1/embeddings",
            {"model": "@cf/baai/bge-reranker-base"},
            (400, 5006),
            "query,contexts",
        ),
        ("/ai/v1/embeddings", {"model": GEMMA, "input": "Hi"}, (400, 5007), "No such model"),
        ("/ai/v1/embeddings", {"model": "@cf/baai/bge-m3"}, (400, 5006), "'input'"),
        ("/ai/run/@cf/baai/bge-m3", {"text": ["Hi"] * 101}, (400, 5006), "1 to 100 items"),
        ("/ai/run/@cf/baai/bge-m3", {"text": "word" * 9003}, (400, 3030), "too long: 9003 > 8192"),
        ("/ai/run/@cf/openai/whisper", {"audio": "?"}, (400, 5004), "base64"),
        ("/ai/run/@cf/pipecat-ai/smart-turn-v2", {"audio": "AA=="}, (400, 5007), "No such model"),
        ("/ai/run/@cf/cloudflare/clef", {}, (400, 5006), "are 'model,state,questions'"),
        ("/ai/run/@cf/black-forest-labs/flux-2-dev", {"prompt": "Hi"}, (400, 5006), "'multipart'"),
        ("/ai/run", {"model": GEMMA}, (400, 5006), "'model,input'"),
        ("/ai/v1", {}, (400, 7003), "Could not route"),
        ("/ai/nowhere", {}, (400, 7000), "No route for that URI"),
    ],
)
def test_an_invalid_request_gets_the_recorded_error(
    path: str, body: Any, code: tuple[int, int], message: str, api: Api, cloudflare: Standin
) -> None:
    reply = api.post(path, body)
    assert code_of(reply) == code
    assert message in reply.json()["errors"][0]["message"]
    assert cloudflare.calls == []


def test_the_token_estimate_includes_images_and_max_tokens(api: Api) -> None:
    messages = [{"role": "user", "content": [*PICTURE, {"type": "text", "text": "word"}]}]
    reply = api.chat("@cf/mistralai/mistral-small-3.1-24b-instruct", messages=messages)
    assert reply.status_code == 200
    large = api.chat(
        "@cf/mistralai/mistral-small-3.1-24b-instruct", messages=messages, max_tokens=103_000
    )
    assert code_of(large) == (413, 5021)
    assert re.search(r"\(128007\) exceeded .* \(128000\)\.", large.text)


def test_the_openai_model_list_is_not_supported(api: Api) -> None:
    assert api.get("/ai/v1/models").json() == {
        "result": None,
        "success": False,
        "errors": [{"code": 7001, "message": "GET not supported for requested URI."}],
        "messages": [],
    }
    assert code_of(api.get("/ai/v1/chat/completions")) == (405, 7001)


def test_a_license_is_accepted_once(api: Api) -> None:
    model = "@cf/meta/llama-3.2-11b-vision-instruct"
    assert code_of(api.run(model, prompt="Hi")) == (403, 5016)
    assert api.run(model, prompt="agree").status_code == 200
    assert api.run(model, prompt="Hi").status_code == 200


def test_a_switch_retires_a_model(cloudflare: Standin, api: Api) -> None:
    assert api.chat().status_code == 200
    cloudflare.switch(retired=(GEMMA,))
    assert code_of(api.chat()) == (400, 5028)
    names = [item["name"] for item in api.get("/ai/models/search").json()["result"]]
    assert GEMMA not in names


def test_a_busy_model_returns_a_capacity_error(cloudflare: Standin, api: Api) -> None:
    cloudflare.switch(busy=True)
    assert code_of(api.chat(options={"rejectIfBusy": True})) == (429, 3040)
    assert code_of(api.run("@cf/baai/bge-m3", text="Hi")) == (429, 3040)


def test_only_responses_of_workers_ai_have_a_request_id(cloudflare: Standin, api: Api) -> None:
    from_model = api.run(GEMMA)
    assert {"cf-ray", "cf-ai-req-id"} <= set(from_model.headers)
    assert from_model.headers["cf-ai-req-id"] in from_model.text
    assert from_model.json()["result"] == {}
    from_front_door = api.run("@cf/no/such")
    assert "cf-ray" in from_front_door.headers
    assert "cf-ai-req-id" not in from_front_door.headers
    assert from_front_door.json()["result"] is None


def test_a_model_error_has_its_message_prefix_twice(cloudflare: Standin, api: Api) -> None:
    cloudflare.switch(error=Fault())
    body = api.chat().json()
    message = body["errors"][0].pop("message")
    assert re.fullmatch(r"AiError: AiError: Internal server error \([0-9a-f-]{36}\)", message)
    assert body == {"errors": [{"code": 3043}], "success": False, "result": {}, "messages": []}


def test_each_error_format_has_its_keys(cloudflare: Standin, api: Api) -> None:
    def send_error(shape: Any) -> Any:
        cloudflare.switch(error=Fault.of(4006, shape))
        reply = api.chat()
        assert reply.status_code == 429
        return reply

    assert send_error("A").json()["errors"][0]["code"] == 4006
    assert set(send_error("B").json()["error"]) == {"code", "message"}
    gateway = send_error("C").json()
    assert (gateway["name"], gateway["internalCode"], gateway["httpCode"]) == (
        "AiError",
        4006,
        429,
    )
    assert set(gateway) >= {"message", "description", "requestId"}
    assert '{"detail":[' in send_error("D").json()["errors"][0]["message"]
    page = send_error("html")
    assert page.headers["content-type"].startswith("text/html")
    assert page.text.startswith("<!DOCTYPE html>")
    assert send_error("empty").content == b""


def test_a_switch_sends_cloudflare_specific_statuses(cloudflare: Standin, api: Api) -> None:
    cloudflare.switch(error=Fault(524, 0, "A timeout occurred", "html"))
    assert api.chat().status_code == 524


@pytest.mark.parametrize("code", RECORDED)
def test_a_switch_sends_each_recorded_error_code(code: int, cloudflare: Standin, api: Api) -> None:
    cloudflare.switch(error=Fault.of(code))
    assert code_of(api.chat()) == (RECORDED[code][0], code)


def test_an_unknown_code_raises_a_key_error() -> None:
    with pytest.raises(KeyError):
        Fault.of(1)
