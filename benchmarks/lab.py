"""Measure what the extension costs JupyterLab in a long notebook, and the size of saved answers.

Usage: python benchmarks/lab.py [--cells N] [--rounds N] [--last ACTION] [--profile FILE]

The benchmark runs `%%cfai` in a kernel, saves the notebook with the answers, and opens it in two
JupyterLabs in Chromium: one has the extension from this checkout, the other has it disabled. The
kernels of both load `cfai_magics`. The first table shows the CPU time of the page's main thread,
which excludes other programs, as medians of alternating rounds. The second table shows the size
of the saved outputs, divided by the size of the answer's text and images.

`--profile` writes the CPU profile of one action, with the extension, for the developer tools.
"""

import argparse
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Browser, Page

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.browser import LOAD, Meter, new_page
from tests.browser.applications import CELLS, Served, application, make_current
from tests.browser.servers import NotebookPage, chromium
from tests.saved_answers import answer_text, kinds, plain, run_cells, saved_bytes, shown_bytes
from tests.standin import Standin

EXTENSION = "cfai-magics"
LIMITS = {"open": 1.1, "type": 1.5, "step": 1.1}
SIZE_LIMIT = 1.3
SIZES = (300, 4_000, 10_000)  # characters: a short answer of the lessons, an ordinary, a long one
ANSWER_SIZE = 2_500  # characters
SENTENCE = "The cat sat on a mat, and it was happy. "  # 40 characters
SENTENCES = 5
# A typist at 50 words a minute, who thinks before each sentence.
KEY_PAUSE, SENTENCE_PAUSE, STEP_PAUSE = 200, 1_200, 30  # ms
WAIT = 300_000  # ms
MOST_AT_REST = 0.05  # s of main thread time between two looks at an idle page
NAME = "long.ipynb"
OPEN = "path => jupyterapp.commands.execute('docmanager:open', {path}).then(() => null)"
SELECT = "index => { jupyterapp.shell.currentWidget.content.activeCellIndex = index; }"
EDIT = """async index => {
    const notebook = jupyterapp.shell.currentWidget.content;
    notebook.activeCellIndex = index;
    await notebook.scrollToItem(index);
    await notebook.activeCell.ready;
    notebook.mode = 'edit';
    notebook.activeCell.editor.focus();
}"""
SHUT_DOWN = "() => jupyterapp.shell.currentWidget.sessionContext.shutdown()"


class Lab:
    """A page of JupyterLab, and the actions that are measured in it."""

    def __init__(self, served: Served, page: Page, cells: int, key_pause: int) -> None:
        self.page = page
        self._cells = cells
        self._key_pause = key_pause
        self._address = served.address
        self._notebook = NotebookPage(page)

    def start(self, workspace: str) -> None:
        """Load JupyterLab without a notebook."""
        self.page.goto(self._address.replace("doc/tree/{}", f"lab/workspaces/{workspace}"))
        self.page.wait_for_function("() => window.jupyterapp", timeout=WAIT)
        self.page.evaluate("() => jupyterapp.restored.then(() => null)")

    def open(self) -> None:
        """Open the notebook, and wait until its first cells and its kernel are ready."""
        self.page.evaluate(OPEN, NAME)
        self.page.locator(f"{CELLS} .cm-content").first.wait_for(timeout=WAIT)
        idle = self.page.locator('.jp-NotebookPanel [data-status="idle"]')
        idle.first.wait_for(timeout=WAIT, state="attached")

    def select_first(self) -> None:
        """Select the first cell."""
        self.page.keyboard.press("Escape")
        self.page.evaluate(SELECT, 0)
        make_current(self.page.locator(CELLS).first)

    def step(self) -> None:
        """Select each cell in turn with the keyboard."""
        for _ in range(self._cells):
            self.page.keyboard.press("ArrowDown")
            self.page.wait_for_timeout(STEP_PAUSE)

    def edit_last(self) -> None:
        """Load the extension in the kernel, and put the cursor at the end of the last cell."""
        self._notebook.run(0)
        self.page.evaluate(EDIT, self._cells)
        self.page.locator(".jp-mod-active .cm-focused").wait_for(timeout=WAIT)
        self.page.keyboard.press("Control+End")

    def type(self) -> None:
        """Type 200 characters, with a pause after each sentence."""
        for _ in range(SENTENCES):
            self.page.keyboard.type(SENTENCE, delay=self._key_pause)
            self.page.wait_for_timeout(SENTENCE_PAUSE)


def measured_actions(options: argparse.Namespace) -> list[str]:
    """Return the actions up to the last one to measure."""
    actions = list(LIMITS)
    return actions[: actions.index(options.last) + 1]


def spent_when_idle(meter: Meter) -> float:
    """Wait until the page is idle, then return its main thread time so far, in seconds."""
    before, now = 0.0, meter.spent().busy
    while now - before > MOST_AT_REST:
        before, now = now, meter.spent().busy
    return now


def measure(
    served: Served, browser: Browser, name: str, profiled: str, options: argparse.Namespace
) -> tuple[dict[str, float], Any]:
    """Return the main thread time of each action in a new page, in ms, and the CPU profile."""
    times: dict[str, float] = {}
    profile: Any = None
    with new_page(browser) as page:
        lab, meter = Lab(served, page, options.cells, options.key_pause), Meter(page)
        steps: dict[str, tuple[Callable[[], None], Callable[[], None]]] = {
            "open": (lambda: lab.start(name), lab.open),
            "type": (lab.edit_last, lab.type),
            "step": (lab.select_first, lab.step),
        }
        tools = page.context.new_cdp_session(page)
        for action in measured_actions(options):
            prepare, run = steps[action]
            prepare()
            before = spent_when_idle(meter)
            if action == profiled:
                tools.send("Profiler.enable")
                tools.send("Profiler.start")
            run()
            times[action] = 1000 * (spent_when_idle(meter) - before)
            if action == profiled:
                profile = tools.send("Profiler.stop")["profile"]
        page.evaluate(SHUT_DOWN)
    return times, profile


def print_times(options: argparse.Namespace) -> None:
    """Open the notebook with and without the extension, and print the main thread times."""
    with (
        tempfile.TemporaryDirectory() as on_folder,
        tempfile.TemporaryDirectory() as off_folder,
        application("jupyterlab", Path(on_folder)) as on,
        application("jupyterlab", Path(off_folder), disabled=[EXTENSION]) as off,
        chromium() as browser,
    ):
        notebook = build_notebook(on, options.cells)
        for served in (on, off):
            nbformat.write(notebook, served.root / NAME)
        times: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
        for round_number in range(options.rounds):
            for served in (on, off):
                profiled = options.profiled if options.profile and served is on else ""
                found, profile = measure(
                    served, browser, f"round{round_number}", profiled, options
                )
                for action, time in found.items():
                    times[action][id(served)].append(time)
                if profile:
                    options.profile.write_text(json.dumps(profile), encoding="utf-8")
    print(f"{'action':<7} {'enabled':>8} {'disabled':>9} {'ratio':>6} {'limit':>6}   ms, rounds")
    for action in measured_actions(options):
        limit = LIMITS[action]
        pair = [times[action][id(served)] for served in (on, off)]
        enabled, disabled = map(median, pair)
        rounds = " | ".join(" ".join(f"{time:.0f}" for time in each) for each in pair)
        print(
            f"{action:<7} {enabled:>8.0f} {disabled:>9.0f} {enabled / disabled:>6.2f} "
            f"{limit:>6}   {rounds}"
        )


def build_notebook(served: Served, cells: int) -> NotebookNode:
    """Return a notebook with this number of answered cells."""
    answers = [plain(answer_text(ANSWER_SIZE, number)) for number in range(cells)]
    answered = run_cells(served.cloudflare, served.root / "home", answers)
    spec = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    return new_notebook(cells=[new_code_cell(LOAD), *answered], metadata=spec)


def print_sizes(sizes: Sequence[int]) -> None:
    """Print the size of the saved outputs of each kind of answer, and their parts."""
    print(f"{'answer':<10} {'size':>6} {'saved':>7} {'shown':>7} {'ratio':>6} {'limit':>6}")
    with tempfile.TemporaryDirectory() as home, Standin() as cloudflare:
        for size in sizes:
            by_name = kinds(size)
            cells = run_cells(cloudflare, Path(home), by_name.values())
            for (name, kind), cell in zip(by_name.items(), cells, strict=True):
                saved, shown = saved_bytes(cell), shown_bytes(cell, kind)
                print(
                    f"{name:<10} {size:>6} {saved:>7} {shown:>7} {saved / shown:>6.2f} "
                    f"{SIZE_LIMIT:>6}"
                )


def main() -> None:
    """Run the benchmark and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--key-pause", type=int, default=KEY_PAUSE, help="ms between two keys (default 200)"
    )
    parser.add_argument("--last", choices=LIMITS, default="step", help="last action to measure")
    parser.add_argument("--no-sizes", action="store_true", help="do not measure the saved sizes")
    parser.add_argument("--profile", type=Path, help="file for a CPU profile with the extension")
    parser.add_argument("--profiled", choices=LIMITS, default="type", help="action to profile")
    options = parser.parse_args()
    if not options.no_sizes:
        print_sizes(SIZES)
    print_times(options)


if __name__ == "__main__":
    main()
