"""Cells that ask are coloured as the text they are, in the browser."""

from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell
from playwright.sync_api import Page, expect

from tests.browser.applications import Served, application, editor, saved

pytestmark = pytest.mark.browser

QUESTION = "%%cfai -m gemma-4 -s 'Be kind'\n# Why?\nIt's *so*, isn't it? {{df['a']}}"
CELLS = [
    new_code_cell(QUESTION),
    new_code_cell("%%time\nprint('it')"),
    new_code_cell(""),
    new_markdown_cell("%%cfai"),
]
TEXT_COLOUR = "element => getComputedStyle(element).color"


@pytest.fixture
def notebook(served: Served, page: Page, request: pytest.FixtureRequest) -> Path:
    path = served.open(page, request.node.originalname, CELLS)
    expect(editor(page, 0)).to_have_attribute("data-language", "cfai")
    return path


def colours(page: Page, index: int) -> dict[str, str]:
    """What of a cell's text has which colour, where it is not the text's own."""
    expect(editor(page, index).locator(".cm-line span").first).to_be_visible()
    spans = editor(page, index).locator(".cm-line span")
    return {span.inner_text(): span.evaluate(TEXT_COLOUR) for span in spans.all()}


def test_each_part_has_the_colour_of_what_it_is(page: Page, notebook: Path) -> None:
    found = colours(page, 0)
    string = colours(page, 1)["'it'"]
    assert found["'Be kind'"] == found["gemma-4"] == found["'a'"] == string
    assert found["-m"] == found["-s"] != found["%%cfai"]
    assert found["%%cfai"] == found["{{"] == found["}}"]
    assert "so" in found
    assert not [text for text in found if "isn't" in text], "an apostrophe is no string"


def test_other_cells_stay_as_they_are(page: Page, notebook: Path) -> None:
    expect(editor(page, 1)).to_have_attribute("data-language", "python")
    expect(editor(page, 2)).to_have_attribute("data-language", "python")
    page.locator(".jp-MarkdownCell").dblclick()
    edited = page.locator(".jp-MarkdownCell .cm-content")
    expect(edited).to_have_attribute("data-language", "markdown")


def test_colours_come_and_go_with_the_line_and_undo_steps_over_them(
    page: Page, notebook: Path
) -> None:
    cell = editor(page, 2)
    cell.click()
    page.keyboard.type("x = 'a'")
    page.keyboard.press("Home")
    page.wait_for_timeout(600)  # a pause, after which CodeMirror begins a new step to undo
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


def test_the_settings_switch_it_in_cells_already_open(page: Page, tmp_path: Path) -> None:
    with application("jupyterlab", tmp_path, {"cfai-magics/prose": {"enabled": False}}) as served:
        served.open(page, "lesson", CELLS)
        expect(editor(page, 0)).to_have_attribute("data-language", "python")
        page.evaluate("() => jupyterapp.commands.execute('settingeditor:open', {query: '%%cfai'})")
        page.get_by_label("Colour %%cfai cells as text").check()
        expect(editor(page, 0)).to_have_attribute("data-language", "cfai")
        page.get_by_label("Colour %%cfai cells as text").uncheck()
        expect(editor(page, 0)).to_have_attribute("data-language", "python")
