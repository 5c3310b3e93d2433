"""Markdown of a model as HTML: for where a Markdown output cannot stand, such as in a column."""

from collections.abc import Sequence
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

MATH = (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"))


def html_of(text: str) -> str:
    """Return Markdown as HTML that runs nothing and loads nothing.

    HTML in it is shown as text, images become links, and formulas stay as they are for MathJax.
    """
    rendered: str = _parser().render(text)
    return rendered


@cache
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    made = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    made.inline.ruler.before("escape", "math", _math)
    made.add_render_rule("image", _image)
    made.add_render_rule("link_open", _link)
    return made


def _math(state: "StateInline", silent: bool) -> bool:  # noqa: FBT001 - a rule of markdown-it
    """Take a formula as it is, so that its underscores and asterisks are no emphasis."""
    end = _end_of_formula(state.src, state.pos)
    if not end:
        return False
    if not silent:
        state.push("text", "", 0).content = state.src[state.pos : end]
    state.pos = end
    return True


def _end_of_formula(text: str, begin: int) -> int:
    """Return where the formula ends that begins here; 0 where none does."""
    for opening, closing in MATH:
        if text.startswith(opening, begin):
            inner = begin + len(opening)
            end = text.find(closing, inner)
            if end <= inner or (opening == "$" and not _is_formula(text, inner, end)):
                return 0
            return end + len(closing)
    return 0


def _is_formula(text: str, begin: int, end: int) -> bool:
    """Whether what stands between two dollar signs is no price: as pandoc tells them apart."""
    return not (
        text[begin].isspace() or text[end - 1].isspace() or text[end + 1 : end + 2].isdigit()
    )


def _link(_renderer: Any, tokens: "Sequence[Token]", place: int, *_: Any) -> str:
    address = escape(str(tokens[place].attrGet("href") or ""))
    return f'<a href="{address}" target="_blank" rel="noopener noreferrer">'


def _image(_renderer: Any, tokens: "Sequence[Token]", place: int, *_: Any) -> str:
    """Return a link in place of an image: what is shown calls nobody."""
    image = tokens[place]
    name = f"[image: {escape(image.content)}]" if image.content else "[image]"
    address = str(image.attrGet("src") or "")
    if address.startswith("data:"):
        return name
    return f'<a href="{escape(address)}" target="_blank" rel="noopener noreferrer">{name}</a>'
