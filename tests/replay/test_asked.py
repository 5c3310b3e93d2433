"""A request is known by all that decides its answer, and by nothing else."""

import io
from base64 import b64encode
from typing import Any

import pytest

from cfai_magics.replay.asked import Asked, asked_chat, asked_embeddings, asked_run, request_of
from cfai_magics.values import Request

IMAGE = b"\x89PNG pretended"


def key(**fields: Any) -> str:
    return asked_chat(Request("@cf/m", ({"role": "user", "content": "Hi"},), **fields)).key


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
        asked_chat(Request("m", messages)).key
        for messages in ((one, other), (other, one), (one,), ({**one, "role": "system"}, other))
    }
    assert len(keys) == 4


def test_an_image_is_known_by_its_bytes_and_not_kept() -> None:
    asked = asked_chat(with_image(IMAGE))
    assert asked.key == asked_chat(with_image(IMAGE, parameters=";charset=binary")).key
    assert asked.key != asked_chat(with_image(IMAGE + b".")).key
    assert b64encode(IMAGE).decode() not in str(asked.fields)
    assert asked.has_images
    assert not asked_chat(Request("m", ({"role": "user", "content": "sha"},))).has_images


def test_bytes_and_open_files_are_known_by_what_they_hold() -> None:
    assert asked_run("m", IMAGE, {}).key == asked_run("m", IMAGE, {}).key
    assert asked_run("m", IMAGE, {}).key != asked_run("m", IMAGE + b".", {}).key
    file = io.BytesIO(b"before" + IMAGE)
    file.seek(6)
    sent = asked_run("m", {}, {"files": {"image": ("a.png", file)}})
    assert sent.key == asked_run("m", {}, {"files": {"image": ("a.png", IMAGE)}}).key
    assert file.read() == IMAGE, "the file has still to be sent"


def test_tasks_do_not_share_keys() -> None:
    keys = {asked_embeddings("m", ["a"]).key, asked_run("m", {"texts": ["a"]}, {}).key}
    assert len(keys | {asked_embeddings("m", ["a"], "local").key}) == 3
    assert asked_embeddings("m", ["a"], "local").elsewhere == asked_embeddings("m", ["a"]).key


def test_a_schema_is_the_same_question_in_the_wrapper_of_other_servers() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}

    def asked(told: object, local: str = "") -> Asked:
        form = {"response_format": {"type": "json_schema", "json_schema": told}}
        return asked_chat(Request("m", ({"role": "user", "content": "Hi"},), extra=form), local)

    here = asked({"name": "answer", "schema": schema}, "a small one")
    assert here.elsewhere == asked(schema).key
    assert here.elsewhere != asked({**schema, "required": ["city"]}).key


def test_parameters_hold_no_text_of_the_question() -> None:
    schema = {"type": "json_schema", "json_schema": {"title": "A secret question"}}
    asked = asked_chat(
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
    again = request_of(asked_chat(request), "@cf/m", thinks=True)
    assert asked_chat(again).key == asked_chat(request).key
