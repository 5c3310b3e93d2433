"""Settings: their sources, validation and storage."""

from pathlib import Path

import pytest
from traitlets.config import Config

from cfai_magics import settings
from cfai_magics.errors import InvalidOptionError, SetupError
from cfai_magics.settings import DEFAULT_MODEL, Cfai, load_settings, update_settings_file


def test_home_is_where_the_environment_says(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.get_home_folder() == home
    monkeypatch.delenv("CFAI_HOME")
    assert settings.get_home_folder().name == "cfai"


def test_without_a_file_the_defaults_stand(tmp_path: Path) -> None:
    assert load_settings(tmp_path).model == DEFAULT_MODEL


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    update_settings_file(tmp_path, {"model": 'a "quoted" name'})
    update_settings_file(tmp_path, {"temperature": 0.5})
    loaded = load_settings(tmp_path)
    assert (loaded.model, loaded.temperature) == ('a "quoted" name', 0.5)


def test_the_mark_that_editors_put_before_a_file_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_bytes(b"\xef\xbb\xbfmax_tokens = 5\r\n")
    assert load_settings(tmp_path).max_tokens == 5


def test_ipythons_configuration_wins_over_the_file(tmp_path: Path) -> None:
    update_settings_file(tmp_path, {"model": "file", "max_tokens": 7})
    loaded = load_settings(tmp_path, Config({"Cfai": {"model": "config"}}))
    assert (loaded.model, loaded.max_tokens) == ("config", 7)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param('modle = "x"', "unknown setting: modle", id="a wrong name"),
        pytest.param("model = ", "can't be read", id="no TOML"),
        pytest.param('max_tokens = "many"', "max_tokens", id="a wrong kind of value"),
        pytest.param("max_tokens = 0", "max_tokens", id="a value out of range"),
    ],
)
def test_a_wrong_file_is_one_clear_line(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "settings.toml").write_text(text)
    with pytest.raises(InvalidOptionError, match=told) as caught:
        load_settings(tmp_path)
    assert "settings.toml" in str(caught.value)


def test_every_setting_says_what_it_is_for() -> None:
    assert all(trait.help for trait in Cfai.class_traits(config=True).values())


def test_a_wrong_value_of_ipython_s_is_not_blamed_on_the_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidOptionError, match="IPython's configuration") as caught:
        load_settings(tmp_path, Config({"Cfai": {"max_tokens": 0}}))
    assert "settings.toml" not in str(caught.value)


def test_a_folder_that_takes_nothing_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match="can't be written"):
        update_settings_file(tmp_path / "file" / "home", {"model": "m"})


def test_any_text_is_kept_as_it_is_and_none_takes_away(tmp_path: Path) -> None:
    text = 'Say "hello" 👋\n\ttab, \\ and \x7f.'
    update_settings_file(tmp_path, {"system": text, "temperature": 0.5})
    assert load_settings(tmp_path).system == text
    update_settings_file(tmp_path, {"temperature": None})
    kept = load_settings(tmp_path)
    assert (kept.system, kept.temperature) == (text, None)
