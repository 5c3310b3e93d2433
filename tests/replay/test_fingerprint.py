"""The fingerprint of a request depends only on what affects its answer."""

import io
from base64 import b64encode
from typing import Any

import pytest

from cfai_magics.replay.fingerprint import (
    RecordedRequest,
    fingerprint_chat,
    fingerprint_embeddings,
    fingerprint_task,
    to_request,
)
from cfai_magics.types.messages import Request

IMAGE = b"\x89PNG pretended"


def key(**fields: Any) -> str:
    return fingerprint_chat(
        Request("@cf/m", ({"role": "user", "content": "Hi"},), **fields)
    ).fingerprint


def with_image(content: bytes, *, parameters: str = "") -> Request:
    url = f"data:image/png{parameters};base64,{b64encode(content).decode()}"
    part = {"type": "image_url", "image_url": {"url": url}}
    return Request("@cf/m", ({"role": "user", "content": [part]},))


@pytest.mark.parametrize(
    "fields",
    [
        {"max_tokens": 5},
        {"temperature": 0.0},
        {"top_p": 0.5},
        {"seed": 1},
        {"stop": ("END",)},
        {"think": True},
        {"extra": {"response_format": {"type": "json_object"}}},
        {"extra": {"tools": [{"type": "function"}]}},
        {"extra": {"anything": None, "n": 2}},
    ],
    ids=str,
)
def test_what_decides_the_answer_changes_the_key(fields: dict[str, Any]) -> None:
    assert key(**fields) != key()


@pytest.mark.parametrize(
    "fields",
    [
        {"stream": False},
        {"think": False},
        {"extra": {"user": "a student", "metadata": {"course": "1"}}},
        {"extra": {"options": {"rejectIfBusy": True}, "stream_options": {"include_usage": True}}},
    ],
    ids=str,
)
def test_what_does_not_decide_it_leaves_the_key(fields: dict[str, Any]) -> None:
    assert key(**fields) == key()


def test_the_same_number_is_the_same_however_it_is_written() -> None:
    assert key(temperature=1) == key(temperature=1.0)
    assert key(temperature=1) != key(temperature=1.5)
    assert key(extra={"a": 1, "b": 2}) == key(extra={"b": 2, "a": 1})


def test_the_order_and_roles_of_messages_decide() -> None:
    one, other = {"role": "user", "content": "a"}, {"role": "user", "content": "b"}
    keys = {
        fingerprint_chat(Request("m", messages)).fingerprint
        for messages in ((one, other), (other, one), (one,), ({**one, "role": "system"}, other))
    }
    assert len(keys) == 4


def test_an_image_is_known_by_its_bytes_and_not_kept() -> None:
    asked = fingerprint_chat(with_image(IMAGE))
    assert (
        asked.fingerprint
        == fingerprint_chat(with_image(IMAGE, parameters=";charset=binary")).fingerprint
    )
    assert asked.fingerprint != fingerprint_chat(with_image(IMAGE + b".")).fingerprint
    assert b64encode(IMAGE).decode() not in str(asked.fields)
    assert asked.has_hashed_content
    assert not fingerprint_chat(
        Request("m", ({"role": "user", "content": "sha"},))
    ).has_hashed_content


def test_bytes_and_open_files_are_known_by_what_they_hold() -> None:
    assert (
        fingerprint_task("m", IMAGE, {}).fingerprint
        == fingerprint_task("m", IMAGE, {}).fingerprint
    )
    assert (
        fingerprint_task("m", IMAGE, {}).fingerprint
        != fingerprint_task("m", IMAGE + b".", {}).fingerprint
    )
    file = io.BytesIO(b"before" + IMAGE)
    file.seek(6)
    sent = fingerprint_task("m", {}, {"files": {"image": ("a.png", file)}})
    assert (
        sent.fingerprint
        == fingerprint_task("m", {}, {"files": {"image": ("a.png", IMAGE)}}).fingerprint
    )
    assert file.read() == IMAGE, "the file position must not change"


def test_tasks_do_not_share_keys() -> None:
    keys = {
        fingerprint_embeddings("m", ["a"]).fingerprint,
        fingerprint_task("m", {"texts": ["a"]}, {}).fingerprint,
    }
    assert len(keys | {fingerprint_embeddings("m", ["a"], "local").fingerprint}) == 3
    assert (
        fingerprint_embeddings("m", ["a"], "local").portable_fingerprint
        == fingerprint_embeddings("m", ["a"]).fingerprint
    )


def test_a_schema_is_the_same_question_in_the_wrapper_of_other_servers() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}

    def asked(told: object, local: str = "") -> RecordedRequest:
        form = {"response_format": {"type": "json_schema", "json_schema": told}}
        return fingerprint_chat(
            Request("m", ({"role": "user", "content": "Hi"},), extra=form), local
        )

    here = asked({"name": "answer", "schema": schema}, "a small one")
    assert here.portable_fingerprint == asked(schema).fingerprint
    assert here.portable_fingerprint != asked({**schema, "required": ["city"]}).fingerprint


def test_parameters_hold_no_text_of_the_question() -> None:
    schema = {"type": "json_schema", "json_schema": {"title": "A secret question"}}
    asked = fingerprint_chat(
        Request(
            *("@cf/m", ({"role": "user", "content": "A secret question"},)),
            max_tokens=7,
            extra={"response_format": schema, "guided": "A secret question" * 9},
        )
    )
    assert asked.parameters["max_tokens"] == 7
    assert asked.parameters["response_format"].startswith("sha256:")
    assert "secret" not in str(asked.parameters)


def test_a_recorded_request_can_be_asked_again() -> None:
    request = Request("@cf/m", ({"role": "user", "content": "Hi"},), 9, 0.5, think=True)
    again = to_request(fingerprint_chat(request), "@cf/m", think=True)
    assert fingerprint_chat(again).fingerprint == fingerprint_chat(request).fingerprint
