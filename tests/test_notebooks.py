"""Every notebook with a recording runs from top to bottom with nothing but that recording."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from cfai_magics.credentials.secret_forms import token_in
from cfai_magics.replay.record import Record
from cfai_magics.replay.shelf import Shelf

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
LESSONS = sorted(
    path for path in NOTEBOOKS.glob("*.ipynb") if path.with_suffix(".cfai.jsonl").exists()
)
FAILS = "raises-exception"  # the tag of cells that show an error
NOWHERE = "http://127.0.0.1:9"  # nobody listens there


def recording(lesson: Path) -> Path:
    return lesson.with_suffix(".cfai.jsonl")


def records(lesson: Path, locks: Path) -> tuple[Record, ...]:
    contents = Shelf(recording(lesson), locks).contents()
    assert not contents.damaged
    return tuple(contents.records)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment whose every way out ends at a closed door."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, NOWHERE)
        monkeypatch.setenv(name.lower(), NOWHERE)
    monkeypatch.setenv("CFAI_REPLAY_INSTANT", "1")
    return monkeypatch


def executed(lesson: Path) -> nbformat.NotebookNode:
    notebook = nbformat.read(lesson, as_version=4)
    nbformat.validate(notebook)
    resources = {"metadata": {"path": str(lesson.parent)}}
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources).execute()
    return notebook


def fails(cell: nbformat.NotebookNode) -> bool:
    return any(output.output_type == "error" for output in cell.outputs)


def test_there_are_lessons() -> None:
    assert len(LESSONS) >= 8


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_runs_without_key_network_and_model(
    lesson: Path, offline: pytest.MonkeyPatch, home: Path
) -> None:
    offline.setenv("CFAI_REPLAY", f"only:{recording(lesson)}")
    cells = [cell for cell in executed(lesson).cells if cell.cell_type == "code"]
    wrong = [
        cell.source for cell in cells if fails(cell) != (FAILS in cell.metadata.get("tags", ()))
    ]
    assert not wrong
    assert not (home / "models").exists()


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_is_kept_without_outputs_paths_and_tokens(lesson: Path, home: Path) -> None:
    cells = nbformat.read(lesson, as_version=4).cells
    assert not any(cell.get("outputs") for cell in cells)
    for path in (lesson, recording(lesson)):
        text = path.read_text(encoding="utf-8")
        assert not token_in(text)
        assert not [place for place in ("/home/", "/root/", "/tmp/", "C:\\\\") if place in text]
    assert all(record.asked.local for record in records(lesson, home / "locks"))


def test_what_is_replayed_says_that_a_local_model_said_it(offline: pytest.MonkeyPatch) -> None:
    lesson = NOTEBOOKS / "what-a-neuron-is.ipynb"
    offline.setenv("CFAI_REPLAY", f"only:{recording(lesson)}")
    asked = next(
        cell
        for cell in executed(lesson).cells
        if cell.source.endswith("sky blue?") and "-o answer" in cell.source
    )
    _answer, receipt = asked.outputs
    assert "a local model" in receipt["data"]["text/plain"]
    assert "replayed" in receipt["data"]["text/plain"]
