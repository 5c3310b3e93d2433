"""The JupyterLab extension works with the kernel of a site."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.applications import choose_in_palette, editor
from tests.browser.lite import LONG, LitePage, class_site, write_lesson
from tests.standin import Standin

pytestmark = [pytest.mark.slow, pytest.mark.browser]

MODEL = "llama-3.2-3b-instruct"
CELLS = (
    "%load_ext cfai_magics",
    "%cfai login",
    "%%cfai --max-tokens 40\nWhy is *{{'the sky'}}* blue?",
    "1 / 0",
    "%cfai panel",
)
LOAD, LOGIN, ASK, FAIL, PANEL = range(5)
TEXT_COLOR = "element => getComputedStyle(element).color"


@pytest.fixture(scope="module")
def lesson(
    browser: Browser, module_cloudflare: Standin, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LitePage]:
    """Open a lesson whose student is logged in; the tests use it one after the other."""
    folder = tmp_path_factory.mktemp("lab")
    with class_site(module_cloudflare, folder, write_lesson(folder, *CELLS)) as (origin, key):
        page = browser.new_page()
        opened = LitePage(page, origin)
        opened.open_lesson("live")
        opened.run(LOAD)
        opened.log_in(LOGIN, key)
        yield opened
        page.close()


@pytest.fixture
def lab(lesson: LitePage) -> Page:
    return lesson.page


def test_a_question_is_highlighted(lab: Page) -> None:
    spans = editor(lab, ASK).locator(".cm-line span")
    expect(spans.first).to_be_visible()
    colors = {span.inner_text(): span.evaluate(TEXT_COLOR) for span in spans.all()}
    assert colors["%%cfai"] == colors["{{"] != colors["--max-tokens"]


def test_the_estimate_of_a_question_is_shown_before_it_runs(lab: Page) -> None:
    editor(lab, ASK).click()
    label = lab.locator(".jp-CfaiEstimate")
    expect(label).to_have_text(
        re.compile(r"^≈ [\d.,]+, at most [\d.,]+ neurons, without \{\{…\}\}$"), timeout=LONG
    )


def test_the_chosen_model_answers_and_the_meter_counts_it(lesson: LitePage, lab: Page) -> None:
    meter = lab.locator(".jp-CfaiMeter-button")
    expect(meter).to_have_text(re.compile(r"^0 / 500 neurons"), timeout=LONG)
    lab.locator(".jp-CfaiPicker-button").click()
    search = lab.get_by_role("combobox", name="Search models")
    search.fill(MODEL)
    expect(lab.get_by_role("listbox", name="Models").get_by_role("option")).to_have_count(1)
    search.press("Enter")
    expect(lab.locator(".jp-CfaiPicker-button")).to_contain_text(MODEL, timeout=LONG)
    lesson.run(ASK)
    lesson.expect_output(ASK, f"{MODEL} · ")
    lesson.expect_output(ASK, "neurons billed")
    expect(meter).not_to_have_text(re.compile(r"^0 / 500 neurons"), timeout=LONG)


def test_a_failed_cell_has_a_button_that_explains_the_error(lesson: LitePage, lab: Page) -> None:
    lesson.run(FAIL)
    lesson.expect_output(FAIL, "ZeroDivisionError")
    expect(lab.get_by_role("button", name="Explain with Workers AI")).to_be_visible(timeout=LONG)


def test_the_panel_is_shown_in_an_output(lesson: LitePage, lab: Page) -> None:
    lesson.run(PANEL)
    output = lab.locator(".jp-CodeCell").nth(PANEL).locator(".jp-OutputArea")
    expect(output.locator(".cfai-panel")).to_be_visible(timeout=LONG)
    expect(output).to_contain_text("500")


def test_the_panel_is_docked_and_chooses_the_model(lab: Page) -> None:
    choose_in_palette(lab, "Workers AI: Open panel")
    panel = lab.locator(".jp-CfaiDock .cfai-panel")
    expect(panel).to_be_visible(timeout=LONG)
    expect(panel).to_contain_text("500")
    models = panel.get_by_role("listbox")
    models.select_option(index=0)
    chosen = models.locator("option").first.inner_text().split()[0]
    expect(lab.locator(".jp-CfaiPicker-button")).to_contain_text(chosen, timeout=LONG)
