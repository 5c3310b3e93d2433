"""The panel next to the notebook: no cell, no trace in the file, areas and restarts."""

import json
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell
from playwright.sync_api import Locator, Page, expect

from tests.browser.applications import (
    READY,
    Served,
    application,
    choose_in_palette,
    execute,
    notebook_name,
    saved,
)
from tests.browser.servers import PATIENCE, NotebookPage

pytestmark = pytest.mark.browser

LABEL = "Workers AI: Open panel"
CELLS = ("1", "%load_ext cfai_magics", "%cfai use llama-3.2-1b-instruct")
LOAD, USE = 1, 2
LONG = PATIENCE * 1000  # ms
OPEN = "() => jupyterapp.commands.execute('cfai:show-panel')"
ENABLED = "args => jupyterapp.commands.isEnabled('cfai:show-panel', args)"
# The dock can be the active tab, so the notebook is not always the current widget.
NOTEBOOK = """[...jupyterapp.shell.widgets('main')]
  .find(widget => widget.hasClass('jp-NotebookPanel'))"""
RESTART = f"() => {NOTEBOOK}.sessionContext.session.kernel.restart()"
CLOSE = f"() => {NOTEBOOK}.dispose()"
# Resolves when the dock is in the page.
SHOWN = """new Promise(resolve => {
  const check = () => document.querySelector('.jp-CfaiDock') ? resolve() : setTimeout(check);
  check();
})"""


@pytest.fixture
def notebook(served: Served, page: Page, request: pytest.FixtureRequest) -> Path:
    """Open a notebook; with the parameter "split", in a JupyterLab with tabs."""
    in_tabs = getattr(request, "param", "sidebar") == "split"
    if in_tabs:
        skip_notebook_7(request)
    cells = [new_code_cell(cell) for cell in CELLS]
    return served.open(page, notebook_name(request), cells, in_tabs=in_tabs)


AREAS = pytest.mark.parametrize("notebook", ["sidebar", "split"], indirect=True)
SPLIT = pytest.mark.parametrize("notebook", ["split"], indirect=True)


@pytest.fixture
def errors(page: Page) -> list[str]:
    """Return the list of errors that the page reports from now on."""
    messages: list[str] = []
    page.on("pageerror", lambda error: messages.append(str(error)))
    return messages


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


@SPLIT
def test_the_launcher_opens_the_panel_of_the_last_notebook(page: Page, notebook: Path) -> None:
    execute(page, "launcher:create")
    page.locator(".jp-LauncherCard").get_by_text(LABEL).click()
    expect(panel(page)).to_be_visible(timeout=LONG)
    expect(page.locator(".jp-NotebookPanel")).to_be_visible()


@SPLIT
def test_the_launcher_opens_the_panel_of_a_new_notebook(page: Page, notebook: Path) -> None:
    page.evaluate(CLOSE)  # JupyterLab opens the Launcher after the last tab is closed
    assert page.evaluate(ENABLED, {}) is False
    assert page.evaluate(ENABLED, {"cwd": ""}) is True
    # JupyterLab starts the kernel of a new notebook only after this reply, so the panel waits.
    page.route("**/checkpoints*", lambda _: None)
    page.locator(".jp-LauncherCard").get_by_text(LABEL).click()
    expect(dock(page)).to_contain_text("Waiting for the kernel")
    page.unroute("**/checkpoints*")  # continues the request
    expect(panel(page)).to_be_visible(timeout=LONG)


@AREAS
def test_notebook_and_panel_are_next_to_each_other(page: Page, notebook: Path) -> None:
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


@pytest.mark.parametrize("again", ["cell", "all cells", "command"])
def test_the_panel_returns_after_a_restart(page: Page, notebook: Path, again: str) -> None:
    open_panel(page)
    page.evaluate(RESTART)
    expect(dock(page)).to_have_text(
        "The kernel has stopped or unloaded cfai_magics. "
        "Run %load_ext cfai_magics or open the panel again."
    )
    if again == "cell":
        NotebookPage(page).run(LOAD)
    elif again == "all cells":
        execute(page, "notebook:run-all-cells")
        selected = panel(page).get_by_text("Requests go to @cf/meta/llama-3.2-1b-instruct")
        expect(selected).to_be_visible(timeout=LONG)
    else:
        page.evaluate(OPEN)
    expect(panel(page)).to_be_visible(timeout=LONG)
    expect(panel(page).get_by_label("System prompt")).to_be_enabled()


def test_the_panel_opens_again_after_the_page_is_reloaded(page: Page, notebook: Path) -> None:
    open_panel(page)
    page.reload()
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for(timeout=LONG)
    page.evaluate(READY)
    open_panel(page)


@AREAS
def test_the_panel_closes_with_its_notebook(page: Page, notebook: Path, errors: list[str]) -> None:
    open_panel(page)
    page.evaluate(CLOSE)
    expect(dock(page)).to_have_count(0)
    assert errors == []


@pytest.mark.parametrize("is_loaded", [False, True], ids=["loading", "rendering"])
def test_the_notebook_can_be_closed_while_the_panel_opens(
    page: Page, notebook: Path, errors: list[str], is_loaded: bool
) -> None:
    if is_loaded:
        NotebookPage(page).run(LOAD)
        expect(page.locator(".jp-CfaiPicker-button")).to_be_visible(timeout=LONG)
    page.evaluate(f"async () => {{ void ({OPEN})(); await {SHOWN}; ({CLOSE})(); }}")
    expect(page.locator(".jp-Notebook")).to_have_count(0)
    expect(dock(page)).to_have_count(0)
    page.evaluate("() => jupyterapp.serviceManager.sessions.shutdownAll()")
    assert errors == []


@SPLIT
def test_each_notebook_has_its_own_panel(page: Page, notebook: Path) -> None:
    open_panel(page)
    panel(page).get_by_label("System prompt").fill("First")
    panel(page).get_by_label("System prompt").press("Tab")
    second = notebook.with_name("second.ipynb")
    second.write_text(notebook.read_text(encoding="utf-8"), encoding="utf-8")
    execute(page, "docmanager:open", path="second.ipynb")
    page.wait_for_function("() => jupyterapp.commands.isEnabled('cfai:show-panel')")
    page.evaluate(OPEN)
    expect(dock(page)).to_have_count(2)
    prompts = page.locator(".cfai-panel").get_by_label("System prompt")
    expect(prompts).to_have_count(2, timeout=LONG)
    assert sorted(prompt.input_value() for prompt in prompts.all()) == ["", "First"]
    page.evaluate("""() => [...jupyterapp.shell.widgets('main')]
      .find(({ context }) => context?.path === 'second.ipynb').dispose()""")
    expect(prompts).to_have_count(1)
    expect(prompts).to_have_value("First")


@pytest.mark.parametrize("name", ["jupyterlab", "notebook"])
def test_saved_widget_state_does_not_contain_the_panel(
    page: Page, tmp_path: Path, name: str
) -> None:
    settings = {"@jupyter-widgets/jupyterlab-manager/plugin": {"saveState": True}}
    slider = "import ipywidgets\nipywidgets.IntSlider(description='Mine')"
    cells = [new_code_cell(cell) for cell in (slider, "%load_ext cfai_magics", "%cfai panel")]
    with application(name, tmp_path, settings) as served:
        path = served.open(page, "lesson", cells)
        NotebookPage(page).run(0)
        expect(page.locator(".jp-OutputArea .widget-slider")).to_be_visible(timeout=LONG)
        open_panel(page)
        token = panel(page).get_by_label("API token")
        panel(page).get_by_role("button", name="Change…").click()
        token.fill(served.cloudflare.token)
        token.press("Tab")
        expect(token).to_have_attribute("placeholder", "Entered, not yet verified")
        assert model_names(page, path) == {"IntSliderModel", "SliderStyleModel", "LayoutModel"}
        NotebookPage(page).run(2)
        expect(page.locator(".jp-OutputArea .cfai-panel")).to_be_visible(timeout=LONG)
        assert "PasswordModel" in model_names(page, path), "an output shows the panel"
        assert served.cloudflare.token not in path.read_text(encoding="utf-8")


def model_names(page: Page, path: Path) -> set[str]:
    """Return the types of the widgets whose state is saved in the notebook."""
    saved(page, path)
    metadata = json.loads(path.read_text(encoding="utf-8"))["metadata"]
    states = metadata["widgets"]["application/vnd.jupyter.widget-state+json"]["state"]
    return {state["model_name"] for state in states.values()}


def test_the_temperature_can_be_set_with_the_keyboard(page: Page, notebook: Path) -> None:
    open_panel(page)
    choice = panel(page).get_by_label("Use the model's default temperature")
    choice.focus()
    page.keyboard.press("Space")
    expect(choice).not_to_be_checked()
    slider = panel(page).get_by_role("slider", name="Temperature (0 to 5)")
    expect(slider).to_be_enabled()
    expect(panel(page).locator(".widget-readout")).to_have_text("0.70")
    for _element in ("readout", "slider"):  # the readout is skipped until it can be edited
        if not slider.evaluate("slider => slider === document.activeElement"):
            page.keyboard.press("Shift+Tab")
    expect(slider).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(panel(page).locator(".widget-readout")).to_have_text("0.80")


def test_no_part_of_the_panel_is_outside_of_a_small_window(page: Page, notebook: Path) -> None:
    page.set_viewport_size({"width": 1024, "height": 600})
    open_panel(page)
    edges = box(dock(page))
    assert edges["x"] + edges["width"] <= 1024
    assert dock(page).evaluate("dock => dock.scrollWidth - dock.clientWidth") == 0


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
