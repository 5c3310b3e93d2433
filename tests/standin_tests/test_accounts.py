"""Accounts, tokens and permissions."""

import pytest

from tests.standin import Standin
from tests.standin.state import EDIT, READ
from tests.standin_tests.api import GEMMA, Api, code_of


def test_a_malformed_account_id_cannot_be_routed(cloudflare: Standin, api: Api) -> None:
    path = f"/client/v4/accounts/{cloudflare.token}/ai/v1/chat/completions"
    reply = api.http.post(cloudflare.base_url.removesuffix("/client/v4") + path, json={})
    assert reply.status_code == 404
    assert reply.json() == {
        "result": None,
        "success": False,
        "errors": [
            {
                "code": 7003,
                "message": f"Could not route to {path}, "
                "perhaps your object identifier is invalid?",
            },
            {"code": 7000, "message": "No route for that URI"},
        ],
        "messages": [],
    }


@pytest.mark.parametrize("sent", ["Bearer wrong", "Basic wrong", "wrong"])
def test_an_unknown_token_is_not_authenticated(sent: str, api: Api) -> None:
    reply = api.http.post(f"/ai/run/{GEMMA}", headers={"authorization": sent})
    assert code_of(reply) == (401, 10000)
    assert "cf-ai-req-id" not in reply.headers


def test_another_account_is_not_authenticated(cloudflare: Standin, api: Api) -> None:
    other = f"{cloudflare.base_url}/accounts/{'0' * 32}/ai/run/{GEMMA}"
    assert code_of(api.http.post(other, json={"prompt": "Hi"})) == (401, 10000)


def test_a_read_only_token_lists_but_does_not_run_models(cloudflare: Standin) -> None:
    api = Api(cloudflare, cloudflare.read_only_token)
    with api.http:
        assert api.get("/ai/models/search").status_code == 200
        assert code_of(api.chat()) == (403, 10000)


def test_a_token_of_the_account_runs_models(cloudflare: Standin) -> None:
    api = Api(cloudflare, cloudflare.account_token)
    with api.http:
        assert api.chat().status_code == 200


def test_a_valid_user_token_is_verified_with_code_10000(cloudflare: Standin, api: Api) -> None:
    body = api.http.get(f"{cloudflare.base_url}/user/tokens/verify").json()
    assert body["result"]["status"] == "active"
    assert (body["success"], body["errors"]) == (True, [])
    assert body["messages"] == [
        {"code": 10000, "message": "This API Token is valid and active", "type": None}
    ]
    assert code_of(api.get("/tokens/verify")) == (401, 1000)


def test_an_account_token_is_verified_by_its_own_route(cloudflare: Standin) -> None:
    api = Api(cloudflare, cloudflare.account_token)
    with api.http:
        reply = api.http.get(f"{cloudflare.base_url}/user/tokens/verify")
        assert code_of(reply) == (401, 1000)
        assert reply.json()["errors"][0]["message"] == "Invalid API Token"
        assert api.get("/tokens/verify").json()["result"]["status"] == "active"
        other = api.http.get(f"{cloudflare.base_url}/accounts/{'0' * 32}/tokens/verify")
        assert code_of(other) == (401, 10000)


@pytest.mark.parametrize("status", ["disabled", "expired"])
def test_an_inactive_token_is_verified_but_cannot_run_models(
    status: str, cloudflare: Standin
) -> None:
    api = Api(cloudflare, cloudflare.issue_token((READ, EDIT), status=status))
    with api.http:
        body = api.http.get(f"{cloudflare.base_url}/user/tokens/verify").json()
        assert (body["result"]["status"], body["messages"]) == (status, [])
        assert code_of(api.chat()) == (401, 10000)


def test_tokens_have_the_prefix_of_their_owner_type(cloudflare: Standin) -> None:
    assert cloudflare.token.startswith("cfut_")
    assert cloudflare.account_token.startswith("cfat_")
    assert len(cloudflare.account_id) == 32
    assert cloudflare.token not in repr(cloudflare)


def test_accounts_are_listed_only_for_tokens_with_more_permissions(
    cloudflare: Standin, api: Api
) -> None:
    url = f"{cloudflare.base_url}/accounts"
    assert [one["id"] for one in api.http.get(url).json()["result"]] == [cloudflare.account_id]
    scoped = {"authorization": f"Bearer {cloudflare.read_only_token}"}
    assert api.http.get(url, headers=scoped).json()["result"] == []


def test_environ_contains_account_token_and_base_url(cloudflare: Standin) -> None:
    assert cloudflare.environ() == {
        "CLOUDFLARE_ACCOUNT_ID": cloudflare.account_id,
        "CLOUDFLARE_API_TOKEN": cloudflare.token,
        "CLOUDFLARE_API_BASE_URL": cloudflare.base_url,
    }
