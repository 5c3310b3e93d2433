"""Hostile answers in real front ends do not load or run content; prices are not formulas."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import nbformat
import pytest
from nbformat.v4 import new_code_cell
from playwright.sync_api import Browser, Page

from cfai_magics.markdown.blocks import strip_remote_content
from tests.browser.applications import Served, execute
from tests.browser.servers import PATIENCE, NotebookPage
from tests.markdown.test_markdown import ATTACKS, EVIL

pytestmark = pytest.mark.browser

RAN = "window.cfaiRan = true"
PRICES = "It costs $5 and then $10, so $5."
QUESTIONS = ("%%cfai\nAttack.", "%%cfai -n 2\nAttack.", "%%cfai\nPrices.", "%%cfai -n 2\nPrices.")


class Elsewhere:
    """A server of the attacker; `paths` are the requests it received."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.address = ""


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    state = Elsewhere()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.paths.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "image/png")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with _serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        state.address = f"http://127.0.0.1:{port}"
        yield state


@contextmanager
def _serving(server: ThreadingHTTPServer) -> Iterator[int]:
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def hostile(elsewhere: Elsewhere) -> str:
    """Return an answer with all attacks; each one requests its own path."""
    texts = (
        text.replace(EVIL, f"{elsewhere.address}/{name.replace(' ', '-')}.png")
        for name, text in ATTACKS.items()
    )
    return "\n\n".join(texts).replace("alert(1)", RAN) + "\n\nThe end."


def test_a_hostile_answer_does_not_load_or_run_content(
    served: Served, page: Page, elsewhere: Elsewhere, browser: Browser
) -> None:
    cells = [new_code_cell(source) for source in ("%load_ext cfai_magics", *QUESTIONS)]
    path = served.open(page, "hostile", cells)
    lesson = NotebookPage(page)
    lesson.run(0)
    served.cloudflare.switch(answer=hostile(elsewhere))
    for at in (1, 2):
        lesson.run(at)
        lesson.wait_for_text(at, "neurons billed")
    lesson.wait_for_text(1, "The end.")
    served.cloudflare.switch(
        answer=f"{PRICES} But \\( e^{{i\\pi}} \\) and \\[ a^2 \\] are formulas."
    )
    for at in (3, 4):
        lesson.run(at)
        lesson.wait_for_text(at, "neurons billed")
        lesson.wait_for_text(at, PRICES)
    areas = [page.locator(".jp-CodeCell").nth(at).locator(".jp-OutputArea") for at in range(5)]
    for area in areas[3:]:  # the two identical answers are shown once
        area.locator("mjx-container").nth(1).wait_for(timeout=PATIENCE * 1000)
        assert area.locator("mjx-container").count() == 2
    for area in areas[1:3]:
        shown = area.locator(".jp-OutputArea-output")
        icons = ".jp-CfaiCode svg"  # of the buttons of code blocks
        active = shown.locator(f"img, svg:not({icons}), iframe, style, script, [onclick]")
        assert active.count() == 0
        links = shown.locator("a").evaluate_all("links => links.map(link => link.href)")
        assert not [link for link in links if not link.startswith(("http", "mailto:"))]
    assert page.evaluate("() => window.cfaiRan") is None
    execute(page, "docmanager:save")
    assert elsewhere.paths == []

    exported = export(path)
    context = browser.new_context()
    reader = context.new_page()
    reader.route(
        "**/*", lambda route: route.continue_() if _is_local(route.request.url) else route.abort()
    )
    reader.goto(exported.as_uri())
    reader.get_by_text("The end.").first.wait_for()
    assert reader.get_by_text(PRICES).count() >= 2
    assert reader.evaluate("() => window.cfaiRan") is None
    assert elsewhere.paths == []
    context.close()


def _is_local(address: str) -> bool:
    return address.startswith(("file:", "data:", "http://127.0.0.1"))


def export(notebook: Path) -> Path:
    """Convert a notebook to an HTML page with nbconvert."""
    command = [sys.executable, "-m", "nbconvert", "--to", "html", str(notebook)]
    subprocess.run(command, check=True, capture_output=True)
    return notebook.with_suffix(".html")


def test_the_attacks_work_if_the_answer_is_not_rewritten(
    browser: Browser, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    # nbconvert rejects "attachment:".
    answer = hostile(elsewhere).replace("attachment:", "attached-")
    results = {}
    for name, text in (("raw", answer), ("rewritten", strip_remote_content(answer))):
        output = nbformat.v4.new_output("display_data", {"text/markdown": text})
        cell = new_code_cell(outputs=[output])
        path = tmp_path / f"{name}.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
        page = browser.new_page()
        page.route(
            "**/*",
            lambda route: route.continue_() if _is_local(route.request.url) else route.abort(),
        )
        page.goto(export(path).as_uri())
        page.wait_for_load_state("load")
        results[name] = (len(elsewhere.paths), page.evaluate("() => window.cfaiRan"))
        elsewhere.paths.clear()
        page.close()
    assert results["raw"][0] > 0
    assert results["raw"][1] is True
    assert results["rewritten"] == (0, None)
