"""Compared answers in a real browser: columns on a wide page, stacked on a narrow one."""

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Browser

from tests.browser.servers import NotebookPage, jupyter
from tests.standin import Standin

pytestmark = pytest.mark.browser

ANSWER = (
    "# Sky\n\n$I \\propto \\frac{1}{\\lambda_1^4}$ and *blue*\n\n"
    "![x](http://127.0.0.1:9/track.png) <img src='http://127.0.0.1:9/other.png'> done"
)
CELLS = (
    "%load_ext cfai_magics",
    "%%cfai -m gemma-4-26b-a4b-it -m llama-3.2-3b-instruct\nWhy is the sky blue?",
)
COLUMN = ".jp-OutputArea strong"


@pytest.fixture
def lesson(account: Standin, tmp_path: Path, browser: Browser) -> Iterator[NotebookPage]:
    account.switch(answer=ANSWER)
    notebook = new_notebook(
        cells=[new_code_cell(source) for source in CELLS],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    nbformat.write(notebook, tmp_path / "lesson.ipynb")
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    with jupyter("notebook", tmp_path) as address:
        page = NotebookPage(context.new_page())
        page.open(address.format("notebooks/lesson.ipynb"))
        page.run(0)
        yield page
        context.close()


def test_columns_are_side_by_side_or_stacked_by_page_width(lesson: NotebookPage) -> None:
    urls: list[str] = []
    lesson.page.on("request", lambda request: urls.append(request.url))
    lesson.run(1)
    lesson.wait_for_text(1, "in total, billed")
    first, second = (lesson.page.locator(COLUMN).nth(n) for n in (0, 1))
    lesson.page.wait_for_selector(".jp-OutputArea mjx-container")
    wide = first.bounding_box(), second.bounding_box()
    assert wide[0]["y"] == wide[1]["y"]
    assert wide[0]["x"] < wide[1]["x"]
    lesson.page.set_viewport_size({"width": 420, "height": 900})
    lesson.page.wait_for_timeout(500)
    narrow = first.bounding_box(), second.bounding_box()
    assert narrow[0]["x"] == narrow[1]["x"]
    assert narrow[0]["y"] < narrow[1]["y"]
    assert lesson.page.locator(".jp-OutputArea em").count() >= 2
    assert lesson.page.locator(".jp-OutputArea img").count() == 0
    assert not [url for url in urls if ":9/" in url]
