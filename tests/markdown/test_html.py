"""Markdown of a model as HTML: it is rendered, but runs and loads nothing."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cfai_magics.markdown.html import markdown_to_html

SAFE = {
    *("h1", "h2", "h3", "h4", "h5", "h6", "p", "ul", "ol", "li", "blockquote", "pre", "code"),
    *("em", "strong", "s", "a", "br", "span", "hr", "table", "thead", "tbody", "tr", "th", "td"),
}
ATTRIBUTES = {"href", "target", "rel", "class", "start", "style", "title"}


class TagCollector(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str]] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {(name, value or "") for name, value in attrs}


def parse_rendered(text: str) -> TagCollector:
    tags = TagCollector()
    tags.feed(markdown_to_html(text))
    tags.close()
    return tags


HOSTILE = (
    "<script>alert(1)</script>",
    "a <img src=http://e.org/x.png onerror=alert(1)> b",
    "![x](http://e.org/x.png)",
    "![x][r]\n\n[r]: http://e.org/x.png",
    "![](data:image/svg+xml;base64,AAAA)",
    "[x](javascript:alert(1))",
    "[x](data:text/html,<script>alert(1)</script>)",
    '[x](http://e.org "a\\" onclick=alert(1)")',
    '[x](http://e.org/"onmouseover="alert(1))',
    '<http://e.org/"onmouseover="alert(1)>',
    "$<img src=x onerror=alert(1)>$",
    '```html"><script>\nx\n```',
    "</div></div><style>*{display:none}</style>",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_markdown_runs_and_loads_nothing(text: str) -> None:
    collected = parse_rendered(text)
    assert collected.tags <= SAFE
    assert {name for name, _ in collected.attributes} <= ATTRIBUTES
    assert not [
        value for _, value in collected.attributes if value.startswith(("javascript", "data"))
    ]


@given(st.lists(st.sampled_from([*HOSTILE, "\n", "\n\n", "`", "$", "*", "| a |\n|--|\n", "> "])))
def test_combined_hostile_markdown_runs_and_loads_nothing(pieces: list[str]) -> None:
    collected = parse_rendered("".join(pieces))
    assert collected.tags <= SAFE
    assert {name for name, _ in collected.attributes} <= ATTRIBUTES


def test_markdown_is_rendered() -> None:
    html = markdown_to_html("# A\n\n*b* ~~c~~ `d<e>`\n\n| x |\n|---|\n| 1 |\n\n[l](https://e.org)")
    for piece in ("<h1>A</h1>", "<em>b</em>", "<s>c</s>", "<code>d&lt;e&gt;</code>"):
        assert piece in html
    assert '<a href="https://e.org" target="_blank" rel="noopener noreferrer">l</a>' in html


def test_table_cells_are_aligned_left_by_default() -> None:
    html = markdown_to_html("| x | y |\n|---|--:|\n| 1 | 2 |")
    for tag, text in (("th", "x"), ("td", "1")):
        assert f'<{tag} style="text-align:left">{text}</{tag}>' in html
    for tag, text in (("th", "y"), ("td", "2")):
        assert f'<{tag} style="text-align:right">{text}</{tag}>' in html


@pytest.mark.parametrize("formula", ["$a_1 * b_2 * c$", "$$\\frac{a_1}{b_1}*c*$$", "$$a_b_c$$"])
def test_a_formula_is_not_changed(formula: str) -> None:
    assert markdown_to_html(f"So {formula} is true.") == f"<p>So {formula} is true."


@pytest.mark.parametrize("text", ["$5 and *$10*", "5$ *or* 6$", "a $ *b* $ c", "only $*one*"])
def test_prices_are_not_formulas(text: str) -> None:
    assert "<em>" in markdown_to_html(text)
