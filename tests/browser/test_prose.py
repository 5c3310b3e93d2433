"""Syntax highlighting of %%cfai cells in a real browser."""

from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell
from playwright.sync_api import Page, expect

from tests.browser.applications import Served, application, editor, execute, notebook_name, saved

pytestmark = pytest.mark.browser

QUESTION = "%%cfai -m gemma-4 -s 'Be kind'\n# Why?\nIt's *so*, isn't it? {{df['a']}}"
CELLS = [
    new_code_cell(QUESTION),
    new_code_cell("%%time\nprint('it')"),
    new_code_cell(""),
    new_markdown_cell("%%cfai"),
]
TEXT_COLOR = "element => getComputedStyle(element).color"


@pytest.fixture
def notebook(served: Served, page: Page, request: pytest.FixtureRequest) -> Path:
    path = served.open(page, notebook_name(request), CELLS)
    expect(editor(page, 0)).to_have_attribute("data-language", "cfai")
    return path


def text_colors(page: Page, index: int) -> dict[str, str]:
    """Return the color of each highlighted part of a cell's text."""
    expect(editor(page, index).locator(".cm-line span").first).to_be_visible()
    spans = editor(page, index).locator(".cm-line span")
    return {span.inner_text(): span.evaluate(TEXT_COLOR) for span in spans.all()}


def test_each_part_is_highlighted_by_its_kind(page: Page, notebook: Path) -> None:
    colors = text_colors(page, 0)
    string = text_colors(page, 1)["'it'"]
    assert colors["'Be kind'"] == colors["gemma-4"] == colors["'a'"] == string
    assert colors["-m"] == colors["-s"] != colors["%%cfai"]
    assert colors["%%cfai"] == colors["{{"] == colors["}}"]
    assert "so" in colors
    assert not [text for text in colors if "isn't" in text], (
        "an apostrophe does not start a string"
    )


def test_other_cells_keep_their_language(page: Page, notebook: Path) -> None:
    expect(editor(page, 1)).to_have_attribute("data-language", "python")
    expect(editor(page, 2)).to_have_attribute("data-language", "python")
    page.locator(".jp-MarkdownCell").dblclick()
    edited = page.locator(".jp-MarkdownCell .cm-content")
    expect(edited).to_have_attribute("data-language", "markdown")


def test_highlighting_follows_the_first_line_and_keeps_undo_steps(
    page: Page, notebook: Path
) -> None:
    cell = editor(page, 2)
    cell.click()
    page.keyboard.type("x = 'a'")
    page.keyboard.press("Home")
    page.wait_for_timeout(600)  # CodeMirror starts a new undo step after a pause
    page.keyboard.type("%%cfai ")
    expect(cell).to_have_attribute("data-language", "cfai")
    page.keyboard.press("Control+z")
    expect(cell).to_have_attribute("data-language", "python")
    expect(cell).to_have_text("x = 'a'")
    page.keyboard.press("Control+z")
    expect(cell).to_have_text("")
    page.keyboard.press("Control+Shift+z")
    page.keyboard.press("Control+Shift+z")
    expect(cell).to_have_attribute("data-language", "cfai")
    page.keyboard.press("Home")
    page.keyboard.press("Delete")
    expect(cell).to_have_attribute("data-language", "python")
    assert saved(page, notebook)[2] == "%cfai x = 'a'"


def test_the_setting_switches_highlighting_in_open_cells(page: Page, tmp_path: Path) -> None:
    with application("jupyterlab", tmp_path, {"cfai-magics/prose": {"enabled": False}}) as served:
        served.open(page, "lesson", CELLS)
        expect(editor(page, 0)).to_have_attribute("data-language", "python")
        execute(page, "settingeditor:open", query="Workers AI")
        page.get_by_label("Highlight prompt cells as Markdown").check()
        expect(editor(page, 0)).to_have_attribute("data-language", "cfai")
        page.get_by_label("Highlight prompt cells as Markdown").uncheck()
        expect(editor(page, 0)).to_have_attribute("data-language", "python")
