"""All endpoints except chat: embeddings, models, API tokens, native tasks, other servers."""

import json
import math
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from cfai_magics.errors import AuthenticationError, ServerError, WorkersAIError
from cfai_magics.types.usage import Model, Usage
from cfai_magics.workers_ai.client import WorkersAI, parse_batch_answer
from tests.standin import Standin
from tests.standin.catalog import Catalog
from tests.standin.catalog import Model as Listed
from tests.standin.state import EDIT, EVERYTHING
from tests.workers_ai.calls import GEMMA, Script, refused

BGE = "@cf/baai/bge-m3"


def with_token(cloudflare: Standin, token: str) -> WorkersAI:
    return WorkersAI(cloudflare.account_id, token, base_url=cloudflare.base_url)


def vectors(*items: Any, **more: Any) -> httpx.Response:
    return httpx.Response(200, text=json.dumps({"object": "list", "data": [*items], **more}))


# --- embeddings


def test_embeddings_are_sent_in_batches_of_100_in_order(
    cloudflare: Standin, client: WorkersAI
) -> None:
    texts = [f"text {number}" for number in range(201)]
    result = client.embed(texts, BGE)
    assert [len(one.json["input"]) for one in cloudflare.requests] == [100, 100, 1]
    assert len(result.vectors) == 201
    for index in (0, 99, 100, 200):
        assert result.vectors[index] == client.embed([texts[index]], BGE).vectors[0]
    assert result.model == BGE


def test_embeddings_use_the_neurons_of_the_header(cloudflare: Standin, client: WorkersAI) -> None:
    cloudflare.switch(embeddings_usage=True)
    usage = client.embed(["word" * 8000] * 3, BGE).usage
    assert usage.prompt_tokens == cloudflare.calls[-1].prompt_tokens == 24_000
    assert usage.neurons == pytest.approx(cloudflare.billed, abs=0.005)
    assert usage.cost_basis == "billed"


def test_the_usage_of_all_batches_is_summed() -> None:
    items = [{"index": at, "embedding": [1.0]} for at in range(100)]
    usage = {"prompt_tokens": 3, "neurons": 0.5}
    script = Script(vectors(*items, usage=usage), vectors(items[0], usage={"prompt_tokens": 4}))
    with script.client() as client:
        result = client.embed(["text"] * 101, BGE)
    assert result.usage == Usage(7, 0, 0, 0.5, "billed")
    with Script(vectors(items[0])).client() as client:
        assert client.embed(["text"], BGE).usage == Usage()


def test_an_empty_list_of_texts_sends_no_request(cloudflare: Standin, client: WorkersAI) -> None:
    assert client.embed([], BGE).vectors == ()
    assert cloudflare.requests == ()


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        (
            [
                {"index": 2, "embedding": [2]},
                {"index": 0, "embedding": [0]},
                {"index": 1, "embedding": [1]},
            ],
            ((0.0,), (1.0,), (2.0,)),
        ),
        ([{"embedding": [0]}, {"embedding": [1]}, {"embedding": [2]}], ((0.0,), (1.0,), (2.0,))),
        ([{"index": 0, "embedding": [0]}, {"index": 1, "embedding": [1]}], None),
        ([{"index": 0, "embedding": [at]} for at in range(3)], ((0.0,), (1.0,), (2.0,))),
        ([{"index": None, "embedding": [at]} for at in range(3)], ((0.0,), (1.0,), (2.0,))),
        ([{"index": str(at), "embedding": [at]} for at in (2, 0, 1)], ((0.0,), (1.0,), (2.0,))),
        ([{"index": at + 1, "embedding": [at]} for at in (2, 0, 1)], ((0.0,), (1.0,), (2.0,))),
        ([[0], [1], [2]], ((0.0,), (1.0,), (2.0,))),
        ([{"index": at, "embedding": [at]} for at in (0, 0, 1)], None),
        ([{"index": at, "embedding": ["x"]} for at in range(3)], None),
        ([{"index": at, "embedding": "123"} for at in range(3)], None),
        ([{"index": at, "embedding": []} for at in range(3)], None),
        ([{"index": at, "embedding": [math.nan, 1]} for at in range(3)], None),
        ([{"index": at, "embedding": [1, -math.inf]} for at in range(3)], None),
        ([{"index": at, "embedding": [1e39, -1e39]} for at in range(3)], None),
        ([{"index": at, "embedding": [True]} for at in range(3)], None),
        ([{"index": at, "embedding": [0] * (at + 1)} for at in range(3)], None),
        ([{"index": at, "embedding": [10**400]} for at in range(3)], None),
        ([{"index": [at], "embedding": [0]} for at in range(3)], ((0.0,),) * 3),
        ([None, 1, "x"], None),
    ],
    ids=[
        *("shuffled", "unnumbered", "too few", "equal", "null", "text index", "from 1", "lists"),
        *("doubled", "text", "digits", "empty", "nan", "infinite", "not 32 bits", "boolean"),
        *("ragged", "huge", "unhashable", "junk"),
    ],
)
def test_vectors_match_their_texts_or_an_error_is_raised(
    items: list[Any], expected: tuple[tuple[float, ...], ...] | None
) -> None:
    with Script(vectors(*items)).client() as client:
        if expected is not None:
            assert client.embed(["a", "b", "c"], BGE).vectors == expected
            return
        with pytest.raises(ServerError, match="one vector for each of 3 texts"):
            client.embed(["a", "b", "c"], BGE)


def test_vectors_in_an_envelope_are_returned() -> None:
    body = {"result": {"data": [{"index": 0, "embedding": [1]}]}, "success": True}
    with Script(httpx.Response(200, json=body)).client() as client:
        assert client.embed(["a"], BGE).vectors == ((1.0,),)


# --- models


@pytest.mark.parametrize(("count", "pages"), [(1, 1), (100, 1), (101, 2), (250, 3)])
def test_the_model_list_contains_all_pages(count: int, pages: int) -> None:
    models = [Listed(f"@cf/someone/model-{number}", "Text Generation") for number in range(count)]
    with Standin(models=models) as cloudflare, with_token(cloudflare, cloudflare.token) as client:
        assert [model.name for model in client.list_models()] == [model.name for model in models]
        queries = [one.query for one in cloudflare.requests]
    assert queries == [{"page": str(page), "per_page": "100"} for page in range(1, pages + 1)]


def test_a_short_page_is_the_last_if_the_total_is_missing() -> None:
    pages = [{"result": [{"name": f"m{at}"} for at in range(size)]} for size in (100, 100, 3)]
    script = Script(*(httpx.Response(200, json=page) for page in pages))
    with script.client() as client:
        assert len(client.list_models()) == 203
    assert len(script.requests) == 3


def test_the_model_list_matches_the_catalog(cloudflare: Standin, client: WorkersAI) -> None:
    listed = {model.name: model for model in Catalog()}
    for model in client.list_models():
        known = listed[model.name]
        assert (model.task, model.vision, model.tools) == (known.task, known.vision, known.tools)
        assert model.reasoning == bool(known.reasoning)
        assert model.paid_plan_only == (known.access == "paid")
        assert model.context_window == (known.window or known.max_input or None)
        assert (model.deprecation_date or "") == known.retires
        dollars = known.prices.get("M input tokens")
        in_dollars = None if model.neurons_in is None else model.neurons_in * 0.000011 * 1000
        assert in_dollars == (None if dollars is None else pytest.approx(dollars))


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"name": "m"}, Model("m")),
        ({"name": "m", "task": None, "properties": None}, Model("m")),
        ({"name": "m", "properties": [None, {}, {"property_id": "vision", "value": "True"}]},
         Model("m", vision=True)),
        ({"name": "m", "properties": [{"property_id": "context_window", "value": "wide"}]},
         Model("m")),
        ({"name": "m", "properties": [{"property_id": "context_window", "value": 1e999}]},
         Model("m")),
        ({"name": "m", "properties": [{"property_id": "max_input_tokens", "value": "512"}]},
         Model("m", context_window=512)),
        ({"name": "m", "properties": [
            {"property_id": "price", "value": [
                None,
                {"unit": "per M input tokens", "price": 0.11, "currency": "USD"},
                {"unit": "per M output tokens", "price": 0.22},
                {"unit": "per M cached input tokens", "price": 0.011},
                {"unit": "per 512 by 512 tile", "price": 9},
            ]},
        ]}, Model("m", neurons_in=10.0, neurons_out=20.0, neurons_cached=1.0,
                 units={"tile": 818181.818182})),
        ({"name": "m", "properties": [
            {"property_id": "planned_deprecation_date", "value": "soon"},
            {"property_id": "price", "value": [
                {"unit": "per M input tokens", "price": "0.11"},
                {"unit": "per M output tokens", "price": None},
                {"unit": "per M cached input tokens", "price": math.nan},
                {"unit": "per 512 by 512 tile", "price": -9},
            ]},
        ]}, Model("m", neurons_in=10.0)),
        ({"name": "m", "properties": 7}, None),
        ({"name": ""}, None),
        ({"name": 7}, None),
        ({"id": "only"}, None),
        (None, None),
    ],
)  # fmt: skip
def test_a_listed_model_is_parsed_or_skipped(item: Any, expected: Model | None) -> None:
    reply = httpx.Response(200, text=json.dumps({"result": [item, {"name": "last"}]}))
    with Script(reply).client() as client:
        *first, last = client.list_models()
    assert last == Model("last")
    assert [approximate(model) for model in first] == ([] if expected is None else [expected])


@pytest.mark.parametrize(
    "body",
    [
        *({}, [], None, {"ok": True}, {"result": None}, {"result": []}, {"result": [{"id": 1}]}),
        *({"result": {"models": [{"name": "m"}]}}, {"object": "list", "data": [{"id": "m"}]}),
    ],
    ids=str,
)
def test_a_response_without_models_is_an_error(body: Any) -> None:
    with (
        Script(httpx.Response(200, text=json.dumps(body))).client() as client,
        pytest.raises(ServerError, match="does not contain a list of models"),
    ):
        client.list_models()


def approximate(model: Model) -> Model:
    """Return the model with rounded prices, for comparison."""
    names = ("neurons_in", "neurons_out", "neurons_cached")
    figures = {name: getattr(model, name) for name in names}
    units = {name: round(one, 6) for name, one in model.units.items()}
    rounded = {name: one and round(one, 6) for name, one in figures.items()}
    return replace(model, units=units, **rounded)


# --- tokens


@pytest.mark.parametrize(
    ("issue", "owner", "permissions"),
    [
        (lambda cloudflare: cloudflare.token, "user", (True, True)),
        (lambda cloudflare: cloudflare.read_only_token, "user", (True, False)),
        (lambda cloudflare: cloudflare.account_token, "account", (True, True)),
        (lambda cloudflare: cloudflare.issue_token((EDIT,)), "user", (False, True)),
        (lambda cloudflare: cloudflare.issue_token((EDIT,), "account"), "account", (False, True)),
    ],
    ids=["user", "read-only", "account", "read-less", "account, read-less"],
)
def test_a_token_check_returns_owner_and_permissions(
    issue: Callable[[Standin], str],
    owner: str,
    permissions: tuple[bool, bool],
    cloudflare: Standin,
) -> None:
    with with_token(cloudflare, issue(cloudflare)) as client:
        result = client.check_token()
    assert (result.status, result.owner) == ("active", owner)
    assert (result.can_read, result.can_run) == permissions
    assert result.expires_on is None
    assert cloudflare.billed == 0


@pytest.mark.parametrize("status", ["disabled", "expired", "revoked"])
def test_an_inactive_token_is_rejected(status: str, cloudflare: Standin) -> None:
    token = cloudflare.issue_token(EVERYTHING, status=status)
    with with_token(cloudflare, token) as client, pytest.raises(AuthenticationError):
        client.check_token()


def test_an_unknown_token_is_rejected(cloudflare: Standin) -> None:
    token = secrets.token_hex(20)
    with with_token(cloudflare, token) as client, pytest.raises(AuthenticationError):
        client.check_token()
    verified = ["/user/tokens/verify", f"/accounts/{cloudflare.account_id}/tokens/verify"]
    assert [one.path.removeprefix("/client/v4") for one in cloudflare.requests] == verified


ACTIVE = httpx.Response(200, json={"result": {"status": "active", "expires_on": "2027-01-01"}})
NO_MODELS = httpx.Response(200, json={"result": []})
UNKNOWN_MODEL = refused(400, 5007, "No such model")


def test_the_response_of_a_token_check_is_parsed() -> None:
    script = Script(ACTIVE, NO_MODELS, UNKNOWN_MODEL)
    with script.client() as client:
        check = client.check_token()
    assert check == ("active", "user", True, True, "2027-01-01")
    assert script.requests[0].url.path.endswith("/user/tokens/verify")


@pytest.mark.parametrize(
    "body",
    [{}, [], None, {"result": None}, {"result": {"status": 1}}, {"result": "text"}],
    ids=str,
)
def test_a_response_without_the_status_of_the_token_is_an_error(body: Any) -> None:
    with (
        Script(httpx.Response(200, text=json.dumps(body))).client() as client,
        pytest.raises(ServerError, match="does not contain the status of the token"),
    ):
        client.check_token()


@pytest.mark.parametrize(
    ("replies", "permissions"),
    [
        ((refused(401, 10000), UNKNOWN_MODEL), (False, True)),
        ((refused(403, 10000), UNKNOWN_MODEL), (False, True)),
        ((NO_MODELS, refused(401, 10000)), (True, False)),
        ((NO_MODELS, refused(429, 4006)), (True, True)),
    ],
    ids=["401 for models", "403 for models", "401 for a run", "used-up quota for a run"],
)
def test_an_error_shows_whether_a_permission_is_missing(
    replies: tuple[httpx.Response, ...], permissions: tuple[bool, bool]
) -> None:
    with Script(ACTIVE, *replies).client() as client:
        check = client.check_token()
    assert (check.can_read, check.can_run) == permissions


@pytest.mark.parametrize(
    "reply",
    [
        refused(500, 3043),
        refused(429, 3021),
        httpx.Response(403, text="<title>Log in</title>"),
        httpx.Response(200, text="<title>Log in</title>"),
    ],
    ids=["500", "429", "page", "page with status 200"],
)
@pytest.mark.parametrize("earlier", [(ACTIVE,), (ACTIVE, NO_MODELS)], ids=["models", "run"])
def test_an_error_that_says_nothing_about_a_permission_is_raised(
    earlier: tuple[httpx.Response, ...], reply: httpx.Response
) -> None:
    with Script(*earlier, reply).client() as client, pytest.raises(WorkersAIError):
        client.check_token()


CALLS_WITHOUT_MODEL: dict[str, Callable[[WorkersAI], object]] = {
    "models": lambda client: client.list_models(),
    "check_token": lambda client: client.check_token(),
    "analytics": lambda client: client.fetch_neurons_by_model(datetime(2026, 11, 1, tzinfo=UTC)),
    "batch": lambda client: client.batches.fetch(GEMMA, "id"),
    "to_markdown": lambda client: client.to_markdown([("a.csv", b"a", "text/csv")]),
}


@pytest.mark.parametrize("call", CALLS_WITHOUT_MODEL)
@pytest.mark.parametrize(
    "reply",
    [
        refused(500, 3043),
        refused(429, 3040),
        refused(408, 3046),
        refused(400, 5006),
        httpx.Response(200, json={"success": False}),
    ],
    ids=["server", "capacity", "timeout", "bad request", "no reason"],
)
def test_an_error_of_a_call_without_a_model_has_no_hint_about_models(
    call: str, reply: httpx.Response
) -> None:
    with Script(reply).client() as client, pytest.raises(WorkersAIError) as caught:
        CALLS_WITHOUT_MODEL[call](client)
    assert caught.value.hint.startswith("Try again later. If the error persists, check the server")


@pytest.mark.parametrize("call", ["models", "check_token", "analytics", "batch"])
def test_a_response_without_a_result_has_no_hint_about_models(call: str) -> None:
    reply = httpx.Response(200, json={"result": None})
    with Script(reply).client() as client, pytest.raises(ServerError) as caught:
        CALLS_WITHOUT_MODEL[call](client)
    assert caught.value.hint.startswith("Try again later. If the error persists, check the server")


REFUSED = {"success": False, "errors": [{"code": 5006, "message": "AiError: no text"}]}


@pytest.mark.parametrize(
    "response",
    [REFUSED, {"result": {**REFUSED, "result": None}}, {"result": {"error": {"message": "no"}}}],
    ids=["response", "envelope", "error"],
)
def test_a_failed_request_of_a_batch_has_its_error(response: dict[str, Any]) -> None:
    answer = parse_batch_answer(response)
    assert answer.text == ""
    assert "no" in answer.error
    assert ("code 5006" in answer.error) == ("5006" in str(response))
