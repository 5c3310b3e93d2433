"""Tab in a cell that asks."""

import pytest
from nbformat.v4 import new_code_cell
from playwright.sync_api import Page, expect

from tests.browser.applications import Served, editor, saved
from tests.browser.servers import NotebookPage

LONG = 60_000  # ms


def test_tab_shows_models_with_their_prices_and_takes_one(
    served: Served, page: Page, request: pytest.FixtureRequest
) -> None:
    cells = [new_code_cell("%load_ext cfai_magics"), new_code_cell("%%cfai -m gem")]
    path = served.open(page, request.node.originalname, cells)
    NotebookPage(page).run(0)
    expect(page.locator(".jp-InputPrompt").first).to_have_text("[1]:", timeout=LONG)
    editor(page, 1).click()
    page.keyboard.press("End")
    # From here on Tab is the completer's; before, it would indent.
    expect(page.locator(".jp-mod-completer-enabled")).to_be_visible()
    page.keyboard.press("Tab")
    offered = page.locator(".jp-Completer-item", has_text="gemma-4-26b-a4b-it")
    expect(offered).to_contain_text("9.1 → 27.3 neurons/1k", timeout=LONG)
    offered.click()
    assert saved(page, path)[1] == "%%cfai -m gemma-4-26b-a4b-it"
