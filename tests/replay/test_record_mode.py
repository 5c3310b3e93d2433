"""The record mode and the cassette path: a command overrides environment and settings."""

from pathlib import Path

import pytest

from cfai_magics import runtime
from cfai_magics.errors import InvalidOptionError
from cfai_magics.replay.record_mode import RecordMode, RecordModeResolver, resolve_mode
from cfai_magics.settings import load_settings

AUTO = RecordMode("auto", source="settings.toml")


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    path = tmp_path / "lesson.ipynb"
    path.write_text("{}")
    return path


def test_the_default_mode_without_a_recording_is_off(notebook: Path) -> None:
    assert resolve_mode(None, {}, None, str(notebook)).mode == "off"
    assert resolve_mode(None, {}, None, "").mode == "off"


def test_a_recording_next_to_the_notebook_is_replayed_but_not_changed(notebook: Path) -> None:
    recording = notebook.with_name("lesson.cfai.jsonl")
    recording.touch()
    record_mode = resolve_mode(None, {}, None, str(notebook))
    assert (record_mode.is_replaying, record_mode.is_recording, record_mode.path) == (
        True,
        False,
        recording,
    )


def test_command_overrides_environment_and_environment_overrides_settings(notebook: Path) -> None:
    environ = {"CFAI_REPLAY": "only"}
    assert resolve_mode(RecordMode("refresh"), environ, AUTO, str(notebook)).mode == "refresh"
    assert resolve_mode(None, environ, AUTO, str(notebook)).mode == "only"
    assert resolve_mode(None, {}, AUTO, str(notebook)).mode == "auto"


def test_a_mode_can_contain_a_path(tmp_path: Path) -> None:
    record_mode = resolve_mode(None, {"CFAI_REPLAY": f"only:{tmp_path}/a:b.jsonl"}, None, "")
    assert record_mode.path == tmp_path / "a:b.jsonl"
    assert resolve_mode(None, {"CFAI_REPLAY": "off"}, None, "").path is None


@pytest.mark.parametrize("source", ["variable", "settings", "setting"])
def test_a_relative_path_does_not_depend_on_later_changes_of_the_folder(
    source: str, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = "only:week/a.cfai.jsonl"
    home.mkdir()
    if source == "settings":
        (home / "settings.toml").write_text(f'recording = "{value}"')
    monkeypatch.chdir(tmp_path)
    settings = load_settings(home)
    if source == "setting":
        settings.recording = value
    environ = {"CFAI_REPLAY": value} if source == "variable" else {}
    resolver = RecordModeResolver(settings, environ, str)
    monkeypatch.chdir(home)
    assert resolver.current.path == tmp_path / "week/a.cfai.jsonl"


@pytest.mark.parametrize(
    ("notebook", "message"),
    [
        ("", r"path is unknown, .*\nSpecify a path: %cfai replay auto lesson.cfai.jsonl"),
        (
            "gone.ipynb",
            r"gone.ipynb was renamed or moved after .*\nRestart the kernel, or specify a",
        ),
    ],
)
def test_without_a_notebook_a_path_is_required(notebook: str, message: str) -> None:
    with pytest.raises(InvalidOptionError, match=message):
        resolve_mode(RecordMode("auto"), {}, None, notebook)


def test_a_default_mode_in_settings_applies_to_notebooks_only(notebook: Path) -> None:
    record_mode = resolve_mode(None, {}, AUTO, "")
    assert (record_mode.mode, record_mode.source) == (
        "off",
        "settings.toml sets auto for notebooks only",
    )
    assert resolve_mode(None, {}, AUTO, str(notebook)).path == notebook.with_name(
        "lesson.cfai.jsonl"
    )
    with pytest.raises(InvalidOptionError, match="notebook's path is unknown"):
        resolve_mode(None, {}, RecordMode("only"), "")


@pytest.mark.parametrize("variable", ["yes", "only=x", ":x"])
def test_an_invalid_mode_is_rejected(variable: str) -> None:
    with pytest.raises(InvalidOptionError, match=f"CFAI_REPLAY is {variable!r}, not one of auto"):
        resolve_mode(None, {"CFAI_REPLAY": variable}, None, "")


def test_the_original_timing_can_be_skipped(notebook: Path) -> None:
    assert resolve_mode(RecordMode("only", instant=True), {}, None, str(notebook)).instant
    assert resolve_mode(
        RecordMode("only"), {"CFAI_REPLAY_INSTANT": "1"}, None, str(notebook)
    ).instant
    assert not resolve_mode(RecordMode("only"), {}, None, str(notebook)).instant


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the rules for browsers, which do not tell a kernel the name of its notebook."""
    monkeypatch.setattr(runtime, "IS_BROWSER", True)


def test_in_a_browser_the_only_recording_in_the_folder_is_replayed(
    tmp_path: Path, browser: None
) -> None:
    recording = tmp_path / "lesson.cfai.jsonl"
    recording.touch()
    (tmp_path / "data.jsonl").touch()
    record_mode = resolve_mode(None, {}, None, "", folder=tmp_path)
    assert (record_mode.is_replaying, record_mode.is_recording) == (True, False)
    assert (record_mode.path, record_mode.is_guessed) == (recording, True)
    assert record_mode.source == "the only recording in the folder"
    only = resolve_mode(None, {"CFAI_REPLAY": "only"}, None, "", folder=tmp_path)
    assert (only.mode, only.path) == ("only", recording)


def test_in_a_browser_two_recordings_are_not_replayed(tmp_path: Path, browser: None) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.cfai.jsonl").touch()
    assert resolve_mode(None, {}, None, "", folder=tmp_path).mode == "off"
    with pytest.raises(InvalidOptionError, match="path is unknown"):
        resolve_mode(RecordMode("only"), {}, None, "", folder=tmp_path)


def test_the_setting_takes_precedence_over_the_only_recording(
    tmp_path: Path, browser: None
) -> None:
    (tmp_path / "other.cfai.jsonl").touch()
    configured = RecordMode("only", tmp_path / "lesson.cfai.jsonl", "cfai.toml")
    assert resolve_mode(None, {}, configured, "", folder=tmp_path).path == configured.path


def test_outside_a_browser_the_only_recording_is_not_replayed(tmp_path: Path) -> None:
    (tmp_path / "lesson.cfai.jsonl").touch()
    assert resolve_mode(None, {}, None, "", folder=tmp_path).mode == "off"
