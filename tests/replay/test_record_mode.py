"""The record mode and the cassette path: a command overrides environment and settings."""

from pathlib import Path

import pytest

from cfai_magics.errors import InvalidOptionError
from cfai_magics.replay.record_mode import RecordMode, resolve_mode

AUTO = RecordMode("auto", source="settings.toml")


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    path = tmp_path / "lesson.ipynb"
    path.write_text("{}")
    return path


def test_nothing_said_and_nothing_there_is_off(notebook: Path) -> None:
    assert resolve_mode(None, {}, None, str(notebook)).mode == "off"
    assert resolve_mode(None, {}, None, "").mode == "off"


def test_a_recording_beside_the_notebook_is_replayed_and_not_added_to(notebook: Path) -> None:
    recording = notebook.with_name("lesson.cfai.jsonl")
    recording.touch()
    way = resolve_mode(None, {}, None, str(notebook))
    assert (way.is_replaying, way.is_recording, way.path) == (True, False, recording)


def test_a_command_wins_over_the_environment_and_that_over_the_settings(notebook: Path) -> None:
    environ = {"CFAI_REPLAY": "only"}
    assert resolve_mode(RecordMode("refresh"), environ, AUTO, str(notebook)).mode == "refresh"
    assert resolve_mode(None, environ, AUTO, str(notebook)).mode == "only"
    assert resolve_mode(None, {}, AUTO, str(notebook)).mode == "auto"


def test_a_mode_may_bear_a_path(tmp_path: Path) -> None:
    way = resolve_mode(None, {"CFAI_REPLAY": f"only:{tmp_path}/a:b.jsonl"}, None, "")
    assert way.path == tmp_path / "a:b.jsonl"
    assert resolve_mode(None, {"CFAI_REPLAY": "off"}, None, "").path is None


@pytest.mark.parametrize(
    ("notebook", "told"),
    [
        ("", r"path is unknown here.* Give a path: %cfai replay auto lesson.cfai.jsonl"),
        ("gone.ipynb", r"gone.ipynb was renamed or moved after .* Restart the kernel, or give a"),
    ],
)
def test_without_a_notebook_the_path_has_to_be_given(notebook: str, told: str) -> None:
    with pytest.raises(InvalidOptionError, match=told):
        resolve_mode(RecordMode("auto"), {}, None, notebook)


def test_what_settings_say_of_notebooks_holds_nowhere_else(notebook: Path) -> None:
    way = resolve_mode(None, {}, AUTO, "")
    assert (way.mode, way.source) == ("off", "settings.toml sets auto for notebooks only")
    assert resolve_mode(None, {}, AUTO, str(notebook)).path == notebook.with_name(
        "lesson.cfai.jsonl"
    )
    with pytest.raises(InvalidOptionError, match="notebook's path is unknown"):
        resolve_mode(None, {}, RecordMode("only"), "")


@pytest.mark.parametrize("variable", ["yes", "only=x", ":x"])
def test_a_mode_that_is_none_is_named(variable: str) -> None:
    with pytest.raises(InvalidOptionError, match=f"CFAI_REPLAY is {variable!r}, not one of auto"):
        resolve_mode(None, {"CFAI_REPLAY": variable}, None, "")


def test_the_rhythm_can_be_skipped(notebook: Path) -> None:
    assert resolve_mode(RecordMode("only", instant=True), {}, None, str(notebook)).instant
    assert resolve_mode(
        RecordMode("only"), {"CFAI_REPLAY_INSTANT": "1"}, None, str(notebook)
    ).instant
    assert not resolve_mode(RecordMode("only"), {}, None, str(notebook)).instant
