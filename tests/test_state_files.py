"""State files are private to their user under every umask, and old ones are restricted."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cfai_magics import state_files
from cfai_magics.commands import run
from cfai_magics.errors import SetupError
from cfai_magics.frontends.shell import create_shell_frontend
from cfai_magics.prompt.history import Turn
from cfai_magics.session.session import Session
from cfai_magics.settings import Cfai, load_settings, update_settings_file
from cfai_magics.settings import get_home_folder as state_home
from cfai_magics.storage.conversations import ConversationStore
from tests.standin import Standin

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="file modes require POSIX"),
]
SECRET = 0o600
USE_ALL = """
import os, sys
from pathlib import Path
os.umask(int(sys.argv[1], 8))
from cfai_magics import api
from cfai_magics.backends.credentials import Secret
from cfai_magics.prompt.history import Turn
from cfai_magics.settings import update_settings_file
from cfai_magics.storage.map_cache import MapCache, CachedAnswer
from cfai_magics.storage.conversations import ConversationStore
session = api.get_current_session()
session.fetch_catalog()
session.ask(session.build_request([{"role": "user", "content": "Hi"}]))
with ConversationStore(session.home) as conversations:
    conversations.save("one", Turn("Why?", "So."))
with MapCache(session.home) as answers:
    answers.save("key", CachedAnswer("So."))
update_settings_file(session.home, {"max_tokens": 5})
session.backend.credential_store.save_server_key("http://127.0.0.1:9/v1", Secret("key"))
session.settings.recording = f"auto:{session.home / 'kept.cfai.jsonl'}"
session.ask(session.build_request([{"role": "user", "content": "Hi"}]))
for path in (session.home, *session.home.rglob("*")):
    print(oct(path.stat().st_mode & 0o777), path.is_dir(), path.name)
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", ["022", "000", "002"])
@pytest.mark.parametrize("before", ["a new folder", "an earlier version"])
def test_folders_are_0700_and_files_0600(
    account: Standin, home: Path, umask: str, before: str
) -> None:
    if before != "a new folder":
        subprocess.run([sys.executable, "-c", USE_ALL, "022"], check=True, capture_output=True)
        for path in (home, *home.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
    done = subprocess.run(
        [sys.executable, "-c", USE_ALL, umask], check=True, capture_output=True, text=True
    )
    rows = [line.split() for line in done.stdout.splitlines()]
    names = {name for _, _, name in rows}
    assert {"ledger.sqlite", "threads.sqlite", "maps.sqlite"} <= names
    assert {"settings.toml", "catalogue.json", "credentials.json", "kernels"} <= names
    assert {"ledger.sqlite-wal", "ledger.sqlite-shm"} <= names
    assert "kept.cfai.jsonl" in names
    wrong = [row for row in rows if row[0] != ("0o700" if row[1] == "True" else "0o600")]
    assert wrong == []


def test_missing_parents_are_private_too(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        update_settings_file(tmp_path / "a" / "b", {"max_tokens": 5})
    finally:
        os.umask(before)
    assert [mode(tmp_path / "a"), mode(tmp_path / "a" / "b")] == [0o700, 0o700]


@pytest.mark.parametrize("bits", [0o2770, 0o1777], ids=["setgid", "sticky"])
def test_a_shared_folder_keeps_its_mode_but_its_files_are_private(
    tmp_path: Path, bits: int
) -> None:
    tmp_path.chmod(bits)
    update_settings_file(tmp_path, {"max_tokens": 5})
    (tmp_path / "settings.toml").chmod(0o664)
    load_settings(tmp_path)
    assert mode(tmp_path) == bits
    assert mode(tmp_path / "settings.toml") == SECRET


def test_a_folder_with_other_files_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "lesson.ipynb").write_text("{}")
    (tmp_path / "lesson.ipynb").chmod(0o644)
    tmp_path.chmod(0o755)
    with ConversationStore(tmp_path) as threads:
        threads.save("one", Turn("Why?", "So."))
    assert mode(tmp_path) == 0o755
    assert mode(tmp_path / "lesson.ipynb") == 0o644
    assert mode(tmp_path / "threads.sqlite") == SECRET


def test_doctor_reports_files_that_others_can_access(
    account: Standin, home: Path, session: Session
) -> None:
    def privacy() -> tuple[str, str]:
        table = run("doctor", [], create_shell_frontend(session), "cfai")
        rows = {row[0]: row[1:] for row in table.rows}  # type: ignore[attr-defined]
        return rows["privacy"]

    assert privacy() == (f"only you can access {home}", "")
    (home / "lesson.ipynb").write_text("{}")
    (home / "old.json").write_text("{}")
    (home / "old.json").chmod(0o666)
    home.chmod(0o755)
    found, fix = privacy()
    assert f"{home} can be read" in found
    assert f"{home / 'old.json'} can be read and written" in found
    assert f"chmod -R go= {home}" in fix
    assert "lesson.ipynb" not in found


def test_reading_a_pipe_fails_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", tmp_path):
        with pytest.raises(state_files.UnreadableFileError):
            state_files.read_text(place)
    with pytest.raises(state_files.MissingFileError):
        state_files.read_text(tmp_path / "none")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param("{}/" + "x" * 300, "name too long", id="300 characters"),
        pytest.param("{}/file", "not a folder", id="a file"),
        pytest.param("{}/file/below", "Not a directory", id="below a file"),
        pytest.param("~no-such-user/x", "home directory", id="an unknown user"),
        pytest.param("{}/loop", "symbolic links", id="a loop"),
        pytest.param("{}/dangling", "missing folder", id="a link to nothing"),
    ],
)
@pytest.mark.parametrize("frontend", ["shell", "load_ext"])
def test_an_invalid_home_gives_a_two_line_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, reason: str, frontend: str
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "dangling").symlink_to(tmp_path / "none")
    monkeypatch.setenv("CFAI_HOME", value.format(tmp_path))
    with pytest.raises(SetupError, match=reason):
        state_home()
    command = {
        "shell": ["-m", "cfai_magics", "status"],
        "load_ext": ["-m", "IPython", "--colors=nocolor", "-c", "%load_ext cfai_magics"],
    }[frontend]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    output = done.stdout + done.stderr
    assert "CFAI_HOME" in output
    assert reason in output
    assert "Traceback" not in output
    assert len(output.strip().splitlines()) == 2


def test_relative_and_tilde_homes_are_resolved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CFAI_HOME", "~/state")
    assert state_home() == tmp_path / "state"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CFAI_HOME", "here")
    assert state_home() == tmp_path / "here"


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), -1, 0, 1e9, 10**400, True, "5", None, [1]]
)
def test_an_invalid_timeout_is_rejected_and_changes_nothing(value: object) -> None:
    settings = Cfai()
    with pytest.raises(SetupError, match="timeout"):
        settings.timeout = value  # type: ignore[assignment]
    assert settings.timeout == 240.0


@pytest.mark.parametrize(
    ("line", "name"),
    [
        pytest.param("timeout = nan", "timeout", id="nan"),
        pytest.param("timeout = inf", "timeout", id="inf"),
        pytest.param("timeout = true", "timeout", id="bool"),
        pytest.param("timeout = 99999999999999999999", "timeout", id="huge"),
        pytest.param("temperature = nan", "temperature", id="temperature"),
        pytest.param("temperature = true", "temperature", id="temperature true"),
        pytest.param("confirm_neurons = inf", "confirm_neurons", id="neurons"),
        pytest.param("max_tokens = true", "max_tokens", id="tokens true"),
        pytest.param("table_rows = false", "table_rows", id="rows false"),
        pytest.param(f"model = {'[' * 3000}{']' * 3000}", "nested", id="deep"),
        pytest.param("model = 'x", "Expected", id="broken"),
    ],
)
def test_an_invalid_setting_gives_a_two_line_error_with_its_file(
    home: Path, line: str, name: str
) -> None:
    home.mkdir()
    (home / "settings.toml").write_text(line, encoding="utf-8")
    with pytest.raises(SetupError) as caught:
        load_settings(home)
    assert str(home / "settings.toml") in str(caught.value)
    assert name in str(caught.value)
    assert "Correct or delete it." in str(caught.value)
    assert len(str(caught.value)) < 700
