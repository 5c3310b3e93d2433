"""The extension in a Chinese JupyterLab with its language pack."""

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
CATALOG = ROOT / "cfai_magics" / "locale" / "zh_CN" / "LC_MESSAGES" / "cfai_magics.json"
USED = re.compile(r"""trans\s*\.__\(\s*(['"])(.*?)\1""", re.DOTALL)


@pytest.mark.parametrize("name", ["jupyterlab", "notebook"])
def test_the_extension_is_translated_to_chinese(name: str, page: Page, tmp_path: Path) -> None:
    chinese = {"@jupyterlab/translation-extension/plugin": {"locale": "zh_CN"}}
    with application(name, tmp_path, chinese) as served:
        cells = ["%load_ext cfai_magics\n1/0", "%cfai budget", "%cfai panel"]
        served.open(page, "lesson", [new_code_cell(source) for source in cells])
        notebook = NotebookPage(page)
        notebook.run(0)
        expect(page.get_by_role("button", name="用 Workers AI 解释")).to_be_visible()
        notebook.run(1)  # the page has sent its language to the kernel
        notebook.wait_for_text(1, "今日免费额度")
        notebook.run(2)
        notebook.wait_for_text(2, "随每个请求发送")
        label = page.evaluate("() => jupyterapp.commands.label('cfai:insert-cell')")
        assert label.endswith("插入 %%cfai 单元格")


def test_the_translation_catalog_matches_the_sources() -> None:
    sources = (ROOT / "labextension" / "src").rglob("*.ts*")
    used = {text for path in sources for _, text in USED.findall(path.read_text(encoding="utf-8"))}
    catalog = json.loads(CATALOG.read_text(encoding="utf-8"))
    assert catalog.pop("")["domain"] == "cfai_magics"
    assert set(catalog) == used
    assert all(translated and translated[0] for translated in catalog.values())
