"""A cassette miss is explained by the differences from the closest recorded request."""

from typing import Any

import pytest

from cfai_magics.replay.fingerprint import RecordedRequest
from cfai_magics.replay.mismatch import explain_mismatch


def chat(*contents: str, system: str = "Be brief.", **fields: Any) -> RecordedRequest:
    messages = [{"role": "system", "content": system}] if system else []
    messages += [{"role": "user", "content": content} for content in contents]
    return RecordedRequest({"task": "chat", "model": "@cf/a/m", "messages": messages, **fields})


def image_chat(image: str) -> RecordedRequest:
    url = f"image/png;sha256:{image * 64}"
    image_part = {"type": "image_url", "image_url": {"url": url}}
    content = [{"type": "text", "text": "What is it?"}, image_part]
    return RecordedRequest(
        {"task": "chat", "model": "m", "messages": [{"role": "user", "content": content}]}
    )


def schema_chat(properties: dict[str, Any]) -> RecordedRequest:
    schema = {"type": "object", "properties": properties}
    return chat("Where?", response_format={"type": "json_schema", "json_schema": schema})


def task(prompt: str, steps: int | None) -> RecordedRequest:
    task_input = {"prompt": prompt} if steps is None else {"prompt": prompt, "steps": steps}
    return RecordedRequest({"task": "run", "model": "@cf/a/i", "input": task_input})


SCHEMA_CHANGED = (
    'the schema: “…erties":{"town":{"type":"strin…” instead of “…erties":{"city":{"type":"strin…”'
)
RECORDED = [
    chat("Why is the sky blue?", max_tokens=99),
    chat("Name three rivers.", max_tokens=99),
    RecordedRequest({"task": "embeddings", "model": "@cf/a/e", "texts": ["a", "b"]}),
    image_chat("1"),
    schema_chat({"city": {"type": "string"}}),
    task("A house", 4),
    RecordedRequest({"task": "run", "model": "@cf/a/t", "input": "sha256:11"}),
]


@pytest.mark.parametrize(
    ("current", "expected"),
    [
        (
            chat("Why is the sky red?", max_tokens=99),
            "message 1 (user): “…s the sky red?” instead of “…s the sky blue?”",
        ),
        (
            chat("Name three rivers.", system="Be long.", max_tokens=99),
            "the system prompt: “Be long.” instead of “Be brief.”",
        ),
        (
            chat("Name three rivers.", max_tokens=99, model="@cf/b/n"),
            "model: @cf/b/n instead of @cf/a/m",
        ),
        (chat("Name three rivers.", max_tokens=5), "parameter max_tokens: 5 instead of 99"),
        (
            chat("Name three rivers.", max_tokens=99, temperature=0),
            "parameter temperature: 0 instead of unset",
        ),
        (
            chat("Name three rivers.", "And lakes?", max_tokens=99),
            "message 2 (user) is new",
        ),
        (
            RecordedRequest({"task": "embeddings", "model": "@cf/a/e", "texts": ["a"]}),
            "text 2 is missing",
        ),
        (
            chat("Name three rivers.", system="", max_tokens=99),
            "the system prompt is missing",
        ),
        (
            chat("Name three rivers.\n", max_tokens=99),
            "message 1 (user): “…ee rivers.⏎” instead of “…ee rivers.”",
        ),
        (
            chat("Name three\xa0rivers.", max_tokens=99),
            r"message 1 (user): “Name three\xa0rivers.” instead of “Name three rivers.”",
        ),
        (
            chat("Name three rivers.", max_tokens=99, local="a small model", think=True),
            "parameter think: true instead of unset",
        ),
        (
            image_chat("2"),
            "image 1 of message 1 is different",
        ),
        (
            schema_chat({"town": {"type": "string"}}),
            SCHEMA_CHANGED,
        ),
        (task("A home", 4), "input prompt: “A home” instead of “A house”"),
        (task("A house", 8), "input steps: 8 instead of 4"),
        (task("A house", None), "input steps: unset instead of 4"),
        (
            RecordedRequest({"task": "run", "model": "@cf/a/t", "input": "sha256:22"}),
            "input is different",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_changed_part_is_named(current: RecordedRequest, expected: str) -> None:
    assert explain_mismatch(current, RECORDED) == expected


def test_the_closest_request_has_the_fewest_changed_parts() -> None:
    recorded = [chat("River?", system="", max_tokens=9, temperature=1), chat("Q", system="")]
    explanation = explain_mismatch(chat("Q", max_tokens=5), recorded)
    assert explanation == "the system prompt is new; parameter max_tokens: 5 instead of unset"


def test_requests_of_other_tasks_are_not_compared() -> None:
    assert explain_mismatch(chat("Hi"), RECORDED[2:3]) == ""
    assert explain_mismatch(chat("Hi"), []) == ""


def test_long_texts_are_shortened() -> None:
    explanation = explain_mismatch(chat("word " * 5_000 + "end"), [chat("word " * 5_000)])
    assert len(explanation) < 200
    assert "end" in explanation
