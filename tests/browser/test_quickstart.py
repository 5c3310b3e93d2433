"""The quickstart notebook in JupyterLab: with the local model and with its recording."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Page

from tests.browser.applications import Served, application
from tests.browser.servers import NotebookPage
from tests.notebooks import NOTEBOOKS, code_cells, recording

pytestmark = pytest.mark.browser

QUICKSTART = next(path for path in NOTEBOOKS if path.stem == "quickstart")
LOAD, LOCAL, ASK = range(3)


@pytest.fixture
def lab(tmp_path: Path, small_model: Path) -> Iterator[Served]:
    """Serve JupyterLab with the quickstart without its outputs, the recording and the model."""
    notebook = nbformat.read(QUICKSTART, as_version=4)
    for cell in code_cells(notebook):
        cell.outputs = []
    nbformat.write(notebook, tmp_path / QUICKSTART.name)
    shutil.copyfile(recording(QUICKSTART), tmp_path / recording(QUICKSTART).name)
    (tmp_path / "home" / "models").mkdir(parents=True)
    (tmp_path / "home" / "models" / small_model.name).symlink_to(small_model)
    with application("jupyterlab", tmp_path) as served:
        yield served


def open_quickstart(lab: Served, page: Page) -> NotebookPage:
    notebook = NotebookPage(page)
    notebook.open(lab.address.format(QUICKSTART.name))
    notebook.run(LOAD)
    return notebook


def test_the_local_model_answers_the_first_question_live(lab: Served, page: Page) -> None:
    notebook = open_quickstart(lab, page)
    notebook.run(LOCAL)
    notebook.wait_for_text(LOCAL, "no account, no neurons")
    notebook.run(ASK)
    notebook.wait_for_text(ASK, "SmolLM2-135M-Instruct on this machine · ")
    answer, footer = notebook.outputs(ASK)
    assert answer
    assert "replayed" not in footer
    assert lab.cloudflare.requests == ()


def test_the_recording_is_replayed_if_no_model_was_started(lab: Served, page: Page) -> None:
    notebook = open_quickstart(lab, page)
    notebook.run(ASK)
    notebook.wait_for_text(ASK, "replayed, recorded ")
    assert "SmolLM2-135M-Instruct (local)" in notebook.outputs(ASK)[-1]
    assert lab.cloudflare.requests == ()
