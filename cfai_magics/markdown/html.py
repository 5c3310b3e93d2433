"""Convert a model's Markdown to HTML, for layouts that Markdown can't express, such as columns."""

from collections.abc import Sequence
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any

from .blocks import strip_remote_content

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token


def markdown_to_html(text: str) -> str:
    """Convert Markdown to HTML that runs no code and loads no external content.

    The Markdown is sanitized in the same way as a single answer, so both look the same. Formulas
    are left unchanged for MathJax to render.
    """
    rendered: str = _get_parser().render(strip_remote_content(text))
    return rendered


@cache
def _get_parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    parser.inline.ruler.before("escape", "math", _parse_math)
    parser.add_render_rule("link_open", _render_link_open)
    # A notebook saves this HTML. The end tags of p and li are optional in HTML, and nothing uses
    # the class that names the language of a code block.
    parser.add_render_rule("paragraph_close", _render_nothing)
    parser.add_render_rule("list_item_close", _render_nothing)
    parser.add_render_rule("fence", _render_fence)
    parser.add_render_rule("th_open", _render_table_cell)
    parser.add_render_rule("td_open", _render_table_cell)
    return parser


def _parse_math(state: "StateInline", silent: bool) -> bool:  # noqa: FBT001 - a markdown-it rule
    """Parse a formula as text, so that its underscores and asterisks are not read as emphasis."""
    text, start = state.src, state.pos
    if text[start] != "$":
        return False
    # Sanitized Markdown has dollar signs only around formulas.
    delimiter = "$$" if text.startswith("$$", start) else "$"
    closing_position = text.find(delimiter, start + len(delimiter))
    while closing_position > 0 and text[closing_position - 1] == "\\":
        closing_position = text.find(delimiter, closing_position + 1)
    if closing_position < 0:
        return False
    end = closing_position + len(delimiter)
    if not silent:
        state.push("text", "", 0).content = text[start:end]
    state.pos = end
    return True


def _render_nothing(*_: Any) -> str:
    return ""


def _render_fence(_renderer: Any, tokens: "Sequence[Token]", index: int, *_: Any) -> str:
    return f"<pre><code>{escape(tokens[index].content, quote=False)}</code></pre>\n"


def _render_table_cell(
    renderer: Any, tokens: "Sequence[Token]", index: int, options: Any, env: Any
) -> str:
    """Align the cell left by default, as in Markdown. JupyterLab aligns cells of HTML right."""
    if not tokens[index].attrGet("style"):
        tokens[index].attrSet("style", "text-align:left")
    rendered: str = renderer.renderToken(tokens, index, options, env)
    return rendered


def _render_link_open(_renderer: Any, tokens: "Sequence[Token]", index: int, *_: Any) -> str:
    url = escape(str(tokens[index].attrGet("href") or ""))
    return f'<a href="{url}" target="_blank" rel="noopener noreferrer">'
