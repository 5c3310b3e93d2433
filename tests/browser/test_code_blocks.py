"""The buttons on the code blocks of answers."""

import json
from pathlib import Path

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_output
from playwright.sync_api import Locator, Page, expect

from tests.browser.applications import CELLS, Served, application, execute, saved
from tests.browser.servers import PATIENCE, NotebookPage

pytestmark = pytest.mark.browser

LONG = PATIENCE * 1000  # ms
LOAD = "%load_ext cfai_magics"
CODE = 'def f(x: int) -> str:\n\treturn "<b>" if x < 1 & 2 else "  "\n\n# ```'
SHELL = "pip install weather"
ANSWER = f"""Run this:

````python
{CODE}
````

Then:

- ```sh
  {SHELL}
  ```

`x` is a name."""
SETTINGS = "cfai-magics/code-blocks"
# What JupyterLab's "Copy Output to Clipboard" does.
SELECT_AND_COPY = """element => {
  getSelection().selectAllChildren(element);
  document.execCommand('copy');
}"""
READ_HTML = """async () => {
  const [item] = await navigator.clipboard.read();
  return (await item.getType('text/html')).text();
}"""


def saved_answer(source: str) -> NotebookNode:
    outputs = [new_output("display_data", data={"text/markdown": ANSWER, "text/plain": ANSWER})]
    return new_code_cell(source, execution_count=1, outputs=outputs)


@pytest.fixture
def notebook(served: Served, page: Page, request: pytest.FixtureRequest) -> Path:
    cells = [
        new_code_cell(LOAD),
        saved_answer("%%cfai\nHow?"),
        saved_answer("%cfai fix 1"),
        saved_answer("print('no answer')"),
        new_code_cell("%%cfai\nAgain?"),
        new_code_cell("%%cfai -n 2\nAgain?"),
    ]
    return served.open(page, request.node.originalname, cells)


def copy_buttons(page: Page, index: int) -> Locator:
    return page.locator(CELLS).nth(index).get_by_role("button", name="Copy code")


def insert_buttons(page: Page, index: int) -> Locator:
    name = "Insert code in a new cell below"
    return page.locator(CELLS).nth(index).get_by_role("button", name=name)


def copied(page: Page) -> str:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    text: str = page.evaluate("() => navigator.clipboard.readText()")
    return text


def test_each_code_block_of_a_saved_answer_has_buttons(page: Page, notebook: Path) -> None:
    for index, blocks in ((1, 2), (2, 2), (3, 0)):
        expect(copy_buttons(page, index)).to_have_count(blocks)
        expect(insert_buttons(page, index)).to_have_count(blocks)


def test_the_buttons_are_visible_on_hover_and_do_not_change_the_layout(
    page: Page, notebook: Path
) -> None:
    buttons = page.locator(CELLS).nth(1).locator(".jp-CfaiCode-buttons").first
    expect(buttons).to_have_css("opacity", "0")
    page.locator(CELLS).nth(1).locator("pre").first.hover()
    expect(buttons).to_have_css("opacity", "1")
    with_buttons = page.locator(CELLS).nth(1).locator(".jp-OutputArea-output").bounding_box()
    without = page.locator(CELLS).nth(3).locator(".jp-OutputArea-output").bounding_box()
    assert with_buttons["height"] == without["height"]


def test_copy_copies_the_exact_code_and_confirms(page: Page, notebook: Path) -> None:
    buttons = page.locator(CELLS).nth(1).locator(".jp-CfaiCode-button")
    copy_buttons(page, 1).first.click()
    expect(buttons.first).to_have_attribute("aria-label", "Copied")
    expect(page.get_by_role("status").filter(has_text="Copied")).to_have_count(1)
    assert copied(page) == CODE
    expect(copy_buttons(page, 1)).to_have_count(2)
    copy_buttons(page, 1).nth(1).click()
    assert copied(page) == SHELL


def test_insert_adds_a_cell_that_is_edited_and_not_run(
    page: Page, notebook: Path, served: Served
) -> None:
    insert_buttons(page, 1).first.click()
    inserted = page.locator(CELLS).nth(2)
    expect(inserted.get_by_role("textbox")).to_be_focused()
    expect(page.locator(".jp-Notebook.jp-mod-editMode")).to_have_count(1)
    expect(inserted.locator(".jp-InputPrompt")).to_have_text("[ ]:")
    insert_buttons(page, 1).nth(1).click()
    expect(page.locator(CELLS)).to_have_count(8)
    assert saved(page, notebook)[1:4] == ["%%cfai\nHow?", SHELL, CODE]
    assert served.cloudflare.requests == ()


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_the_buttons_work_with_the_keyboard(page: Page, notebook: Path, key: str) -> None:
    expect(copy_buttons(page, 1)).to_have_count(2)
    page.locator(CELLS).nth(1).locator(".jp-InputPrompt").click()
    button = copy_buttons(page, 1).first
    for _ in range(20):
        if button.evaluate("element => element === document.activeElement"):
            break
        page.keyboard.press("Tab")
    expect(button).to_be_focused()
    expect(page.locator(CELLS).nth(1).locator(".jp-CfaiCode-buttons").first).to_have_css(
        "opacity", "1"
    )
    page.keyboard.press(key)
    assert copied(page) == CODE
    expect(page.locator(".jp-Notebook.jp-mod-commandMode")).to_have_count(1)
    page.keyboard.press("Tab")
    expect(insert_buttons(page, 1).first).to_be_focused()
    page.keyboard.press(key)
    expect(page.locator(CELLS).nth(2).get_by_role("textbox")).to_be_focused()
    assert saved(page, notebook)[2] == CODE


def test_streamed_and_repeated_answers_have_one_pair_per_block(
    page: Page, notebook: Path, served: Served
) -> None:
    served.cloudflare.switch(answer=ANSWER + " word" * 100, tokens_per_second=60)
    lesson = NotebookPage(page)
    lesson.run(0)
    for _ in range(2):
        page.locator(CELLS).nth(4).locator(".cm-content").click()
        page.keyboard.press("Control+Enter")
        expect(page.locator(CELLS).nth(4).locator(".jp-InputPrompt")).to_have_text("[*]:")
        lesson.wait_for_text(4, "is a name")
        expect(copy_buttons(page, 4)).to_have_count(2)
        expect(page.locator(CELLS).nth(4).get_by_text("neurons billed")).to_have_count(0)
        lesson.wait_for_text(4, "neurons billed")
        expect(copy_buttons(page, 4)).to_have_count(2)
        expect(insert_buttons(page, 4)).to_have_count(2)
    copy_buttons(page, 4).first.click()
    assert copied(page) == CODE


def test_answers_side_by_side_have_buttons(page: Page, notebook: Path, served: Served) -> None:
    served.cloudflare.switch(answer=ANSWER)
    lesson = NotebookPage(page)
    lesson.run(0)
    lesson.run(5)
    lesson.wait_for_text(5, "in total, billed")
    # The answers are identical, so they are shown once.
    expect(copy_buttons(page, 5)).to_have_count(2)
    copy_buttons(page, 5).nth(1).click()
    assert copied(page) == SHELL


def test_a_restored_cell_has_buttons(page: Page, notebook: Path) -> None:
    expect(copy_buttons(page, 1)).to_have_count(2)
    page.locator(CELLS).nth(1).locator(".jp-InputPrompt").click()
    page.keyboard.type("dd")
    expect(page.locator(CELLS)).to_have_count(5)
    page.keyboard.press("z")
    expect(page.locator(CELLS)).to_have_count(6)
    expect(copy_buttons(page, 1)).to_have_count(2)


def test_answers_far_below_have_buttons_when_they_are_shown(
    served: Served, page: Page, request: pytest.FixtureRequest
) -> None:
    cells = [saved_answer(f"%%cfai\nQuestion {n}") for n in range(60)]
    served.open(page, request.node.originalname, [new_code_cell(LOAD), *cells])
    page.evaluate("() => jupyterapp.shell.currentWidget.content.scrollToItem(60)")
    last = page.locator('.jp-Cell[data-windowed-list-index="60"]')
    expect(last.get_by_role("button", name="Copy code")).to_have_count(2)


def test_a_read_only_notebook_has_only_copy_buttons(
    page: Page, notebook: Path, served: Served
) -> None:
    page.evaluate("() => { jupyterapp.shell.currentWidget.content.model.readOnly = true; }")
    served.cloudflare.switch(answer=ANSWER)
    lesson = NotebookPage(page)
    lesson.run(0)
    lesson.run(4)
    lesson.wait_for_text(4, "neurons billed")
    expect(copy_buttons(page, 4)).to_have_count(2)
    expect(insert_buttons(page, 4)).to_have_count(0)


def test_the_buttons_are_not_in_the_file_or_in_a_copied_output(page: Page, notebook: Path) -> None:
    expect(copy_buttons(page, 1)).to_have_count(2)
    assert len(saved(page, notebook)) == 6
    outputs = json.loads(notebook.read_text(encoding="utf-8"))["cells"][1]["outputs"]
    assert "".join(outputs[0]["data"]["text/markdown"]) == ANSWER
    assert "jp-Cfai" not in notebook.read_text(encoding="utf-8")
    page.locator(CELLS).nth(1).locator(".jp-OutputArea-output").evaluate(SELECT_AND_COPY)
    assert CODE in copied(page)
    html = page.evaluate(READ_HTML)
    assert "pip install" in html
    assert "<button" not in html


def test_the_setting_removes_and_adds_the_buttons(page: Page, tmp_path: Path) -> None:
    with application("jupyterlab", tmp_path, {SETTINGS: {"enabled": False}}) as served:
        served.open(page, "lesson", [new_code_cell(LOAD), saved_answer("%%cfai\nHow?")])
        toolbars = page.locator(".jp-CfaiCode")
        expect(page.locator(CELLS).nth(1).locator("pre")).to_have_count(2)
        expect(toolbars).to_have_count(0)
        execute(page, "settingeditor:open", query="code blocks")
        enabled = page.get_by_role("checkbox", name="Show buttons on code blocks of answers")
        enabled.check(timeout=LONG)
        expect(toolbars).to_have_count(2)
        enabled.uncheck()
        expect(toolbars).to_have_count(0)
