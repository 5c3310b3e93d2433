"""A cassette miss is explained by the differences from the closest recorded request."""

from typing import Any

import pytest

from cfai_magics.replay.fingerprint import RecordedRequest
from cfai_magics.replay.mismatch import explain_mismatch


def asked(*contents: str, system: str = "Be brief.", **fields: Any) -> RecordedRequest:
    messages = [{"role": "system", "content": system}] if system else []
    messages += [{"role": "user", "content": content} for content in contents]
    return RecordedRequest({"task": "chat", "model": "@cf/a/m", "messages": messages, **fields})


def looking(image: str) -> RecordedRequest:
    url = f"image/png;sha256:{image * 64}"
    image_part = {"type": "image_url", "image_url": {"url": url}}
    content = [{"type": "text", "text": "What is it?"}, image_part]
    return RecordedRequest(
        {"task": "chat", "model": "m", "messages": [{"role": "user", "content": content}]}
    )


def formed(properties: dict[str, Any]) -> RecordedRequest:
    schema = {"type": "object", "properties": properties}
    return asked("Where?", response_format={"type": "json_schema", "json_schema": schema})


def run(prompt: str, steps: int | None) -> RecordedRequest:
    given = {"prompt": prompt} if steps is None else {"prompt": prompt, "steps": steps}
    return RecordedRequest({"task": "run", "model": "@cf/a/i", "input": given})


SCHEMA_CHANGED = (
    'the schema: “…erties":{"town":{"type":"strin…” instead of “…erties":{"city":{"type":"strin…”'
)
RECORDED = [
    asked("Why is the sky blue?", max_tokens=99),
    asked("Name three rivers.", max_tokens=99),
    RecordedRequest({"task": "embeddings", "model": "@cf/a/e", "texts": ["a", "b"]}),
    looking("1"),
    formed({"city": {"type": "string"}}),
    run("A house", 4),
    RecordedRequest({"task": "run", "model": "@cf/a/t", "input": "sha256:11"}),
]


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (
            asked("Why is the sky red?", max_tokens=99),
            "message 1 (user): “…s the sky red?” instead of “…s the sky blue?”",
        ),
        (
            asked("Name three rivers.", system="Be long.", max_tokens=99),
            "the system prompt: “Be long.” instead of “Be brief.”",
        ),
        (
            asked("Name three rivers.", max_tokens=99, model="@cf/b/n"),
            "model: @cf/b/n instead of @cf/a/m",
        ),
        (asked("Name three rivers.", max_tokens=5), "parameter max_tokens: 5 instead of 99"),
        (
            asked("Name three rivers.", max_tokens=99, temperature=0),
            "parameter temperature: 0 instead of unset",
        ),
        (
            asked("Name three rivers.", "And lakes?", max_tokens=99),
            "message 2 (user) is new",
        ),
        (
            RecordedRequest({"task": "embeddings", "model": "@cf/a/e", "texts": ["a"]}),
            "text 2 is missing",
        ),
        (
            asked("Name three rivers.", system="", max_tokens=99),
            "the system prompt is missing",
        ),
        (
            asked("Name three rivers.\n", max_tokens=99),
            "message 1 (user): “…ee rivers.⏎” instead of “…ee rivers.”",
        ),
        (
            asked("Name three\xa0rivers.", max_tokens=99),
            r"message 1 (user): “Name three\xa0rivers.” instead of “Name three rivers.”",
        ),
        (
            asked("Name three rivers.", max_tokens=99, local="a small model", think=True),
            "parameter think: true instead of unset",
        ),
        (
            looking("2"),
            "image 1 of message 1 is different",
        ),
        (
            formed({"town": {"type": "string"}}),
            SCHEMA_CHANGED,
        ),
        (run("A home", 4), "input prompt: “A home” instead of “A house”"),
        (run("A house", 8), "input steps: 8 instead of 4"),
        (run("A house", None), "input steps: unset instead of 4"),
        (
            RecordedRequest({"task": "run", "model": "@cf/a/t", "input": "sha256:22"}),
            "input is different",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_part_that_changed_is_named(now: RecordedRequest, told: str) -> None:
    assert explain_mismatch(now, RECORDED) == told


def test_the_nearest_question_is_the_one_with_the_fewest_other_parts() -> None:
    bare = [asked("River?", system="", max_tokens=9, temperature=1), asked("Q", system="")]
    told = explain_mismatch(asked("Q", max_tokens=5), bare)
    assert told == "the system prompt is new; parameter max_tokens: 5 instead of unset"


def test_other_kinds_of_questions_are_no_neighbours() -> None:
    assert explain_mismatch(asked("Hi"), RECORDED[2:3]) == ""
    assert explain_mismatch(asked("Hi"), []) == ""


def test_long_texts_are_told_in_short() -> None:
    told = explain_mismatch(asked("word " * 5_000 + "end"), [asked("word " * 5_000)])
    assert len(told) < 200
    assert "end" in told
