"""The extension in a Chinese JupyterLab with its language pack."""

import json
import re
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell
from playwright.sync_api import Page, expect

from tests.browser.applications import application, execute
from tests.browser.servers import NotebookPage

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
CATALOG = ROOT / "cfai_magics" / "locale" / "zh_CN" / "LC_MESSAGES" / "cfai_magics.json"
SCHEMAS = ROOT / "labextension" / "schema"
CHINESE = re.compile(r"[\u4e00-\u9fff]")
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


def test_the_settings_are_translated_to_chinese(page: Page, tmp_path: Path) -> None:
    chinese = {"@jupyterlab/translation-extension/plugin": {"locale": "zh_CN"}}
    with application("jupyterlab", tmp_path, chinese) as served:
        served.open(page, "lesson", [new_code_cell("")])
        execute(page, "settingeditor:open", query="Workers AI")
        titles = page.locator(".jp-PluginList").get_by_role("tab", name="Workers AI")
        expect(titles.filter(has_text="费用估算")).to_be_visible()
        expect(titles).to_have_count(4)
        expect(titles.filter(has_text=CHINESE)).to_have_count(4)
        description = page.locator(".jp-SettingsHeader-description")
        expect(description.get_by_text("输入时显示单元格的估算费用。")).to_be_visible()
        help_text = page.locator(".jp-FormGroup-description")
        expect(help_text.get_by_text("内核根据单元格的文本计算")).to_be_visible()
        page.get_by_role("checkbox", name="显示提示词单元格的估算费用").uncheck()
        # JupyterLab loads a changed setting again.
        expect(page.locator(".jp-PluginList")).to_contain_text("已修改")
        expect(titles.filter(has_text="费用估算")).to_be_visible()


def read_schema_texts() -> list[tuple[str, str]]:
    """Return the texts of the settings, with the contexts that JupyterLab's server uses."""
    texts = []
    for path in SCHEMAS.glob("*.json"):
        schema = json.loads(path.read_text(encoding="utf-8"))
        parts = [
            ("schema", schema),
            *(("settings", part) for part in schema["properties"].values()),
        ]
        texts += [
            (context, part[key]) for context, part in parts for key in ("title", "description")
        ]
    return texts


def test_the_titles_of_the_settings_mention_workers_ai() -> None:
    for path in SCHEMAS.glob("*.json"):
        assert json.loads(path.read_text(encoding="utf-8"))["title"].startswith("Workers AI: ")
    # JupyterLab's translations would replace %% with %.
    assert not [text for _, text in read_schema_texts() if "%%" in text]


def test_the_translation_catalog_matches_the_sources() -> None:
    sources = (ROOT / "labextension" / "src").rglob("*.ts*")
    used = {text for path in sources for _, text in USED.findall(path.read_text(encoding="utf-8"))}
    used |= {f"{context}\x04{text}" for context, text in read_schema_texts()}
    catalog = json.loads(CATALOG.read_text(encoding="utf-8"))
    assert catalog.pop("")["domain"] == "cfai_magics"
    assert set(catalog) == used
    assert all(translated and translated[0] for translated in catalog.values())
