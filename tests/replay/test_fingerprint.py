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

IMAGE = b"\x89PNG fake"


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
def test_fields_that_affect_the_answer_change_the_fingerprint(fields: dict[str, Any]) -> None:
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
def test_other_fields_do_not_change_the_fingerprint(fields: dict[str, Any]) -> None:
    assert key(**fields) == key()


def test_equal_numbers_have_the_same_fingerprint() -> None:
    assert key(temperature=1) == key(temperature=1.0)
    assert key(temperature=1) != key(temperature=1.5)
    assert key(extra={"a": 1, "b": 2}) == key(extra={"b": 2, "a": 1})


def test_the_order_and_roles_of_messages_change_the_fingerprint() -> None:
    one, other = {"role": "user", "content": "a"}, {"role": "user", "content": "b"}
    keys = {
        fingerprint_chat(Request("m", messages)).fingerprint
        for messages in ((one, other), (other, one), (one,), ({**one, "role": "system"}, other))
    }
    assert len(keys) == 4


def test_images_are_hashed_and_not_stored() -> None:
    request = fingerprint_chat(with_image(IMAGE))
    assert (
        request.fingerprint
        == fingerprint_chat(with_image(IMAGE, parameters=";charset=binary")).fingerprint
    )
    assert request.fingerprint != fingerprint_chat(with_image(IMAGE + b".")).fingerprint
    assert b64encode(IMAGE).decode() not in str(request.fields)
    assert request.has_hashed_content
    assert not fingerprint_chat(
        Request("m", ({"role": "user", "content": "sha"},))
    ).has_hashed_content


def test_bytes_and_open_files_are_fingerprinted_by_content() -> None:
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
    from_file = fingerprint_task("m", {}, {"files": {"image": ("a.png", file)}})
    assert (
        from_file.fingerprint
        == fingerprint_task("m", {}, {"files": {"image": ("a.png", IMAGE)}}).fingerprint
    )
    assert file.read() == IMAGE, "the file position must not change"


def test_tasks_have_different_fingerprints() -> None:
    keys = {
        fingerprint_embeddings("m", ["a"]).fingerprint,
        fingerprint_task("m", {"texts": ["a"]}, {}).fingerprint,
    }
    assert len(keys | {fingerprint_embeddings("m", ["a"], "local").fingerprint}) == 3
    assert (
        fingerprint_embeddings("m", ["a"], "local").portable_fingerprint
        == fingerprint_embeddings("m", ["a"]).fingerprint
    )


def test_the_wrapper_of_a_schema_does_not_change_the_fingerprint() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}

    def schema_request(schema_field: object, local: str = "") -> RecordedRequest:
        extra = {"response_format": {"type": "json_schema", "json_schema": schema_field}}
        return fingerprint_chat(
            Request("m", ({"role": "user", "content": "Hi"},), extra=extra), local
        )

    wrapped = schema_request({"name": "answer", "schema": schema}, "a small one")
    assert wrapped.portable_fingerprint == schema_request(schema).fingerprint
    assert (
        wrapped.portable_fingerprint
        != schema_request({**schema, "required": ["city"]}).fingerprint
    )


def test_parameters_do_not_contain_the_prompt() -> None:
    schema = {"type": "json_schema", "json_schema": {"title": "A secret prompt"}}
    request = fingerprint_chat(
        Request(
            *("@cf/m", ({"role": "user", "content": "A secret prompt"},)),
            max_tokens=7,
            extra={"response_format": schema, "guided": "A secret prompt" * 9},
        )
    )
    assert request.parameters["max_tokens"] == 7
    assert request.parameters["response_format"].startswith("sha256:")
    assert "secret" not in str(request.parameters)


def test_a_recorded_request_can_be_rebuilt() -> None:
    request = Request("@cf/m", ({"role": "user", "content": "Hi"},), 9, 0.5, think=True)
    rebuilt = to_request(fingerprint_chat(request), "@cf/m", think=True)
    assert fingerprint_chat(rebuilt).fingerprint == fingerprint_chat(request).fingerprint
