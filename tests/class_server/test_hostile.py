"""A hostile student exceeds no budget, disturbs no other student, and sends nothing unchecked."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.class_server import MODEL, TIMEOUT, ClassServer
from tests.standin import Standin

MEBIBYTE = 2**20
HUGE = 100 * MEBIBYTE
EXPENSIVE = "@cf/meta/llama-3.3-70b-instruct-fp8-fast"
MESSAGES = [{"role": "user", "content": "Hello"}]


def chunks() -> Iterator[bytes]:
    """Yield the bytes of a huge body."""
    for _ in range(HUGE // MEBIBYTE):
        yield b" " * MEBIBYTE


def connect(server: ClassServer, data: bytes) -> socket.socket:
    """Return a connection to the server after sending these bytes."""
    address = urlsplit(server.url)
    connection = socket.create_connection((address.hostname, address.port), TIMEOUT)
    connection.sendall(data)
    return connection


def head(key: str, *lines: str, path: str = "/v1/chat/completions") -> bytes:
    """Return the head of a request with these header lines."""
    fixed = [f"POST {path} HTTP/1.1", "host: class", f"authorization: Bearer {key}"]
    return "\r\n".join([*fixed, *lines, "", ""]).encode()


@pytest.mark.parametrize("length", [True, False], ids=["with a length", "chunked"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/embeddings", f"/run/{MODEL}"])
def test_a_body_of_100_mb_is_refused_without_storing_it(
    path: str, length: bool, server: ClassServer, cloudflare: Standin, key: str
) -> None:
    before = server.workerd.memory_info().rss
    headers = {"content-length": str(HUGE)} if length else {}
    response = server.request("POST", path, key, content=chunks(), headers=headers)
    assert response.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE
    assert server.workerd.memory_info().rss - before < HUGE / 2
    assert cloudflare.requests == ()
    assert server.settled(key)["spent"] == 0


def test_a_body_of_100_mb_without_a_key_is_refused(server: ClassServer) -> None:
    for path in ("/v1/chat/completions", "/admin/students", "/nothing"):
        response = server.request("POST", path, content=chunks())
        assert response.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.NOT_FOUND}


BAD_FIELDS: list[dict[str, Any]] = [
    {"max_tokens": 0},
    {"max_tokens": -5},
    {"max_tokens": 1.5},
    {"max_tokens": "10"},
    {"max_tokens": [1]},
    {"max_completion_tokens": {}},
    {"n": 2},
    {"n": "1"},
    {"best_of": 5},
    {"stream": "true"},
    {"messages": []},
    {"messages": "Hello"},
    {"messages": [None]},
    {"model": None},
    {"model": [MODEL]},
    {"model": f"{MODEL}/../{EXPENSIVE}"},
    {"image": "data:,"},
]


@pytest.mark.parametrize("fields", BAD_FIELDS, ids=json.dumps)
def test_a_bad_field_is_refused_in_one_message_and_costs_nothing(
    fields: dict[str, Any], server: ClassServer, cloudflare: Standin, key: str
) -> None:
    response = server.chat(key, **fields)
    assert response.status_code in {httpx.codes.BAD_REQUEST, httpx.codes.FORBIDDEN}
    (error,) = response.json()["errors"]
    assert error["message"]
    assert cloudflare.requests == ()
    assert server.settled(key)["spent"] == 0


@pytest.mark.parametrize("max_tokens", [10**6, 10**300, None], ids=["high", "huge", "none"])
def test_max_tokens_are_limited_to_those_of_the_class(
    max_tokens: int | None, server: ClassServer, cloudflare: Standin, key: str
) -> None:
    server.chat(key, max_tokens=max_tokens)
    assert cloudflare.requests[-1].json["max_tokens"] == 2048


def test_the_last_of_duplicate_fields_is_checked_and_sent(
    server: ClassServer, cloudflare: Standin, name: str
) -> None:
    key = server.add_student(name, models=[MODEL])

    def ask(first: str, second: str) -> int:
        body = (
            f'{{"model": "{first}", "max_tokens": 9999, "messages": {json.dumps(MESSAGES)}, '
            f'"max_tokens": 20, "model": "{second}"}}'
        )
        return server.request("POST", "/v1/chat/completions", key, content=body).status_code

    assert ask(MODEL, EXPENSIVE) == httpx.codes.FORBIDDEN
    assert cloudflare.requests == ()
    assert ask(EXPENSIVE, MODEL) == httpx.codes.OK
    (sent,) = cloudflare.requests
    assert sent.body_bytes.count(b'"model"') == sent.body_bytes.count(b'"max_tokens"') == 1
    assert (sent.json["model"], sent.json["max_tokens"]) == (MODEL, 20)


def test_headers_of_a_student_are_not_sent_to_cloudflare(
    server: ClassServer, cloudflare: Standin, key: str
) -> None:
    headers = {
        "cookie": "a=b",
        "x-forwarded-for": "203.0.113.1",
        "accept-encoding": "gzip",
        "cf-aig-gateway-id": "own",
        "cf-aig-metadata": "{}",
        "cf-aig-collect-log": "true",
        "x-auth-key": key,
        "user-agent": "own",
    }
    body = {"model": MODEL, "messages": MESSAGES}
    address = "/v1/chat/completions?account=own"
    response = server.request("POST", address, key, body, headers=headers)
    assert response.status_code == httpx.codes.OK
    (sent,) = cloudflare.requests
    assert sent.headers["authorization"] == f"Bearer {cloudflare.token}"
    assert sent.headers["accept-encoding"] == "identity"
    assert not {"cookie", "x-forwarded-for", "x-auth-key", "user-agent"} & sent.headers.keys()
    assert not [name for name in sent.headers if name.startswith("cf-aig-")]
    assert sent.query == {}
    assert key not in str(sent.as_json())


@pytest.mark.parametrize(
    "lines",
    [
        ("content-length: 5", "transfer-encoding: chunked"),
        ("content-length: 5", "content-length: 500"),
    ],
    ids=["length and chunked", "two lengths"],
)
def test_an_ambiguous_request_hides_no_second_request(
    lines: tuple[str, ...], server: ClassServer, cloudflare: Standin, key: str
) -> None:
    hidden = head(server.admin_key, "content-length: 0", path="/admin/pause")
    body = b"0\r\n\r\n" + hidden
    with connect(server, head(key, *lines) + body) as connection:
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(2**16):
            pass
    assert server.admin("GET", "class")["paused"] is False
    assert cloudflare.requests == ()
    assert server.settled(key)["spent"] == 0


def test_unfinished_bodies_keep_no_other_student_waiting(
    server: ClassServer, cloudflare: Standin, name: str, key: str
) -> None:
    start = head(key, "content-length: 1000") + b'{"model": "'
    connections = [connect(server, start) for _ in range(50)]
    other = server.add_student(f"{name}, who waits")
    assert server.chat(other).status_code == httpx.codes.OK
    assert server.request("GET", "/me", key).json()["reserved"] == 0
    for connection in connections:
        connection.close()
    assert len(cloudflare.requests) == 1
    assert server.settled(key)["spent"] == 0


def test_answers_that_are_not_read_cost_what_cloudflare_bills(
    server: ClassServer, cloudflare: Standin, name: str, key: str
) -> None:
    cloudflare.switch(answer="word" * 1500, dialect="gemma")
    before = cloudflare.billed
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(server.stream(key))
        spent = server.settled(key)["spent"]
        assert spent == pytest.approx(cloudflare.billed - before)
        other = server.add_student(f"{name}, who asks")
        assert server.chat(other).status_code == httpx.codes.OK
    assert server.settled(key)["spent"] == spent > 100


def test_a_student_cannot_spend_for_another(
    server: ClassServer, cloudflare: Standin, name: str, key: str
) -> None:
    other = server.add_student(f"{name}, who is used")
    headers = {"x-student": other, "x-api-key": other, "cf-access-client-id": other}
    body = {
        "model": MODEL,
        "messages": MESSAGES,
        "user": other,
        "api_key": other,
        "metadata": {"user_id": other},
    }
    path = "/v1/chat/completions"
    assert server.request("POST", path, key, body, headers=headers).status_code == httpx.codes.OK
    assert server.settled(other)["spent"] == 0 < server.settled(key)["spent"]
    assert other not in str(cloudflare.requests[-1].as_json())


@pytest.mark.parametrize(
    "path", ["/run/../../user/tokens/verify", "/run/%2e%2e/models/search", "/run//", "/run/@cf"]
)
def test_no_other_address_of_cloudflare_is_reached(
    path: str, server: ClassServer, cloudflare: Standin, key: str
) -> None:
    with connect(server, head(key, "content-length: 2", "connection: close", path=path) + b"{}"):
        pass
    response = server.request("POST", path, key, {})
    assert response.is_client_error
    assert cloudflare.requests == ()


@pytest.mark.parametrize("body", [b"[" * 100_000, b"\xff", b"", b"null", b"[]", b'{"model":'])
def test_a_body_that_is_no_json_object_is_refused(
    body: bytes, server: ClassServer, cloudflare: Standin, key: str
) -> None:
    response = server.request("POST", "/v1/chat/completions", key, content=body)
    assert response.status_code == httpx.codes.BAD_REQUEST
    assert cloudflare.requests == ()
