"""Features that need another process are refused where none can be started, as in a browser."""

import json
from pathlib import Path

import pytest

from cfai_magics import runtime
from cfai_magics.commands import run
from cfai_magics.errors import SetupError
from cfai_magics.session.session import Session
from tests.fake_frontends import bare_frontend

CAUSE = r" can't run in a browser\.\nInstall cfai-magics on a computer and run it there\.$"


@pytest.mark.parametrize(
    ("line", "feature"),
    [
        ("local", "The local model"),
        ("local serve", "The local model"),
        ("demo", "%cfai demo"),
    ],
    ids=str,
)
def test_commands_that_start_a_process_are_refused(
    line: str, feature: str, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "HAS_PROCESSES", False)
    name, *words = line.split()
    frontend = bare_frontend(session, start_progress=lambda _title: None)
    with pytest.raises(SetupError, match=f"^{feature}{CAUSE}"):
        run(name, words, frontend, "%cfai")
    assert session.settings.local == ""


def test_a_local_model_in_the_settings_is_refused(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "HAS_PROCESSES", False)
    session.settings.local = "small"
    with pytest.raises(SetupError, match=f"^The local model{CAUSE}"):
        session.ask(session.build_request([{"role": "user", "content": "Hi"}]))


def test_the_lock_file_of_the_tests_in_pyodide_names_no_registry() -> None:
    path = Path(__file__).parent / "pyodide" / "package-lock.json"
    packages = json.loads(path.read_text())["packages"]
    assert packages
    assert not [name for name, package in packages.items() if "resolved" in package]
