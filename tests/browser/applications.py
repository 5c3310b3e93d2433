"""JupyterLab and Notebook 7 with this checkout's extension, and helpers for their pages."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_notebook
from playwright.sync_api import Locator, Page, expect
from playwright.sync_api import TimeoutError as NotShown

from tests.browser.servers import SHORT, TRIES, NotebookPage, jupyter
from tests.standin import Standin

BUILT = Path(__file__).parents[2] / "cfai_magics" / "labextension"
# URL path of a notebook, configuration file and section of each application.
APPLICATIONS = {
    "jupyterlab": ("doc/tree", "jupyter_lab_config.json", "LabApp"),
    "notebook": ("notebooks", "jupyter_notebook_config.json", "JupyterNotebookApp"),
}
NOTIFICATIONS = "@jupyterlab/apputils-extension/notification"
SETTINGS = ".jupyter/lab/user-settings"
CELLS = ".jp-Notebook .jp-Cell"
# JupyterLab does not run a cell while the kernel is not connected.
READY = """async () => {
  await jupyterapp.restored;
  await jupyterapp.shell.currentWidget.sessionContext.ready;
}"""


@dataclass(frozen=True)
class Served:
    """A folder served by an application, and the stand-in for Cloudflare that its kernels use."""

    root: Path
    address: str
    cloudflare: Standin

    def open(self, page: Page, name: str, cells: Sequence[Any], *, in_tabs: bool = False) -> Path:
        """Save a notebook with these cells, open it and make its first cell current.

        Args:
            page: The page.
            name: The file name without `.ipynb`.
            cells: The cells.
            in_tabs: Whether JupyterLab shows tabs, in a new workspace, instead of one document.
        """
        self.cloudflare.clear()
        path = self.root / f"{name}.ipynb"
        spec = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
        nbformat.write(new_notebook(cells=cells, metadata=spec), path)
        address = self.address
        if in_tabs:
            address = address.replace("doc/tree", f"lab/workspaces/{name}/tree")
        NotebookPage(page).open(address.format(path.name))
        page.evaluate(READY)
        make_current(page.locator(CELLS).first)
        return path


@contextmanager
def application(
    name: str,
    root: Path,
    settings: Mapping[str, object] | None = None,
    disabled: Sequence[str] = (),
) -> Iterator[Served]:
    """Serve `root` with `settings` (by plug-in id) and without the plug-ins in `disabled`."""
    assert (BUILT / "package.json").exists(), (
        "the JupyterLab extension is not built; run: make install"
    )
    place, file, section = APPLICATIONS[name]
    write(root / ".jupyter" / file, {section: {"expose_app_in_browser": True}})
    news = {"checkForUpdates": False, "fetchNews": "false"}
    for plugin, content in {NOTIFICATIONS: news, **(settings or {})}.items():
        write(root / SETTINGS / f"{plugin}.jupyterlab-settings", content)
    off = {"disabledExtensions": dict.fromkeys(disabled, True)}
    write(root / ".jupyter" / "labconfig" / "page_config.json", off)
    (root / "share" / "labextensions").mkdir(parents=True)
    (root / "share" / "labextensions" / "cfai-magics").symlink_to(BUILT)
    with Standin() as cloudflare, pytest.MonkeyPatch.context() as environment:
        environment.setenv("JUPYTER_PATH", str(root / "share"))
        environment.setenv("CFAI_HOME", str(root / "home"))
        for variable, value in cloudflare.environ().items():
            environment.setenv(variable, value)
        with jupyter(name, root) as address:
            yield Served(root, address.replace("{}", f"{place}/{{}}"), cloudflare)


def notebook_name(request: pytest.FixtureRequest) -> str:
    """Return the name of a test's notebook. Notebooks with the same name share their kernel."""
    return re.sub(r"\W+", "-", request.node.name).strip("-")


def make_current(cell: Locator) -> None:
    """Click next to a cell's text; repeat if a late-loading part takes the focus."""
    for _ in range(TRIES):
        cell.click(position={"x": 40, "y": 10})
        try:
            expect(cell).to_be_focused(timeout=SHORT)
        except AssertionError:
            continue
        return
    raise AssertionError("the cell does not get the focus")


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def execute(page: Page, command: str, **arguments: object) -> None:
    """Execute a command of JupyterLab.

    The result is dropped: it can be a widget, and sending one to the test takes many seconds.
    """
    page.evaluate(
        "([name, args]) => jupyterapp.commands.execute(name, args).then(() => null)",
        [command, arguments],
    )


def saved(page: Page, path: Path) -> list[str]:
    """Save the notebook and return the source of each cell in the file."""
    execute(page, "docmanager:save")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells]


def choose_in_palette(page: Page, label: str) -> None:
    """Choose a command in the palette; repeat if a late-loading part closes the palette."""
    for _ in range(TRIES):
        page.keyboard.press("Control+Shift+C")
        try:
            page.get_by_role("textbox", name="SEARCH", exact=True).fill(label, timeout=SHORT)
            page.get_by_role("menuitem", name=label).click(timeout=SHORT)
        except NotShown:
            page.keyboard.press("Escape")
        else:
            return
    raise AssertionError(f"the palette does not offer {label!r}")


def editor(page: Page, index: int) -> Locator:
    """Return the text editor of a code cell."""
    return page.locator(".jp-CodeCell").nth(index).locator(".cm-content")
