"""Size, start and memory of a JupyterLite site, compared with a site that never uses cfai-magics.

Run it with `CFAI_TEST_LITE` set to a Python with `cfai-magics[lite]`, and `CFAI_TEST_PYODIDE` set
to a folder with Pyodide. Both sites contain Pyodide, and both have the same packages. The time is
from the navigation to the first output of the first cell (1 + 1, or a recorded answer), with an
empty browser cache, and again in a new page. Memory is the private memory of all processes of
Chromium.
"""

import shutil
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from playwright.sync_api import BrowserContext  # noqa: E402

from tests.browser.lite import LitePage, build, serving, write_lesson  # noqa: E402
from tests.browser.servers import chromium  # noqa: E402

RECORDING = ROOT / "notebooks" / "quickstart.cfai.jsonl"
LESSONS = {
    "without cfai-magics": ["1 + 1"],
    "recorded answer": [
        "%load_ext cfai_magics\n%cfai replay only --instant",
        "%%cfai\nName the four seasons of the year.",
    ],
}


def main() -> None:
    """Print one row per site."""
    print(f"{'site':<22}{'MB':>8}{'first visit':>14}{'second':>10}{'memory':>10}")
    with tempfile.TemporaryDirectory() as temporary:
        for title, cells in LESSONS.items():
            folder = Path(temporary) / title.replace(" ", "-")
            site = _build_site(folder, cells)
            with serving(site) as origin, chromium() as browser:
                context = browser.new_context()
                times = [_measure(context, origin, len(cells) - 1) for _ in range(2)]
                memory = _chromium_memory()
            first, second = (f"{seconds:.1f} s" for seconds in times)
            size = sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) / 1e6
            print(f"{title:<22}{size:>8.1f}{first:>14}{second:>10}{memory / 1e6:>7.0f} MB")


def _build_site(folder: Path, cells: list[str]) -> Path:
    folder.mkdir()
    lesson = write_lesson(folder, *cells, name="lesson")
    shutil.copyfile(RECORDING, folder / "lesson.cfai.jsonl")
    build(folder / "site", lesson)
    return folder / "site"


def _measure(context: BrowserContext, origin: str, last_cell: int) -> float:
    """Return the seconds from opening the page until the last cell has an output."""
    page = context.new_page()
    lesson = LitePage(page, origin)
    start = time.perf_counter()
    lesson.open_lesson("lesson")
    lesson.run_all()
    output = page.locator(".jp-CodeCell").nth(last_cell).locator(".jp-OutputArea-output")
    output.first.wait_for(timeout=300_000)
    seconds = time.perf_counter() - start
    if len(context.pages) == 1:  # the second visit is measured without the first page
        context.new_page()
        page.close()
    return seconds


def _chromium_memory() -> float:
    """Return the bytes of private memory of Chromium, which this process has started."""
    processes = psutil.Process().children(recursive=True)
    return sum(one.memory_full_info().uss for one in processes if "chrom" in one.name())


if __name__ == "__main__":
    main()
