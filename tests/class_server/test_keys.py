"""Only valid keys of the class are answered, at the times and for the models of their settings."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.class_server import MODEL, ClassServer
from tests.standin import Standin

FORGED = {
    "short": lambda _: "cfs_",
    "random": lambda _: f"cfs_{secrets.token_urlsafe(32)}",
    "shortened": lambda key: key[:-1],
    "extended": lambda key: f"{key}A",
    "changed": lambda key: key[:-2] + ("AA" if key[-2:] != "AA" else "BB"),
    "in another case": lambda key: key.swapcase(),
    "a pattern of SQL": lambda _: "cfs_%' OR '1'='1",
}


def hours(offset: int) -> str:
    """Return the time of day in UTC, with an offset in hours."""
    return (datetime.now(UTC) + timedelta(hours=offset)).strftime("%H:%M")


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_key_is_refused(
    kind: str, server: ClassServer, cloudflare: Standin, key: str
) -> None:
    forged = FORGED[kind](key)
    for response in (
        server.chat(forged),
        server.chat(forged, stream=True),
        server.request("GET", "/me", forged),
        server.request("GET", "/v1/models", forged),
        server.request("POST", f"/run/{MODEL}", forged, {"prompt": "Hello"}),
    ):
        assert response.status_code == httpx.codes.UNAUTHORIZED
        assert response.json()["errors"][0]["code"] == 10000
        assert key not in response.text
    assert cloudflare.requests == ()


@pytest.mark.parametrize("scheme", ["Basic {}", "{}", "Bearer {0}, Bearer {0}", "Bearer {0} {0}"])
def test_a_key_without_the_bearer_scheme_is_refused(
    scheme: str, server: ClassServer, cloudflare: Standin, key: str
) -> None:
    headers = {"authorization": scheme.format(key)}
    response = server.request("GET", "/me", headers=headers)
    assert response.status_code == httpx.codes.UNAUTHORIZED


@pytest.mark.parametrize("path", ["/me?key={}", "/v1/models?api_key={}", "/me?a=%20{}", "/?{}"])
def test_a_key_in_the_address_is_refused_because_addresses_are_logged(
    path: str, server: ClassServer, key: str
) -> None:
    response = server.request("GET", path.format(key), key)
    assert response.status_code == httpx.codes.BAD_REQUEST
    assert "renew" in response.json()["errors"][0]["message"]
    assert key not in response.text


def test_a_revoked_key_is_refused_until_the_student_is_added_again(
    server: ClassServer, cloudflare: Standin, name: str, key: str
) -> None:
    server.admin("DELETE", f"students/{name}")
    response = server.chat(key)
    assert response.status_code == httpx.codes.UNAUTHORIZED
    assert "revoked" in response.json()["errors"][0]["message"]
    assert server.chat(server.add_student(name)).status_code == httpx.codes.OK
    assert server.chat(key).status_code == httpx.codes.UNAUTHORIZED
    assert len(cloudflare.requests) == 1


def test_a_renewed_key_replaces_the_old_one_and_keeps_what_was_spent(
    server: ClassServer, cloudflare: Standin, name: str, key: str
) -> None:
    server.chat(key)
    spent = server.settled(key)["spent"]
    renewed = server.admin("POST", f"students/{name}/renew")["key"]
    assert server.request("GET", "/me", key).status_code == httpx.codes.UNAUTHORIZED
    assert server.settled(renewed)["spent"] == spent > 0


@pytest.mark.parametrize(("delta", "status"), [(-1, 401), (1, 200)], ids=["past", "future"])
def test_a_key_is_valid_until_it_expires(
    delta: int, status: int, server: ClassServer, cloudflare: Standin, name: str
) -> None:
    expires = (datetime.now(UTC) + timedelta(hours=delta)).isoformat()
    key = server.add_student(name, expires=expires)
    assert server.chat(key).status_code == status
    assert server.request("GET", "/me", key).status_code == status


@pytest.mark.parametrize(
    ("window", "status"),
    [((-2, 2), 200), ((2, 4), 403), ((-4, -2), 403), ((2, -2), 403)],
    ids=["now", "later", "earlier", "not now"],
)
def test_a_key_works_in_its_time_window(
    window: tuple[int, int], status: int, server: ClassServer, cloudflare: Standin, name: str
) -> None:
    start, end = map(hours, window)
    key = server.add_student(name, window={"from": start, "to": end})
    response = server.chat(key)
    assert response.status_code == status
    assert server.request("GET", "/me", key).status_code == httpx.codes.OK
    if status != httpx.codes.OK:
        assert f"from {start} to {end}" in response.json()["errors"][0]["message"]
        assert cloudflare.requests == ()


def test_a_time_window_is_in_the_time_zone_of_the_class(cloudflare: Standin) -> None:
    with ClassServer(cloudflare) as server:
        key = server.add_student("Ada", window={"from": hours(7), "to": hours(9)})
        assert server.chat(key).status_code == httpx.codes.FORBIDDEN
        server.admin("PATCH", "class", {"time_zone": "Asia/Shanghai"})
        assert server.chat(key).status_code == httpx.codes.OK


def test_pauses_and_models_of_a_student_apply_to_the_next_call(
    server: ClassServer, cloudflare: Standin, name: str, key: str
) -> None:
    def statuses() -> list[int]:
        embed = {"model": "@cf/baai/bge-m3", "input": "Hello"}
        embeddings = server.request("POST", "/v1/embeddings", key, embed)
        return [server.chat(key).status_code, embeddings.status_code]

    server.admin("PATCH", f"students/{name}", {"paused": True})
    assert statuses() == [403, 403]
    server.admin("PATCH", f"students/{name}", {"paused": False, "models": [MODEL]})
    assert statuses() == [200, 403]
    listed = server.request("GET", "/v1/models", key).json()["data"]
    assert [model["id"] for model in listed] == [MODEL]


ADMIN_ROUTES: list[tuple[str, str, Any]] = [
    ("GET", "class", None),
    ("PATCH", "class", {"budget": 1e6}),
    ("POST", "pause", None),
    ("POST", "resume", None),
    ("GET", "students", None),
    ("POST", "students", {"name": "Eve"}),
    ("PATCH", "students/Ada", {"budget": 1e6}),
    ("DELETE", "students/Ada", None),
    ("POST", "students/Ada/renew", None),
    ("GET", "usage", None),
    ("POST", "prices", None),
    ("GET", "unknown", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ADMIN_ROUTES, ids=str)
def test_the_key_of_a_student_opens_no_admin_route(
    method: str, path: str, body: Any, server: ClassServer, cloudflare: Standin, key: str
) -> None:
    before = server.admin("GET", "class"), len(server.admin("GET", "students")["students"])
    for wrong in (key, None, server.admin_key[:-1], f"cfs_{server.admin_key}"):
        response = server.request(method, f"/admin/{path}", wrong, body)
        assert response.status_code == httpx.codes.UNAUTHORIZED
    after = server.admin("GET", "class"), len(server.admin("GET", "students")["students"])
    assert after == before
    assert cloudflare.requests == ()


def test_the_admin_key_cannot_send_calls(server: ClassServer, cloudflare: Standin) -> None:
    assert server.chat(server.admin_key).status_code == httpx.codes.UNAUTHORIZED
    assert cloudflare.requests == ()
