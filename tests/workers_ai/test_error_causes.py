"""Each error response, in any format, gets a one-line cause without wrappers."""

import json
from typing import Any

import pytest

from cfai_magics.errors import BadRequestError
from cfai_magics.workers_ai.error_mapping import (
    MAX_CAUSE_CHARS,
    error_from_body,
    error_from_response,
)

REQUEST_ID = "0b3d7a52-6f1e-4c98-9a40-5d2c8e71f063"


def enveloped(message: str, code: int = 5006, **more: Any) -> bytes:
    item = {"message": message, "code": code}
    return json.dumps({"errors": [item], "success": False, **more}).encode()


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ("upstream connect error", "upstream connect error"),
        ("x" * 1000, "x" * MAX_CAUSE_CHARS),
        ("[1, 2]", "[1, 2]"),
        ('"text"', '"text"'),
        ("\xff\xfe", "\xff\xfe"),
        ('{"detail": [{"loc": ["body"], "msg": "Field required"}]}', "Field required"),
        ('{"message": "no healthy upstream"}', "no healthy upstream"),
        ('{"error": "Unauthorized"}', "Unauthorized"),
        ('{"error": ["first", "second"]}', "first"),
        ('{"success": false, "errors": []}', "The server gave no reason"),
        ('{"success": false, "errors": [{"code": 5006}]}', "The server returned HTTP 400"),
        ('{"errors": [{"code": "nonsense", "message": 7}]}', "7"),
        ('{"error": {"code": 1e999, "message": "infinite"}}', "infinite"),
        ('{"error": {"code": null, "message": null}}', "The server returned HTTP 400"),
        ('{"errors": [null]}', "The server returned HTTP 400"),
        ('{"error": true, "message": "Model crashed"}', "Model crashed"),
        ('{"error": {"detail": "no such field"}}', "no such field"),
        ('{"msg": "bad", "code": 7}', "bad"),
        ('{"title": "Invalid", "errors": {"top_k": ["too small"]}}', "top_k: too small"),
        (
            '{"object": "error", "message": {"detail": [{"msg": "Extra", "loc": ["body", "x"]}]}}',
            "x: Extra",
        ),
        ('{"error": {"code": 0, "message": "success"}}', "success"),
    ],
    ids=lambda value: value[:40],
)
def test_any_error_body_has_a_one_line_cause(content: str, cause: str) -> None:
    error = error_from_response(400, {}, content.encode())
    assert (type(error), error.cause) == (BadRequestError, cause)
    assert (error.request_id, error.retry_after) == (None, None)


@pytest.mark.parametrize(
    ("message", "cause", "request_id"),
    [
        ("AiError: AiError: Bad input: Error: no ({})", "Bad input: Error: no", REQUEST_ID),
        ("Ai: Bad input ({})", "Bad input", REQUEST_ID),
        ("AiError: two\n  lines", "two lines", None),
        ("in ({}) the middle", "in ({}) the middle", None),
        ('{"detail":[{"type":"invalid","msg":"no state"}]}', "no state", None),
        ('AiError: {"detail":[{"msg":"no state"}]} ({})', "no state", REQUEST_ID),
        ('{"errors":[{"message":"AiError: inner ({})"}]}', "inner", REQUEST_ID),
        ('{"error":{"message":"inner"}}', "inner", None),
        ('{"message":"inner"}', "inner", None),
        ('{"detail":[]}', '{"detail":[]}', None),
        ('{"detail":["text"]}', "text", None),
        ("404", "404", None),
    ],
)
def test_wrappers_are_removed_from_a_message(
    message: str, cause: str, request_id: str | None
) -> None:
    error = error_from_response(400, {}, enveloped(message.replace("{}", REQUEST_ID)))
    assert (error.cause, error.request_id) == (cause.replace("{}", REQUEST_ID), request_id)


@pytest.mark.parametrize(
    ("page", "cause"),
    [
        (b"<TITLE lang=en>\n A &amp;\n B\n</TITLE><p>more", "A & B"),
        (b"<html><h1>Bad  Gateway</h1><hr>nginx</html>", "Bad Gateway nginx"),
    ],
)
def test_the_title_of_a_page_is_its_cause(page: bytes, cause: str) -> None:
    assert error_from_response(502, {}, page).cause == cause
    message = f"The address returns a web page ({cause}) instead of an answer"
    assert error_from_response(403, {}, page).cause == message


def test_an_error_without_a_message_has_a_cause() -> None:
    error = error_from_body({"errors": [{"code": 3043}]})
    assert str(error).startswith("The server gave no reason (code 3043).")
