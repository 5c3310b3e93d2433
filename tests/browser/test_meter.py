"""The meter in the status bar or the notebook toolbar, and its details."""

import re
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell
from playwright.sync_api import Locator, Page, expect

from cfai_magics.backends.selector import account_hash
from cfai_magics.storage.ledger import CallContext, CallOutcome, Ledger
from cfai_magics.types.usage import Usage
from tests.browser.applications import Served, application, execute, saved
from tests.browser.servers import PATIENCE, NotebookPage
from tests.class_server import ClassServer

pytestmark = pytest.mark.browser

LOAD = "%load_ext cfai_magics"
CELLS = (LOAD, "%%cfai\nTell a story.", "%cfai usage --account")
LONG = PATIENCE * 1000  # ms


@pytest.fixture
def lab(tmp_path: Path, page: Page) -> Served:
    """Serve JupyterLab with its own ledger."""
    with application("jupyterlab", tmp_path) as served:
        served.open(page, "lesson", [new_code_cell(cell) for cell in CELLS])
        NotebookPage(page).run(0)
        expect(meter(page)).to_be_visible(timeout=LONG)
        yield served


def meter(page: Page) -> Locator:
    return page.locator(".jp-CfaiMeter-button")


def book(served: Served, neurons: float) -> None:
    """Book a call of another kernel."""
    ledger = Ledger(served.root / "home")
    context = CallContext(account_hash(served.cloudflare.account_id))
    number = ledger.reserve(
        context, "@cf/an-author/a-model", "Text Generation", lambda *_: neurons
    )
    ledger.settle(number, CallOutcome("ok", Usage(10, 10, 0, neurons, "billed")))
    ledger.close()


def test_the_meter_counts_up_during_an_answer(lab: Served, page: Page) -> None:
    expect(meter(page)).to_have_text("0 / 10,000 neurons")
    lab.cloudflare.switch(answer="word " * 500, tokens_per_second=100)
    page.evaluate("""() => {
      const meter = document.querySelector('.jp-CfaiMeter-button');
      window.seen = [];
      new MutationObserver(() => window.seen.push(meter.textContent))
        .observe(meter, {childList: true, characterData: true, subtree: true});
    }""")
    NotebookPage(page).run(1)
    NotebookPage(page).wait_for_text(1, "neurons billed")
    expect(meter(page)).to_have_text(f"{lab.cloudflare.billed:.1f} / 10,000 neurons")
    seen = [float(text.split()[0]) for text in page.evaluate("window.seen")]
    assert len(set(seen)) >= 3
    assert seen[:-1] == sorted(seen[:-1])


def test_the_meter_shows_its_level_in_color_and_words(lab: Served, page: Page) -> None:
    for neurons, text, level in (
        (7_999, "7,999 / 10,000 neurons", "green"),
        (1, "8,000 / 10,000 neurons · running low", "amber"),
        (2_000, "10,000 / 10,000 neurons · used up", "red"),
    ):
        book(lab, neurons)
        expect(meter(page)).to_have_text(text, timeout=LONG)
        expect(meter(page)).to_have_attribute("data-level", level)


def test_the_details_show_the_day_usage_and_close_with_escape(lab: Served, page: Page) -> None:
    book(lab, 120)
    NotebookPage(page).run(2)
    expect(meter(page)).to_have_text("120 / 10,000 neurons", timeout=LONG)
    meter(page).focus()
    page.keyboard.press("Enter")
    details = page.get_by_role("dialog", name="Neurons today")
    expect(details).to_contain_text("120 of 10,000 neurons used today")
    expect(details).to_contain_text(
        re.compile(r"Resets at 00:00 UTC \(\d\d:\d\d local time\), in ")
    )
    expect(details).to_contain_text("Cloudflare's figure for the whole account: ")
    expect(details.get_by_role("row", name="a-model 1 120")).to_be_visible()
    by_hour = re.compile(r"^Neurons by hour \(UTC\); .*120")
    expect(details.get_by_role("img", name=by_hour)).to_be_visible()
    book(lab, 80)
    expect(details).to_contain_text("200 of 10,000 neurons used today")
    expect(details.get_by_role("row", name="a-model 2 200")).to_be_visible()
    page.keyboard.press("Escape")
    expect(details).to_have_count(0)
    expect(meter(page)).to_be_focused()


def test_the_meter_shows_the_class_budget_of_a_student(tmp_path: Path, page: Page) -> None:
    with (
        application("jupyterlab", tmp_path) as served,
        ClassServer(served.cloudflare) as server,
    ):
        key = server.add_student("Ada", budget=50)
        server.chat(key)  # on another device
        spent = server.settled(key)["spent"]
        environ = {"CFAI_CLASS_SERVER": server.url, "CFAI_API_KEY": key}
        cells = (
            f"import os\nos.environ.update({environ})\n{LOAD}",
            "%%cfai\nHi",
            "%cfai budget 40",
        )
        served.open(page, "class", [new_code_cell(cell) for cell in cells])
        notebook = NotebookPage(page)
        notebook.run(0)
        expect(meter(page)).to_have_text("Class server: budget unknown", timeout=LONG)
        notebook.run(1)
        expect(meter(page)).to_have_text(
            re.compile(r"^[\d.]+ / 50 neurons · class budget$"), timeout=LONG
        )
        meter(page).click()
        details = page.get_by_role("dialog", name="Neurons today")
        expect(details).to_contain_text("of your class budget of 50 neurons used today")
        expect(details).to_contain_text(f"other devices or programs{spent:.2f}")
        expect(details).to_contain_text("Today's class budget: ")
        page.keyboard.press("Escape")
        notebook.run(2)
        expect(meter(page)).to_have_text(re.compile(r"^[\d.]+ / 40 neurons$"), timeout=LONG)


@pytest.mark.parametrize(
    ("name", "place"),
    [("jupyterlab", "#jp-main-statusbar"), ("notebook", ".jp-NotebookPanel-toolbar")],
)
def test_each_application_shows_one_meter(
    name: str, place: str, page: Page, tmp_path: Path
) -> None:
    with application(name, tmp_path) as served:
        served.open(page, "lesson", [new_code_cell(LOAD)])
        expect(page.get_by_role("button", name="Workers AI: Open panel")).to_be_visible()
        expect(meter(page)).to_have_count(0)
        NotebookPage(page).run(0)
        expect(page.locator(place).locator(meter(page))).to_be_visible(timeout=LONG)
        expect(meter(page)).to_have_count(1)
        book(served, 120)
        expect(meter(page)).to_have_text("120 / 10,000 neurons", timeout=LONG)
        meter(page).click()
        details = page.get_by_role("dialog", name="Neurons today")
        expect(details).to_contain_text("120 of 10,000 neurons used today")
        expect(details).to_be_focused()
        page.keyboard.press("Escape")
        expect(details).to_have_count(0)
        expect(meter(page)).to_be_focused()


def test_the_meter_shows_only_the_active_notebook(lab: Served, page: Page) -> None:
    (lab.root / "other.ipynb").write_text((lab.root / "lesson.ipynb").read_text())
    execute(page, "docmanager:open", path="other.ipynb")
    expect(meter(page)).to_be_hidden()
    page.evaluate("""() => {
      const [first] = [...jupyterapp.shell.widgets('main')];
      jupyterapp.shell.activateById(first.id);
    }""")
    expect(meter(page)).to_be_visible()


def test_the_details_open_the_panel_next_to_the_notebook(lab: Served, page: Page) -> None:
    meter(page).click()
    details = page.get_by_role("dialog", name="Neurons today")
    details.get_by_role("button", name="Open panel").click()
    expect(details).to_have_count(0)
    panel = page.locator(".jp-CfaiDock .cfai-panel")
    expect(panel.get_by_text("of 10,000 neurons used today")).to_be_visible(timeout=LONG)
    assert saved(page, lab.root / "lesson.ipynb") == list(CELLS)
    assert lab.cloudflare.requests == ()


def test_the_panel_button_is_absent_if_the_command_is_disabled(page: Page, tmp_path: Path) -> None:
    with application("jupyterlab", tmp_path, disabled=["cfai-magics:panel"]) as served:
        served.open(page, "lesson", [new_code_cell(LOAD)])
        NotebookPage(page).run(0)
        meter(page).click(timeout=LONG)
        details = page.get_by_role("dialog", name="Neurons today")
        expect(details).to_contain_text("No calls today")
        expect(details.get_by_role("button")).to_have_count(0)
