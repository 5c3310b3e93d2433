"""Tab completion in a %%cfai cell."""

from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell
from playwright.sync_api import Locator, Page, expect

from cfai_magics.chat.options import ASK_OPTIONS
from tests.browser.applications import Served, application, editor, saved
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
HELP = {option.flags[-1]: option.argparse_kwargs["help"] for option in ASK_OPTIONS}
# The first completion with Jedi can take longer than JupyterLab's timeout for providers.
FAST = "%config Completer.use_jedi = False"
LABEL = ".jp-Completer-match"
ARE_VISIBLE = """items => items.every(item => {
  const list = item.parentElement;
  return item.scrollWidth <= list.clientWidth
    && list.getBoundingClientRect().right <= window.innerWidth;
})"""


def press_tab(page: Page, index: int) -> Locator:
    """Press Tab at the end of the cell's first line; return the items of the completer."""
    editor(page, index).click()
    page.keyboard.press("Control+Home")
    page.keyboard.press("End")
    # Now Tab opens the completer; before, it would indent.
    expect(page.locator(".jp-mod-completer-enabled")).to_be_visible()
    page.keyboard.press("Tab")
    return page.locator(".jp-Completer-item")


def open_and_load(
    served: Served, page: Page, name: str, *cells: str, code: str = "", in_tabs: bool = False
) -> Path:
    """Open a notebook with a cell that loads the extension and these cells; run the first one."""
    sources = [LOAD + code, *cells]
    path = served.open(page, name, [new_code_cell(each) for each in sources], in_tabs=in_tabs)
    NotebookPage(page).run(0)
    expect(page.locator(".jp-InputPrompt").first).to_have_text("[1]:", timeout=LONG)
    return path


@pytest.mark.parametrize(
    ("typed", "completion", "kind", "description"),
    [
        ("-m gem", GEMMA, "model", "9.1 → 27.3 neurons/1k"),
        ("--tools w", "weather", "function", "Return the forecast for a town."),
        ("--tools weather,", "weather,wind", "function", "Return how windy it is there."),
        ("--temp", "--temperature", "option", HELP["--temperature"]),
    ],
    ids=["model", "function", "functions", "option"],
)
def test_tab_shows_and_inserts_a_completion(
    served: Served, page: Page, typed: str, completion: str, kind: str, description: str
) -> None:
    path = open_and_load(served, page, f"tab-{completion}", f"%%cfai {typed}", code=DEFINE)
    item = press_tab(page, 1).filter(has_text=completion)
    expect(item.locator(".jp-Completer-typeExtended")).to_have_text(kind, timeout=LONG)
    expect(item.locator(".jp-Completer-monogram")).to_have_text(kind[0])
    expect(item.locator(LABEL)).to_have_text(f"{completion} ({description})")
    item.click()
    *flags, _word = typed.split()
    assert saved(page, path)[1] == " ".join(["%%cfai", *flags, completion])


def test_each_option_appears_once_with_its_complete_help(served: Served, page: Page) -> None:
    open_and_load(served, page, "tab-options", "%%cfai -\nWhy?", in_tabs=True)
    items = press_tab(page, 1)
    expect(items).to_have_count(len(HELP), timeout=LONG)
    labels = [f"{flag} ({help_text})" for flag, help_text in HELP.items()]
    assert sorted(items.locator(LABEL).all_inner_texts()) == sorted(labels)
    assert items.evaluate_all(ARE_VISIBLE)


def test_typing_searches_the_texts_and_not_the_descriptions(served: Served, page: Page) -> None:
    path = open_and_load(served, page, "tab-typing", "x = 1\n%cfai thread ")
    editor(page, 1).click()
    page.keyboard.press("Control+End")
    page.keyboard.press("Tab")
    items = page.locator(".jp-Completer-item")
    expect(items.filter(has_text="export (")).to_be_visible(timeout=LONG)
    page.keyboard.type("expo")
    expect(items).to_have_count(1)
    items.click()
    assert saved(page, path)[1] == "x = 1\n%cfai thread export"


def test_completions_of_python_code_are_unchanged(served: Served, page: Page) -> None:
    open_and_load(served, page, "tab-python", "weat", code=f"\n{FAST}{DEFINE}\nweather_map = 1")
    items = press_tab(page, 1)
    expect(items.first).to_be_visible(timeout=LONG)
    expect(items.filter(has_text="weather_map")).to_have_count(1)
    expect(items.first.locator(LABEL)).to_have_text("weather")


def test_a_busy_kernel_does_not_block_the_completer(served: Served, page: Page) -> None:
    open_and_load(served, page, "tab-busy", "%%cfai --tools f --to", "input()")
    NotebookPage(page).run(2)
    typed = page.locator(".jp-Stdin-input")
    expect(typed).to_be_visible(timeout=LONG)
    # A kernel with subshells answers. Otherwise, JupyterLab completes words of the cell.
    item = press_tab(page, 1).filter(has_text="--tools")
    expect(item).to_have_count(1, timeout=LONG)
    expect(typed).to_be_visible()
    typed.press("Enter")


def test_the_documentation_panel_shows_the_description(page: Page, tmp_path: Path) -> None:
    settings = {"@jupyterlab/completer-extension/manager": {"showDocumentationPanel": True}}
    with application("jupyterlab", tmp_path, settings) as served:
        open_and_load(served, page, "tab-panel", "%%cfai --to")
        items = press_tab(page, 1)
        expect(items.first).to_be_visible(timeout=LONG)
        first = items.first.get_attribute("data-value")
        assert first is not None
        expect(page.locator(".jp-Completer-docpanel")).to_have_text(HELP[first])
