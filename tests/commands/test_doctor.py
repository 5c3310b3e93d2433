"""Test `%cfai doctor`: each check, and the fix that it suggests."""

import json
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import jupyter_core.paths
import pytest

from cfai_magics.commands import doctor, run
from cfai_magics.frontends.shell import create_shell_frontend, to_shell_syntax
from cfai_magics.notebook import describe_front_end
from cfai_magics.pricing.catalog import load_bundled, save_cached
from cfai_magics.session.session import Session
from cfai_magics.settings import Cfai, load_settings
from cfai_magics.types.messages import Message
from tests.canaries import token
from tests.standin import Standin
from tests.standin.accounts import EDIT, EVERYTHING, READ

HI: list[Message] = [{"role": "user", "content": "Hi"}]
Look = Callable[..., dict[str, tuple[str, str]]]


@pytest.fixture
def look() -> Look:
    def rows(session: Session, *words: str) -> dict[str, tuple[str, str]]:
        table = run("doctor", words, create_shell_frontend(session), "cfai")
        return {name: (found, mend) for name, found, mend in table.rows}  # type: ignore[attr-defined]

    return rows


def test_where_all_is_well_nothing_is_to_do(
    session: Session, account: Standin, look: Look
) -> None:
    session.fetch_catalog()
    session.ask(session.build_request(HI))
    found = look(session)
    found.pop("front end")  # depends on the environment, tested below
    assert [name for name, (_, mend) in found.items() if mend] == []
    assert "cfai-magics" in found["versions"][0]
    assert "not checked; cfai doctor lesson.ipynb" in to_shell_syntax(found["notebook"][0])
    assert found["answers from"][0] == "Workers AI"
    assert found["credentials"][0] == f"account …{account.account_id[-4:]}, from the environment"
    assert found["token"][0].startswith("user token, active; it can list and run models, and read")
    assert "is intact, with 1 call" in found["ledger"][0]
    assert account.token not in str(found)
    assert account.account_id not in str(found)


def test_looking_costs_nothing(session: Session, account: Standin, look: Look) -> None:
    look(session)
    assert account.billed == 0


def test_without_an_account_the_rest_is_looked_at(
    home: Path, look: Look, cloudflare: Standin
) -> None:
    found = look(Session(Cfai(), home, environ={}))
    assert "cfai login" in found["credentials"][1]
    assert found["token"] == ("not checked: there is no token", "")
    assert "is intact" in found["ledger"][0]
    assert cloudflare.requests == ()


@pytest.mark.parametrize(
    ("issued", "told", "mend"),
    [
        ((EVERYTHING, "user", "expired"), "expired", "cfai login"),
        (((),), "can't list models", "Workers AI - Read"),
        (((READ,),), "can't run models", "Workers AI - Edit"),
        (((READ, EDIT),), "but not read the account's usage", ""),
    ],
)
def test_what_the_token_may_do_is_told(
    account: Standin, home: Path, look: Look, issued: tuple[Any, ...], told: str, mend: str
) -> None:
    environ = account.environ() | {"CLOUDFLARE_API_TOKEN": account.issue_token(*issued)}
    found = look(Session(Cfai(), home, environ=environ))["token"]
    assert told in found[0]
    assert mend in found[1]
    assert bool(mend) == bool(found[1])


def test_a_damaged_ledger_is_told(home: Path, account: Standin, look: Look) -> None:
    home.mkdir()
    (home / "ledger.sqlite").write_bytes(b"no database at all" * 1_000)
    found = look(Session(Cfai(), home))["ledger"]
    assert "can't be used" in found[0]
    assert "Move it to another folder" in found[1]


def test_a_ledger_with_a_damaged_page_is_told(home: Path, session: Session, look: Look) -> None:
    for _ in range(3):
        session.ask(session.build_request(HI))
    session.close()
    path = home / "ledger.sqlite"
    content = bytearray(path.read_bytes())
    content[4096 * 2 : 4096 * 3] = b"\xff" * 4096
    path.write_bytes(content)
    found = look(Session(Cfai(), home))["ledger"]
    assert found[1]


PAGE = 4_096  # bytes
LARGE_ROWS = 9_000
INSERT_LARGE = (
    "INSERT INTO calls (started, day, account, model, task, status, basis, neurons, notebook,"
    " kernel, thread) VALUES (0, '2026-10-12', 'a', 'm', 't', 'failed', 'billed', 0, ?, 'k', ?)"
)


@pytest.fixture
def large_ledger(session: Session, home: Path) -> Path:
    """A ledger of more than 16 MB."""
    session.accounting.ledger.open()
    path = home / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        rows = (("notebook " * 200, f"thread {number}") for number in range(LARGE_ROWS))
        connection.executemany(INSERT_LARGE, rows)
    return path


def test_a_large_ledger_is_opened_and_checked_in_full_on_demand(
    session: Session, large_ledger: Path, look: Look, capsys: pytest.CaptureFixture[str]
) -> None:
    found = look(session)["ledger"]
    assert found == (
        f"{large_ledger} is readable, with 9,000 calls; %cfai doctor --full checks every page",
        "",
    )
    assert "Checking" not in capsys.readouterr().err
    assert look(session, "--full")["ledger"] == (f"{large_ledger} is intact, with 9,000 calls", "")
    assert "Checking every page of ledger.sqlite, " in capsys.readouterr().err


def test_damage_inside_a_large_ledger_is_found_by_a_full_check(
    session: Session, large_ledger: Path, look: Look
) -> None:
    session.close()
    content = bytearray(large_ledger.read_bytes())
    start = content.index(b"thread 5000") // PAGE * PAGE
    content[start : start + PAGE] = b"\xff" * PAGE
    large_ledger.write_bytes(content)
    assert "is readable" in look(session)["ledger"][0]
    found = look(session, "--full")["ledger"]
    assert "ledger.sqlite is damaged: " in found[0]
    assert "move the file away" in found[1]


@pytest.mark.parametrize("size", [1_000, 17_000_000])
def test_a_large_file_that_is_damaged_at_its_start_is_told(
    home: Path, session: Session, look: Look, size: int
) -> None:
    session.accounting.ledger.open()
    (home / "maps.sqlite").write_bytes(b"no database at all".ljust(size))
    assert "maps.sqlite is damaged: " in look(session)["other files"][0]


@pytest.mark.parametrize("name", ["threads.sqlite", "maps.sqlite"])
def test_other_files_that_are_damaged_are_told(
    home: Path, session: Session, look: Look, name: str
) -> None:
    assert "are intact" in look(session)["other files"][0]
    (home / name).write_bytes(b"no database at all" * 1_000)
    found = look(session)["other files"]
    assert f"{name} is damaged: " in found[0]
    assert "move the file away" in found[1]


def test_credentials_that_are_damaged_are_told(
    home: Path, look: Look, cloudflare: Standin
) -> None:
    home.mkdir()
    (home / "credentials.json").write_text('{"account_id": ')
    found = look(Session(Cfai(), home, environ={}))["credentials"]
    assert "are damaged" in found[0]
    assert "cfai login" in found[1]


def test_an_old_list_and_a_retiring_model_are_told(
    session: Session, home: Path, look: Look
) -> None:
    shipped = load_bundled().models
    retiring = replace(shipped[0], deprecation_date="2027-01-01")
    save_cached(home, (retiring, *shipped[1:]), "2024-01-01")
    session.settings.model = retiring.name
    found = look(session)
    assert found["model list"][1] == "Run %cfai models --refresh."
    assert f"retires on {retiring.deprecation_date}" in found["model"][0]


def test_a_secret_in_a_notebook_is_told_without_it(
    session: Session, account: Standin, tmp_path: Path, look: Look
) -> None:
    path, other = tmp_path / "lesson.ipynb", token()
    cells = [{"source": f"t = '{secret}'"} for secret in [account.token, *[other] * 6]]
    path.write_text(json.dumps({"cells": cells}))
    found = look(session, str(path))["notebook"]
    assert "the API token in use in cell 1; what looks like an API token in cell 2" in found[0]
    assert "and 2 more" in found[0]
    assert "Revoke" in found[1]
    assert other not in str(found)
    path.write_text(json.dumps({"cells": [{"source": "1"}]}))
    assert look(session, str(path))["notebook"] == (f"no secrets in {path}", "")
    assert "can't be read" in look(session, str(tmp_path / "none.ipynb"))["notebook"][0]


def test_where_answers_come_from_is_told(home: Path, account: Standin, look: Look) -> None:
    for settings, told in (
        (Cfai(local="small"), "this machine (small)"),
        (Cfai(base_url="http://127.0.0.1:9/v1"), "http://127.0.0.1:9/v1"),
        (Cfai(gateway="class"), "Workers AI through gateway class"),
    ):
        assert told in look(Session(settings, home))["answers from"][0]


def test_no_account_is_missed_where_answers_come_from_elsewhere(home: Path, look: Look) -> None:
    for settings in (Cfai(local="small"), Cfai(base_url="http://127.0.0.1:9/v1")):
        found = look(Session(settings, home, environ={}))
        assert found["credentials"] == ("none, and not needed", "")
        assert found["token"] == ("not checked: there is no token", "")


def test_the_course_s_file_is_named(
    home: Path, account: Standin, tmp_path: Path, look: Look
) -> None:
    (tmp_path / "cfai.toml").write_text("max_tokens = 5")
    found = look(Session(load_settings(home, None, tmp_path), home))["course"]
    assert str(tmp_path / "cfai.toml") in found[0]


@pytest.fixture
def front_end(session: Session, look: Look) -> Callable[[], tuple[str, str]]:
    return lambda: look(session)["front end"]


@pytest.fixture
def lab_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Temporary folders in which JupyterLab looks for extensions."""
    folders = [tmp_path / "a", tmp_path / "b"]
    monkeypatch.setattr("jupyter_core.paths.jupyter_path", lambda _part: list(map(str, folders)))
    return folders


@pytest.mark.parametrize(
    ("has_part", "lab_packages", "row"),
    [
        (True, ("jupyterlab",), ("the JupyterLab extension is installed", "")),
        (False, ("jupyterlab",), ("is not installed", "Unset CFAI_NO_LABEXTENSION")),
        (False, ("no such package",), ("JupyterLab and its extension are not installed", "")),
    ],
)
def test_the_jupyterlab_part_is_missed_only_by_a_jupyterlab(
    front_end: Callable[[], tuple[str, str]],
    lab_folders: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    has_part: bool,
    lab_packages: tuple[str, ...],
    row: tuple[str, str],
) -> None:
    monkeypatch.setattr(doctor, "LAB_PACKAGES", lab_packages)
    if has_part:
        (lab_folders[1] / "cfai-magics").mkdir(parents=True)
        (lab_folders[1] / "cfai-magics" / "package.json").write_text("{}")
    found, mend = front_end()
    assert found.startswith("a shell; ")
    assert row[0] in found
    assert row[1] in mend
    assert bool(row[1]) == bool(mend)


def test_the_folders_of_this_environment_are_looked_into(
    front_end: Callable[[], tuple[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "a shell; the JupyterLab extension" in front_end()[0]
    (environment,) = jupyter_core.paths.ENV_JUPYTER_PATH
    assert environment.startswith(sys.prefix)
    for variable in ("JUPYTER_PATH", "JUPYTER_DATA_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / "nowhere"))
    monkeypatch.setattr("jupyter_core.paths.SYSTEM_JUPYTER_PATH", [])
    monkeypatch.setattr("site.ENABLE_USER_SITE", False)
    monkeypatch.setattr("jupyter_core.paths.ENV_JUPYTER_PATH", [str(tmp_path)])
    assert "is not installed" in front_end()[0]
    part = tmp_path / "labextensions" / "cfai-magics" / "package.json"
    part.parent.mkdir(parents=True)
    part.write_text("{}")
    assert "is installed" in front_end()[0]


def test_the_front_end_is_named() -> None:
    class Kernel:
        kernel = None

    assert describe_front_end({}, None) == "a shell"
    assert describe_front_end({}, object()) == "IPython in a terminal"
    assert describe_front_end({}, Kernel()) == "a kernel of Jupyter"
    assert describe_front_end({"VSCODE_PID": "1"}, Kernel()) == "a kernel of VS Code"
