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
Shown = Callable[..., Table]


@pytest.fixture
def replay(session: Session) -> Shown:
    def shown(*words: str, shell: bool = False) -> Table:
        frontend = bare_frontend(session, is_one_shot=shell)
        table = run("replay", words, frontend, "%cfai")
        assert isinstance(table, Table)
        return table

    return shown


def test_nothing_is_recorded_unless_somebody_says_so(replay: Shown) -> None:
    assert replay().rows == (
        ("mode", "off: nothing is recorded or replayed"),
        ("set by", "default"),
    )


def test_what_is_chosen_holds_and_what_is_recorded_is_told(
    replay: Shown, session: Session, tmp_path: Path, account: Standin
) -> None:
    path = tmp_path / "lesson.cfai.jsonl"
    assert ("answers", "none yet") in replay("auto", str(path)).rows
    session.ask(session.build_request(HI))
    path.write_bytes(path.read_bytes() + b"<<<<\n")
    told = dict(replay().rows)
    assert told["mode"].startswith("auto: recorded answers are replayed; other requests")
    assert (told["set by"], told["file"]) == ("%cfai replay", str(path))
    assert told["answers"] == "1 to 1 prompt"
    assert told["model"] == "@cf/google/gemma-4-26b-a4b-it: 1"
    assert re.fullmatch("line 2 .* \\(skipped\\)", told["damaged"])
    assert told["replayed"] == "at the original speed"
    assert dict(replay("only", str(path), "--instant").rows)["replayed"] == "instantly"
    assert session.ask(session.build_request(HI)).cost_basis == "replayed"
    assert len(account.requests) == 1


def test_the_file_beside_the_notebook_is_meant_where_it_is_known(
    replay: Shown, session: Session, tmp_path: Path
) -> None:
    with pytest.raises(InvalidOptionError, match="notebook's path is unknown"):
        replay("auto")
    assert session.recorder.record_mode.mode == "off"
    (tmp_path / "lesson.ipynb").write_text("{}")
    session.notebook = str(tmp_path / "lesson.ipynb")
    assert dict(replay("auto").rows)["file"] == str(tmp_path / "lesson.cfai.jsonl")


@pytest.mark.parametrize(
    ("words", "shell", "told"),
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
def test_what_cannot_be_done_is_one_line(
    replay: Shown, session: Session, words: tuple[str, ...], shell: bool, told: str
) -> None:
    with pytest.raises(InvalidOptionError, match=told):
        replay(*words, shell=shell)
    assert session.recorder.record_mode.mode == "off"


def test_where_nothing_can_be_recorded_is_told_at_once(
    replay: Shown, session: Session, tmp_path: Path
) -> None:
    (tmp_path / "lesson.cfai.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="it is a symbolic link"):
        replay("auto", str(tmp_path / "lesson.cfai.jsonl"))
    assert session.recorder.record_mode.mode == "off"
    assert not (tmp_path / "elsewhere").exists()


def test_status_tells_it_too(session: Session, tmp_path: Path) -> None:
    def told() -> tuple[str, ...]:
        frontend = bare_frontend(session)
        table = run("status", (), frontend, "%cfai")
        assert isinstance(table, Table)
        return next(row for row in table.rows if row[0] == "recording")

    session.settings.recording = f"only:{tmp_path}/a.jsonl"
    assert told() == (
        "recording",
        f"only: recorded answers are replayed; no requests are sent ({tmp_path}/a.jsonl)",
        "this kernel",
    )
    with pytest.raises(TraitError, match="must start with one of auto"):
        session.settings.recording = "sometimes"
