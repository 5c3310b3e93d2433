"""The panel in a real browser: login, model, usage, saved state; tokens are not stored."""

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Browser, Locator, Page, WebSocket, expect

from cfai_magics.backends.selector import account_hash
from cfai_magics.storage.ledger import CallContext, CallOutcome, Ledger
from cfai_magics.types.usage import CostBasis, Usage
from tests.browser.servers import PATIENCE, NotebookPage, jupyter
from tests.standin import Standin

pytestmark = pytest.mark.browser

CELLS = (
    "%load_ext cfai_magics",
    "%cfai panel",
    "%%cfai\nWhy is the sky blue?",
    "%cfai panel",
    "%cfai use llama-3.2-1b-instruct",
    "import time\nfor _ in range(600):\n    time.sleep(0.1)",
)
PANEL, QUESTION, SECOND, USE, BUSY = 1, 2, 3, 4, 5
SETTINGS = {
    "@jupyter-widgets/jupyterlab-manager/plugin": {"saveState": True},
    "@jupyterlab/apputils-extension/notification": {
        "checkForUpdates": False,
        "fetchNews": "false",
    },
}
SCREENSHOTS = os.environ.get("CFAI_SCREENSHOTS")  # folder for the images
MESSAGE_ID = re.compile(rb'"msg_id":\s*"([^"]+)"')
# All data stored by a page, as one text.
PAGE_STORAGE = """async () => {
  const all = [JSON.stringify(localStorage), JSON.stringify(sessionStorage), document.cookie];
  const done = request => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  for (const { name } of await indexedDB.databases()) {
    const database = await done(indexedDB.open(name));
    for (const store of database.objectStoreNames) {
      const open = database.transaction(store).objectStore(store);
      all.push(name, JSON.stringify([await done(open.getAllKeys()), await done(open.getAll())]));
    }
    database.close();
  }
  return all.join('\\n');
}"""


class Wire:
    """Record all messages between the page and the kernel."""

    def __init__(self, page: Page) -> None:
        self.to_kernel: list[bytes] = []
        self.to_page: list[bytes] = []
        page.on("websocket", self._listen)

    def _listen(self, socket: WebSocket) -> None:
        for event, messages in (("framesent", self.to_kernel), ("framereceived", self.to_page)):
            socket.on(event, lambda frame, messages=messages: messages.append(_bytes(frame)))  # type: ignore[call-overload]

    @property
    def is_idle(self) -> bool:
        """Whether the kernel has handled all messages of widgets."""
        frames = [frame for frame in self.to_kernel if b'"comm_msg"' in frame]
        sent = [match[1] for match in map(MESSAGE_ID.search, frames) if match]
        handled = [frame for frame in self.to_page if b'"idle"' in frame]
        return bool(sent) and all(any(each in frame for frame in handled) for each in sent)


def _bytes(frame: str | bytes) -> bytes:
    return frame.encode() if isinstance(frame, str) else bytes(frame)


class Lesson(NotebookPage):
    """A notebook with a panel, its file and its messages."""

    def __init__(self, page: Page, path: Path) -> None:
        super().__init__(page)
        self.path = path
        self.wire = Wire(page)

    def panel(self, cell: int = PANEL) -> Locator:
        return self.page.locator(".jp-CodeCell").nth(cell).locator(".cfai-panel")

    def log_in(self, account: Standin) -> None:
        panel = self.panel()
        panel.get_by_label("Account ID").fill(account.account_id)
        panel.get_by_label("API token").fill(account.token)
        panel.get_by_role("button", name="Verify").click()
        expect(panel.get_by_text("Token verified")).to_be_visible(timeout=PATIENCE * 1000)

    def wait_until_idle(self) -> None:
        """Wait until the kernel has handled all edits; the page merges edits made before that."""
        deadline = time.monotonic() + PATIENCE
        while not self.wire.is_idle:
            assert time.monotonic() < deadline, "the kernel did not handle an edit"
            self.page.wait_for_timeout(100)

    def saved(self, expected: str) -> str:
        """Save until the file contains `expected`; return its text."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            self.page.keyboard.press("Control+s")
            self.page.wait_for_timeout(500)
            text = self.path.read_text(encoding="utf-8")
            if expected in text:
                return text
        raise AssertionError(f"{expected} was not saved")


@pytest.fixture
def lesson(
    request: pytest.FixtureRequest,
    cloudflare: Standin,
    tmp_path: Path,
    browser: Browser,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Lesson]:
    """Open a notebook with the panel in a JupyterLab that saves widget state."""
    monkeypatch.setenv("CLOUDFLARE_API_BASE_URL", cloudflare.base_url)
    monkeypatch.setenv("TZ", "Europe/Berlin")
    root = tmp_path / "served"
    comms = {"commsOverSubshells": getattr(request, "param", "perCommTarget")}
    kernels = "@jupyterlab/apputils-extension/kernels-settings"
    for name, values in {**SETTINGS, kernels: comms}.items():
        write(root / f".jupyter/lab/user-settings/{name}.jupyterlab-settings", values)
    write(root / ".jupyter/jupyter_lab_config.json", {"LabApp": {"expose_app_in_browser": True}})
    write_notebook(root / "lesson.ipynb")
    context = browser.new_context(viewport={"width": 1280, "height": 1400})
    with jupyter("jupyterlab", root) as address:
        page = Lesson(context.new_page(), root / "lesson.ipynb")
        page.open(address.format("lab/tree/lesson.ipynb"))
        page.run(0)
        page.run(PANEL)
        page.panel().wait_for(timeout=PATIENCE * 1000)
        yield page
        context.close()


def write_notebook(path: Path) -> None:
    notebook = new_notebook(
        cells=[new_code_cell(source) for source in CELLS],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    nbformat.write(notebook, path)


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def test_a_login_and_an_answer_leave_no_token_in_saved_data(
    lesson: Lesson, cloudflare: Standin
) -> None:
    panel = lesson.panel()
    lesson.log_in(cloudflare)
    assert panel.get_by_label("API token").input_value() == ""
    panel.get_by_label("Search models").fill("3.2 3b")
    panel.get_by_role("listbox").select_option(index=0)
    expect(panel.get_by_text("Requests go to @cf/meta/llama-3.2-3b-instruct")).to_be_visible()
    cloudflare.switch(answer="word " * 500, tokens_per_second=100)
    figure = panel.locator(".cfai-big")
    assert figure.inner_text() == "0"
    lesson.run(QUESTION)
    seen = figures_until(figure, lambda: "neurons billed" in "".join(lesson.outputs(QUESTION)))
    assert len(seen) >= 3, "the number changes during the answer"
    assert seen == sorted(seen)
    expect(panel.locator(".cfai-legend")).to_contain_text(f"billed {cloudflare.billed:.1f}")
    assert cloudflare.requests[-1].json["model"] == "@cf/meta/llama-3.2-3b-instruct"

    saved = lesson.saved("neurons billed")
    assert "PasswordModel" in saved, "the widget state is saved"
    assert cloudflare.account_id[-4:] in saved
    places = {
        "the file": saved,
        "the page's storage": lesson.page.evaluate(PAGE_STORAGE),
        "what the kernel sent": b"\n".join(lesson.wire.to_page).decode(errors="replace"),
        "the page": lesson.page.content(),
    }
    assert len(places["what the kernel sent"]) > 100_000
    for place, text in places.items():
        assert cloudflare.token not in text, place
        assert cloudflare.account_id not in text, place
    submitted = [m for m in lesson.wire.to_kernel if cloudflare.token.encode() in m]
    assert len(submitted) == 1


def figures_until(figure: Locator, ended: Callable[[], bool]) -> list[float]:
    """Return the distinct numbers shown until `ended` returns True."""
    seen: list[float] = []
    deadline = time.monotonic() + PATIENCE
    while not ended() and time.monotonic() < deadline:
        shown = float(figure.inner_text().replace(",", ""))
        if shown not in seen:
            seen.append(shown)
        figure.page.wait_for_timeout(50)
    return seen


@pytest.mark.parametrize("lesson", ["perCommTarget", "disabled"], indirect=True)
def test_a_token_entered_while_a_cell_runs_is_not_saved(
    lesson: Lesson, cloudflare: Standin
) -> None:
    lesson.run(BUSY)
    field = lesson.panel().get_by_label("API token")
    field.fill(cloudflare.token)
    field.press("Tab")
    saved = lesson.saved("PasswordModel")
    assert cloudflare.token not in saved
    assert [m for m in lesson.wire.to_kernel if cloudflare.token.encode() in m]
    assert cloudflare.token.encode() not in b"".join(lesson.wire.to_page)
    lesson.page.evaluate("() => jupyterapp.commands.execute('notebook:interrupt-kernel')")
    expect(field).to_have_value("", timeout=PATIENCE * 1000)
    expect(field).to_have_attribute("placeholder", "Entered, not yet verified")


def test_enter_verifies_and_an_invalid_account_id_is_kept(
    lesson: Lesson, cloudflare: Standin
) -> None:
    panel = lesson.panel()
    account_field, token_field = panel.get_by_label("Account ID"), panel.get_by_label("API token")
    account_field.fill("my account")
    account_field.press("Tab")
    expect(panel.get_by_text("Not a valid account ID")).to_be_visible()
    expect(account_field).to_have_value("\N{HAIR SPACE}my account")
    lesson.wait_until_idle()
    account_field.fill("")
    account_field.press("Tab")
    expect(panel.get_by_text("Not a valid account ID")).to_have_count(0)
    expect(account_field).to_have_value("")
    lesson.wait_until_idle()
    account_field.fill("another")
    account_field.press("Tab")
    expect(account_field).to_have_value("\N{HAIR SPACE}another")
    lesson.wait_until_idle()
    account_field.fill(cloudflare.account_id)
    account_field.press("Tab")
    expect(account_field).to_have_value("")
    expect(account_field).to_have_attribute(
        "placeholder", f"…{cloudflare.account_id[-4:]} entered"
    )
    token_field.fill(cloudflare.token)
    token_field.press("Enter")
    expect(panel.get_by_text("Token verified")).to_be_visible(timeout=PATIENCE * 1000)
    assert token_field.input_value() == ""
    assert cloudflare.token not in lesson.saved("PasswordModel")
    assert len([m for m in lesson.wire.to_kernel if cloudflare.token.encode() in m]) == 1


def test_the_token_is_removed_after_confirmation(lesson: Lesson, cloudflare: Standin) -> None:
    panel = lesson.panel()
    lesson.log_in(cloudflare)
    panel.get_by_role("button", name="Remove token…").press("Enter")
    panel.get_by_role("button", name="Cancel").press("Enter")
    expect(panel.get_by_role("button", name="Remove token…")).to_be_focused()
    panel.get_by_role("button", name="Remove token…").press("Enter")
    panel.get_by_role("button", name="Remove token", exact=True).press("Enter")
    expect(panel.get_by_text("No account yet.")).to_be_visible()


def test_an_empty_model_list_offers_to_clear_the_filter(lesson: Lesson) -> None:
    panel = lesson.panel()
    panel.get_by_label("Search models").fill("nonsense")
    panel.get_by_role("button", name="Clear the filter").click()
    expect(panel.get_by_label("Search models")).to_have_value("")
    expect(panel.get_by_label("Search models")).to_be_focused()
    expect(panel.get_by_role("listbox")).to_be_visible()


def test_the_panel_shows_other_kernels_while_a_cell_runs(
    lesson: Lesson, cloudflare: Standin, home: Path
) -> None:
    lesson.log_in(cloudflare)
    lesson.run(BUSY)
    other = Ledger(home)
    context = CallContext(account_hash(cloudflare.account_id))
    number = other.reserve(context, "@cf/x/other", "Text Generation", lambda *_: 9_000.0)
    legend = lesson.panel().locator(".cfai-legend")
    expect(legend).to_contain_text("reserved 9,000", timeout=PATIENCE * 1000)
    other.settle(number, CallOutcome("ok", Usage(10, 10, 0, 8_500.0, "billed")))
    expect(legend).to_contain_text("billed 8,500", timeout=PATIENCE * 1000)
    expect(lesson.panel()).to_contain_text("85 % · running low")
    assert lesson.page.get_by_text("[*]:").count() == 1, "the cell still runs"
    lesson.page.evaluate("() => jupyterapp.commands.execute('notebook:interrupt-kernel')")
    other.close()


def test_all_panels_and_cfai_use_are_synchronized(lesson: Lesson, cloudflare: Standin) -> None:
    lesson.run(SECOND)
    second = lesson.panel(SECOND)
    second.wait_for(timeout=PATIENCE * 1000)
    for panel in (lesson.panel(), second):
        expect(panel.get_by_label("Use the model's default temperature")).to_be_checked()
    lesson.panel().get_by_label("Use the model's default temperature").uncheck()
    expect(second.get_by_label("Use the model's default temperature")).not_to_be_checked()
    lesson.panel().get_by_label("Temperature (0 to 5)").fill("0.8")
    lesson.panel().get_by_label("Temperature (0 to 5)").press("Tab")
    expect(second.get_by_label("Temperature (0 to 5)")).to_have_value("0.8")
    lesson.run(USE)
    for panel in (lesson.panel(), second):
        expect(panel.get_by_text("Requests go to @cf/meta/llama-3.2-1b-instruct")).to_be_visible()


def test_the_panel_works_in_notebook_7(
    cloudflare: Standin, tmp_path: Path, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_BASE_URL", cloudflare.base_url)
    path = tmp_path / "served" / "lesson.ipynb"
    path.parent.mkdir()
    write_notebook(path)
    with jupyter("notebook", path.parent) as address:
        lesson = Lesson(browser.new_page(), path)
        lesson.open(address.format("notebooks/lesson.ipynb"))
        lesson.run(0)
        lesson.run(PANEL)
        lesson.log_in(cloudflare)
        expect(lesson.panel().locator(".cfai-big")).to_have_text("0")
        assert cloudflare.token.encode() not in b"".join(lesson.wire.to_page)
        lesson.page.close()


LONG_NAME = "@cf/an-author/" + "a-model-with-a-very-long-name-" * 4
LOOKS = (  # theme, zoom, neurons to book, and text of the gauge
    ("JupyterLab Light", 1, 3_000, "50 %"),
    ("JupyterLab Dark", 1, 3_300, "83 % · running low"),
    ("JupyterLab Light", 2, 800, "91 % · running low"),
    ("JupyterLab Dark", 2, 1_000, "101 % · used up"),
)
CLIPPED = """panel => [panel, ...panel.querySelectorAll('.cfai-section, .widget-html, button')]
  .filter(part => part.scrollWidth > part.clientWidth + 1).map(part => part.className)"""
LABELS = (
    *("Account ID", "API token", "Verify", "Budget for today, all kernels (neurons)"),
    *("Remove token…", "Search models", "Task", "Sort by"),
    *("Free plan", "Vision", "Tools", "Reasoning", "Update the list"),
    *(
        "System prompt",
        "Temperature (0 to 5)",
        "Use the model's default temperature",
        "Maximum answer length (tokens)",
        "Save as my defaults",
    ),
)
FOCUSED = """() => {
  const { activeElement: it } = document;
  const label = (it.labels?.[0] ?? it).innerText;
  return (it.closest('.cfai-panel') ? label : '').replaceAll('\u00a0', ' ').trim();
}"""


def test_all_controls_have_labels_and_keyboard_focus(lesson: Lesson, cloudflare: Standin) -> None:
    lesson.log_in(cloudflare)
    lesson.panel().get_by_role("button", name="Change").click()
    expect(lesson.panel().get_by_role("button", name="Verify")).to_be_visible()  # by the kernel
    lesson.panel().get_by_label("Use the model's default temperature").uncheck()
    lesson.panel().get_by_role("button", name="Remove token…").focus()
    reached = []
    for _ in range(len(LABELS) + 10):
        reached.append(lesson.page.evaluate(FOCUSED))
        lesson.page.keyboard.press("Tab")
    assert [label for label in LABELS if label not in reached] == []
    assert [label for label in reached if label.startswith("model") and "output" in label]


def test_no_part_is_clipped_in_both_themes_and_at_200_percent(
    lesson: Lesson, cloudflare: Standin, home: Path, tmp_path: Path
) -> None:
    folder = Path(SCREENSHOTS or tmp_path)
    lesson.page.screenshot(path=folder / "panel-newcomer.png")
    lesson.page.evaluate("() => jupyterapp.commands.execute('application:toggle-left-area')")
    lesson.log_in(cloudflare)
    cloudflare.switch(answer="word " * 300)
    lesson.run(QUESTION)
    lesson.wait_for_text(QUESTION, "neurons billed")
    other, context = Ledger(home), CallContext(account_hash(cloudflare.account_id))
    book(other, context, 2_000, "estimated")
    other.reserve(context, LONG_NAME, "Text Generation", lambda *_: 800.0)
    for theme, zoom, neurons, chip in LOOKS:
        book(other, context, neurons, "billed")
        expect(lesson.panel()).to_contain_text(chip, timeout=PATIENCE * 1000)
        lesson.page.evaluate(
            "theme => jupyterapp.commands.execute('apputils:change-theme', { theme })", theme
        )
        lesson.page.set_viewport_size({"width": 1280 // zoom, "height": 2000})
        lesson.page.wait_for_timeout(1_000)
        name = f"panel-{theme.split()[1].lower()}-{zoom * 100}.png"
        lesson.panel().screenshot(path=folder / name)
        assert lesson.panel().evaluate(CLIPPED) == [], name
    for width in (480, 190):
        lesson.panel().evaluate("(panel, width) => { panel.style.width = `${width}px`; }", width)
        lesson.page.wait_for_timeout(1_000)
        lesson.panel().screenshot(path=folder / f"panel-width-{width}.png")
        assert lesson.panel().evaluate(CLIPPED) == [], width
    other.close()


def book(ledger: Ledger, context: CallContext, neurons: float, basis: CostBasis) -> None:
    number = ledger.reserve(context, LONG_NAME, "Text Generation", lambda *_: neurons)
    ledger.settle(number, CallOutcome("ok", Usage(900, 9_000, 0, neurons, basis)))
