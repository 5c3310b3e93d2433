"""The cost estimate in the corner of a %%cfai cell that is being edited."""

from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell
from playwright.sync_api import Locator, Page, expect

from cfai_magics.display.tables import format_range
from cfai_magics.pricing.prices import Cost
from cfai_magics.session.session import Session
from cfai_magics.types.messages import Request
from tests.browser.applications import Served, application, editor, notebook_name
from tests.browser.servers import PATIENCE, NotebookPage
from tests.canaries import token

pytestmark = pytest.mark.browser

LONG = PATIENCE * 1000  # ms
MODEL = "@cf/google/gemma-4-26b-a4b-it"
SMALL = "@cf/meta/llama-3.2-1b-instruct"


@pytest.fixture
def notebook(served: Served, page: Page, request: pytest.FixtureRequest) -> Path:
    cells = [new_code_cell("%load_ext cfai_magics"), new_code_cell("1")]
    path = served.open(page, notebook_name(request), cells)
    NotebookPage(page).run(0)
    expect(page.locator(".jp-CfaiPicker-button")).to_be_visible(timeout=LONG)
    return path


def estimate(page: Page) -> Locator:
    return page.locator(".jp-CfaiEstimate")


def cost(session: Session, text: str, model: str = MODEL, tokens: int = 2048) -> str:
    request = Request(model, ({"role": "user", "content": text},), max_tokens=tokens)
    estimated = session.estimate_cost(request, session.resolve_catalog_model(model))
    assert isinstance(estimated, Cost)
    return f"≈ {format_range(estimated.low, estimated.high)} neurons"


def test_the_estimate_follows_the_typed_text(
    page: Page, notebook: Path, served: Served, session: Session
) -> None:
    cell = editor(page, 1)
    cell.fill("%%cfai\nWhy is the sky blue?")
    expect(estimate(page)).to_have_text(cost(session, "Why is the sky blue?"), timeout=LONG)
    cell.fill("%%cfai -m llama-3.2-1b-instruct --max-tokens 100\nWhy “blue”? 🐟")
    expect(estimate(page)).to_have_text(cost(session, "Why “blue”? 🐟", SMALL, 100))
    cell.fill("%%cfai\nWhat is in {{boom()}}?")
    typed = cost(session, "What is in {{boom()}}?")
    expect(estimate(page)).to_have_text(f"{typed}, without {{{{…}}}}")
    cell.fill("%%cfai --nonsense\nWhy?")
    expect(estimate(page)).to_have_count(0)
    cell.fill("%%cfai\nWhy?")
    expect(estimate(page)).to_be_visible()
    page.locator(".jp-CodeCell").first.click(position={"x": 40, "y": 10})
    expect(estimate(page)).to_have_count(0)
    assert served.cloudflare.requests == ()


def test_the_estimate_does_not_cover_text(page: Page, notebook: Path) -> None:
    editor(page, 1).fill("%%cfai\n" + "Why is the sky blue? " * 40)
    expect(estimate(page)).to_be_visible(timeout=LONG)
    label = estimate(page).bounding_box()
    text = page.locator(".jp-Cell.jp-mod-active .cm-line").last.bounding_box()
    assert label
    assert text
    assert label["y"] >= text["y"] + text["height"] - 1


def test_typed_text_is_not_sent_to_the_kernel(
    page: Page, served: Served, request: pytest.FixtureRequest
) -> None:
    canary = f"canary{token()}"
    frames: list[str | bytes] = []

    def record(frame: str | bytes) -> None:
        frames.append(frame)

    page.on("websocket", lambda socket: socket.on("framesent", record))
    cells = [new_code_cell("%load_ext cfai_magics"), new_code_cell("")]
    served.open(page, notebook_name(request), cells)
    NotebookPage(page).run(0)
    expect(page.locator(".jp-CfaiPicker-button")).to_be_visible(timeout=LONG)
    editor(page, 1).fill(f"%%cfai -s 'Be {canary}' -m llama-3.2-1b-instruct\n{canary}?")
    expect(estimate(page)).to_be_visible(timeout=LONG)
    editor(page, 1).fill(f"%%cfai -m {canary}\nWhy?")
    expect(estimate(page)).to_have_count(0)
    sent = b"".join(each if isinstance(each, bytes) else each.encode() for each in frames)
    assert b'"estimate"' in sent
    assert canary.encode() not in sent


def test_the_estimate_can_be_disabled(page: Page, tmp_path: Path) -> None:
    off = {"cfai-magics/estimate": {"enabled": False}}
    with application("jupyterlab", tmp_path, off) as served:
        cells = [new_code_cell("%load_ext cfai_magics"), new_code_cell("")]
        served.open(page, "lesson", cells)
        NotebookPage(page).run(0)
        expect(page.locator(".jp-CfaiPicker-button")).to_be_visible(timeout=LONG)
        editor(page, 1).fill("%%cfai\nWhy?")
        page.wait_for_timeout(1500)
        expect(estimate(page)).to_have_count(0)
