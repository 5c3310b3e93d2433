"""Reasoning is switched off in the form that the catalog gives for the model."""

from dataclasses import replace
from pathlib import Path

import pytest

from cfai_magics.pricing.catalog import load_cached, save_cached
from cfai_magics.replay.fingerprint import fingerprint_chat
from cfai_magics.session.session import Session
from cfai_magics.types.messages import Message, Request
from cfai_magics.types.usage import Model
from cfai_magics.workers_ai.endpoints import chat_body, parse_models
from tests.standin import Reply, Standin

EFFORT_CASES = {
    "no efforts": ("@cf/google/gemma-4-26b-a4b-it", (), {"enable_thinking": False}, None),
    "none": ("@cf/zai-org/glm-5.2", ("high", "none"), {"enable_thinking": False}, "none"),
    "mandatory": ("@cf/openai/gpt-oss-20b", ("high", "low"), {"enable_thinking": False}, "low"),
    "kimi": (
        "@cf/moonshotai/kimi-k2.6",
        ("none",),
        {"enable_thinking": False, "thinking": False},
        "none",
    ),
}


@pytest.mark.parametrize(
    ("name", "efforts", "switch", "effort"), EFFORT_CASES.values(), ids=EFFORT_CASES
)
def test_reasoning_is_switched_off_in_the_form_of_the_catalog(
    name: str, efforts: tuple[str, ...], switch: dict[str, bool], effort: str | None
) -> None:
    model = Model(name, reasoning=True, reasoning_efforts=efforts)
    request = Request(name, ({"role": "user", "content": "Hi"},), think=False)
    body = chat_body(request, model=model)
    assert (body["chat_template_kwargs"], body.get("reasoning_effort")) == (switch, effort)
    assert model.always_thinks == (effort == "low")
    thinking = chat_body(replace(request, think=True), model=model)
    assert thinking["chat_template_kwargs"] == dict.fromkeys(switch, True)
    assert "reasoning_effort" not in thinking
    assert "chat_template_kwargs" not in chat_body(replace(request, think=None), model=model)
    own = chat_body(replace(request, extra={"reasoning_effort": "high"}), model=model)
    assert own["reasoning_effort"] == "high"
    # Recordings are found whatever the form is.
    assert fingerprint_chat(request, "", body) == fingerprint_chat(request)


@pytest.mark.parametrize(
    ("value", "efforts"),
    [
        ({"supported_efforts": ["high", "none"]}, ("high", "none")),
        ({"supported_efforts": ["low", "none"], "mandatory": True}, ("low",)),
        ({"supported_efforts": ["low", 7, None, "huge"]}, ("low",)),
        ({"supported_efforts": "low"}, ()),
        ("none", ()),
        (None, ()),
    ],
    ids=str,
)
def test_the_efforts_of_a_listed_model_are_parsed_and_cached(
    value: object, efforts: tuple[str, ...], tmp_path: Path
) -> None:
    properties = [{"property_id": "reasoning_effort", "value": value}]
    (model,) = parse_models({"result": [{"name": "@cf/a/b", "properties": properties}]})
    assert model.reasoning_efforts == efforts
    save_cached(tmp_path, [model], "2026-10-09")
    cached = load_cached(tmp_path)
    assert cached is not None
    assert cached.models == (model,)


def test_thinking_that_cannot_be_switched_off_is_reported(
    account: Standin, session: Session
) -> None:
    body = (
        b'data: {"choices":[{"delta":{"reasoning_content":"Hm","content":"Hi"}}]}\n\n'
        b"data: [DONE]\n\n"
    )
    account.switch(canned=Reply(body, content_type="text/event-stream"))
    hi: list[Message] = [{"role": "user", "content": "Hi"}]
    always = session.ask(session.build_request(hi, "gpt-oss-20b"))
    asked = session.ask(session.build_request(hi, "gpt-oss-20b", think=True))
    other = session.ask(session.build_request(hi, "glm-4.7-flash"))
    assert always.notes == (
        "gpt-oss-20b always thinks before it answers. The thinking is billed.",
    )
    assert (asked.notes, other.notes) == ((), ())
    assert [request.json.get("reasoning_effort") for request in account.requests] == [
        *("low", None, None)
    ]
