"""Tab completion in a %%cfai cell."""

import pytest
from nbformat.v4 import new_code_cell
from playwright.sync_api import Page, expect

from tests.browser.applications import Served, editor, saved
from tests.browser.servers import NotebookPage

pytestmark = pytest.mark.browser

LONG = 60_000  # ms
LOAD = "%load_ext cfai_magics"
DEFINE = """
def weather(town):
    "Return the forecast for a town."
def wind(town):
    "Return how windy it is there." """
GEMMA = "gemma-4-26b-a4b-it"


@pytest.mark.parametrize(
    ("typed", "completion", "detail"),
    [
        ("-m gem", GEMMA, "9.1 → 27.3 neurons/1k"),
        ("--tools w", "weather", "Return the forecast for a town."),
        ("--tools weather,", "weather,wind", "Return how windy"),
    ],
    ids=["model", "function", "functions"],
)
def test_tab_shows_and_inserts_a_completion(
    served: Served, page: Page, typed: str, completion: str, detail: str
) -> None:
    cells = [new_code_cell(cell) for cell in (LOAD + DEFINE, f"%%cfai {typed}")]
    path = served.open(page, f"tab-{completion}", cells)
    NotebookPage(page).run(0)
    expect(page.locator(".jp-InputPrompt").first).to_have_text("[1]:", timeout=LONG)
    editor(page, 1).click()
    page.keyboard.press("End")
    # Now Tab opens the completer; before, it would indent.
    expect(page.locator(".jp-mod-completer-enabled")).to_be_visible()
    page.keyboard.press("Tab")
    item = page.locator(".jp-Completer-item", has_text=completion)
    expect(item).to_contain_text(detail, ignore_case=True, timeout=LONG)
    item.click()
    assert saved(page, path)[1] == f"%%cfai {typed.split(maxsplit=1)[0]} {completion}"
