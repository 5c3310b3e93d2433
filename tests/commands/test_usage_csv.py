"""Test `%cfai usage --csv`: stream a ledger of any size, to the shell and into files."""

import csv
import sqlite3
import subprocess
import sys
import tracemalloc
from contextlib import closing
from pathlib import Path

import pytest

from cfai_magics.commands import run
from cfai_magics.display.text import TextLines
from cfai_magics.errors import InvalidOptionError, StorageError
from cfai_magics.frontends.shell import create_shell_frontend
from cfai_magics.session.session import Session
from cfai_magics.storage.ledger import FILE_NAME, CallContext, Ledger
from tests.fake_frontends import bare_frontend

ROWS = 3_000
PLACE = CallContext("account", "lesson.ipynb")


def add_calls(home: Path, count: int) -> None:
    Ledger(home).history.count_calls()  # creates the file
    with closing(sqlite3.connect(home / FILE_NAME)) as connection, connection:
        connection.executemany(
            "INSERT INTO calls (started, day, account, model, task, status, basis, neurons,"
            " notebook, kernel, thread) VALUES (?, '2026-10-12', 'a', ?, 't', 'ok', 'billed', 1,"
            " 'lesson, 1.ipynb', 'k', '')",
            [(1_791_806_400.0 + number, f"model {number % 3}") for number in range(count)],
        )


def peak_memory(session: Session, words: list[str]) -> int:
    """Return the peak memory in bytes while a command runs and its result is printed."""
    tracemalloc.start()
    try:
        result = run("usage", words, create_shell_frontend(session), "cfai")
        if isinstance(result, TextLines):
            assert sum(1 for _ in result) >= ROWS
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
@pytest.mark.parametrize("saves", [False, True], ids=["printed", "saved"])
def test_the_memory_of_a_csv_does_not_grow_with_the_ledger(
    session: Session, home: Path, tmp_path: Path, saves: bool
) -> None:
    file = tmp_path / "calls.csv"
    words = ["all", "--csv", *(["--save", str(file)] if saves else [])]
    add_calls(home, ROWS)
    peak_memory(session, words)  # warm-up: imports modules and opens files
    few = peak_memory(session, words)
    add_calls(home, 9 * ROWS)
    many = peak_memory(session, words)
    assert many < 2 * few  # in memory, all rows would need ten times as much
    if saves:
        assert file.read_bytes().count(b"\n") == 10 * ROWS + 1


def test_the_shell_and_a_notebook_give_the_same_lines(
    session: Session, home: Path, tmp_path: Path
) -> None:
    add_calls(home, ROWS)
    in_notebook = str(run("usage", ["all", "--csv"], bare_frontend(session), "%cfai"))
    in_shell = subprocess.run(
        [sys.executable, "-m", "cfai_magics", "usage", "all", "--csv"],
        capture_output=True,
        text=True,
        check=True,
    )
    saved = tmp_path / "calls.csv"
    words = ["all", "--csv", "--save", str(saved)]
    assert str(run("usage", words, bare_frontend(session), "%cfai")) == f"Saved to {saved}."
    assert in_shell.stdout == f"{in_notebook}\n" == saved.read_text(encoding="utf-8")
    rows = list(csv.DictReader(in_notebook.splitlines()))
    assert [row["id"] for row in rows] == [str(number) for number in range(1, ROWS + 1)]
    assert rows[0]["notebook"] == "lesson, 1.ipynb"
    assert rows[0]["started"] == "2026-10-12T12:00:00.000+00:00"


def test_a_closed_pipe_ends_the_csv_without_an_error(session: Session, home: Path) -> None:
    add_calls(home, ROWS)
    command = [sys.executable, "-m", "cfai_magics", "usage", "all", "--csv"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b"id,started,")
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_other_kernels_can_write_while_the_csv_is_read(session: Session, home: Path) -> None:
    add_calls(home, ROWS)
    calls = session.accounting.ledger.history.iter_calls()
    assert next(calls)["id"] == 1
    other = Ledger(home, lock_timeout=0.0)
    call_id = other.reserve(PLACE, "model", "task", lambda _limits, _closed: 1.0)
    other.close()
    assert call_id == ROWS + 1
    assert [call["id"] for call in calls][-1] == ROWS + 1


@pytest.mark.parametrize("period", ["today", "all"])
def test_an_empty_ledger_gives_only_the_header(session: Session, period: str) -> None:
    result = run("usage", [period, "--csv"], create_shell_frontend(session), "cfai")
    assert isinstance(result, TextLines)
    (header,) = result
    assert header.startswith("id,started,day,account,model,")


def test_a_period_begins_with_its_first_day(session: Session, home: Path) -> None:
    add_calls(home, ROWS)
    ledger = session.accounting.ledger
    ledger.reserve(PLACE, "model", "task", lambda _limits, _closed: 1.0)
    assert [call["id"] for call in ledger.history.iter_calls(1)] == [ROWS + 1]


def test_a_failed_save_leaves_no_file(session: Session, home: Path, tmp_path: Path) -> None:
    add_calls(home, 2)
    folder = tmp_path / "folder"
    folder.mkdir()
    for path in (folder, tmp_path / "missing" / "calls.csv"):
        words = ["all", "--csv", "--save", str(path)]
        with pytest.raises(StorageError, match="can't be written"):
            run("usage", words, bare_frontend(session), "%cfai")
    assert sorted(each.name for each in tmp_path.iterdir() if each != home) == ["folder"]


def test_save_requires_csv(session: Session) -> None:
    with pytest.raises(InvalidOptionError, match="--save requires --csv"):
        run("usage", ["--save", "calls.csv"], bare_frontend(session), "%cfai")
