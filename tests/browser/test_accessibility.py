"""axe looks at what we put into the page, in every theme of JupyterLab's own."""

from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell
from playwright.sync_api import Page, expect

from tests.browser.applications import Served
from tests.browser.servers import NotebookPage

AXE = Path(__file__).parents[2] / "labextension" / "node_modules" / "axe-core" / "axe.min.js"
OURS = '[class*="jp-Cfai"]'
THEMES = ("JupyterLab Light", "JupyterLab Dark", "JupyterLab Dark High Contrast")
# Who can't see or use it: axe's own names for how much a finding weighs.
SERIOUS = {"serious", "critical"}


@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing_serious(
    theme: str, served: Served, page: Page, request: pytest.FixtureRequest
) -> None:
    served.open(page, request.node.originalname, [new_code_cell("1/0")])
    page.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
    expect(page.locator("body")).to_have_attribute("data-jp-theme-name", theme)
    NotebookPage(page).run(0)
    expect(page.locator(OURS).first).to_be_visible()
    page.add_script_tag(path=AXE)
    found = page.evaluate("ours => axe.run(ours)", OURS)
    assert found["passes"], "axe looked at nothing"
    assert [rule for rule in found["violations"] if rule["impact"] in SERIOUS] == []
