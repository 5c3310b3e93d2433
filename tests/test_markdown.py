"""Where Markdown's blocks end, and what it may not load."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from cfai_magics.markdown import split_finished, without_remote_content

PIECES = st.sampled_from(
    [
        *("word ", "\n", "\n\n", "# head\n", "- item\n", "  - inner\n", "1. one\n", "> said\n"),
        *("```python\n", "```\n", "~~~\n", "    code\n", "| a | b |\n", "|---|---|\n", "$$\n"),
        *("\\[\n", "\\]\n", "x^2", "`span`", "***\n", "<div>\n", "</div>\n\n", "\t", "[a]: b\n"),
    ]
)
TEXTS = st.lists(PIECES, max_size=30).map("".join)


def html(text: str) -> str:
    return MarkdownIt("commonmark").enable("table").render(text)


@given(TEXTS)
def test_the_parts_are_the_whole(text: str) -> None:
    assert "".join(split_finished(text)) == text


@given(TEXTS, TEXTS)
def test_what_is_finished_stays_finished(text: str, more: str) -> None:
    finished, _ = split_finished(text)
    assert split_finished(text + more)[0].startswith(finished)


@pytest.mark.parametrize(
    ("text", "finished"),
    [
        pytest.param("", "", id="nothing"),
        pytest.param("One", "", id="the last block is open"),
        pytest.param("One\n\n", "", id="also after an empty line"),
        pytest.param("One\n\nTwo", "One\n\n", id="a paragraph"),
        pytest.param("# Head\nText", "# Head\n", id="a heading"),
        pytest.param("```\na\n\nb\n", "", id="a fence that has not ended"),
        pytest.param("```\na\n```\nText", "```\na\n```\n", id="a fence that has"),
        pytest.param("- a\n\n- b\n\n  more", "", id="a list goes on"),
        pytest.param("Now:\n\n$$\na\n\nb", "Now:\n\n", id="a formula that has not ended"),
        pytest.param("$$\na\n\nb\n$$\n\nText", "$$\na\n\nb\n$$\n\n", id="a formula that has"),
        pytest.param("\\[\na\n\nb\n\\]\n\nText", "\\[\na\n\nb\n\\]\n\n", id="the other kind"),
    ],
)
def test_blocks_end_where_more_text_can_not_change_them(text: str, finished: str) -> None:
    assert split_finished(text)[0] == finished


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("![sky](http://x/a.png)", "[image: sky](http://x/a.png)", id="an image"),
        pytest.param("![](//x/a.png)", "[image](//x/a.png)", id="without a text"),
        pytest.param("![a][r]\n\n[r]: http://x", "[image: a][r]\n\n[r]: http://x", id="by name"),
        pytest.param("\\![a](http://x)", "\\![a](http://x)", id="an escaped one is a link"),
        pytest.param("\\\\![a](http://x)", "\\\\[image: a](http://x)", id="an escaped backslash"),
        pytest.param("![a](data:image/png,AA)", "![a](data:image/png,AA)", id="data"),
        pytest.param("![a](attachment:a.png)", "![a](attachment:a.png)", id="an attachment"),
        pytest.param("<img src=x>", "&lt;img src=x>", id="HTML"),
        pytest.param("<IMG\nsrc=x>", "&lt;IMG\nsrc=x>", id="over two lines"),
        pytest.param("a <b onclick=x>b</b>", "a &lt;b onclick=x>b</b>", id="a handler"),
        pytest.param("<p style='--a:url(x)'>", "&lt;p style='--a:url(x)'>", id="CSS"),
        pytest.param("a <b>bold</b> word", "a <b>bold</b> word", id="harmless HTML"),
        pytest.param("if a < b and b > c", "if a < b and b > c", id="comparisons"),
        pytest.param("use `![a](u)` so", "use `![a](u)` so", id="code in a line"),
        pytest.param("```html\n<img src=x>\n```", "```html\n<img src=x>\n```", id="a fence"),
        pytest.param("    <img src=x>\n", "    <img src=x>\n", id="an indented block"),
    ],
)
def test_nothing_is_loaded_from_elsewhere(text: str, shown: str) -> None:
    assert without_remote_content(text) == shown


@given(TEXTS, st.sampled_from(["![a](http://x/a.png)", "<img src=http://x>", "<svg onload=x>"]))
def test_what_loads_is_neutral_in_every_surrounding(text: str, loading: str) -> None:
    shown = html(without_remote_content(f"{text}\n\n{loading}\n\n{text}"))
    for tag in ("<img", "<svg"):
        assert tag not in shown


@given(TEXTS)
def test_texts_that_load_nothing_stand_as_they_are(text: str) -> None:
    assert without_remote_content(text) == text
