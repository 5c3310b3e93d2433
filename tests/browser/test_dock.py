"""The panel next to the notebook: no cell, no trace in the file, areas and restarts."""

import json
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell
from playwright.sync_api import Error, Locator, Page, expect

from tests.browser.applications import Served, application, choose_in_palette, saved
from tests.browser.servers import PATIENCE, NotebookPage

pytestmark = pytest.mark.browser

LABEL = "Workers AI: Open panel"
CELLS = ("1", "%load_ext cfai_magics", "%cfai use llama-3.2-1b-instruct")
LOAD, USE = 1, 2
LONG = PATIENCE * 1000  # ms
OPEN = "() => jupyterapp.commands.execute('cfai:show-panel')"
ENABLED = "args => jupyterapp.commands.isEnabled('cfai:show-panel', args)"
SPLIT = "() => { jupyterapp.shell.mode = 'multiple-document'; }"
# The dock can be the active tab, so the notebook is not always the current widget.
NOTEBOOK = """[...jupyterapp.shell.widgets('main')]
  .find(widget => widget.hasClass('jp-NotebookPanel'))"""
RESTART = f"() => {NOTEBOOK}.sessionContext.session.kernel.restart()"
CLOSE = f"() => {NOTEBOOK}.dispose()"


@pytest.fixture
def notebook(served: Served, page: Page, request: pytest.FixtureRequest) -> Path:
    return served.open(page, request.node.originalname, [new_code_cell(cell) for cell in CELLS])


def dock(page: Page) -> Locator:
    return page.locator(".jp-CfaiDock")


def panel(page: Page) -> Locator:
    return dock(page).locator(".cfai-panel")


def open_panel(page: Page) -> None:
    page.evaluate(OPEN)
    expect(panel(page)).to_be_visible(timeout=LONG)


def skip_notebook_7(request: pytest.FixtureRequest) -> None:
    if "jupyterlab" not in request.node.callspec.id:
        pytest.skip("Notebook 7 has one document per tab, and no Launcher")


def test_the_panel_leaves_no_trace_in_the_notebook(page: Page, notebook: Path) -> None:
    open_panel(page)
    assert saved(page, notebook) == list(CELLS)
    content = json.loads(notebook.read_text(encoding="utf-8"))
    assert "widgets" not in content["metadata"]
    assert [cell["outputs"] for cell in content["cells"]] == [[], [], []]
    NotebookPage(page).run(0)
    prompt = page.locator(".jp-CodeCell .jp-InputPrompt").first
    expect(prompt).to_have_text("[1]:", timeout=LONG)


@pytest.mark.parametrize("place", ["palette", "menu", "toolbar"])
def test_the_panel_opens_from_each_place_with_focus(
    page: Page, notebook: Path, place: str
) -> None:
    if place == "palette":
        choose_in_palette(page, LABEL)
    elif place == "menu":
        page.locator(".lm-MenuBar-item").get_by_text("Run", exact=True).click()
        page.locator(".lm-Menu").get_by_text("Workers AI", exact=True).hover()
        page.locator(".lm-Menu").get_by_text(LABEL).click()
    else:
        page.get_by_role("button", name=LABEL).click()
    expect(dock(page)).to_be_focused()
    expect(panel(page)).to_be_visible(timeout=LONG)


def test_the_launcher_opens_the_panel_of_the_last_notebook(
    page: Page, notebook: Path, request: pytest.FixtureRequest
) -> None:
    skip_notebook_7(request)
    page.evaluate(SPLIT)
    page.evaluate("() => jupyterapp.commands.execute('launcher:create')")
    page.locator(".jp-LauncherCard").get_by_text(LABEL).click()
    expect(panel(page)).to_be_visible(timeout=LONG)
    expect(page.locator(".jp-NotebookPanel")).to_be_visible()


def test_the_launcher_opens_the_panel_of_a_new_notebook(
    page: Page, notebook: Path, request: pytest.FixtureRequest
) -> None:
    skip_notebook_7(request)
    page.evaluate(CLOSE)  # JupyterLab opens the Launcher after the last tab is closed
    assert page.evaluate(ENABLED, {}) is False
    assert page.evaluate(ENABLED, {"cwd": ""}) is True
    page.locator(".jp-LauncherCard").get_by_text(LABEL).click()
    expect(panel(page)).to_be_visible(timeout=LONG)


@pytest.mark.parametrize("split", [False, True], ids=["sidebar", "split"])
def test_notebook_and_panel_are_next_to_each_other(
    page: Page, notebook: Path, request: pytest.FixtureRequest, split: bool
) -> None:
    if split:
        skip_notebook_7(request)
        page.evaluate(SPLIT)
    open_panel(page)
    left, right = (box(page.locator(".jp-NotebookPanel")), box(dock(page)))
    assert left["x"] + left["width"] <= right["x"] + 1
    open_panel(page)
    expect(dock(page)).to_have_count(1)


def box(locator: Locator) -> dict[str, float]:
    expect(locator).to_be_visible()
    found = locator.bounding_box()
    assert found is not None
    return dict(found)


def test_the_panel_follows_the_kernel(page: Page, notebook: Path) -> None:
    open_panel(page)
    NotebookPage(page).run(USE)
    selected = panel(page).get_by_text("Requests go to @cf/meta/llama-3.2-1b-instruct")
    expect(selected).to_be_visible(timeout=LONG)


@pytest.mark.parametrize("again", ["cell", "command"])
def test_the_panel_returns_after_a_restart(page: Page, notebook: Path, again: str) -> None:
    open_panel(page)
    page.evaluate(RESTART)
    expect(dock(page)).to_have_text(
        "The kernel has stopped or unloaded cfai_magics. "
        "Run %load_ext cfai_magics or open the panel again."
    )
    if again == "cell":
        NotebookPage(page).run(LOAD)
        expect(panel(page)).to_be_visible(timeout=LONG)
    else:
        open_panel(page)


@pytest.mark.parametrize("split", [False, True], ids=["sidebar", "split"])
def test_the_panel_closes_with_its_notebook(
    page: Page, notebook: Path, request: pytest.FixtureRequest, split: bool
) -> None:
    errors: list[Error] = []
    page.on("pageerror", lambda error: errors.append(error))  # noqa: PLW0108 - Playwright marks it
    if split:
        skip_notebook_7(request)
        page.evaluate(SPLIT)
    open_panel(page)
    page.evaluate(CLOSE)
    expect(dock(page)).to_have_count(0)
    assert errors == []


@pytest.mark.parametrize("name", ["jupyterlab", "notebook"])
def test_one_message_is_shown_if_the_widget_manager_is_missing(
    page: Page, tmp_path: Path, name: str
) -> None:
    manager = "@jupyter-widgets/jupyterlab-manager"
    with application(name, tmp_path, disabled=[manager]) as served:
        served.open(page, "lesson", [new_code_cell(cell) for cell in CELLS])
        page.evaluate(OPEN)
        expect(dock(page)).to_contain_text("The panel needs ipywidgets.", timeout=LONG)
        expect(dock(page).get_by_role("status")).to_have_count(1)


def test_the_argument_of_the_command_is_described(page: Page, notebook: Path) -> None:
    described = page.evaluate("() => jupyterapp.commands.describedBy('cfai:show-panel')")
    assert set(described["args"]["properties"]) == {"cwd"}
