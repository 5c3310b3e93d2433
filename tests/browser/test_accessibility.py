"""Accessibility: axe checks the extension's UI in each JupyterLab theme; no animations."""

import os
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_output
from playwright.sync_api import Page, expect

from tests.browser.applications import Served, editor
from tests.browser.servers import PATIENCE, NotebookPage

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[2] / "labextension" / "node_modules" / "axe-core" / "axe.min.js"
OURS = '[class*="jp-Cfai"]'
SCREENSHOTS = os.environ.get("CFAI_SCREENSHOTS")  # folder for the images
THEMES = ("JupyterLab Light", "JupyterLab Dark", "JupyterLab Dark High Contrast")
# Impact levels of axe that fail the test.
SERIOUS = {"serious", "critical"}


LOAD, FAILS, ASKS = "%load_ext cfai_magics", "1/0", "%%cfai -m gemma-4-26b-a4b-it\nWhy?"
PANEL = "%cfai panel"
MODEL_TEMPERATURE = "Use the model's default temperature"
LONG = PATIENCE * 1000  # ms


@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_no_serious_violations(theme: str, served: Served, page: Page) -> None:
    cells = [new_code_cell(cell) for cell in (LOAD, FAILS, ASKS, PANEL)]
    cells[2].outputs = [new_output("display_data", data={"text/markdown": "```\nx = 1\n```"})]
    served.open(page, theme, cells)
    page.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
    expect(page.locator("body")).to_have_attribute("data-jp-theme-name", theme)
    NotebookPage(page).run(0)
    picker = page.locator(".jp-CfaiPicker-button")
    expect(picker).to_be_visible(timeout=LONG)
    NotebookPage(page).run(1)
    expect(page.locator(".jp-CfaiCellButtons")).to_be_visible()
    editor(page, 2).click()
    expect(page.locator(".jp-CfaiEstimate")).to_be_visible(timeout=LONG)
    page.locator(".jp-CfaiCode-buttons").hover()
    load_axe(page)
    assert serious(page) == []
    picker.click()
    expect(page.locator(".jp-CfaiModels-option").first).to_be_visible()
    shoot(page, f"picker {theme}")
    assert serious(page) == []
    page.keyboard.press("Escape")
    page.locator(".jp-CfaiMeter-button").click()
    details = page.get_by_role("dialog", name="Neurons today")
    expect(details.get_by_role("table").or_(details.get_by_text("No calls today"))).to_be_visible()
    shoot(page, f"meter {theme}")
    assert serious(page) == []
    page.keyboard.press("Escape")
    page.evaluate("() => jupyterapp.commands.execute('cfai:show-panel')")
    dock = page.locator(".jp-CfaiDock .cfai-panel")
    dock.get_by_label(MODEL_TEMPERATURE).uncheck(timeout=LONG)
    expect(dock.get_by_role("slider", name="Temperature (0 to 5)")).to_be_visible()
    dock.get_by_role("button", name="Change…").click()
    expect(dock.get_by_role("button", name="Verify")).to_be_visible()
    shoot(page, f"dock {theme}")
    assert serious(page) == []
    NotebookPage(page).run(3)
    output = page.locator(".jp-OutputArea .cfai-panel")
    expect(output.get_by_label("Temperature (0 to 5)")).to_be_visible(timeout=LONG)
    shoot(page, f"panel {theme}")
    assert serious(page, ".jp-OutputArea .cfai-panel") == []


def load_axe(page: Page) -> None:
    """Load axe into the page.

    The body of JupyterLab's page has no height and hides its overflow. For axe, everything in it
    would be hidden, and the contrast of colors would not be checked.
    """
    page.add_script_tag(path=AXE)
    page.add_style_tag(content="body { height: 100vh; }")


def serious(page: Page, selector: str = OURS) -> list[object]:
    result = page.evaluate("selector => axe.run(selector)", selector)
    assert result["passes"], "axe did not check any element"
    return [rule for rule in result["violations"] if rule["impact"] in SERIOUS]


def shoot(page: Page, name: str) -> None:
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png")


@pytest.mark.parametrize("served", ["jupyterlab"], indirect=True)
def test_the_extension_has_no_animations(served: Served, page: Page) -> None:
    """Nothing has to be disabled for users who prefer reduced motion."""
    served.open(page, "still", [new_code_cell(LOAD)])
    NotebookPage(page).run(0)
    page.locator(".jp-CfaiMeter-button").click(timeout=LONG)
    moving = """ours => [...document.querySelectorAll(ours)].filter(each => {
      const { animationName, transitionDuration } = getComputedStyle(each);
      return animationName !== 'none' || transitionDuration !== '0s';
    }).map(each => each.className)"""
    assert page.locator(OURS).count() > 3
    assert page.evaluate(moving, OURS) == []
