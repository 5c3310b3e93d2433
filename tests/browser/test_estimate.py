"""The estimated cost below the editor of a %%cfai cell that is being edited."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell
from playwright.sync_api import Locator, Page, expect

from cfai_magics.chat.cell_estimate import estimate_cell
from cfai_magics.display.tables import format_neurons
from cfai_magics.session.session import Session
from tests.browser.applications import Served, application, editor, notebook_name
from tests.browser.servers import PATIENCE, NotebookPage
from tests.canaries import token

pytestmark = pytest.mark.browser

LONG = PATIENCE * 1000  # ms
Box = Mapping[str, float]


@pytest.fixture
def notebook(served: Served, page: Page, request: pytest.FixtureRequest) -> Path:
    cells = [new_code_cell(cell) for cell in ("%load_ext cfai_magics", "1", "2")]
    path = served.open(page, notebook_name(request), cells)
    NotebookPage(page).run(0)
    expect(page.locator(".jp-CfaiPicker-button")).to_be_visible(timeout=LONG)
    return path


def estimate(page: Page) -> Locator:
    return page.locator(".jp-CfaiEstimate")


def cost(session: Session, source: str) -> re.Pattern[str]:
    """Return a pattern of the label. The typical cost depends on earlier answers."""
    estimate = estimate_cell(session, source)
    assert estimate is not None
    assert estimate.high is not None
    return re.compile(rf"^≈ [\d.,]+, at most {re.escape(format_neurons(estimate.high))} neurons")


def test_the_estimate_follows_the_typed_text(
    page: Page, notebook: Path, served: Served, session: Session
) -> None:
    cell = editor(page, 1)
    for source in (
        "%%cfai\nWhy is the sky blue?",
        "%%cfai -m llama-3.2-1b-instruct --max-tokens 100\nWhy “blue”? 🐟",
        "%%cfai -n 3 -t 0,0.7 -s 'Be brief.'\nWhy?",
    ):
        cell.fill(source)
        expect(estimate(page)).to_have_text(cost(session, source), timeout=LONG)
    cell.fill("%%cfai\nWhat is in {{boom()}}?")
    expect(estimate(page)).to_have_text(re.compile(r"neurons, without \{\{…\}\}$"))
    cell.fill("%%cfai -c\nWhat is in {{boom()}}?")
    expect(estimate(page)).to_have_text(re.compile(r", without \{\{…\}\} and earlier turns$"))
    cell.fill("%%cfai -m @cf/no/price\nWhy?")
    expect(estimate(page)).to_have_text("price unknown")
    cell.fill("%%cfai --nonsense\nWhy?")
    expect(estimate(page)).to_have_count(0)
    cell.fill("%%cfai\nWhy?")
    expect(estimate(page)).to_be_visible()
    page.locator(".jp-CodeCell").first.click(position={"x": 40, "y": 10})
    expect(estimate(page)).to_have_count(0)
    expect(page.locator(".jp-Dialog")).to_have_count(0)
    assert served.cloudflare.requests == ()


def test_a_busy_kernel_answers_for_the_latest_text(
    page: Page, served: Served, session: Session
) -> None:
    cells = [new_code_cell(cell) for cell in ("%load_ext cfai_magics", "input()", "")]
    served.open(page, "busy", cells)
    NotebookPage(page).run(0)
    expect(page.locator(".jp-CfaiPicker-button")).to_be_visible(timeout=LONG)
    NotebookPage(page).run(1)
    answer = page.locator(".jp-Stdin-input")
    expect(answer).to_be_visible(timeout=LONG)
    for source in ("%%cfai\nWhy?", "%%cfai --max-tokens 50\nWhy?"):
        editor(page, 2).fill(source)
    answer.press("Enter")
    editor(page, 2).click()
    latest = "%%cfai --max-tokens 50\nWhy?"
    expect(estimate(page)).to_have_text(cost(session, latest), timeout=LONG)


@pytest.mark.parametrize("width", [420, 1280])
@pytest.mark.parametrize("text", ["Why?", "Why is the sky blue? " * 40], ids=["short", "long"])
def test_the_estimate_neither_shifts_the_page_nor_covers_text(
    page: Page, notebook: Path, width: int, text: str
) -> None:
    page.set_viewport_size({"width": width, "height": 720})
    cells, prompt = page.locator(".jp-CodeCell"), f"{text}\n{text}"
    editor(page, 1).fill(f"%%cfai --top-p 1\n{prompt}")
    expect(estimate(page)).to_be_visible(timeout=LONG)
    shown = [box(cells.nth(index)) for index in range(3)]
    label, lines = box(estimate(page)), cells.nth(1).locator(".cm-line")
    area = box(cells.nth(1).locator(".jp-InputArea-editor"))
    assert label["y"] >= area["y"] + area["height"] - 1
    assert label["y"] >= box(lines.last)["y"] + box(lines.last)["height"]
    assert label["y"] + label["height"] <= box(editor(page, 2))["y"] + 1
    assert label["x"] >= area["x"] - 1
    assert label["x"] + label["width"] <= area["x"] + area["width"]
    editor(page, 1).fill(f"%%cfai --top-p 2\n{prompt}")  # too high, so there is no estimate
    expect(estimate(page)).to_have_count(0)
    assert [box(cells.nth(index)) for index in range(3)] == shown
    editor(page, 1).fill(f"%%cfai -n 3 -t 0\n{prompt}")
    expect(estimate(page)).to_be_visible()
    assert [box(cells.nth(index)) for index in range(3)] == shown


def box(locator: Locator) -> Box:
    found = locator.bounding_box()
    assert found is not None
    return {**found}


def test_screen_readers_do_not_announce_the_estimate(page: Page, notebook: Path) -> None:
    editor(page, 1).fill("%%cfai\nWhy?")
    expect(estimate(page)).to_be_visible(timeout=LONG)
    expect(estimate(page)).to_have_attribute("role", "note")
    live = "[aria-live]:not([aria-live=off]), [role=status], [role=alert], [role=log]"
    assert estimate(page).evaluate("(label, live) => label.closest(live)", live) is None


def test_typed_text_goes_only_to_the_kernel(
    page: Page, served: Served, request: pytest.FixtureRequest
) -> None:
    canary = f"canary{token().removeprefix('cfut_')}"
    frames: list[str | bytes] = []
    requests: list[str] = []

    def record(frame: str | bytes) -> None:
        frames.append(frame)

    page.on("websocket", lambda socket: socket.on("framesent", record))
    page.on("request", lambda sent: requests.append(f"{sent.url} {sent.post_data_buffer!r}"))
    cells = [new_code_cell("%load_ext cfai_magics"), new_code_cell("")]
    served.open(page, notebook_name(request), cells)
    NotebookPage(page).run(0)
    expect(page.locator(".jp-CfaiPicker-button")).to_be_visible(timeout=LONG)
    editor(page, 1).fill(f"%%cfai -s 'Be {canary}'\n{canary}?")
    expect(estimate(page)).to_be_visible(timeout=LONG)
    texts = [each if isinstance(each, bytes) else each.encode() for each in frames]
    with_canary = [text for text in texts if canary.encode() in text]
    assert with_canary
    assert all(b'"comm_msg"' in text and b'"estimate"' in text for text in with_canary)
    assert canary not in "".join(requests)
    assert served.cloudflare.requests == ()
    stored = [path for path in (served.root / "home").rglob("*") if path.is_file()]
    for path in [*stored, served.root / "server.log"]:
        assert canary.encode() not in path.read_bytes(), path


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
