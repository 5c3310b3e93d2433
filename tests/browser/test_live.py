"""What screen readers hear of answers and of the counter."""

from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell
from playwright.sync_api import Page, expect

from tests.browser.applications import Served
from tests.browser.servers import PATIENCE, NotebookPage

pytestmark = pytest.mark.browser

CELLS = ("%load_ext cfai_magics", "%%cfai\nWhy?", "%cfai budget 1", "%%cfai\nAnd more?")
SENTENCE = "Light from the sun holds **every** colour, as number {} says. "
ANSWER = "# Sky\n\n" + "\n\n".join(SENTENCE.format(n) * 2 for n in range(25))
LONG = PATIENCE * 1000  # ms


@pytest.fixture
def notebook(served: Served, page: Page, request: pytest.FixtureRequest) -> Path:
    path = served.open(page, request.node.originalname, [new_code_cell(cell) for cell in CELLS])
    NotebookPage(page).run(0)
    expect(page.locator(".jp-CfaiPicker-button")).to_be_visible(timeout=LONG)
    return path


def told(page: Page) -> list[str]:
    return page.evaluate("window.told")


def test_finished_sentences_are_told_once_and_in_order(
    page: Page, notebook: Path, served: Served
) -> None:
    page.evaluate("""() => {
      window.told = [];
      new MutationObserver(changes => changes.forEach(({addedNodes}) =>
        addedNodes.forEach(node => window.told.push(node.textContent))
      )).observe(document.querySelector('.jp-CfaiLive'), {childList: true});
    }""")
    served.cloudflare.switch(answer=ANSWER, tokens_per_second=100)
    NotebookPage(page).run(1)
    NotebookPage(page).wait_for_text(1, "as number 3 says")
    page.wait_for_function("() => window.told.length > 3", timeout=LONG)
    assert len(told(page)) < 51, "they are told while it comes"
    NotebookPage(page).wait_for_text(1, "neurons billed")
    page.wait_for_function("() => window.told.length >= 51", timeout=LONG)
    plain = SENTENCE.replace("*", "").strip()
    wanted = ["Sky", *(plain.format(n) for n in range(25) for _ in range(2))]
    assert [line for line in told(page) if "neurons" not in line] == wanted


def test_the_region_is_for_those_who_cannot_see(page: Page, notebook: Path) -> None:
    region = page.get_by_role("log", name="Model answers")
    expect(region).to_have_attribute("aria-live", "polite")
    box = region.bounding_box()
    assert box is not None
    assert (box["width"], box["height"]) == (1, 1)
