"""The model list has the format of the API."""

import itertools
from typing import Any

import pytest

from tests.standin import Standin
from tests.standin.catalog import Model, shipped_models
from tests.standin_tests.api import GEMMA, Api

MAY_2026 = 1_780_272_000.0


def names(api: Api, **query: str | int) -> list[str]:
    return [item["name"] for item in api.get("/ai/models/search", **query).json()["result"]]


def item(api: Api, name: str) -> Any:
    return api.get("/ai/models/search", search=name).json()["result"][0]


def test_all_pages_together_list_each_model_once(api: Api) -> None:
    everything = names(api, per_page=1000)
    pages = [names(api, page=page, per_page=20) for page in range(1, 6)]
    assert list(itertools.chain(*pages)) == everything
    assert len(set(everything)) == len(everything)
    info = api.get("/ai/models/search", page=2, per_page=20).json()["result_info"]
    assert info == {"page": 2, "per_page": 20, "count": 20, "total_count": len(everything)}
    assert names(api, page=99) == []


def test_an_entry_has_the_recorded_keys(api: Api) -> None:
    entry = item(api, "glm-5.3-flash")
    assert set(entry) == {
        "id", "source", "name", "description", "task", "created_at", "tags", "properties",
    }  # fmt: skip
    assert entry["id"] != entry["name"]
    properties = {one["property_id"]: one["value"] for one in entry["properties"]}
    assert properties == {
        "require_workers_paid": "true",
        "context_window": "1310720",
        "function_calling": "true",
        "reasoning": "true",
        "vision": "true",
        "price": [
            {"unit": "per M input tokens", "price": 0.15, "currency": "USD"},
            {"unit": "per M cached input tokens", "price": 0.03, "currency": "USD"},
            {"unit": "per M output tokens", "price": 0.5, "currency": "USD"},
        ],
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"search": "GEMMA-4"}, [GEMMA]),
        ({"search": "bge-m", "task": "Text Embeddings"}, ["@cf/baai/bge-m3"]),
        ({"search": "bge-m", "task": "Translation"}, []),
        ({"author": "nvidia"}, ["@cf/nvidia/nemotron-3-120b-a12b"]),
        ({"source": "2"}, []),
    ],
    ids=str,
)
def test_a_search_returns_matching_models(
    query: dict[str, str], expected: list[str], api: Api
) -> None:
    assert names(api, **query) == expected


def test_experimental_models_can_be_hidden(api: Api) -> None:
    lora = "@cf/google/gemma-2b-it-lora"
    assert lora in names(api)
    assert lora not in names(api, hide_experimental="true")


def test_retired_models_are_removed_on_their_date() -> None:
    old = "@cf/meta/llama-3.1-8b-instruct"
    with Standin(clock=lambda: MAY_2026 - 5 * 86_400) as cloudflare:
        api = Api(cloudflare)
        with api.http:
            assert old in names(api)
            assert api.run(old, prompt="Hi").status_code == 200
    with Standin(clock=lambda: MAY_2026) as cloudflare:
        api = Api(cloudflare)
        with api.http:
            assert old not in names(api)
            assert old in names(api, include_deprecated="true")


def test_the_openrouter_format_has_prices_per_token(api: Api) -> None:
    body = api.get("/ai/models/search", format="openrouter").json()
    entry = next(one for one in body["data"] if one["id"].endswith(GEMMA))
    assert (entry["context_length"], float(entry["pricing"]["prompt"])) == (256_000, 1e-7)


def test_schemas_exist_only_for_known_models(api: Api) -> None:
    assert set(api.get("/ai/models/schema", model=GEMMA).json()["result"]) == {"input", "output"}
    assert api.get("/ai/models/schema", model="@cf/no/such").status_code == 400


def test_additional_models_can_be_passed() -> None:
    new = Model("@cf/example/new", "Text Generation", "openai", rates={"M output tokens": 1e6})
    with Standin(models=(*shipped_models(), new)) as cloudflare:
        api = Api(cloudflare)
        with api.http:
            assert names(api, search="example") == ["@cf/example/new"]
            cloudflare.switch(answer="word")
            assert api.chat("@cf/example/new").json()["usage"]["neurons"] == 2
