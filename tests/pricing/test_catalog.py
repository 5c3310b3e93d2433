"""The model catalog: name lookup, suggestions and the cached list."""

from dataclasses import replace
from pathlib import Path

import pytest

from cfai_magics.errors import InvalidOptionError, ModelNotFoundError, ServerError
from cfai_magics.pricing.catalog import (
    CACHE_FILE_NAME,
    CatalogStore,
    find_model,
    load_bundled,
    load_cached,
    save_cached,
    suggest_models,
)
from cfai_magics.session.session import Session
from cfai_magics.settings import DEFAULT_MODEL
from cfai_magics.types.usage import Catalog, Model
from tests.standin import Reply, Standin

LIST = Catalog(
    (Model("@cf/a/one-1b"), Model("@cf/b/two-1b"), Model("@cf/c/two-1b-it")), "", "live"
)


def test_the_bundled_list_has_price_and_window_of_the_default_model() -> None:
    model = find_model(DEFAULT_MODEL, load_bundled())
    assert (model.neurons_in, model.neurons_out) == (9.091, 27.273)
    assert (model.context_window, model.vision, model.tools) == (131_072, True, True)


@pytest.mark.parametrize(
    ("name", "prices", "window", "supports_batch_api"),
    [
        ("@cf/cloudflare/clef-flash", (3.455, None, None), 24_576, False),
        ("@cf/google/gemma-4-26b-a4b-it", (9.091, 27.273, 4.545), 131_072, True),
        ("@cf/qwen/qwen3.8-27b", (40.909, 290.909, 4.545), 262_144, True),
        (
            "@cf/deepseek-ai/deepseek-v4.1-flash-1017",
            (27.273, 109.091, 0.545),
            1_048_576,
            False,
        ),
        ("@cf/daily-co/phonellm-mini-alpha-2", (5.455, 21.818, None), None, False),
    ],
)
def test_the_bundled_list_has_the_figures_of_november_2026(
    name: str,
    prices: tuple[float | None, ...],
    window: int | None,
    supports_batch_api: bool,
) -> None:
    model = find_model(name, load_bundled())
    assert (model.neurons_in, model.neurons_out, model.neurons_cached) == prices
    assert (model.context_window, model.supports_batch_api) == (window, supports_batch_api)


LLAMA = "@cf/meta/llama-3.2-3b-instruct"  # 4,625 and 30,475 neurons per million tokens


@pytest.mark.parametrize(
    ("dollars", "neurons"),
    [
        pytest.param((0.051, 0.335), (4.625, 30.475), id="the same, rounded"),
        pytest.param((0.050875, 0.335225), (4.625, 30.475), id="the same, not rounded"),
        pytest.param((0.051, 0.336), (4.625, 336 / 11), id="a price that has changed"),
        pytest.param((0.0, 0.335), (0.0, 30.475), id="free input"),
    ],
)
def test_a_fetched_price_is_exact_if_it_matches_the_bundled_one(
    tmp_path: Path, dollars: tuple[float, float], neurons: tuple[float, float]
) -> None:
    fetched = Model(
        LLAMA,
        neurons_in=dollars[0] / 0.000011 / 1000,
        neurons_out=dollars[1] / 0.000011 / 1000,
    )
    (updated,) = CatalogStore(tmp_path).update([fetched]).models
    assert (updated.neurons_in, updated.neurons_out) == pytest.approx(neurons)
    assert load_cached(tmp_path) is not None


def test_a_fetched_cached_price_is_kept_and_a_missing_one_added(tmp_path: Path) -> None:
    gemma = find_model(DEFAULT_MODEL, load_bundled())
    fetched = replace(gemma, neurons_in=100 / 11, neurons_out=300 / 11, neurons_cached=None)
    (updated,) = CatalogStore(tmp_path).update([fetched]).models
    assert (updated.neurons_in, updated.neurons_out, updated.neurons_cached) == (
        *(9.091, 27.273, 4.545),
    )
    (updated,) = CatalogStore(tmp_path).update([replace(fetched, neurons_cached=2.0)]).models
    assert updated.neurons_cached == 2.0
    (updated,) = CatalogStore(tmp_path).update([replace(fetched, neurons_in=8.0)]).models
    assert updated.neurons_cached is None


def test_a_model_that_is_not_bundled_keeps_its_prices(tmp_path: Path) -> None:
    model = Model("@cf/x/y", neurons_in=1.0, neurons_out=2.0, units={"tile": 3.0})
    assert CatalogStore(tmp_path).update([model]).models == (model,)


def test_every_bundled_name_is_full_and_unique() -> None:
    names = [model.name for model in load_bundled().models]
    assert all(name.startswith(("@cf/", "@hf/")) for name in names)
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("typed", "full"),
    [
        pytest.param("one-1b", "@cf/a/one-1b", id="the last part"),
        pytest.param("b/two-1b", "@cf/b/two-1b", id="author and last part"),
        pytest.param("it", "@cf/c/two-1b-it", id="the end of the last part"),
        pytest.param("two-1b", "@cf/b/two-1b", id="a full last part takes precedence"),
        pytest.param("@cf/x/unlisted", "@cf/x/unlisted", id="a full name is unchanged"),
        pytest.param("@hf/x/unlisted", "@hf/x/unlisted", id="a full name with @hf is unchanged"),
    ],
)
def test_a_unique_ending_of_a_name_is_accepted(typed: str, full: str) -> None:
    assert find_model(typed, LIST).name == full


def test_an_ambiguous_name_is_rejected_with_the_candidates() -> None:
    with pytest.raises(InvalidOptionError, match=r"@cf/a/one-1b, @cf/b/two-1b"):
        find_model("1b", LIST)


def test_an_unknown_name_is_rejected_with_suggestions() -> None:
    with pytest.raises(ModelNotFoundError, match=r"Did you mean gemma-4-26b-a4b-it"):
        find_model("gemma-4-26b", load_bundled())


def test_suggestions_match_full_names_and_parts() -> None:
    assert suggest_models("@cf/google/gemma-4-26b-a4b", load_bundled())[0] == "gemma-4-26b-a4b-it"
    assert "whisper" in suggest_models("whisp", load_bundled())
    assert suggest_models("", LIST) == []
    assert suggest_models("@cf/c/two-1b-it", LIST)[0] == "two-1b", (
        "an unavailable name is not suggested"
    )


def test_a_cached_list_is_loaded_with_its_date(tmp_path: Path) -> None:
    assert load_cached(tmp_path) is None
    live = save_cached(tmp_path, LIST.models, "2026-11-23")
    assert live.source == "live"
    assert load_cached(tmp_path) == Catalog(LIST.models, "2026-11-23", "cached")


def test_a_response_without_models_keeps_the_saved_list(
    session: Session, account: Standin
) -> None:
    saved = session.fetch_catalog()
    for body in (b"{}", b'{"result":[],"success":true}', b'{"result":null,"success":true}'):
        account.switch(canned=Reply(body))
        with pytest.raises(ServerError, match="does not contain a list of models"):
            session.fetch_catalog()
    assert session.catalog() == saved
    cached = load_cached(session.home)
    assert cached is not None
    assert cached.models == saved.models


def test_a_cached_list_without_models_is_ignored(tmp_path: Path) -> None:
    save_cached(tmp_path, [], "2026-11-01")
    assert load_cached(tmp_path) is None
    assert CatalogStore(tmp_path).current() == load_bundled()


def test_a_failed_save_still_returns_the_list(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert save_cached(tmp_path / "file" / "home", LIST.models, "2026-11-23").models == LIST.models


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"models": [{"x": 1}], "date": "d"}', '{"models": [], "date": "yesterday"}'],
)
def test_a_damaged_cache_is_ignored(tmp_path: Path, text: str) -> None:
    (tmp_path / CACHE_FILE_NAME).write_text(text)
    assert load_cached(tmp_path) is None
