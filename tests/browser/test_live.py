"""Announcements of answers and usage for screen readers."""

from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell
from playwright.sync_api import Page, expect

from tests.browser.applications import Served, notebook_name
from tests.browser.servers import PATIENCE, NotebookPage

pytestmark = pytest.mark.browser

CELLS = ("%load_ext cfai_magics", "%%cfai\nWhy?", "%cfai budget 1", "%%cfai\nAnd more?")
SENTENCE = "Light from the sun holds **every** color, as number {} says. "
ANSWER = "# Sky\n\n" + "\n\n".join(SENTENCE.format(n) * 2 for n in range(25))
LONG = PATIENCE * 1000  # ms


@pytest.fixture
def notebook(served: Served, page: Page, request: pytest.FixtureRequest) -> Path:
    path = served.open(page, notebook_name(request), [new_code_cell(cell) for cell in CELLS])
    NotebookPage(page).run(0)
    expect(page.locator(".jp-CfaiPicker-button")).to_be_visible(timeout=LONG)
    return path


def announced(page: Page) -> list[str]:
    return page.evaluate("window.announced")


def test_finished_sentences_are_announced_once_and_in_order(
    page: Page, notebook: Path, served: Served
) -> None:
    page.evaluate("""() => {
      window.announced = [];
      new MutationObserver(changes => changes.forEach(({addedNodes}) =>
        addedNodes.forEach(node => window.announced.push(node.textContent))
      )).observe(document.querySelector('.jp-CfaiLive[role=log]'), {childList: true});
    }""")
    served.cloudflare.switch(answer=ANSWER, tokens_per_second=100)
    NotebookPage(page).run(1)
    NotebookPage(page).wait_for_text(1, "as number 3 says")
    page.wait_for_function("() => window.announced.length > 3", timeout=LONG)
    assert len(announced(page)) < 51, "sentences are announced during the stream"
    NotebookPage(page).wait_for_text(1, "neurons billed")
    page.wait_for_function("() => window.announced.length >= 51", timeout=LONG)
    plain = SENTENCE.replace("*", "").strip()
    expected = ["Sky", *(plain.format(n) for n in range(25) for _ in range(2))]
    assert [line for line in announced(page) if "neurons" not in line] == expected


def test_the_live_region_is_visually_hidden(page: Page, notebook: Path) -> None:
    region = page.get_by_role("log", name="Model answers")
    expect(region).to_have_attribute("aria-live", "polite")
    box = region.bounding_box()
    assert box is not None
    assert (box["width"], box["height"]) == (1, 1)
