"""Measure what one long answer costs the browser, compared with whole-text updates.

Usage: python benchmarks/browser.py [--rate TOKENS_PER_SECOND] [--rounds N] [TOKENS ...]

The benchmark runs JupyterLab in Chromium, with the JupyterLab extension from this checkout. It
measures the CPU time of the page's main thread, which excludes other programs. The table shows the
lowest time of all rounds, and the number of bytes that the page received over its websockets.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nbformat.v4 import new_code_cell
from playwright.sync_api import Browser, CDPSession, Page

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.iopub import WAYS, answer_of
from tests.browser.applications import Served, application
from tests.browser.servers import NotebookPage, chromium

BESIDE = "whole text, 10 a second"
SHOWN = ("%%cfai", BESIDE)
LOAD = "%load_ext cfai_magics"
AT_REST = 2_000  # ms to wait until the page is idle
HOUR = 3_600_000  # ms


@dataclass(frozen=True, order=True)
class Spent:
    """The cost of one answer: main thread time in seconds, and websocket bytes received."""

    busy: float
    bytes: int


class Meter:
    """A meter for a page's main thread time and websocket bytes."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.bytes = 0
        page.on("websocket", lambda socket: socket.on("framereceived", self._count))
        self._tools: CDPSession = page.context.new_cdp_session(page)
        self._tools.send("Performance.enable", {"timeDomain": "threadTicks"})

    def _count(self, frame: str | bytes) -> None:
        self.bytes += len(frame.encode() if isinstance(frame, str) else frame)

    def spent(self) -> Spent:
        """Wait until the page is idle, then return its cost so far."""
        self.page.wait_for_timeout(AT_REST)
        response = self._tools.send("Performance.getMetrics")["metrics"]
        metrics = {each["name"]: each["value"] for each in response}
        return Spent(metrics["TaskDuration"], self.bytes)


@contextmanager
def new_page(browser: Browser) -> Iterator[Page]:
    """Open a new page, and close it at the end of the `with` block."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()


def measured(served: Served, browser: Browser, code: str) -> Spent:
    """Run a cell in a new page with a new kernel, and return its cost for the page."""
    with new_page(browser) as page:
        meter = Meter(page)
        served.open(page, "measured", [new_code_cell(LOAD), new_code_cell(code)])
        notebook = NotebookPage(page)
        notebook.run(0)
        page.locator(".jp-CfaiMeter-button").wait_for(timeout=HOUR)
        before = meter.spent()
        notebook.run(1)
        page.locator(".jp-CodeCell").nth(1).get_by_text("[2]:").wait_for(timeout=HOUR)
        after = meter.spent()
        page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    return Spent(after.busy - before.busy, after.bytes - before.bytes)


def main() -> None:
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tokens", nargs="*", type=int, default=[2000, 8000])
    parser.add_argument("--rate", type=float, default=250, help="tokens a second (default 250)")
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    print(f"{'tokens':>7} {'way':<26} {'busy s':>7} {'beside':>7} {'MB':>7} {'beside':>7}")
    with (
        tempfile.TemporaryDirectory() as folder,
        chromium() as browser,
        application("jupyterlab", Path(folder)) as served,
    ):
        for tokens in options.tokens:
            best: dict[str, Spent] = {}
            for _ in range(options.rounds):
                for way in SHOWN:
                    answer = answer_of(tokens)
                    code = WAYS[way].format(prompt="Go")
                    served.cloudflare.switch(answer=answer, tokens_per_second=options.rate)
                    found = measured(served, browser, code)
                    best[way] = min(best.get(way, found), found)
            beside = best[BESIDE]
            for way, spent in best.items():
                print(
                    f"{tokens:>7} {way:<26} {spent.busy:>7.2f} {spent.busy / beside.busy:>6.2f}x "
                    f"{spent.bytes / 1e6:>7.3f} {spent.bytes / beside.bytes:>6.2f}x",
                    flush=True,
                )


if __name__ == "__main__":
    main()
