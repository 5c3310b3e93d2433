"""Output formats in a real browser: code in a new cell, HTML in a frame, formulas."""

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Browser

from tests.browser.servers import NotebookPage, jupyter
from tests.standin import Standin

pytestmark = pytest.mark.browser

CELLS = (
    "%load_ext cfai_magics",
    "%%cfai -f code\nAdd.",
    "%%cfai -f html\nA page.",
    "%%cfai -f latex\nA formula.",
    "%%cfai -f table\nA table.",
)
TREES = {"jupyterlab": "lab/tree/lesson.ipynb", "notebook": "notebooks/lesson.ipynb"}
# All known ways of HTML to send a request to another server.
HOSTILE = """<html><head><title>t</title>
<meta http-equiv="refresh" content="0;url={0}/refresh"><link rel="stylesheet" href="{0}/css">
<link rel="preload" as="image" href="{0}/preload"><style>body {{background: url({0}/url)}}
@import "{0}/import"; @font-face {{font-family: f; src: url({0}/font)}}</style>
<script>fetch("{0}/script"); top.document.title = "mine"</script></head>
<body onload="fetch('{0}/onload')"><h1 style="color: red">Framed</h1><img src="{0}/img">
<iframe src="{0}/frame"></iframe><object data="{0}/object"></object><embed src="{0}/embed">
<video src="{0}/video" autoplay></video><svg><image href="{0}/svg"/></svg>
<form action="{0}/form"><input autofocus onfocus="this.form.submit()"></form></body></html>"""


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


def test_each_output_format_is_displayed(lesson: NotebookPage, account: Standin) -> None:
    elsewhere = f"{account.base_url}/elsewhere"
    account.switch(answer=HOSTILE.format(elsewhere))
    lesson.run(2)
    lesson.wait_for_text(2, "neurons billed")
    frame = lesson.page.frame_locator(".jp-OutputArea iframe")
    assert frame.locator("h1").inner_text(timeout=60_000) == "Framed"
    assert frame.locator("h1").evaluate("node => getComputedStyle(node).color") == "rgb(255, 0, 0)"

    account.switch(answer=r"\frac{1}{2}")
    lesson.run(3)
    formula = lesson.page.locator(".jp-RenderedLatex mjx-container").first
    formula.wait_for(timeout=60_000)

    account.switch(answer="| a | b |\n|---|---|\n| 1 | x |")
    lesson.run(4)
    lesson.wait_for_text(4, "neurons billed")
    assert lesson.page.locator(".jp-OutputArea table").last.inner_text().split() == [
        *("a", "b"),
        *("0", "1", "x"),
    ]

    account.switch(answer="```python\nprint(6 * 7)\n```")
    count = lesson.page.locator(".jp-CodeCell").count()
    lesson.run(1)
    lesson.wait_for_text(1, "The code is in the new cell below")
    new = lesson.page.locator(".jp-CodeCell").nth(2)
    new.get_by_text("print(6 * 7)").first.wait_for(timeout=60_000)
    assert lesson.page.locator(".jp-CodeCell").count() == count + 1
    assert new.locator(".jp-InputPrompt").inner_text() == "[ ]:"
    assert new.locator(".jp-OutputArea-output").count() == 0

    # Playwright also reports requests that the policy blocks; none may reach the server.
    assert not [request.path for request in account.requests if "elsewhere" in request.path]
    assert "mine" not in lesson.page.title()
