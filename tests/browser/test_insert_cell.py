"""The command that writes a %%cfai cell, as a person and as another extension use it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from playwright.sync_api import Browser, Page, expect
from playwright.sync_api import TimeoutError as NotShown

from tests.browser.servers import SHORT, TRIES, NotebookPage, chromium, jupyter

BUILT = Path(__file__).parents[2] / "cfai_magics" / "labextension"
COMMAND = "cfai:insert-cell"
LABEL = "Insert a %%cfai cell"
# Where an application shows a notebook, and how its configuration calls it.
APPLICATIONS = {
    "jupyterlab": ("doc/tree", "jupyter_lab_config.json", "LabApp"),
    "notebook": ("notebooks", "jupyter_notebook_config.json", "JupyterNotebookApp"),
}
CELLS = ".jp-Notebook .jp-Cell"
READY = "() => jupyterapp.restored.then(() => null)"
ENABLED = f"() => jupyterapp.commands.isEnabled('{COMMAND}')"

# Where a notebook of this name is served.
Address = Callable[[str], str]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module", params=APPLICATIONS)
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, Address]]:
    """A folder served by an application that has this checkout's extension."""
    assert (BUILT / "package.json").exists(), "the JupyterLab part is not built: make install"
    root = tmp_path_factory.mktemp("served")
    place, file, name = APPLICATIONS[request.param]
    write(root / ".jupyter" / file, {name: {"expose_app_in_browser": True}})
    news = "lab/user-settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings"
    write(root / ".jupyter" / news, {"checkForUpdates": False, "fetchNews": "false"})
    (root / "share" / "labextensions").mkdir(parents=True)
    (root / "share" / "labextensions" / "cfai-magics").symlink_to(BUILT)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("JUPYTER_PATH", str(root / "share"))
        with jupyter(request.param, root) as address:
            yield root, lambda name: address.format(f"{place}/{name}")


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


@pytest.fixture
def notebook(served: tuple[Path, Address], page: Page, request: pytest.FixtureRequest) -> Path:
    """A saved notebook of two cells, open, with the first of them current."""
    root, address = served
    path = root / f"{request.node.originalname}.ipynb"
    cells = [new_markdown_cell("# First"), new_code_cell("'last'")]
    spec = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    nbformat.write(new_notebook(cells=cells, metadata=spec), path)
    NotebookPage(page).open(address(path.name))
    page.evaluate(READY)
    page.locator(CELLS).first.click()
    expect(page.locator(CELLS).first).to_be_focused()
    return path


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def saved(page: Page, path: Path) -> list[str]:
    """The cells' text as the file has it, once saved."""
    page.evaluate("() => jupyterapp.commands.execute('docmanager:save')")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells]


def choose_in_palette(page: Page, label: str) -> None:
    """Choose as a person does, again if what loads late takes the focus: that closes it."""
    for _ in range(TRIES):
        page.keyboard.press("Control+Shift+C")
        try:
            page.get_by_role("textbox", name="SEARCH").fill(label, timeout=SHORT)
            page.get_by_role("menuitem", name=label).click(timeout=SHORT)
        except NotShown:
            page.keyboard.press("Escape")
        else:
            return
    raise AssertionError(f"the palette does not offer {label!r}")


def test_the_palette_puts_a_cell_below_the_current_one_ready_to_type(
    page: Page, notebook: Path
) -> None:
    choose_in_palette(page, LABEL)
    made = page.locator(CELLS).nth(1).get_by_role("textbox")
    expect(made).to_be_focused()
    page.keyboard.type("Why?")
    expect(made).to_have_text("%%cfaiWhy?")
    assert saved(page, notebook) == ["# First", "%%cfai\nWhy?", "'last'"]


def test_the_menu_of_a_cell_offers_it(page: Page, notebook: Path) -> None:
    page.locator(CELLS).first.click(button="right")
    page.get_by_role("menuitem", name=LABEL).click()
    expect(page.locator(CELLS)).to_have_count(3)
    assert saved(page, notebook) == ["# First", "%%cfai\n", "'last'"]


def test_another_extension_may_say_the_model_and_the_prompt(page: Page, notebook: Path) -> None:
    ask = {"model": "gemma-4", "prompt": "Name {one}\nfish."}
    page.evaluate(f"ask => jupyterapp.commands.execute('{COMMAND}', ask)", ask)
    assert saved(page, notebook)[1] == "%%cfai -m gemma-4\nName {one}\nfish."


def test_its_arguments_are_described(page: Page, notebook: Path) -> None:
    described = page.evaluate(f"() => jupyterapp.commands.describedBy('{COMMAND}')")
    assert set(described["args"]["properties"]) == {"model", "prompt"}


def test_it_rests_while_no_notebook_is_open(page: Page, notebook: Path) -> None:
    assert page.evaluate(ENABLED) is True
    page.evaluate("() => jupyterapp.shell.currentWidget.dispose()")
    assert page.evaluate(ENABLED) is False
