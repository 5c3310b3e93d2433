"""The setting `recording` in cfai.toml: its values and its lock."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cfai_magics.commands import run
from cfai_magics.course import read_course
from cfai_magics.errors import CoursePolicyError, InvalidOptionError, NotRecordedError
from cfai_magics.session.session import Session
from cfai_magics.settings import load_settings
from tests.fake_frontends import bare_frontend
from tests.standin import Standin

HI = [{"role": "user", "content": "Hi"}]
LOCKED = 'recording = "only:answers.cfai.jsonl"\nlocked = ["recording"]'
Begin = Callable[[str], Session]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "course"
    (place / "week").mkdir(parents=True)
    return place


@pytest.fixture
def begin(account: Standin, home: Path, folder: Path) -> Iterator[Begin]:
    """Yield a function that starts a session in a subfolder of a course."""
    sessions: list[Session] = []

    def session(text: str) -> Session:
        (folder / "cfai.toml").write_text(text)
        sessions.append(Session(load_settings(home, None, folder / "week"), home))
        return sessions[-1]

    yield session
    for each in sessions:
        each.close()


def test_a_recording_path_is_relative_to_the_course_folder(
    begin: Begin, folder: Path, account: Standin
) -> None:
    session = begin('recording = "auto:answers.cfai.jsonl"')
    answer = session.ask(session.build_request(HI))
    assert (folder / "answers.cfai.jsonl").exists()
    again = session.ask(session.build_request(HI))
    session.recorder.begin_cell()
    replayed = session.ask(session.build_request(HI))
    assert again.text
    assert (replayed.text, replayed.cost_basis) == (answer.text, "replayed")
    assert session.recorder.record_mode.source == str(folder / "cfai.toml")
    assert str(folder / "cfai.toml") in str(run("status", [], bare_frontend(session), "%cfai"))


@pytest.mark.parametrize(
    "path", ["../x.jsonl", "/etc/passwd", "week/../../x.jsonl", "week", "", "link/x.jsonl"]
)
def test_a_recording_outside_the_course_folder_is_rejected(folder: Path, path: str) -> None:
    (folder / "link").symlink_to(folder.parent)
    file = folder / "cfai.toml"
    file.write_text(f'recording = "auto:{path}"')
    with pytest.raises(InvalidOptionError, match="not a file in the folder") as caught:
        read_course(file)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("value", ['"sometimes"', "3", '"ONLY"'])
def test_an_invalid_record_mode_gives_a_two_line_error(begin: Begin, value: str) -> None:
    with pytest.raises(InvalidOptionError, match=r"(?s)cfai.toml: .*nothing is sent"):
        begin(f"recording = {value}")


def test_a_command_can_change_an_unlocked_recording(begin: Begin, account: Standin) -> None:
    session = begin('recording = "only:answers.cfai.jsonl"')
    with pytest.raises(NotRecordedError):
        session.ask(session.build_request(HI))
    assert account.requests == ()
    run("replay", ["off"], bare_frontend(session), "%cfai")
    assert session.ask(session.build_request(HI)).text


@pytest.mark.parametrize(
    "line", [["off"], ["auto"], ["refresh"], ["only", "other.cfai.jsonl"]], ids=" ".join
)
def test_commands_cannot_change_a_locked_recording(
    begin: Begin, account: Standin, line: list[str]
) -> None:
    session = begin(LOCKED)
    with pytest.raises(CoursePolicyError, match=r"sets recording to .* and locks it"):
        run("replay", line, bare_frontend(session), "%cfai")
    with pytest.raises(CoursePolicyError, match=r"sets recording to .* and locks it"):
        session.settings.recording = ":".join(line)
    with pytest.raises(NotRecordedError):
        session.ask(session.build_request(HI))
    assert account.requests == ()


def test_the_error_of_a_locked_recording_names_no_command_that_the_course_forbids(
    begin: Begin, account: Standin
) -> None:
    session = begin(LOCKED)
    with pytest.raises(NotRecordedError) as caught:
        session.ask(session.build_request(HI))
    assert "%cfai replay" not in str(caught.value)
    assert "ask a recorded question, or ask the author of the course" in str(caught.value)
    assert account.requests == ()


def test_the_environment_cannot_change_a_locked_recording(
    begin: Begin, account: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = begin(LOCKED)
    monkeypatch.setenv("CFAI_REPLAY", "off")
    with pytest.raises(NotRecordedError):
        session.ask(session.build_request(HI))
    assert account.requests == ()


@pytest.mark.parametrize("source", ["a command", "the environment"])
def test_a_locked_mode_without_a_file_accepts_a_path(
    begin: Begin, folder: Path, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = begin('recording = "only"\nlocked = ["recording"]')
    path = folder / "x.cfai.jsonl"
    if source == "a command":
        run("replay", ["only", str(path)], bare_frontend(session), "%cfai")
    else:
        monkeypatch.setenv("CFAI_REPLAY", f"only:{path}")
    assert (session.recorder.record_mode.mode, session.recorder.record_mode.path) == ("only", path)
    monkeypatch.setenv("CFAI_REPLAY", f"auto:{path}")
    with pytest.raises(NotRecordedError if source == "a command" else InvalidOptionError):
        session.ask(session.build_request(HI))
    with pytest.raises(CoursePolicyError, match=r"sets recording to .* and locks it"):
        run("replay", ["auto", str(path)], bare_frontend(session), "%cfai")


def test_a_locked_recording_may_be_replayed_instantly(begin: Begin, folder: Path) -> None:
    session = begin(LOCKED)
    path = str(folder / "answers.cfai.jsonl")
    assert not session.recorder.record_mode.instant
    run("replay", ["only", path, "--instant"], bare_frontend(session), "%cfai")
    assert session.recorder.record_mode.instant


def test_verify_is_rejected_if_only_recordings_are_allowed(
    begin: Begin, folder: Path, account: Standin
) -> None:
    recording = begin('recording = "auto:answers.cfai.jsonl"')
    recording.ask(recording.build_request(HI))
    sent = len(account.requests)
    with pytest.raises(CoursePolicyError, match="allows only recorded answers"):
        run("verify", [], bare_frontend(begin(LOCKED)), "%cfai")
    assert len(account.requests) == sent
    verified = run("verify", [], bare_frontend(recording, print=print), "%cfai")
    assert "same text" in str(verified)
    assert len(account.requests) > sent
