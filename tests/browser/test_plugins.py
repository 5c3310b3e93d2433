"""The plug-ins are independent of each other."""

import json
import re
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell
from playwright.sync_api import Page, expect

from tests.browser.applications import application, editor

pytestmark = pytest.mark.browser

SOURCES = Path(__file__).parents[2] / "labextension"
ID = re.compile(r"'(cfai-magics:[a-z-]+)'")
PLUGINS = {
    name
    for path in (*SOURCES.glob("src/*/plugin.ts*"), SOURCES / "src" / "index.ts")
    for name in ID.findall(path.read_text(encoding="utf-8"))
}
ACTIVE = "ids => ids.filter(id => jupyterapp.isPluginActivated(id))"


@pytest.mark.parametrize("plugin", sorted(PLUGINS))
def test_each_plugin_can_be_disabled_alone(plugin: str, page: Page, tmp_path: Path) -> None:
    with application("jupyterlab", tmp_path, disabled=[plugin]) as served:
        served.open(page, "lesson", [new_code_cell("")])
        # This attribute is set when the kernel is connected.
        expect(editor(page, 0)).to_have_attribute("data-language", "python")
        assert set(page.evaluate(ACTIVE, sorted(PLUGINS))) == PLUGINS - {plugin}


def test_each_schema_names_a_plugin_and_rejects_unknown_settings() -> None:
    for path in SOURCES.glob("schema/*.json"):
        assert f"cfai-magics:{path.stem}" in PLUGINS
        assert json.loads(path.read_text(encoding="utf-8"))["additionalProperties"] is False
