"""Test `%cfai plan --class`: whether a lesson fits the budgets of a class."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cfai_magics.commands import run
from cfai_magics.errors import InvalidOptionError
from cfai_magics.session.session import Session
from tests.class_server import ClassServer
from tests.fake_frontends import bare_frontend
from tests.standin import Standin

CELL = "%%cfai --max-tokens 100\nWhy is the sky blue?"  # ≈ 0.81, at most 3.1 neurons
STARTS_WITH = "from src/class.json, because the address of the server is not known yet"
Command = Callable[..., object]
Notes = Callable[[], list[str]]


@pytest.fixture
def command(session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Return a function that runs a command in the test's folder."""
    monkeypatch.chdir(tmp_path)
    cell = {"cell_type": "code", "source": CELL}
    (tmp_path / "lesson.ipynb").write_text(json.dumps({"cells": [cell], "nbformat": 4}))
    return lambda name, *words: run(name, words, bare_frontend(session), "%cfai")


@pytest.fixture
def notes(command: Command) -> Notes:
    """Return a function that returns the notes of a plan about the class physics1."""

    def read_notes() -> list[str]:
        table = command("plan", "lesson.ipynb", "--class", "physics1")
        _total, *lines = str(getattr(table, "note", "")).splitlines()
        return lines[: next(i for i, line in enumerate(lines) if "shared account" in line)]

    return read_notes


def new_class(command: Command, names: str, *options: str) -> None:
    Path("names.csv").write_text(names, encoding="utf-8")
    command("class", "new", "physics1", "--students", "names.csv", *options)


def test_a_lesson_that_fits_shows_the_number_of_runs(command: Command, notes: Notes) -> None:
    new_class(command, "Ada\nBob\n", "--share", "31")
    header, share, total = notes()
    assert header == f"Class physics1: 2 students, with the settings {STARTS_WITH}."
    assert share == (
        "One run costs a student ≈ 0.81, at most 3.1 neurons. "
        "The share of 31 neurons a day is enough for 9 to 38 runs."
    )
    assert total == "One run of all students fits the budget of the class, 10,000 neurons."


@pytest.mark.parametrize(
    ("share", "text"),
    [
        ("0.5", "It does not fit the share of 0.5 neurons a day."),
        ("2", "A typical run fits the share of 2 neurons a day, the longest does not."),
    ],
)
def test_a_share_that_is_too_low_is_reported(
    command: Command, notes: Notes, share: str, text: str
) -> None:
    new_class(command, "Ada\n", "--share", share)
    assert notes()[1].endswith(text)


def test_students_whose_own_budget_is_too_low_are_listed(command: Command, notes: Notes) -> None:
    new_class(command, "name,budget\nAda,\nBob,0.5\nEve,2\nZoë,0\nMax,50\n")
    assert notes()[2:4] == [
        "Too little for one run: Bob (0.5), Zoë (0).",
        "Enough for a typical run only: Eve (2).",
    ]


@pytest.mark.parametrize(
    ("budget", "text"),
    [
        ("1", "One run of all students does not fit the budget of the class, 1 neurons."),
        ("3", "A typical run of all students fits the budget of the class, 3 neurons."),
    ],
)
def test_a_class_budget_that_is_too_low_is_reported(
    command: Command, notes: Notes, budget: str, text: str
) -> None:
    new_class(command, "Ada\nBob\n", "--budget", budget)
    assert notes()[-1].startswith(text)


def test_models_that_the_class_does_not_allow_are_listed(command: Command, notes: Notes) -> None:
    new_class(command, "Ada\n", "--models", "llama-3.2-3b-instruct")
    assert notes()[-1] == "The class does not allow: @cf/google/gemma-4-26b-a4b-it."


def test_cheaper_models_are_those_of_the_class(command: Command) -> None:
    new_class(command, "Ada\n", "--models", "llama-3.2-1b-instruct", "gemma-4-26b-a4b-it")
    text = str(command("plan", "lesson.ipynb", "--class", "physics1"))
    (line,) = [line for line in text.splitlines() if line.startswith("Cheaper models")]
    assert re.findall(r"[:;] (\S+) ≈", line) == ["llama-3.2-1b-instruct"]


def test_the_total_is_for_all_students_of_the_class(command: Command) -> None:
    new_class(command, "Ada\nBob\nEve\n")
    in_class = command("plan", "lesson.ipynb", "--class", "physics1")
    of_three = command("plan", "lesson.ipynb", "--students", "3")
    assert str(in_class).splitlines()[:3] == str(of_three).splitlines()[:3]
    with pytest.raises(InvalidOptionError, match="--students and --class exclude each other"):
        command("plan", "lesson.ipynb", "--students", "3", "--class", "physics1")
    with pytest.raises(InvalidOptionError, match="There is no class in the folder elsewhere"):
        command("plan", "lesson.ipynb", "--class", "elsewhere")


@pytest.fixture
def server(command: Command, cloudflare: Standin) -> Iterator[ClassServer]:
    """Yield the server of a new class with two students."""
    new_class(command, "Ada\nBob\n")
    admin_key = Path("physics1/admin.key").read_text().strip()
    with ClassServer(
        cloudflare, admin_key=admin_key, worker=Path("physics1").resolve()
    ) as started:
        yield started


@pytest.mark.slow
def test_the_settings_come_from_the_server_if_it_is_known(
    command: Command, notes: Notes, server: ClassServer
) -> None:
    command("class", "share", "2", "--url", server.url, "--class", "physics1")
    command("class", "share", "Bob", "0.5", "--class", "physics1")
    command("class", "keys", "add", "Eve", "--class", "physics1")
    command("class", "keys", "revoke", "Ada", "--class", "physics1")
    header, share, students, _total = notes()
    assert header == "Class physics1: 2 students, with the settings from the server."
    assert "A typical run fits the share of 2 neurons a day" in share
    assert students == "Too little for one run: Bob (0.5)."


@pytest.mark.slow
def test_a_server_that_is_not_running_leaves_the_file(
    command: Command, notes: Notes, server: ClassServer
) -> None:
    command("class", "usage", "--url", server.url, "--class", "physics1")
    server.kill()
    assert notes()[0] == (
        "Class physics1: 2 students, with the settings from src/class.json, because the server "
        "can't be reached."
    )
