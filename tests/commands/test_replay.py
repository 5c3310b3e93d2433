"""Test `%cfai replay`: set the record mode and show the recording."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from traitlets import TraitError

from cfai_magics.commands import run
from cfai_magics.display.tables import Table
from cfai_magics.errors import InvalidOptionError, StorageError
from cfai_magics.session.session import Session
from cfai_magics.types.messages import Message
from tests.fake_frontends import bare_frontend
from tests.standin import Standin

HI: list[Message] = [{"role": "user", "content": "Why?"}]
Replay = Callable[..., Table]


@pytest.fixture
def replay(session: Session) -> Replay:
    def run_replay(*words: str, shell: bool = False) -> Table:
        frontend = bare_frontend(session, is_one_shot=shell)
        table = run("replay", words, frontend, "%cfai")
        assert isinstance(table, Table)
        return table

    return run_replay


def test_nothing_is_recorded_by_default(replay: Replay) -> None:
    assert replay().rows == (
        ("mode", "off: nothing is recorded or replayed"),
        ("set by", "default"),
    )


def test_the_mode_is_applied_and_the_recording_is_described(
    replay: Replay, session: Session, tmp_path: Path, account: Standin
) -> None:
    path = tmp_path / "lesson.cfai.jsonl"
    assert ("answers", "none yet") in replay("auto", str(path)).rows
    session.ask(session.build_request(HI))
    path.write_bytes(path.read_bytes() + b"<<<<\n")
    rows = dict(replay().rows)
    assert rows["mode"].startswith("auto: recorded answers are replayed; other requests")
    assert (rows["set by"], rows["file"]) == ("%cfai replay", str(path))
    assert rows["answers"] == "1 (for 1 prompt)"
    assert rows["model"] == "@cf/google/gemma-4-26b-a4b-it: 1"
    assert re.fullmatch("line 2 .* \\(skipped\\)", rows["damaged"])
    assert rows["replayed"] == "at the original speed"
    assert dict(replay("only", str(path), "--instant").rows)["replayed"] == "instantly"
    assert session.ask(session.build_request(HI)).cost_basis == "replayed"
    assert len(account.requests) == 1


def test_the_recording_next_to_the_notebook_is_the_default(
    replay: Replay, session: Session, tmp_path: Path
) -> None:
    with pytest.raises(InvalidOptionError, match="notebook's path is unknown"):
        replay("auto")
    assert session.recorder.record_mode.mode == "off"
    (tmp_path / "lesson.ipynb").write_text("{}")
    session.notebook = str(tmp_path / "lesson.ipynb")
    assert dict(replay("auto").rows)["file"] == str(tmp_path / "lesson.cfai.jsonl")


@pytest.mark.parametrize(
    ("words", "shell", "message"),
    [
        (("sometimes",), False, "invalid choice: 'sometimes'"),
        (("--instant",), False, "requires a record mode"),
        (("auto", "/"), False, "is not a valid file path"),
        (("auto", "/no/folder/a.jsonl"), False, "is not a valid file path"),
        (("auto", os.devnull), False, "is not a valid file path"),
        (("only", "a.jsonl"), True, "CFAI_REPLAY=only:PATH"),
    ],
    ids=str,
)
def test_invalid_arguments_leave_recording_off(
    replay: Replay, session: Session, words: tuple[str, ...], shell: bool, message: str
) -> None:
    with pytest.raises(InvalidOptionError, match=message):
        replay(*words, shell=shell)
    assert session.recorder.record_mode.mode == "off"


def test_a_symbolic_link_is_rejected_as_a_recording(
    replay: Replay, session: Session, tmp_path: Path
) -> None:
    (tmp_path / "lesson.cfai.jsonl").symlink_to(tmp_path / "other")
    with pytest.raises(StorageError, match="it is a symbolic link"):
        replay("auto", str(tmp_path / "lesson.cfai.jsonl"))
    assert session.recorder.record_mode.mode == "off"
    assert not (tmp_path / "other").exists()


def test_status_shows_the_record_mode(session: Session, tmp_path: Path) -> None:
    def recording_row() -> tuple[str, ...]:
        frontend = bare_frontend(session)
        table = run("status", (), frontend, "%cfai")
        assert isinstance(table, Table)
        return next(row for row in table.rows if row[0] == "recording")

    session.settings.recording = f"only:{tmp_path}/a.jsonl"
    assert recording_row() == (
        "recording",
        f"only: recorded answers are replayed; no requests are sent ({tmp_path}/a.jsonl)",
        "this kernel",
    )
    with pytest.raises(TraitError, match="must start with one of auto"):
        session.settings.recording = "sometimes"
