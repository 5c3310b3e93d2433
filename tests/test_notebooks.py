"""Every notebook runs from top to bottom with only its recording."""

from pathlib import Path

import nbformat
import pytest

from cfai_magics.replay.cassette import Cassette
from cfai_magics.replay.interaction import Interaction
from cfai_magics.secret_patterns import contains_token
from tests.notebooks import NOTEBOOKS, code_cells, executed, recording, unexpected

pytestmark = pytest.mark.slow

NOWHERE = "http://127.0.0.1:9"  # no server listens on this port

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def records(path: Path, locks: Path) -> tuple[Interaction, ...]:
    contents = Cassette(recording(path), locks).contents()
    assert not contents.corruption_notes
    return tuple(contents.interactions)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Send all requests to a proxy on a closed port, and replay answers instantly."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, NOWHERE)
        monkeypatch.setenv(name.lower(), NOWHERE)
    monkeypatch.setenv("CFAI_REPLAY_INSTANT", "1")
    return monkeypatch


def test_there_are_notebooks() -> None:
    assert len(NOTEBOOKS) >= 9


@each_notebook
def test_a_notebook_runs_without_token_network_and_model(
    path: Path, offline: pytest.MonkeyPatch, home: Path
) -> None:
    offline.setenv("CFAI_REPLAY", f"only:{recording(path)}")
    assert not unexpected(executed(path))
    assert not (home / "models").exists()


@each_notebook
def test_a_notebook_contains_no_outputs_paths_or_tokens(path: Path, home: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    assert not any(cell.get("outputs") for cell in cells)
    for file in (path, recording(path)):
        text = file.read_text(encoding="utf-8")
        assert not contains_token(text)
        assert not [prefix for prefix in ("/home/", "/root/", "/tmp/", "C:\\\\") if prefix in text]
    assert all(record.request.local_model for record in records(path, home / "locks"))


def test_a_replayed_answer_names_its_local_model(offline: pytest.MonkeyPatch) -> None:
    path = next(path for path in NOTEBOOKS if path.stem == "what-a-neuron-is")
    offline.setenv("CFAI_REPLAY", f"only:{recording(path)}")
    question = next(
        cell
        for cell in code_cells(executed(path))
        if cell.source.endswith("sky blue?") and "-o answer" in cell.source
    )
    _answer, footer = question.outputs
    assert "(local)" in footer["data"]["text/plain"]
    assert "replayed" in footer["data"]["text/plain"]
