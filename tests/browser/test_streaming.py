"""`%%cfai` in a real browser: JupyterLab and Notebook 7."""

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Browser

from tests.browser.servers import NotebookPage, jupyter
from tests.standin import Standin

pytestmark = pytest.mark.browser

SENTENCE = "Light from the sun holds every color, and the air scatters the short waves most. "
ANSWER = "# Sky\n\n" + "\n\n".join(f"{SENTENCE * 3}Paragraph {n}." for n in range(20))
HOSTILE = "![x](http://127.0.0.1:9/track.png)\n\n<img src='http://127.0.0.1:9/other.png'>\n\ndone"
CELLS = (
    "%load_ext cfai_magics",
    "%%cfai\nWhy is the sky blue?",
    "print('mine')\nget_ipython().run_cell_magic('cfai', '', 'And at night?')",
)
TREES = {"jupyterlab": "lab/tree/lesson.ipynb", "notebook": "notebooks/lesson.ipynb"}


@pytest.fixture(params=TREES)
def lesson(
    request: pytest.FixtureRequest, account: Standin, tmp_path: Path, browser: Browser
) -> Iterator[NotebookPage]:
    notebook = new_notebook(
        cells=[new_code_cell(source) for source in CELLS],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    nbformat.write(notebook, tmp_path / "lesson.ipynb")
    context = browser.new_context()
    with jupyter(request.param, tmp_path) as address:
        page = NotebookPage(context.new_page())
        page.open(address.format(TREES[request.param]))
        page.run(0)
        yield page
        context.close()


def test_an_answer_streams_and_ends_as_markdown_with_a_footer(
    lesson: NotebookPage, account: Standin
) -> None:
    account.switch(answer=ANSWER, tokens_per_second=200)
    lesson.run(1)
    lesson.wait_for_text(1, "Paragraph 3.")
    assert "neurons billed" not in "".join(lesson.outputs(1)), "the answer is still streaming"
    lesson.wait_for_text(1, "neurons billed")
    answer, footer = lesson.outputs(1)
    assert answer.startswith("Sky")
    assert all(answer.count(f"Paragraph {n}.") == 1 for n in range(20))
    assert footer.startswith("gemma-4-26b-a4b-it")
    assert "resets in" not in footer
    lesson.page.locator(".jp-OutputArea summary").click()
    assert "resets in" in lesson.outputs(1)[1]


def test_the_output_printed_by_the_cell_stays(lesson: NotebookPage, account: Standin) -> None:
    account.switch(answer="Dark.")
    lesson.run(2)
    lesson.wait_for_text(2, "neurons billed")
    assert lesson.outputs(2)[:2] == ["mine", "Dark."]


def test_remote_images_in_an_answer_are_not_loaded(lesson: NotebookPage, account: Standin) -> None:
    urls: list[str] = []
    lesson.page.on("request", lambda request: urls.append(request.url))
    account.switch(answer=HOSTILE)
    lesson.run(1)
    lesson.wait_for_text(1, "neurons billed")
    assert not [url for url in urls if ":9/" in url]
    assert lesson.page.locator(".jp-OutputArea img").count() == 0
