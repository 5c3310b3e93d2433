"""Every refusal has the status, the code and the shape that were recorded."""

import re
from typing import Any

import pytest

from tests.standin import Fault, Standin
from tests.standin.errors import RECORDED
from tests.standin_tests.api import GEMMA, GLM, HELLO, LLAMA, Api, code_of

RETIRED = "@cf/meta/llama-3.1-8b-instruct"
PARTS = [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]
PICTURE = [{"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}]


@pytest.mark.parametrize(
    ("path", "body", "code", "words"),
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
def test_a_request_is_refused_as_recorded(
    path: str, body: Any, code: tuple[int, int], words: str, api: Api, cloudflare: Standin
) -> None:
    reply = api.post(path, body)
    assert code_of(reply) == code
    assert words in reply.json()["errors"][0]["message"]
    assert cloudflare.calls == []


def test_the_estimate_counts_images_and_the_most_that_may_be_answered(api: Api) -> None:
    messages = [{"role": "user", "content": [*PICTURE, {"type": "text", "text": "word"}]}]
    reply = api.chat("@cf/mistralai/mistral-small-3.1-24b-instruct", messages=messages)
    assert reply.status_code == 200
    large = api.chat(
        "@cf/mistralai/mistral-small-3.1-24b-instruct", messages=messages, max_tokens=103_000
    )
    assert code_of(large) == (413, 5021)
    assert re.search(r"\(128007\) exceeded .* \(128000\)\.", large.text)


def test_get_is_not_supported_where_others_list_models(api: Api) -> None:
    assert api.get("/ai/v1/models").json() == {
        "result": None,
        "success": False,
        "errors": [{"code": 7001, "message": "GET not supported for requested URI."}],
        "messages": [],
    }
    assert code_of(api.get("/ai/v1/chat/completions")) == (405, 7001)


def test_a_licence_is_agreed_to_once(api: Api) -> None:
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


def test_a_model_without_capacity_says_so(cloudflare: Standin, api: Api) -> None:
    cloudflare.switch(busy=True)
    assert code_of(api.chat(options={"rejectIfBusy": True})) == (429, 3040)
    assert code_of(api.run("@cf/baai/bge-m3", text="Hi")) == (429, 3040)


def test_what_reached_the_model_has_a_request_id_and_what_did_not_has_a_ray(
    cloudflare: Standin, api: Api
) -> None:
    inside = api.run(GEMMA)
    assert {"cf-ray", "cf-ai-req-id"} <= set(inside.headers)
    assert inside.headers["cf-ai-req-id"] in inside.text
    assert inside.json()["result"] == {}
    front = api.run("@cf/no/such")
    assert "cf-ray" in front.headers
    assert "cf-ai-req-id" not in front.headers
    assert front.json()["result"] is None


def test_the_envelope_wraps_the_message_twice_where_the_model_failed(
    cloudflare: Standin, api: Api
) -> None:
    cloudflare.switch(error=Fault())
    body = api.chat().json()
    message = body["errors"][0].pop("message")
    assert re.fullmatch(r"AiError: AiError: Internal server error \([0-9a-f-]{36}\)", message)
    assert body == {"errors": [{"code": 3043}], "success": False, "result": {}, "messages": []}


def test_each_shape_has_its_keys(cloudflare: Standin, api: Api) -> None:
    def answered(shape: Any) -> Any:
        cloudflare.switch(error=Fault.of(4006, shape))
        reply = api.chat()
        assert reply.status_code == 429
        return reply

    assert answered("A").json()["errors"][0]["code"] == 4006
    assert set(answered("B").json()["error"]) == {"code", "message"}
    gateway = answered("C").json()
    assert (gateway["name"], gateway["internalCode"], gateway["httpCode"]) == (
        "AiError",
        4006,
        429,
    )
    assert set(gateway) >= {"message", "description", "requestId"}
    assert '{"detail":[' in answered("D").json()["errors"][0]["message"]
    page = answered("html")
    assert page.headers["content-type"].startswith("text/html")
    assert page.text.startswith("<!DOCTYPE html>")
    assert answered("empty").content == b""


def test_the_statuses_of_cloudflare_s_own_can_be_asked_for(cloudflare: Standin, api: Api) -> None:
    cloudflare.switch(error=Fault(524, 0, "A timeout occurred", "html"))
    assert api.chat().status_code == 524


@pytest.mark.parametrize("code", RECORDED)
def test_every_known_code_can_be_asked_for(code: int, cloudflare: Standin, api: Api) -> None:
    cloudflare.switch(error=Fault.of(code))
    assert code_of(api.chat()) == (RECORDED[code][0], code)


def test_an_unknown_code_is_no_recorded_error() -> None:
    with pytest.raises(KeyError):
        Fault.of(1)
