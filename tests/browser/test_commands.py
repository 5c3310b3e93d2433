"""Commands that insert %%cfai cells, called by a user or by another extension."""

from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell
from playwright.sync_api import Page, expect

from tests.browser.applications import (
    CELLS,
    Served,
    choose_in_palette,
    editor,
    execute,
    notebook_name,
    saved,
)
from tests.browser.servers import PATIENCE

pytestmark = pytest.mark.browser

INSERT = "cfai:insert-cell"
ABOUT = "cfai:ask-about-selection"
PLAN = "cfai:estimate-notebook"
EXPLAIN = "cfai:explain-error"
PANEL = "cfai:show-panel"
ENABLED = "command => jupyterapp.commands.isEnabled(command)"
OTHER_TABS = {
    "text file": ("docmanager:open", {"path": "notes.txt"}),
    "Launcher": ("launcher:create", {}),
    "terminal": ("terminal:create-new", {}),
}
LABELS = {
    INSERT: "Workers AI: Insert a %%cfai cell",
    ABOUT: "Workers AI: Ask about the selection",
    PLAN: "Workers AI: Estimate the cost of this notebook",
}


@pytest.fixture
def notebook(served: Served, page: Page, request: pytest.FixtureRequest) -> Path:
    """Return an open notebook with two cells; the first is the current one."""
    cells = [new_markdown_cell("# First"), new_code_cell("'last'")]
    return served.open(page, notebook_name(request), cells)


def test_the_palette_inserts_and_focuses_a_cell_below_the_current_one(
    page: Page, notebook: Path
) -> None:
    choose_in_palette(page, LABELS[INSERT])
    inserted = page.locator(CELLS).nth(1).get_by_role("textbox")
    expect(inserted).to_be_focused()
    page.keyboard.type("Why?")
    expect(inserted).to_have_text("%%cfaiWhy?")
    assert saved(page, notebook) == ["# First", "%%cfai\nWhy?", "'last'"]


def test_the_context_menu_of_a_cell_inserts_a_cell(page: Page, notebook: Path) -> None:
    page.locator(CELLS).first.click(button="right")
    page.get_by_role("menuitem", name=LABELS[INSERT]).click()
    expect(page.locator(CELLS)).to_have_count(3)
    expect(page.locator(CELLS).nth(1).get_by_role("textbox")).to_be_focused()
    assert saved(page, notebook) == ["# First", "%%cfai\n", "'last'"]


def test_another_extension_can_pass_the_model_and_prompt(page: Page, notebook: Path) -> None:
    execute(page, INSERT, model="gemma-4", prompt="Name {one}\nfish.")
    assert saved(page, notebook)[1] == "%%cfai -m gemma-4\nName {one}\nfish."


@pytest.mark.parametrize("command", LABELS)
def test_the_run_menu_contains_each_command(page: Page, notebook: Path, command: str) -> None:
    choose_in_run_menu(page, LABELS[command])
    expect(page.locator(CELLS)).to_have_count(3)
    assert "cfai" in saved(page, notebook)[1]


def choose_in_run_menu(page: Page, label: str) -> None:
    page.locator(".lm-MenuBar-item").get_by_text("Run", exact=True).click()
    page.locator(".lm-Menu").get_by_text("Workers AI", exact=True).hover()
    page.locator(".lm-Menu").get_by_text(label).click()


@pytest.mark.parametrize("command", [INSERT, ABOUT])
def test_the_run_menu_moves_the_focus_into_the_new_cell(
    page: Page, notebook: Path, command: str
) -> None:
    choose_in_run_menu(page, LABELS[command])
    inserted = page.locator(CELLS).nth(1).get_by_role("textbox")
    expect(inserted).to_be_focused()
    page.keyboard.type("Why?")
    expect(inserted).to_contain_text("Why?")


def test_a_new_cell_can_be_run_immediately(page: Page, notebook: Path, served: Served) -> None:
    execute(page, INSERT, prompt="Why is the sky blue?")
    page.keyboard.press("Control+Enter")
    footer = page.locator(CELLS).nth(1).get_by_text("neurons billed")
    expect(footer).to_be_visible(timeout=PATIENCE * 1000)
    assert saved(page, notebook)[1] == "%%cfai\nWhy is the sky blue?"


def test_a_shortcut_inserts_a_cell(page: Page, notebook: Path) -> None:
    page.keyboard.press("Alt+Shift+N")
    expect(page.locator(CELLS)).to_have_count(3)
    expect(page.locator(CELLS).nth(1).get_by_role("textbox")).to_be_focused()
    assert saved(page, notebook) == ["# First", "%%cfai\n", "'last'"]


def test_the_selected_cells_are_quoted_below_the_question(page: Page, notebook: Path) -> None:
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Alt+Shift+Q")
    expect(page.locator(CELLS)).to_have_count(3)
    page.keyboard.type("What are these?")
    question = "%%cfai\nWhat are these?\n\n```\n# First\n```\n\n```python\n'last'\n```"
    assert saved(page, notebook) == ["# First", "'last'", question]


def test_only_the_selected_text_is_quoted(page: Page, notebook: Path) -> None:
    editor(page, 0).click()
    page.keyboard.press("End")
    for _ in "st'":
        page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("Alt+Shift+Q")
    expect(page.locator(CELLS)).to_have_count(3)
    assert saved(page, notebook)[2] == "%%cfai\n\n\n```python\nst'\n```"


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (INSERT, {"model", "prompt"}),
        (ABOUT, {"model", "prompt"}),
        (PLAN, set()),
    ],
)
def test_the_arguments_of_each_command_are_described(
    page: Page, notebook: Path, command: str, arguments: set[str]
) -> None:
    described = page.evaluate(f"() => jupyterapp.commands.describedBy('{command}')")
    assert set(described["args"]["properties"]) == arguments


@pytest.mark.parametrize("command", LABELS)
def test_each_command_is_disabled_without_an_open_notebook(
    page: Page, notebook: Path, command: str
) -> None:
    enabled = f"() => jupyterapp.commands.isEnabled('{command}')"
    assert page.evaluate(enabled) is True
    page.evaluate("() => jupyterapp.shell.currentWidget.dispose()")
    assert page.evaluate(enabled) is False


@pytest.mark.parametrize(("command", "arguments"), OTHER_TABS.values(), ids=OTHER_TABS)
def test_each_command_is_disabled_while_another_tab_is_active(
    page: Page,
    served: Served,
    request: pytest.FixtureRequest,
    command: str,
    arguments: dict[str, str],
) -> None:
    skip_notebook_7(request)
    served.open(page, "tabs", [new_code_cell("1")], in_tabs=True)
    (served.root / "notes.txt").write_text("Notes")
    for ours in (INSERT, ABOUT, PLAN, PANEL):
        assert page.evaluate(ENABLED, ours) is True
    execute(page, command, **arguments)
    for ours in (*LABELS, EXPLAIN, PANEL):
        page.wait_for_function(f"async command => !({ENABLED})(command)", arg=ours)


def test_a_cell_is_inserted_while_the_tab_of_the_panel_is_active(
    page: Page, served: Served, request: pytest.FixtureRequest
) -> None:
    skip_notebook_7(request)
    path = served.open(page, "tabs", [new_code_cell("1")], in_tabs=True)
    execute(page, PANEL)
    expect(page.locator(".jp-CfaiDock")).to_be_focused()
    choose_in_run_menu(page, LABELS[INSERT])
    expect(page.locator(CELLS).nth(1).get_by_role("textbox")).to_be_focused()
    assert saved(page, path) == ["1", "%%cfai\n"]


def skip_notebook_7(request: pytest.FixtureRequest) -> None:
    if "jupyterlab" not in request.node.callspec.id:
        pytest.skip("Notebook 7 shows one document per tab")


def test_the_labels_of_all_commands_start_with_workers_ai(page: Page, notebook: Path) -> None:
    labels = page.evaluate("""() => jupyterapp.commands.listCommands()
      .filter(id => id.startsWith('cfai:')).map(id => jupyterapp.commands.label(id))""")
    assert len(labels) == len(LABELS) + 2
    assert all(label.startswith("Workers AI: ") for label in labels)


def test_the_estimate_loads_the_extension_in_its_cell(page: Page, notebook: Path) -> None:
    execute(page, PLAN)
    assert saved(page, notebook)[1] == "%load_ext cfai_magics\n%cfai plan"
    expect(page.locator(".jp-CfaiPicker-button")).to_be_visible(timeout=PATIENCE * 1000)
    execute(page, PLAN)
    assert saved(page, notebook)[2] == "%cfai plan", "the extension is loaded"


def test_the_estimate_uses_the_unsaved_notebook(
    page: Page, notebook: Path, served: Served
) -> None:
    execute(page, INSERT, prompt="Why is the sky blue?")
    execute(page, PLAN)
    output = page.locator(CELLS).nth(2).locator(".jp-OutputArea")
    expect(output).to_contain_text("Why is the sky blue?", timeout=PATIENCE * 1000)
    expect(output).to_contain_text("1 student: ")
    assert served.cloudflare.requests == ()
