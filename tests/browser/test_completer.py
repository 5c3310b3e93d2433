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
    ("typed", "completion", "kind"),
    [
        ("-m gem", GEMMA, "model"),
        ("--tools w", "weather", "function"),
        ("--tools weather,", "weather,wind", "function"),
        ("--temp", "--temperature", "option"),
    ],
    ids=["model", "function", "functions", "option"],
)
def test_tab_shows_and_inserts_a_completion(
    served: Served, page: Page, typed: str, completion: str, kind: str
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
    expect(item.locator(".jp-Completer-typeExtended")).to_have_text(kind, timeout=LONG)
    expect(item.locator(".jp-Completer-monogram")).to_have_text(kind[0])
    item.click()
    *flags, _word = typed.split()
    assert saved(page, path)[1] == " ".join(["%%cfai", *flags, completion])
