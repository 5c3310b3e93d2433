"""Three parsers of Markdown: that of JupyterLab, that of nbconvert, and markdown-it."""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from nbconvert.filters.markdown_mistune import markdown2html_mistune

MODULES = Path(__file__).parents[2] / "labextension" / "node_modules"
Render = Callable[[str], str]


@contextmanager
def marked() -> Iterator[Render]:
    """Start JupyterLab's parser once; yield what renders a text with it."""
    assert (MODULES / "marked").exists(), "the JupyterLab extension is not installed: make install"
    script = Path(__file__).with_name("marked.mjs")
    with subprocess.Popen(
        ["node", str(script), str(MODULES)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        assert process.stdin
        assert process.stdout
        stdin, stdout = process.stdin, process.stdout

        def render(text: str) -> str:
            stdin.write(f"{json.dumps(text)}\n")
            stdin.flush()
            html: str = json.loads(stdout.readline())
            return html

        yield render
        stdin.close()


@cache
def _markdown_it() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def markdown_it(text: str) -> str:
    html: str = _markdown_it().render(text)
    return html


def mistune(text: str) -> str:
    """Render a text as nbconvert does in its HTML."""
    return markdown2html_mistune(text)
