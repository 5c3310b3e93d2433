"""Build sites with `cfai lite build`, and open them in Chromium."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from cfai_magics.lite.server import create_server
from tests.browser.servers import NotebookPage, find_port
from tests.class_server import ClassServer
from tests.standin import Standin

ROOT = Path(__file__).parents[2]
# Python with the packages of the extra `lite`; the tests may run in another one.
PYTHON = os.environ.get("CFAI_TEST_LITE") or sys.executable
PYODIDE = Path(os.environ.get("CFAI_TEST_PYODIDE") or ROOT / "tests/pyodide/node_modules/pyodide")
LONG = 180_000  # ms; Pyodide starts in 7 s on two idle cores


def require_jupyterlite() -> None:
    """Skip a test if JupyterLite or Pyodide is missing."""
    command = [PYTHON, "-c", "import jupyterlite_core, jupyterlite_pyodide_kernel, hatchling"]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("JupyterLite is missing; run `make test-lite`")
    if not (PYODIDE / "pyodide.mjs").is_file():
        pytest.skip("Pyodide is missing; run `make test-lite`")


def build(output: Path, *lessons: Path, class_server: str = "") -> None:
    """Build a site that makes no request to a CDN."""
    require_jupyterlite()
    options = [f"--class-server={class_server}"] if class_server else []
    done = subprocess.run(
        [
            *(PYTHON, "-m", "cfai_magics", "lite", "build", *map(str, lessons)),
            *(f"--output={output}", f"--pyodide={PYODIDE}", *options),
        ],
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # The environment has the tools that build the wheel.
        env={**os.environ, "PYTHONPATH": str(ROOT), "PIP_NO_BUILD_ISOLATION": "0"},
    )
    assert done.returncode == 0, done.stdout


@contextmanager
def serving(folder: Path, port: int = 0) -> Iterator[str]:
    """Serve a site, and yield its origin."""
    with create_server(folder, port) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def write_lesson(folder: Path, *cells: str, name: str = "live") -> Path:
    """Write a lesson with these code cells, and return its path."""
    path = folder / f"{name}.ipynb"
    code = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    content = {
        "cells": [{**code, "id": f"c{i}", "source": cell} for i, cell in enumerate(cells)],
        "metadata": {"kernelspec": {"name": "python", "display_name": "Python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@contextmanager
def class_site(
    cloudflare: Standin, folder: Path, *lessons: Path, budget: float = 500
) -> Iterator[tuple[str, str]]:
    """Serve a site with a class server. Yield its origin, and the key of the student Ada."""
    port = find_port()
    variables = {"ALLOWED_ORIGINS": f"http://127.0.0.1:{port}"}
    with ClassServer(cloudflare, variables=variables) as server:
        key = server.add_student("Ada", budget=budget)
        build(folder / "site", *lessons, class_server=server.url)
        with serving(folder / "site", port) as origin:
            yield origin, key


def log_requests(context: BrowserContext) -> list[str]:
    """Return a list to which the URLs of all requests over HTTP are added."""
    urls: list[str] = []
    context.on("request", lambda request: urls.append(request.url))
    return urls


class LitePage(NotebookPage):
    """A lesson in a page of a JupyterLite site."""

    def __init__(self, page: Page, origin: str) -> None:
        super().__init__(page)
        self.origin = origin

    def open_lesson(self, name: str) -> None:
        """Open a lesson, and wait until its cells are shown."""
        self.page.goto(f"{self.origin}/lab/index.html?path={name}/{name}.ipynb")
        self.page.locator(".jp-Notebook .jp-CodeCell").first.wait_for(timeout=LONG)

    def run_all(self) -> None:
        """Run all cells with the menu."""
        self.page.locator(".jp-Notebook .jp-Cell").first.click()
        self.page.locator(".lm-MenuBar-item").get_by_text("Run", exact=True).click()
        self.page.locator(".lm-Menu").get_by_text("Run All Cells", exact=True).click()

    def expect_output(self, index: int, text: str) -> None:
        """Wait until the text is shown below a code cell."""
        output = self.page.locator(".jp-CodeCell").nth(index).locator(".jp-OutputArea")
        expect(output).to_contain_text(text, timeout=LONG)

    def read_outputs(self, index: int) -> str:
        """Return the text below a code cell. JupyterLab renders only cells that are in view."""
        self.page.locator(".jp-CodeCell").nth(index).scroll_into_view_if_needed()
        return " ".join(self.outputs(index))

    def answer(self, prompt: str, text: str) -> None:
        """Type text into the input field with this prompt."""
        field = self.page.locator(".jp-Stdin").filter(has_text=prompt).locator("input")
        field.fill(text, timeout=LONG)
        field.press("Enter")

    def log_in(self, index: int, key: str, keep: str = "n") -> None:
        """Run a cell with `%cfai login`, and answer its questions."""
        self.run(index)
        self.answer(f"This site is {self.origin.partition('://')[2]}", "y")
        self.answer("Key for", key)
        self.answer("Keep the key in this browser", keep)
        self.expect_output(index, "Logged in as Ada")
