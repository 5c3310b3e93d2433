"""JupyterLab in Chinese, with its language pack: our part of it too."""

import json
import re
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell
from playwright.sync_api import Page, expect

from tests.browser.applications import application
from tests.browser.servers import NotebookPage

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
CATALOGUE = ROOT / "cfai_magics" / "locale" / "zh_CN" / "LC_MESSAGES" / "cfai_magics.json"
USED = re.compile(r"""trans\s*\.__\(\s*(['"])(.*?)\1""", re.DOTALL)


@pytest.mark.parametrize("name", ["jupyterlab", "notebook"])
def test_what_we_say_is_said_in_chinese(name: str, page: Page, tmp_path: Path) -> None:
    chinese = {"@jupyterlab/translation-extension/plugin": {"locale": "zh_CN"}}
    with application(name, tmp_path, chinese) as served:
        served.open(page, "lesson", [new_code_cell("%load_ext cfai_magics\n1/0")])
        NotebookPage(page).run(0)
        expect(page.get_by_role("button", name="用 Workers AI 解释")).to_be_visible()
        label = page.evaluate("() => jupyterapp.commands.label('cfai:insert-cell')")
        assert label == "插入 %%cfai 单元格"


def test_the_catalogue_holds_what_the_sources_say_and_nothing_else() -> None:
    sources = (ROOT / "labextension" / "src").rglob("*.ts*")
    used = {text for path in sources for _, text in USED.findall(path.read_text(encoding="utf-8"))}
    catalogue = json.loads(CATALOGUE.read_text(encoding="utf-8"))
    assert catalogue.pop("")["domain"] == "cfai_magics"
    assert set(catalogue) == used
    assert all(translated and translated[0] for translated in catalogue.values())
