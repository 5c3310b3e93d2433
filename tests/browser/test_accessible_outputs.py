"""Accessibility: axe checks the outputs of cells in the light and in the dark theme."""

import pytest
from nbformat.v4 import new_code_cell
from playwright.sync_api import Page, ViewportSize, expect

from tests.browser.applications import Served, execute
from tests.browser.servers import NotebookPage
from tests.browser.test_accessibility import load_axe, shoot

pytestmark = pytest.mark.browser

LOAD = "%load_ext cfai_magics"
ANSWER = """## Why the sky is blue

Short waves scatter *more*. See [Rayleigh scattering](https://example.org/rayleigh).

1. Sunlight has all colors.
2. Air scatters **blue** light, in proportion to $1/\\lambda^4$:

| color | wavelength |
|---|--:|
| red | 700 nm |
| blue | 450 nm |

```python
def scatter(wavelength: float) -> float:
    return 1 / wavelength**4  # relative
```

> A quote, and `inline code`.
"""
SOURCES = {
    "answer": "%%cfai\nWhy is the sky blue?",
    "thinking": "%%cfai --think\nWhy?",
    "samples": "%%cfai -n 3\nWhy?",
    "models": "%%cfai -m gemma-4-26b-a4b-it -m qwen3-30b-a3b-fp8\nWhy?",
    "probabilities": "%%cfai --probs 5\nWhy?",
    "sent": "%%cfai --sent\nWhy?",
    "dry run": "%%cfai --dry-run\nWhy?",
    "image": "%%cfai --task image\nA small lighthouse",
    "classes": "%%cfai --task classify -m distilbert-sst-2-int8\nNice.",
    "similarity": "import cfai_magics\ncfai_magics.similarity(['a cat', 'the cat', 'tax'])",
    "map": "cfai_magics.map('Translate {text}', ['tea', 'rice'])",
    "model list": "%cfai models",
    "usage": "%cfai usage",
    "status": "%cfai status",
    "budget": "%cfai budget",
    "plan": "%cfai plan lesson.ipynb",
    "report": "%cfai report lesson.ipynb",
    "doctor": "%cfai doctor",
    "replay": "%cfai replay",
    "help": "%cfai help",
    "error": "%%cfai -t 9\nWhy?",
}
LINE_HEIGHT = 16  # pixels, of a line of text
# axe checks the contrast only of visible text, so that all cells must be in the viewport.
VIEWPORT: ViewportSize = {"width": 1280, "height": 12_000}
# Violations of JupyterLab itself are left out: images have no text alternative, links in text are
# not underlined, and the comments in highlighted code have too little contrast in the dark theme.
CHECK = """async () => {
  const result = await axe.run(
    {
      include: ['.jp-CodeCell .jp-OutputArea-output'],
      exclude: ['.jp-RenderedImage img', '.jp-RenderedMarkdown pre'],
    },
    { rules: { 'link-in-text-block': { enabled: false } }, elementRef: true },
  );
  const cells = [...document.querySelectorAll('.jp-CodeCell')];
  const contrast = result.passes.find(rule => rule.id === 'color-contrast');
  const checked = contrast.nodes.map(node => cells.indexOf(node.element.closest('.jp-CodeCell')));
  return {
    violations: result.violations.flatMap(rule => rule.nodes.map(node => [rule.id, node.html])),
    cells: [...new Set(checked)],
  };
}"""


@pytest.mark.parametrize("served", ["jupyterlab"], indirect=True)
@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_axe_finds_no_violations_in_outputs(theme: str, served: Served, page: Page) -> None:
    page.set_viewport_size(VIEWPORT)
    served.open(page, "lesson", [new_code_cell(source) for source in (LOAD, "%%cfai\nWhy?")])
    cells = [new_code_cell(source) for source in (LOAD, *SOURCES.values())]
    served.open(page, f"outputs {theme}", cells)
    execute(page, "apputils:change-theme", theme=theme)
    served.cloudflare.switch(answer=ANSWER, thought="Light is a wave. Let me think.")
    execute(page, "notebook:run-all-cells")
    lesson = NotebookPage(page)
    expect(page.locator("body")).to_have_attribute("data-jp-theme-name", theme)
    lesson.wait_for_text(len(SOURCES), "Use 0 to 5")
    load_axe(page)
    shoot(page, f"outputs {theme}")
    result = page.evaluate(CHECK)
    assert result["violations"] == []
    assert set(result["cells"]) == set(range(1, len(cells)))


def read_height(page: Page) -> float:
    """Return the height of the shaded answer in pixels."""
    box = page.locator(".cfai-tokens").bounding_box()
    assert box
    return box["height"]


@pytest.mark.parametrize("served", ["jupyterlab"], indirect=True)
def test_a_focused_token_shows_its_alternatives(served: Served, page: Page) -> None:
    served.cloudflare.switch(answer="The Rhine.", thought="")
    served.open(page, "tokens", [new_code_cell(LOAD), new_code_cell("%%cfai --probs 2\nWhy?")])
    execute(page, "notebook:run-all-cells")
    tokens = page.locator(".cfai-tokens [title]")
    expect(tokens).to_have_text(["The ", "Rhin", "e."])
    popup = "element => getComputedStyle(element, '::after').content"
    assert tokens.nth(1).evaluate(popup) == "none"
    heights = [read_height(page)]
    tokens.nth(0).focus()
    page.keyboard.press("Tab")
    expect(tokens.nth(1)).to_be_focused()
    shown = tokens.nth(1).evaluate(popup)
    assert "20.0 %" in shown
    assert "50.0 % “other0”" in shown
    heights.append(read_height(page))
    assert heights[1] > heights[0] + 3 * LINE_HEIGHT, "the three lines are inside the output"
    shoot(page, "tokens")
