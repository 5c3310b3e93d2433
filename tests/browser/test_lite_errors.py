"""What goes wrong in a site is one message, and nothing is lost."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Route, expect

from tests.browser.lite import LONG, LitePage, build, class_site, serving, write_lesson
from tests.class_server import MODEL
from tests.notebooks import NOTEBOOKS
from tests.standin import Standin

pytestmark = [pytest.mark.slow, pytest.mark.browser]

CELLS = (
    "%load_ext cfai_magics",
    "%cfai login",
    f"%%cfai -m {MODEL} --max-tokens 30\nHello",
    "%cfai status",
)
LOAD, LOGIN, ASK, STATUS = range(4)
WITHOUT_JSPI = "delete WebAssembly.Suspending; delete WebAssembly.promising;\n"
KERNEL_SCRIPTS = "**/@jupyterlite/pyodide-kernel-extension/static/*.js*"


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    created = browser.new_context()
    yield created
    created.close()


def test_a_site_without_python_says_where_it_was_expected(
    context: BrowserContext, tmp_path: Path
) -> None:
    build(tmp_path / "site", write_lesson(tmp_path, *CELLS))
    context.route("**/pyodide.mjs", lambda route: route.abort())
    with serving(tmp_path / "site") as origin:
        page = context.new_page()
        LitePage(page, origin).open_lesson("live")
        message = page.locator(".Toastify").get_by_text(
            "Python could not be loaded from 127.0.0.1"
        )
        expect(message).to_have_count(1, timeout=LONG)
        expect(message).to_contain_text("Check the network, then reload the page.")


def test_a_browser_without_jspi_shows_whole_answers_and_has_no_stop_button(
    context: BrowserContext, tmp_path: Path, cloudflare: Standin
) -> None:
    def remove_jspi(route: Route) -> None:
        response = route.fetch()
        route.fulfill(response=response, body=WITHOUT_JSPI + response.text())

    context.route(KERNEL_SCRIPTS, remove_jspi)
    lesson_path = write_lesson(tmp_path, *CELLS)
    with class_site(cloudflare, tmp_path, lesson_path) as (origin, key):
        lesson = LitePage(context.new_page(), origin)
        lesson.open_lesson("live")
        lesson.run(LOAD)
        lesson.log_in(LOGIN, key)
        lesson.run(ASK)
        lesson.expect_output(ASK, "neurons billed")
        lesson.run(STATUS)
        lesson.expect_output(STATUS, "because the browser has no JSPI")
        lesson.expect_output(STATUS, "a running cell can't be interrupted")


def test_a_changed_question_of_a_recorded_lesson_says_what_differs(
    context: BrowserContext, tmp_path: Path
) -> None:
    quickstart = next(path for path in NOTEBOOKS if path.name == "quickstart.ipynb")
    build(tmp_path / "site", quickstart)
    with serving(tmp_path / "site") as origin:
        page = context.new_page()
        lesson = LitePage(page, origin)
        lesson.open_lesson("quickstart")
        lesson.run(0)
        cell = page.locator(".jp-CodeCell").nth(2)
        cell.locator(".cm-content").fill("%%cfai\nName the four seasons of the moon.")
        lesson.run(2)
        lesson.expect_output(2, "“…ns of the moon.” instead of “…ns of the year.”")
        lesson.expect_output(2, "Nothing was sent. In the browser, other questions need a class")
