"""A notebook shows the usage of another one; each has its own kernel and page."""

from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell
from playwright.sync_api import Browser, Locator, Page, expect

from cfai_magics.display.tables import format_neurons
from tests.browser.applications import application
from tests.browser.servers import PATIENCE, NotebookPage

pytestmark = pytest.mark.browser

ASK = "%%cfai\nTell a story."
LOAD = "%load_ext cfai_magics"
KERNEL = "() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.id"
INTERRUPT = "() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.interrupt()"
LONG = PATIENCE * 1000  # ms


def test_panel_and_meter_show_the_usage_of_another_kernel(
    browser: Browser, tmp_path: Path
) -> None:
    context = browser.new_context()
    with application("jupyterlab", tmp_path) as served:
        teacher, student = context.new_page(), context.new_page()
        for page, name, cell in (
            (teacher, "teacher", "%cfai panel"),
            (student, "student", ASK),
        ):
            served.open(page, name, [new_code_cell(source) for source in (LOAD, cell, cell)])
            NotebookPage(page).run(0)
        assert teacher.evaluate(KERNEL) != student.evaluate(KERNEL)
        NotebookPage(teacher).run(1)
        expect(legend(teacher)).to_contain_text("billed 0", timeout=LONG)
        expect(meter(teacher)).to_have_text("0 / 10,000 neurons", timeout=LONG)

        NotebookPage(student).run(1)
        NotebookPage(student).wait_for_text(1, "neurons billed")
        billed = format_neurons(served.cloudflare.billed)
        expect(legend(teacher)).to_contain_text(f"billed {billed}", timeout=LONG)
        expect(meter(teacher)).to_have_text(f"{billed} / 10,000 neurons", timeout=LONG)

        served.cloudflare.switch(answer="word " * 9000, tokens_per_second=100)
        NotebookPage(student).run(2)
        expect(legend(teacher)).not_to_contain_text("reserved 0", timeout=LONG)
        student.evaluate(INTERRUPT)
        expect(legend(teacher)).to_contain_text("reserved 0", timeout=LONG)
    context.close()


def legend(page: Page) -> Locator:
    return page.locator(".cfai-panel .cfai-legend")


def meter(page: Page) -> Locator:
    return page.locator(".jp-CfaiMeter-button")
