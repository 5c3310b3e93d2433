"""With forced colors, all drawn parts of the UI stay visible."""

import io

import pytest
from nbformat.v4 import new_code_cell
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from cfai_magics.backends.selector import account_hash
from cfai_magics.storage.ledger import CallContext, CallOutcome, Ledger
from cfai_magics.types.usage import CostBasis, Usage
from tests.browser.applications import Served, application
from tests.browser.servers import PATIENCE, NotebookPage

pytestmark = pytest.mark.browser

MODEL = "@cf/an-author/a-model"
LONG = PATIENCE * 1000  # ms


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_gauge_meter_chart_and_selection_stay_visible(
    scheme: str, browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    context = browser.new_context(forced_colors="active", color_scheme=scheme)
    with application("jupyterlab", tmp_path_factory.mktemp(scheme)) as served:
        page = context.new_page()
        cells = [new_code_cell(cell) for cell in ("%load_ext cfai_magics", "%cfai panel")]
        served.open(page, "lesson", cells)
        ledger = book_usage(served)
        NotebookPage(page).run(0)
        meter = page.locator(".jp-CfaiMeter-button")
        expect(meter).to_contain_text("running low", timeout=LONG)
        assert colors(meter, 0, 3) - colors(meter, 5, 8)
        meter.click()
        chart = page.locator(".jp-CfaiDetails-chart svg")
        assert not colors(chart) & colors(chart.locator(".jp-mod-filled"))
        page.keyboard.press("Escape")
        assert_the_model_in_use_is_marked(page)
        NotebookPage(page).run(1)
        parts = page.locator(".cfai-bar .cfai-part")
        expect(parts).to_have_count(4, timeout=LONG)
        billed, estimated, reserved = (colors(parts.nth(index)) for index in (0, 1, 3))
        background = colors(page.locator(".cfai-bar"), -40)
        assert background | billed <= estimated, "the estimated part is striped"
        assert not background & (billed | reserved)
        assert billed != reserved
        ledger.close()
    context.close()


def book_usage(served: Served) -> Ledger:
    """Book calls of another kernel; its reservation ends when the ledger is closed."""
    ledger = Ledger(served.root / "home")
    context = CallContext(account_hash(served.cloudflare.account_id))
    by_basis: dict[CostBasis, float] = {"billed": 7_000.0, "estimated": 1_000.0}
    for basis, neurons in by_basis.items():
        number = ledger.reserve(context, MODEL, "Text Generation", lambda *_, n=neurons: n)
        ledger.settle(number, CallOutcome("ok", Usage(10, 10, 0, neurons, basis)))
    ledger.reserve(context, MODEL, "Text Generation", lambda *_: 1_000.0)
    return ledger


def assert_the_model_in_use_is_marked(page: Page) -> None:
    page.locator(".jp-CfaiPicker-button").click()
    options = page.locator(".jp-CfaiModels-option")
    in_use = page.locator(".jp-CfaiModels-option[aria-selected=true]")
    expect(options.first).to_be_visible()
    page.keyboard.press("ArrowDown")  # the active option has its own mark
    expect(
        page.locator(".jp-CfaiModels-option.jp-mod-active[aria-selected=false]")
    ).to_be_visible()
    options.first.scroll_into_view_if_needed()
    plain = colors(options.first, 0, 2)
    in_use.scroll_into_view_if_needed()
    marked = colors(in_use, 0, 2)
    assert len(marked) == len(plain) == 1
    assert marked != plain
    page.keyboard.press("Escape")


def colors(locator: Locator, left: int = 3, right: int = -3) -> set[object]:
    """Return the colors of more than 10 % of the pixels between two columns, without borders."""
    picture = Image.open(io.BytesIO(locator.screenshot())).convert("RGB")
    inner = picture.crop((left % picture.width, 3, right % picture.width, picture.height - 3))
    pixels = inner.width * inner.height
    return {color for count, color in inner.getcolors(pixels) or [] if count * 10 > pixels}
