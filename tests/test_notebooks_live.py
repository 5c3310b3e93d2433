"""Every notebook also runs from top to bottom with an account, without replayed answers."""

import json
from pathlib import Path
from shutil import copytree

import pytest

from tests.notebooks import NOTEBOOKS, executed, unexpected
from tests.standin import Standin

pytestmark = pytest.mark.slow


@pytest.fixture
def live(
    account: Standin, home: Path, small_model: Path, monkeypatch: pytest.MonkeyPatch
) -> Standin:
    """Set an account, provide the small model, and turn recordings off."""
    (home / "models").mkdir(parents=True)
    (home / "models" / small_model.name).symlink_to(small_model)
    monkeypatch.setenv("CFAI_REPLAY", "off")
    return account


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_with_an_account(path: Path, live: Standin, tmp_path: Path) -> None:
    folder = tmp_path / "notebooks"  # a copy, because a lesson may record its answers
    copytree(path.parent, folder)
    notebook = executed(folder / path.name)
    assert not unexpected(notebook)
    outputs = json.dumps([cell.get("outputs", []) for cell in notebook.cells], ensure_ascii=False)
    assert "replayed, recorded" not in outputs
    assert live.token not in outputs
    assert live.account_id not in outputs
    goes_local = any(cell.source == "%cfai local" for cell in notebook.cells)
    assert bool(live.requests) != goes_local
    assert ("on this machine · " in outputs) == goes_local
