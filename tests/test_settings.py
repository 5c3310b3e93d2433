"""Settings: their sources, validation and storage."""

from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from cfai_magics import settings
from cfai_magics.commands import run
from cfai_magics.errors import InvalidOptionError, SetupError
from cfai_magics.session.session import Session
from cfai_magics.settings import DEFAULT_MODEL, Cfai, load_settings, update_settings_file
from tests.fake_frontends import bare_frontend


def test_the_environment_sets_the_state_folder(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings.get_home_folder() == home
    monkeypatch.delenv("CFAI_HOME")
    assert settings.get_home_folder().name == "cfai"


def test_defaults_apply_without_a_file(tmp_path: Path) -> None:
    assert load_settings(tmp_path).model == DEFAULT_MODEL


def test_saved_settings_are_loaded(tmp_path: Path) -> None:
    update_settings_file(tmp_path, {"model": 'a "quoted" name'})
    update_settings_file(tmp_path, {"temperature": 0.5})
    loaded = load_settings(tmp_path)
    assert (loaded.model, loaded.temperature) == ('a "quoted" name', 0.5)


def test_a_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_bytes(b"\xef\xbb\xbfmax_tokens = 5\r\n")
    assert load_settings(tmp_path).max_tokens == 5


def test_ipython_configuration_overrides_the_file(tmp_path: Path) -> None:
    update_settings_file(tmp_path, {"model": "file", "max_tokens": 7})
    loaded = load_settings(tmp_path, Config({"Cfai": {"model": "config"}}))
    assert (loaded.model, loaded.max_tokens) == ("config", 7)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param('modle = "x"', "unknown setting: modle", id="an unknown name"),
        pytest.param("model = ", "can't be read", id="not TOML"),
        pytest.param('max_tokens = "many"', "max_tokens", id="a value of a wrong type"),
        pytest.param("max_tokens = 0", "max_tokens", id="a value out of range"),
    ],
)
def test_an_invalid_file_gives_a_two_line_error(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "settings.toml").write_text(text)
    with pytest.raises(InvalidOptionError, match=message) as caught:
        load_settings(tmp_path)
    assert "settings.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ('language = "zz"', "language is 'zz'; the languages are en, zh-CN."),
        ('recording = "zz"', "recording is 'zz'; it must start with one of auto, only,"),
        ('model = ""', "model is blank; it must name a model."),
        ('model = " "', "model is blank; it must name a model."),
        ("metadata = {a = 1e999}", "The gateway metadata is not valid."),
        ("metadata = {a = nan}", "The gateway metadata is not valid."),
        ("metadata = {a = [1]}", "The gateway metadata is not valid."),
    ],
)
def test_an_invalid_value_in_a_file_names_the_file_and_the_setting(
    tmp_path: Path, text: str, cause: str
) -> None:
    (tmp_path / "settings.toml").write_text(text, "utf-8")
    with pytest.raises(InvalidOptionError) as caught:
        load_settings(tmp_path)
    assert str(caught.value).startswith(f"In {tmp_path / 'settings.toml'}: {cause}")


def test_use_rejects_a_blank_name_of_a_model_at_another_server(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFAI_BASE_URL", "http://127.0.0.1:9/v1")
    session = Session(Cfai(), home)
    for words in ([""], [" ", "--keep"]):
        with pytest.raises(InvalidOptionError, match="model is blank"):
            run("use", words, bare_frontend(session), "%cfai")
    assert session.settings.model == DEFAULT_MODEL
    assert not (home / "settings.toml").exists()


def test_every_setting_has_a_help_text() -> None:
    assert all(trait.help for trait in Cfai.class_traits(config=True).values())


def test_an_invalid_ipython_value_is_not_attributed_to_the_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidOptionError, match="IPython's configuration") as caught:
        load_settings(tmp_path, Config({"Cfai": {"max_tokens": 0}}))
    assert "settings.toml" not in str(caught.value)


def test_an_unwritable_folder_gives_a_two_line_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match="can't be written"):
        update_settings_file(tmp_path / "file" / "home", {"model": "m"})


def test_text_is_saved_unchanged_and_none_removes_a_setting(tmp_path: Path) -> None:
    text = 'Say "hello" 👋\n\ttab, \\ and \x7f.'
    update_settings_file(tmp_path, {"system": text, "temperature": 0.5})
    assert load_settings(tmp_path).system == text
    update_settings_file(tmp_path, {"temperature": None})
    loaded = load_settings(tmp_path)
    assert (loaded.system, loaded.temperature) == (text, None)


INVALID = {
    "max_tokens = 0": "Can't set max_tokens: ",
    "temperature = 9": "Can't set temperature: ",
    "max_tokens = 10**400": "Can't set max_tokens: ",
    "format = 'pdf'": "Can't set format: ",
    "recording = 'often'": "Can't set recording: ",
    "model = 'gpt-4o'": "cfai.toml allows only the model gemma-4-26b-a4b-it",
    "temprature = 0.2": "There is no setting temprature.\nDid you mean temperature?",
    "nonsense = 1": "There is no setting nonsense.\n%config Cfai lists all settings.",
}


@pytest.mark.parametrize(("assignment", "message"), INVALID.items(), ids=INVALID)
def test_a_rejected_setting_is_not_left_in_ipython(
    shell: InteractiveShell,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    assignment: str,
    message: str,
) -> None:
    (tmp_path / "cfai.toml").write_text("allowed_models = ['gemma-4-26b-a4b-it']\n")
    monkeypatch.chdir(tmp_path)
    shell.run_cell("%load_ext cfai_magics").raise_error()
    shell.run_cell("%config Cfai.system = 'Be brief.'").raise_error()
    shell.run_cell(f"%config Cfai.{assignment}").raise_error()
    assert message in caplog.text
    assert shell.config.Cfai == {"system": "Be brief."}
    shell.run_cell("%config Cfai.max_tokens = 9").raise_error()
    shell.run_cell("%reload_ext cfai_magics").raise_error()
    magics = shell.magics_manager.registry["CfaiMagics"]
    assert (magics.settings.system, magics.settings.max_tokens) == ("Be brief.", 9)
    shell.run_cell("%unload_ext cfai_magics").raise_error()


def test_another_setting_does_not_restore_a_value_from_ipython(shell: InteractiveShell) -> None:
    shell.run_cell("%load_ext cfai_magics").raise_error()
    shell.run_cell("%config Cfai.max_tokens = 9").raise_error()
    settings = shell.magics_manager.registry["CfaiMagics"].settings
    settings.max_tokens = 7  # as the panel does
    shell.run_cell("%config Cfai.system = 'Be brief.'").raise_error()
    assert (settings.system, settings.max_tokens) == ("Be brief.", 7)
    shell.run_cell("%unload_ext cfai_magics").raise_error()


FILE = """# My settings
temperature = 0.5  # precise

# The model for the course
model = "a"  # small
"""


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"model": "b"}, FILE.replace('"a"', '"b"')),
        ({"temperature": None}, FILE.replace("temperature = 0.5  # precise\n", "")),
        ({}, FILE),
    ],
)
def test_comments_and_order_are_kept(
    tmp_path: Path, changes: dict[str, str | float | None], expected: str
) -> None:
    path = tmp_path / "settings.toml"
    for end in ("\n", "\r\n"):
        text = FILE.replace("\n", end)
        path.write_bytes(text.encode())
        update_settings_file(tmp_path, changes)
        wanted = expected.replace("\n", end)
        assert path.read_bytes().decode() == wanted


def test_a_new_setting_is_added_below_the_others(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('# Mine\nmodel = "a"')
    update_settings_file(tmp_path, {"max_tokens": 7})
    assert path.read_text() == '# Mine\nmodel = "a"\nmax_tokens = 7\n'


def test_a_new_setting_is_added_above_a_table(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('model = "a"\n\n[metadata]  # of requests\nteam = "x"\n')
    update_settings_file(tmp_path, {"max_tokens": 7, "model": "b"})
    assert '[metadata]  # of requests\nteam = "x"\n' in path.read_text()
    loaded = load_settings(tmp_path)
    assert (loaded.max_tokens, loaded.model, loaded.metadata) == (7, "b", {"team": "x"})


@pytest.mark.parametrize(
    "command", [["use", "gemma-4-26b-a4b-it", "--keep"], ["login", "--server", "off"]]
)
def test_commands_keep_the_comments(tmp_path: Path, home: Path, command: list[str]) -> None:
    home.mkdir()
    path = home / "settings.toml"
    path.write_text("# Mine\nmax_tokens = 7  # short\n")
    session = Session(load_settings(home), home, environ={})
    run(command[0], command[1:], bare_frontend(session), "%cfai")
    session.close()
    assert path.read_text().startswith("# Mine\nmax_tokens = 7  # short\n")
    assert load_settings(home).max_tokens == 7
