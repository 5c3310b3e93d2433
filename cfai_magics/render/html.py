"""Markdown of a model as HTML: for where a Markdown output cannot stand, such as in a column."""

from collections.abc import Sequence
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any

from ..markdown import without_remote_content

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token


def html_of(text: str) -> str:
    """Return Markdown as HTML that runs nothing and loads nothing.

    It is the Markdown that a single answer is shown as, so that both show the same. Formulas stay
    as they are, for MathJax.
    """
    rendered: str = _parser().render(without_remote_content(text))
    return rendered


@cache
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    made = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    made.inline.ruler.before("escape", "math", _math)
    made.add_render_rule("link_open", _link)
    return made


def _math(state: "StateInline", silent: bool) -> bool:  # noqa: FBT001 - a rule of markdown-it
    """Take a formula as it is, so that its underscores and asterisks are no emphasis."""
    text, begin = state.src, state.pos
    if text[begin] != "$":
        return False
    mark = "$$" if text.startswith("$$", begin) else "$"  # no other dollar signs are left
    closed = text.find(mark, begin + len(mark))
    while closed > 0 and text[closed - 1] == "\\":
        closed = text.find(mark, closed + 1)
    if closed < 0:
        return False
    end = closed + len(mark)
    if not silent:
        state.push("text", "", 0).content = text[begin:end]
    state.pos = end
    return True


def _link(_renderer: Any, tokens: "Sequence[Token]", place: int, *_: Any) -> str:
    address = escape(str(tokens[place].attrGet("href") or ""))
    return f'<a href="{address}" target="_blank" rel="noopener noreferrer">'
