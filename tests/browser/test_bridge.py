"""The comm between kernel and page: reload, restart, several notebooks, tabs, versions."""

import time
from contextlib import suppress
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell
from playwright.sync_api import ConsoleMessage, Error, Page, expect

from tests.browser.applications import Served, execute, notebook_name
from tests.browser.servers import PATIENCE, NotebookPage

pytestmark = pytest.mark.browser

LOAD = "%load_ext cfai_magics"
# State of the active notebook's bridge, as a plug-in receives it.
STATE = """async () => {
  if (!window.jupyterapp?.shell?.currentWidget?.sessionContext) {
    return undefined;
  }
  const bridges = await jupyterapp.resolveRequiredService(
    [...jupyterapp.pluginRegistry._plugins.values()]
      .find(plugin => plugin.id === 'cfai-magics:bridge').provides);
  return bridges.of(jupyterapp.shell.currentWidget.sessionContext)?.state ?? null;
}"""
CELLS = (LOAD, "%cfai use llama-3.2-1b-instruct", "%%cfai\nTell a story.", "1")
INTERRUPT = "() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.interrupt()"
RESTART = "() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
SEND_VERSION_2 = """from comm import get_comm_manager
for _ in range(3):
    get_comm_manager().comms["cfai-magics"].send({"version": 2, "type": "state"})"""


def wait_for_state(page: Page, condition: str) -> None:
    """Wait until the JavaScript condition on `state` holds; `state` is null without a bridge."""
    code = f"async () => {{ const state = await ({STATE})(); return Boolean({condition}); }}"
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with suppress(Error):  # the page is being reloaded
            if page.evaluate(code):
                return
        page.wait_for_timeout(100)
    raise AssertionError(f"expected {condition}, got {page.evaluate(STATE)}")


@pytest.fixture
def notebook(served: Served, page: Page, request: pytest.FixtureRequest) -> Path:
    path = served.open(page, notebook_name(request), [new_code_cell(cell) for cell in CELLS])
    NotebookPage(page).run(0)
    wait_for_state(page, "state?.day?.limit === 10000")
    return path


def test_a_page_receives_state_changes_of_the_kernel(page: Page, notebook: Path) -> None:
    NotebookPage(page).run(1)
    wait_for_state(page, "state?.model === '@cf/meta/llama-3.2-1b-instruct'")


def test_the_bridge_reconnects_after_a_reload_during_an_answer(
    page: Page, notebook: Path, served: Served
) -> None:
    execute(page, "docmanager:save")
    served.cloudflare.switch(answer="word " * 3000, tokens_per_second=100)
    NotebookPage(page).run(2)
    wait_for_state(page, "state?.day?.running > 0")
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    wait_for_state(page, "state?.day?.running > 0")
    page.evaluate(INTERRUPT)
    wait_for_state(page, "state?.day?.running === 0 && state.day.estimated > 0")
    page.reload()
    wait_for_state(page, "state?.day?.estimated > 0")


def test_the_bridge_closes_on_restart_and_opens_with_the_extension(
    page: Page, notebook: Path
) -> None:
    page.evaluate(RESTART)
    wait_for_state(page, "state === null")
    cell = page.locator(".jp-CodeCell").first
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    wait_for_state(page, "state?.day?.limit === 10000")


def test_two_tabs_receive_the_same_state(page: Page, notebook: Path) -> None:
    other = page.context.new_page()
    execute(page, "docmanager:save")
    NotebookPage(other).open(page.url)
    wait_for_state(other, "state?.day?.limit === 10000")
    NotebookPage(page).run(1)
    for each in (page, other):
        wait_for_state(each, "state?.model === '@cf/meta/llama-3.2-1b-instruct'")


def test_another_protocol_version_is_ignored_with_one_warning(page: Page, notebook: Path) -> None:
    lines: list[ConsoleMessage] = []
    page.on("console", lambda line: lines.append(line))  # noqa: PLW0108 - Playwright marks it
    page.evaluate(
        "code => jupyterapp.shell.currentWidget.sessionContext.session.kernel"
        ".requestExecute({ code }).done.then(() => null)",
        SEND_VERSION_2,
    )
    wait_for_state(page, "state?.day?.limit === 10000")
    assert [line.type for line in lines if "cfai-magics" in line.text] == ["warning"]


def test_a_page_shows_the_state_of_the_active_notebook(
    page: Page, notebook: Path, served: Served, request: pytest.FixtureRequest
) -> None:
    if "jupyterlab" not in request.node.callspec.id:
        pytest.skip("Notebook 7 shows one notebook per tab")
    NotebookPage(page).run(1)
    wait_for_state(page, "state?.model === '@cf/meta/llama-3.2-1b-instruct'")
    second = served.root / "second.ipynb"
    second.write_text(notebook.read_text())
    execute(page, "docmanager:open", path="second.ipynb")
    wait_for_state(page, "state === null")
    expect(page.locator(".jp-NotebookPanel:visible")).to_have_count(1)
    page.wait_for_function(
        "() => jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'"
    )
    execute(page, "notebook:run-cell")
    wait_for_state(page, "state?.model?.includes('gemma')")
    page.evaluate("""() => {
      const [first] = [...jupyterapp.shell.widgets('main')];
      jupyterapp.shell.activateById(first.id);
    }""")
    wait_for_state(page, "state?.model === '@cf/meta/llama-3.2-1b-instruct'")


def test_a_notebook_stays_connected_when_another_on_its_kernel_closes(
    page: Page, notebook: Path, served: Served, request: pytest.FixtureRequest
) -> None:
    if "jupyterlab" not in request.node.callspec.id:
        pytest.skip("Notebook 7 shows one notebook per page")
    (served.root / "sharing.ipynb").write_text(notebook.read_text())
    kernel = page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.id")
    execute(page, "docmanager:open", path="sharing.ipynb", kernel={"id": kernel})
    wait_for_state(page, "state?.day?.limit === 10000")
    page.evaluate("() => [...jupyterapp.shell.widgets('main')][0].dispose()")
    panel = page.locator(".jp-NotebookPanel:visible")
    expect(panel).to_have_count(1)
    choose_model(page, "llama-3.2-1b-instruct")
    wait_for_state(page, "state?.model === '@cf/meta/llama-3.2-1b-instruct'")
    billed = page.evaluate(STATE)["day"]["billed"]
    panel.locator(".jp-CodeCell").nth(2).locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    wait_for_state(page, f"state?.day?.billed > {billed}")
    page.locator(".jp-CfaiMeter-button").click()
    details = page.get_by_role("dialog", name="Neurons today")
    expect(details.get_by_role("row", name="llama-3.2-1b-instruct")).to_be_visible()
    page.keyboard.press("Escape")
    page.evaluate(RESTART)
    wait_for_state(page, "state === null")


def choose_model(page: Page, name: str) -> None:
    page.locator(".jp-CfaiPicker-button:visible").click()
    page.get_by_role("combobox", name="Search models").fill(name)
    page.get_by_role("option", name=name).click()
