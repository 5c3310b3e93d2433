"""Start a real JupyterLab or Notebook 7 on loopback, and a real browser."""

import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import which

from playwright.sync_api import Browser, Page, expect, sync_playwright
from playwright.sync_api import TimeoutError as NotShown

# Python with the JupyterLab and Notebook to serve; the tests may run in another one.
PYTHON = os.environ.get("CFAI_TEST_JUPYTER") or sys.executable
PATIENCE = 120  # s before a silent server or page counts as hung
TO_END = 20  # s from SIGTERM to SIGKILL
TRIES, SHORT = 20, 3000  # ms
QUIET_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def jupyter(application: str, root: Path) -> Iterator[str]:
    """Serve a folder with `jupyterlab` or `notebook`; yield a URL with {} for the path."""
    port, token = find_port(), secrets.token_hex(16)
    command = [
        *(PYTHON, "-m", application, "--no-browser", "--allow-root"),
        *(f"--ServerApp.port={port}", f"--ServerApp.root_dir={root}"),
        *(f"--IdentityProvider.token={token}", "--ServerApp.ip=127.0.0.1"),
    ]
    environ = {**os.environ, "JUPYTER_CONFIG_DIR": str(root / ".jupyter")}
    with (root / "server.log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=root, env=environ)
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for(f"{address}/api?token={token}", server)
            yield f"{address}/{{}}?token={token}"
        finally:
            _end(server)


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(timeout=TO_END)
    except subprocess.TimeoutExpired:  # the server waits for a busy kernel
        server.kill()
        server.wait()


def find_port() -> int:
    """Return a free port on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while server.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError("the Jupyter server did not start; see server.log")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the system's Chromium, or Playwright's own if it is missing."""
    with sync_playwright() as playwright:
        system = which("chromium") or which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=system, args=list(QUIET_FLAGS))
        yield browser
        browser.close()


class NotebookPage:
    """A notebook open in a page of JupyterLab or Notebook 7."""

    def __init__(self, page: Page) -> None:
        self.page = page
        # On a busy machine, JupyterLab may show a dialog about a slow server.
        page.add_locator_handler(
            page.locator(".jp-Dialog"),
            lambda dialog: dialog.locator(".jp-mod-accept").first.click(),
        )

    def open(self, address: str) -> None:
        """Open the notebook and wait for its kernel."""
        self.page.goto(address)
        self.page.locator(".jp-Notebook .jp-CodeCell").first.wait_for(timeout=PATIENCE * 1000)
        self.page.locator('[data-status="idle"]').first.wait_for(
            timeout=PATIENCE * 1000, state="attached"
        )

    def run(self, index: int) -> None:
        """Run a code cell that has not run yet; repeat if the page misses the key."""
        cell = self.page.locator(".jp-CodeCell").nth(index)
        unrun = cell.locator(".jp-InputPrompt").get_by_text("[ ]:")
        for _ in range(TRIES):
            cell.locator(".cm-content").first.click()
            self.page.keyboard.press("Control+Enter")
            try:
                unrun.wait_for(state="detached", timeout=SHORT)
            except NotShown:
                continue
            return
        raise AssertionError(f"cell {index} does not run")

    def outputs(self, index: int) -> list[str]:
        """Return the text of each output below a code cell."""
        cell = self.page.locator(".jp-CodeCell").nth(index)
        # JupyterLab adds an output before it renders its Markdown, which can be empty.
        with suppress(AssertionError):
            expect(cell.locator(".jp-RenderedMarkdown:empty")).to_have_count(0, timeout=SHORT)
        shown = cell.locator(".jp-OutputArea-output")
        return [text.strip() for text in shown.all_inner_texts()]

    def wait_for_text(self, index: int, text: str) -> None:
        """Wait until the text is shown below a code cell."""
        area = self.page.locator(".jp-CodeCell").nth(index).locator(".jp-OutputArea")
        area.get_by_text(text).first.wait_for(timeout=PATIENCE * 1000)
