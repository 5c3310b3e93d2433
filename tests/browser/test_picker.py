"""The model picker in the notebook toolbar, in JupyterLab and Notebook 7."""

from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell
from playwright.sync_api import Locator, Page, expect

from tests.browser.applications import Served, application, notebook_name
from tests.browser.servers import PATIENCE, NotebookPage

pytestmark = pytest.mark.browser

CELLS = ("%load_ext cfai_magics", "%%cfai\nHi", "%cfai use llama-3.2-3b-instruct")
LONG = PATIENCE * 1000  # ms


@pytest.fixture
def notebook(served: Served, page: Page, request: pytest.FixtureRequest) -> Path:
    path = served.open(page, notebook_name(request), [new_code_cell(cell) for cell in CELLS])
    NotebookPage(page).run(0)
    expect(picker(page)).to_have_text("gemma-4-26b-a4b-it", timeout=LONG)
    return path


def options(page: Page) -> Locator:
    return page.get_by_role("listbox", name="Models").get_by_role("option")


def picker(page: Page) -> Locator:
    return page.locator(".jp-CfaiPicker-button")


def test_the_chosen_model_answers(page: Page, notebook: Path, served: Served) -> None:
    picker(page).click()
    search = page.get_by_role("combobox", name="Search models")
    expect(search).to_be_focused()
    chosen = page.get_by_role("listbox").get_by_role("option", selected=True)
    expect(chosen).to_contain_text("gemma-4-26b-a4b-it")
    expect(chosen).to_contain_text("→")
    page.keyboard.type("meta 3.2-1b")
    expect(options(page)).to_have_count(1)
    page.keyboard.press("Enter")
    expect(picker(page)).to_have_text("llama-3.2-1b-instruct")
    expect(picker(page)).to_be_focused()
    NotebookPage(page).run(1)
    NotebookPage(page).wait_for_text(1, "neurons billed")
    assert served.cloudflare.requests[-1].json["model"] == "@cf/meta/llama-3.2-1b-instruct"


def test_the_picker_shows_the_model_chosen_in_a_cell(page: Page, notebook: Path) -> None:
    NotebookPage(page).run(2)
    expect(picker(page)).to_have_text("llama-3.2-3b-instruct")


def test_arrow_keys_and_the_mouse_choose_a_model(page: Page, notebook: Path) -> None:
    picker(page).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("combobox", name="Search models")).to_be_focused()
    page.keyboard.type("llama-3.2")
    expect(options(page).first).to_have_class("jp-CfaiModels-option jp-mod-active")
    page.keyboard.press("ArrowDown")
    expect(options(page).nth(1)).to_have_class("jp-CfaiModels-option jp-mod-active")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(options(page).last).to_have_class("jp-CfaiModels-option jp-mod-active")
    name = options(page).nth(1).locator(".jp-CfaiModels-name").inner_text()
    options(page).nth(1).click()
    expect(picker(page)).to_have_text(name)
    expect(page.get_by_role("listbox", name="Models")).to_have_count(0)
    picker(page).click()
    expect(page.get_by_role("listbox", name="Models")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("listbox", name="Models")).to_have_count(0)


def test_the_picker_offers_only_the_models_of_a_course(page: Page, tmp_path: Path) -> None:
    course = 'allowed_models = ["llama-3.2-3b-instruct", "llama-3.2-1b-instruct"]\n'
    (tmp_path / "cfai.toml").write_text(course)
    with application("jupyterlab", tmp_path) as served:
        served.open(page, "lesson", [new_code_cell(cell) for cell in CELLS])
        NotebookPage(page).run(0)
        expect(picker(page)).to_have_text("llama-3.2-3b-instruct", timeout=LONG)
        picker(page).click()
        expect(options(page)).to_have_count(2)
