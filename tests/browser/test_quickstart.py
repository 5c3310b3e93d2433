"""The quickstart as a newcomer meets it in JupyterLab: live beside its recording, and replayed."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser.applications import Served, application
from tests.browser.servers import NotebookPage
from tests.notebooks import NOTEBOOKS, recording

pytestmark = pytest.mark.browser

QUICKSTART = next(path for path in NOTEBOOKS if path.stem == "quickstart")
LOAD, LOCAL, ASK = range(3)


@pytest.fixture
def lab(tmp_path: Path, small_model: Path) -> Iterator[Served]:
    """JupyterLab in a folder with the quickstart and its recording, and the model fetched."""
    for path in (QUICKSTART, recording(QUICKSTART)):
        shutil.copyfile(path, tmp_path / path.name)
    (tmp_path / "home" / "models").mkdir(parents=True)
    (tmp_path / "home" / "models" / small_model.name).symlink_to(small_model)
    with application("jupyterlab", tmp_path) as served:
        yield served


def opened(lab: Served, page: Page) -> NotebookPage:
    notebook = NotebookPage(page)
    notebook.open(lab.address.format(QUICKSTART.name))
    notebook.run(LOAD)
    return notebook


def test_the_first_answer_comes_live_from_the_small_model(lab: Served, page: Page) -> None:
    notebook = opened(lab, page)
    notebook.run(LOCAL)
    notebook.wait_for_text(LOCAL, "no account, no neurons")
    notebook.run(ASK)
    notebook.wait_for_text(ASK, "SmolLM2-135M-Instruct on this machine · ")
    answer, receipt = notebook.outputs(ASK)
    assert answer
    assert "replayed" not in receipt
    assert lab.cloudflare.requests == ()


def test_what_is_recorded_is_replayed_where_no_model_was_started(lab: Served, page: Page) -> None:
    notebook = opened(lab, page)
    notebook.run(ASK)
    notebook.wait_for_text(ASK, "replayed, recorded ")
    assert "SmolLM2-135M-Instruct (local)" in notebook.outputs(ASK)[-1]
    assert lab.cloudflare.requests == ()
