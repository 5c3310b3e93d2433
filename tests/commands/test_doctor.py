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
from tests.standin.state import EDIT, EVERYTHING, READ

HI: list[Message] = [{"role": "user", "content": "Hi"}]
RunDoctor = Callable[..., dict[str, tuple[str, str]]]


@pytest.fixture
def run_doctor() -> RunDoctor:
    def rows(session: Session, *words: str) -> dict[str, tuple[str, str]]:
        table = run("doctor", words, create_shell_frontend(session), "cfai")
        return {name: (status, fix) for name, status, fix in table.rows}  # type: ignore[attr-defined]

    return rows


@pytest.mark.usefixtures("has_threads")
def test_a_healthy_setup_needs_no_fix(
    session: Session, account: Standin, run_doctor: RunDoctor
) -> None:
    session.fetch_catalog()
    session.ask(session.build_request(HI))
    result = run_doctor(session)
    result.pop("front end")  # depends on the environment, tested below
    assert [name for name, (_, fix) in result.items() if fix] == []
    assert "cfai-magics" in result["versions"][0]
    assert "not checked; cfai doctor lesson.ipynb" in to_shell_syntax(result["notebook"][0])
    assert result["answers from"][0] == "Workers AI"
    assert result["credentials"][0] == f"account …{account.account_id[-4:]}, from the environment"
    assert result["token"][0].startswith(
        "user token, active; it can list and run models, and read"
    )
    assert "is intact, with 1 call" in result["ledger"][0]
    assert account.token not in str(result)
    assert account.account_id not in str(result)


def test_the_checks_cost_no_neurons(
    session: Session, account: Standin, run_doctor: RunDoctor
) -> None:
    run_doctor(session)
    assert account.billed == 0


def test_without_an_account_the_other_checks_still_run(
    home: Path, run_doctor: RunDoctor, cloudflare: Standin
) -> None:
    result = run_doctor(Session(Cfai(), home, environ={}))
    assert "cfai login" in result["credentials"][1]
    assert result["token"] == ("not checked: there is no token", "")
    assert "is intact" in result["ledger"][0]
    assert cloudflare.requests == ()


@pytest.mark.parametrize(
    ("token_options", "status", "fix"),
    [
        ((EVERYTHING, "user", "expired"), "expired", "cfai login"),
        (((),), "can't list models", "Workers AI - Read"),
        (((READ,),), "can't run models", "Workers AI - Edit"),
        (((READ, EDIT),), "but not read the account's usage", ""),
    ],
)
def test_the_permissions_of_the_token_are_reported(
    account: Standin,
    home: Path,
    run_doctor: RunDoctor,
    token_options: tuple[Any, ...],
    status: str,
    fix: str,
) -> None:
    environ = account.environ() | {"CLOUDFLARE_API_TOKEN": account.issue_token(*token_options)}
    result = run_doctor(Session(Cfai(), home, environ=environ))["token"]
    assert status in result[0]
    assert fix in result[1]
    assert bool(fix) == bool(result[1])


def test_a_damaged_ledger_is_reported(home: Path, account: Standin, run_doctor: RunDoctor) -> None:
    home.mkdir()
    (home / "ledger.sqlite").write_bytes(b"no database at all" * 1_000)
    result = run_doctor(Session(Cfai(), home))["ledger"]
    assert "can't be used" in result[0]
    assert "Move it to another folder" in result[1]


def test_a_ledger_with_a_damaged_page_is_reported(
    home: Path, session: Session, run_doctor: RunDoctor
) -> None:
    for _ in range(3):
        session.ask(session.build_request(HI))
    session.close()
    path = home / "ledger.sqlite"
    content = bytearray(path.read_bytes())
    content[4096 * 2 : 4096 * 3] = b"\xff" * 4096
    path.write_bytes(content)
    result = run_doctor(Session(Cfai(), home))["ledger"]
    assert result[1]


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


def test_every_page_of_a_large_ledger_is_checked_on_demand(
    session: Session, large_ledger: Path, run_doctor: RunDoctor, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run_doctor(session)["ledger"]
    assert result == (
        f"{large_ledger} is readable, with 9,000 calls; %cfai doctor --full checks every page",
        "",
    )
    assert "Checking" not in capsys.readouterr().err
    assert run_doctor(session, "--full")["ledger"] == (
        f"{large_ledger} is intact, with 9,000 calls",
        "",
    )
    assert "Checking every page of ledger.sqlite, " in capsys.readouterr().err


def test_damage_inside_a_large_ledger_is_found_by_a_full_check(
    session: Session, large_ledger: Path, run_doctor: RunDoctor
) -> None:
    session.close()
    content = bytearray(large_ledger.read_bytes())
    start = content.index(b"thread 5000") // PAGE * PAGE
    content[start : start + PAGE] = b"\xff" * PAGE
    large_ledger.write_bytes(content)
    assert "is readable" in run_doctor(session)["ledger"][0]
    result = run_doctor(session, "--full")["ledger"]
    assert "ledger.sqlite is damaged: " in result[0]
    assert "move the file to another folder" in result[1]


@pytest.mark.parametrize("size", [1_000, 17_000_000])
def test_a_file_with_a_damaged_header_is_reported(
    home: Path, session: Session, run_doctor: RunDoctor, size: int
) -> None:
    session.accounting.ledger.open()
    (home / "maps.sqlite").write_bytes(b"no database at all".ljust(size))
    assert "maps.sqlite is damaged: " in run_doctor(session)["other files"][0]


@pytest.mark.parametrize("name", ["threads.sqlite", "maps.sqlite"])
def test_other_damaged_files_are_reported(
    home: Path, session: Session, run_doctor: RunDoctor, name: str
) -> None:
    assert "are intact" in run_doctor(session)["other files"][0]
    (home / name).write_bytes(b"no database at all" * 1_000)
    result = run_doctor(session)["other files"]
    assert f"{name} is damaged: " in result[0]
    assert "move the file to another folder" in result[1]


def test_damaged_credentials_are_reported(
    home: Path, run_doctor: RunDoctor, cloudflare: Standin
) -> None:
    home.mkdir()
    (home / "credentials.json").write_text('{"account_id": ')
    result = run_doctor(Session(Cfai(), home, environ={}))["credentials"]
    assert "are damaged" in result[0]
    assert "cfai login" in result[1]


def test_an_old_catalog_and_a_retiring_model_are_reported(
    session: Session, home: Path, run_doctor: RunDoctor
) -> None:
    bundled = load_bundled().models
    retiring = replace(bundled[0], deprecation_date="2027-01-01")
    save_cached(home, (retiring, *bundled[1:]), "2024-01-01")
    session.settings.model = retiring.name
    result = run_doctor(session)
    assert result["model list"][1] == "Run %cfai models --refresh."
    assert "retires on 1 Jan 2027" in result["model"][0]


def test_a_secret_in_a_notebook_is_reported_but_not_shown(
    session: Session, account: Standin, tmp_path: Path, run_doctor: RunDoctor
) -> None:
    path, other = tmp_path / "lesson.ipynb", token()
    cells = [{"source": f"t = '{secret}'"} for secret in [account.token, *[other] * 6]]
    path.write_text(json.dumps({"cells": cells}))
    result = run_doctor(session, str(path))["notebook"]
    assert "the API token in use in cell 1; what looks like an API token in cell 2" in result[0]
    assert "and 2 more" in result[0]
    assert "Revoke" in result[1]
    assert other not in str(result)
    path.write_text(json.dumps({"cells": [{"source": "1"}]}))
    assert run_doctor(session, str(path))["notebook"] == (f"no secrets in {path}", "")
    assert "can't be read" in run_doctor(session, str(tmp_path / "none.ipynb"))["notebook"][0]


def test_the_backend_of_answers_is_reported(
    home: Path, account: Standin, run_doctor: RunDoctor
) -> None:
    for settings, backend in (
        (Cfai(local="small"), "this machine (small)"),
        (Cfai(base_url="http://127.0.0.1:9/v1"), "http://127.0.0.1:9/v1"),
        (Cfai(gateway="class"), "Workers AI through gateway class"),
    ):
        assert backend in run_doctor(Session(settings, home))["answers from"][0]


def test_other_backends_need_no_account(home: Path, run_doctor: RunDoctor) -> None:
    for settings in (Cfai(local="small"), Cfai(base_url="http://127.0.0.1:9/v1")):
        result = run_doctor(Session(settings, home, environ={}))
        assert result["credentials"] == ("none, and not needed", "")
        assert result["token"] == ("not checked: there is no token", "")


def test_the_course_file_is_named(
    home: Path, account: Standin, tmp_path: Path, run_doctor: RunDoctor
) -> None:
    (tmp_path / "cfai.toml").write_text("max_tokens = 5")
    result = run_doctor(Session(load_settings(home, None, tmp_path), home))["course"]
    assert str(tmp_path / "cfai.toml") in result[0]


@pytest.fixture
def front_end(session: Session, run_doctor: RunDoctor) -> Callable[[], tuple[str, str]]:
    return lambda: run_doctor(session)["front end"]


@pytest.fixture
def lab_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Temporary folders in which JupyterLab looks for extensions."""
    folders = [tmp_path / "a", tmp_path / "b"]
    monkeypatch.setattr("jupyter_core.paths.jupyter_path", lambda _part: list(map(str, folders)))
    return folders


@pytest.mark.parametrize(
    ("has_extension", "lab_packages", "row"),
    [
        (True, ("jupyterlab",), ("the JupyterLab extension is installed", "")),
        (False, ("jupyterlab",), ("is not installed", "Unset CFAI_NO_LABEXTENSION")),
        (False, ("no such package",), ("JupyterLab and its extension are not installed", "")),
    ],
)
def test_a_missing_extension_is_reported_only_with_jupyterlab(
    front_end: Callable[[], tuple[str, str]],
    lab_folders: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    has_extension: bool,
    lab_packages: tuple[str, ...],
    row: tuple[str, str],
) -> None:
    monkeypatch.setattr(doctor, "LAB_PACKAGES", lab_packages)
    if has_extension:
        (lab_folders[1] / "cfai-magics").mkdir(parents=True)
        (lab_folders[1] / "cfai-magics" / "package.json").write_text("{}")
    status, fix = front_end()
    assert status.startswith("a shell; ")
    assert row[0] in status
    assert row[1] in fix
    assert bool(row[1]) == bool(fix)


def test_the_folders_of_the_environment_are_searched(
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
    extension = tmp_path / "labextensions" / "cfai-magics" / "package.json"
    extension.parent.mkdir(parents=True)
    extension.write_text("{}")
    assert "is installed" in front_end()[0]


def test_the_front_end_is_named() -> None:
    class Kernel:
        kernel = None

    assert describe_front_end({}, None) == "a shell"
    assert describe_front_end({}, object()) == "IPython in a terminal"
    assert describe_front_end({}, Kernel()) == "a Jupyter kernel"
    assert describe_front_end({"VSCODE_PID": "1"}, Kernel()) == "a VS Code kernel"
