"""Write docs/images/screen-capture.gif: cells that run in JupyterLab.

The kernel, the browser and the answers are real: the small model on this machine answers.
"""

import io
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from nbformat.v4 import new_code_cell
from PIL import Image
from playwright.sync_api import Page, ViewportSize

from cfai_magics.backends.local_model import fetch_model
from tests.browser.applications import application
from tests.browser.servers import PATIENCE, NotebookPage, chromium

OUTPUT = Path(__file__).parents[1] / "docs" / "images" / "screen-capture.gif"
VIEWPORT: ViewportSize = {"width": 960, "height": 720}  # pixels
INTERVAL = 0.2  # s between two pictures
SETTLED = 1.0  # s until the page has drawn an output
PAUSE = 3.0  # s to read a finished output
OUTSIDE = (0, 0)  # the pointer shows no menu of a cell there
COLORS = 128
SAMPLE = 8  # frames
CELLS = (
    "%load_ext cfai_magics\n%cfai local",
    "%%cfai\nName the four seasons of the year.",
    "%%cfai -n 3 -t 0,1 --max-tokens 16\nName an animal that lives in the sea.",
    "%%cfai --probs 3 -t 0 --max-tokens 20\nWhat color is the sky?",
)


def run_cell(page: Page, number: int) -> list[bytes]:
    """Run a cell; return PNG pictures of the page, in intervals, until its output can be read."""
    NotebookPage(page).run(number)
    cell = page.locator(".jp-CodeCell").nth(number)
    finished = cell.locator(".jp-InputPrompt").get_by_text(f"[{number + 1}]:")
    pictures = []
    deadline = time.monotonic() + PATIENCE
    while not finished.is_visible():
        if time.monotonic() > deadline:
            message = f"cell {number} is not finished after {PATIENCE} s"
            raise TimeoutError(message)
        pictures.append(page.screenshot())
        time.sleep(INTERVAL)
    cell.evaluate("cell => cell.scrollIntoView({ block: 'end' })")
    page.mouse.move(*OUTSIDE)
    time.sleep(SETTLED)
    return [*pictures, *[page.screenshot()] * round(PAUSE / INTERVAL)]


def write_gif(pictures: Sequence[bytes], path: Path) -> None:
    """Write pictures as an animation that repeats."""
    images = [Image.open(io.BytesIO(picture)).convert("RGB") for picture in pictures]
    # One palette for all frames, from some of them side by side.
    width, height = images[0].size
    sample = Image.new("RGB", (width, height * SAMPLE))
    for i in range(SAMPLE):
        sample.paste(images[i * (len(images) - 1) // (SAMPLE - 1)], (0, i * height))
    palette = sample.quantize(COLORS)
    frames = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    path.parent.mkdir(exist_ok=True)
    frames[0].save(
        path,
        save_all=True,
        append_images=frames[1:],
        duration=round(INTERVAL * 1000),
        loop=0,
        optimize=True,
    )


def main() -> None:
    """Run the cells and write the file."""
    model = fetch_model(Path.home() / ".cache" / "cfai-magics-tests")  # as in the tests
    with (
        tempfile.TemporaryDirectory() as folder,
        application("jupyterlab", Path(folder)) as served,
        chromium() as browser,
    ):
        (served.root / "home" / "models").mkdir(parents=True)
        (served.root / "home" / "models" / model.name).symlink_to(model)
        page = browser.new_page(viewport=VIEWPORT)
        served.open(page, "screen-capture", [new_code_cell(source) for source in CELLS])
        pictures = [picture for number in range(len(CELLS)) for picture in run_cell(page, number)]
    write_gif(pictures, OUTPUT)


if __name__ == "__main__":
    main()
