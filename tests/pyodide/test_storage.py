"""Test that the state folder is kept in the browser's IndexedDB."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import js
import pytest
from IPython.core.interactiveshell import InteractiveShell
from pyodide.ffi import run_sync
from pyodide_js import FS

from cfai_magics import browser_storage
from cfai_magics.settings import get_home_folder
from tests.pyodide.conftest import Control


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use the default folder of a user with this home folder; return the folder."""
    monkeypatch.delenv("CFAI_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "cfai"


def wait_until_saved() -> None:
    while FS.syncFSRequests:
        run_sync(asyncio.sleep(0.01))


def unload(shell: InteractiveShell, folder: Path) -> None:
    """End a kernel: its files are lost."""
    shell.run_line_magic("unload_ext", "cfai_magics")
    wait_until_saved()
    FS.unmount(str(folder))
    assert list(folder.iterdir()) == []


def test_the_next_kernel_has_the_usage_and_the_budget(
    shell: InteractiveShell, control: Control, folder: Path
) -> None:
    shell.run_line_magic("load_ext", "cfai_magics")
    for cell in ("%cfai budget 500", "%%cfai\nName a river."):
        shell.run_cell(cell).raise_error()
        wait_until_saved()
    unload(shell, folder)
    shell.run_line_magic("load_ext", "cfai_magics")
    budgets = str(shell.run_line_magic("cfai", "budget"))
    status = {row[0]: row[1] for row in shell.run_line_magic("cfai", "status").rows}
    usage = str(shell.run_line_magic("cfai", "usage"))
    unload(shell, folder)
    assert "500" in budgets
    assert "1 call" in usage
    assert status["data folder"] == str(folder)
    assert status["storage"] == "the ledger and the settings are kept in this browser"


def test_a_folder_is_loaded_once(folder: Path) -> None:
    assert get_home_folder() == get_home_folder() == folder
    assert browser_storage.is_mounted(folder)
    assert not browser_storage.is_mounted(folder.parent)
    FS.unmount(str(folder))


@pytest.fixture(params=["SecurityError", "QuotaExceededError"])
def refusal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Let IndexedDB refuse to open, as with blocked storage, or to write, as with a full one."""
    monkeypatch.setattr(browser_storage, "_failure", None)
    name = request.param
    place = "indexedDB.open" if name == "SecurityError" else "IDBObjectStore.prototype.put"
    undo = js.eval(f"""
        (() => {{
          const original = {place};
          {place} = () => {{ throw new DOMException('refused', '{name}'); }};
          return () => {{ {place} = original; }};
        }})()
    """)
    yield name
    undo()


def test_the_user_is_told_once_if_the_browser_keeps_nothing(
    refusal: str,
    shell: InteractiveShell,
    control: Control,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for cell in ("%load_ext cfai_magics", "%%cfai\nName a river.", "%cfai usage", "1"):
        shell.run_cell(cell).raise_error()
        wait_until_saved()
    shown = capsys.readouterr().out
    usage = str(shell.run_line_magic("cfai", "usage"))
    shell.run_line_magic("unload_ext", "cfai_magics")
    wait_until_saved()
    if browser_storage.is_mounted(folder):
        FS.unmount(str(folder))
    assert "1 call" in usage
    assert shown.count(f"does not keep the ledger and the settings ({refusal})") == 1
