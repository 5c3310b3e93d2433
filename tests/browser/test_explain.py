"""The command that explains an error, and the buttons under a failed cell."""

import re
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell
from playwright.sync_api import Locator, Page, expect

from tests.browser.applications import CELLS, Served, notebook_name, saved
from tests.browser.servers import NotebookPage

pytestmark = pytest.mark.browser

LOAD = "%load_ext cfai_magics"
SOURCES = (LOAD, "n = 0", "1 / n", "%cfai nonsense", "raise KeyboardInterrupt")
LONG = 60_000  # ms
LABEL = "Workers AI: Explain the last error"
ENABLED = "() => jupyterapp.commands.isEnabled('cfai:explain-error')"
EXECUTE = "cell => jupyterapp.commands.execute('cfai:explain-error', cell ? { cell } : {})"
RESTART = "() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"


@pytest.fixture
def notebook(served: Served, page: Page, request: pytest.FixtureRequest) -> Path:
    path = served.open(page, notebook_name(request), [new_code_cell(cell) for cell in SOURCES])
    prompts = page.locator(".jp-CodeCell .jp-InputPrompt")
    for index in range(len(SOURCES)):  # one by one: an error cancels the queued cells
        NotebookPage(page).run(index)
        expect(prompts.nth(index)).to_have_text(f"[{index + 1}]:", timeout=LONG)
    expect(button(page)).to_be_visible()
    return path


def button(page: Page) -> Locator:
    return page.get_by_role("button", name="Explain with Workers AI")


@pytest.mark.parametrize(
    ("name", "source"),
    [("Explain with Workers AI", "%cfai explain 3"), ("Fix with Workers AI", "%cfai fix 3")],
    ids=["explain", "fix"],
)
def test_each_button_inserts_and_runs_a_cell(
    page: Page, notebook: Path, served: Served, name: str, source: str
) -> None:
    assert served.cloudflare.requests == (), "requests are sent only after a click"
    page.get_by_role("button", name=name).click()
    inserted = page.locator(CELLS).nth(3)
    expect(inserted.get_by_text("neurons billed")).to_be_visible(timeout=LONG)
    (sent,) = served.cloudflare.requests
    assert "ZeroDivisionError" in str(sent.json)
    assert saved(page, notebook)[2:4] == ["1 / n", source]


def test_the_button_appears_only_under_errors_of_user_code(page: Page, notebook: Path) -> None:
    expect(button(page)).to_have_count(1)
    expect(page.locator(CELLS).nth(2).locator(button(page))).to_be_visible()


def test_the_button_works_with_the_keyboard(page: Page, notebook: Path) -> None:
    page.locator(CELLS).nth(2).locator(".jp-InputPrompt").click()
    for _ in range(20):
        if button(page).evaluate("element => element === document.activeElement"):
            break
        page.keyboard.press("Tab")
    expect(button(page)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(CELLS)).to_have_count(6)
    assert saved(page, notebook)[3] == "%cfai explain 3"


def test_the_button_disappears_when_the_cell_is_fixed(page: Page, notebook: Path) -> None:
    page.locator(CELLS).nth(2).get_by_role("textbox").fill("1")
    page.keyboard.press("Control+Enter")
    expect(button(page)).to_have_count(0)


def test_the_button_disappears_when_the_kernel_restarts(page: Page, notebook: Path) -> None:
    page.evaluate(RESTART)
    expect(button(page)).to_have_count(0)
    expect(page.get_by_text("ZeroDivisionError").first).to_be_visible()
    picker = page.locator(".jp-CfaiPicker-button")
    expect(picker).to_be_hidden()
    run_again(page, 2)
    run_again(page, 0)
    expect(picker).to_be_visible(timeout=LONG)
    run_again(page, 2)
    expect(button(page)).to_have_count(1)


def run_again(page: Page, index: int) -> None:
    cell = page.locator(CELLS).nth(index)
    prompt = cell.locator(".jp-InputPrompt")
    previous = prompt.inner_text()
    cell.get_by_role("textbox").click()
    page.keyboard.press("Control+Enter")
    expect(prompt).not_to_have_text(previous, timeout=LONG)
    expect(prompt).to_have_text(re.compile(r"\[\d+\]:"), timeout=LONG)


def test_the_button_appears_only_after_the_extension_is_loaded(
    served: Served, page: Page, request: pytest.FixtureRequest
) -> None:
    cells = [new_code_cell(cell) for cell in ("1 / 0", LOAD, "2 / 0")]
    served.open(page, notebook_name(request), cells)
    lesson = NotebookPage(page)
    lesson.run(0)
    lesson.wait_for_text(0, "ZeroDivisionError")
    assert page.evaluate(ENABLED) is False
    lesson.run(1)
    expect(page.locator(".jp-CfaiPicker-button")).to_be_visible(timeout=LONG)
    assert page.evaluate(ENABLED) is True
    lesson.run(2)
    expect(page.locator(CELLS).nth(2).locator(button(page))).to_be_visible(timeout=LONG)
    expect(button(page)).to_have_count(1)
    page.evaluate(RESTART)
    page.wait_for_function(f"async () => !({ENABLED})()")


def test_the_command_explains_the_last_error_or_a_given_cell(
    page: Page, notebook: Path, served: Served
) -> None:
    page.evaluate(EXECUTE, 3)
    expect(page.locator(CELLS)).to_have_count(6)
    expect(page.locator(CELLS).nth(3).get_by_role("textbox")).to_be_focused()
    assert saved(page, notebook)[2:4] == ["1 / n", "%cfai explain 3"]
    page.keyboard.press("Escape")
    page.keyboard.press("Alt+Shift+E")
    expect(page.locator(CELLS)).to_have_count(7)
    page.locator(".lm-MenuBar-item").get_by_text("Run", exact=True).click()
    page.locator(".lm-Menu").get_by_text("Workers AI", exact=True).hover()
    page.locator(".lm-Menu").get_by_text(LABEL).click()
    expect(page.locator(CELLS)).to_have_count(8)
    assert saved(page, notebook)[3:6] == ["%cfai explain 3", "%cfai explain", "%cfai explain"]
    assert served.cloudflare.requests == (), "requests are sent only when the user runs the cell"


def test_the_argument_of_the_command_is_described(page: Page, notebook: Path) -> None:
    described = page.evaluate("() => jupyterapp.commands.describedBy('cfai:explain-error')")
    assert set(described["args"]["properties"]) == {"cell"}
