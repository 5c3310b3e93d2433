"""Markdown is split into complete blocks, and rewritten so that it loads and runs nothing."""

import re
from collections.abc import Iterator
from html import unescape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from cfai_magics.markdown.blocks import (
    find_first_code_block,
    split_complete_blocks,
    strip_remote_content,
)
from cfai_magics.markdown.html import markdown_to_html
from tests.parsers.hazards import hazards
from tests.parsers.renderers import Render, markdown_it, marked, mistune

PIECES = st.sampled_from(
    [
        *("word ", "\n", "\n\n", "# head\n", "- item\n", "  - inner\n", "1. one\n", "> quote\n"),
        *("```python\n", "```\n", "~~~\n", "    code\n", "| a | b |\n", "|---|---|\n", "$$\n"),
        *("\\[\n", "\\]\n", "x^2", "`span`", "***\n", "<div>\n", "</div>\n\n", "\t", "[a]: b\n"),
    ]
)
TEXTS = st.lists(PIECES, max_size=30).map("".join)


def html(text: str) -> str:
    return MarkdownIt("commonmark").enable("table").render(text)


@given(TEXTS)
def test_the_parts_join_to_the_whole_text(text: str) -> None:
    assert "".join(split_complete_blocks(text)) == text


@given(TEXTS, TEXTS)
def test_complete_blocks_stay_complete_when_text_is_added(text: str, more: str) -> None:
    complete, _ = split_complete_blocks(text)
    assert split_complete_blocks(text + more)[0].startswith(complete)


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        pytest.param("", "", id="empty text"),
        pytest.param("One", "", id="the last block is open"),
        pytest.param("One\n\n", "", id="the last block is open after an empty line"),
        pytest.param("One\n\nTwo", "One\n\n", id="a paragraph"),
        pytest.param("# Head\nText", "# Head\n", id="a heading"),
        pytest.param("```\na\n\nb\n", "", id="an open fence"),
        pytest.param("```\na\n```\nText", "```\na\n```\n", id="a closed fence"),
        pytest.param("- a\n\n- b\n\n  more", "", id="a list continues"),
        pytest.param("Now:\n\n$$\na\n\nb", "Now:\n\n", id="an open formula"),
        pytest.param("$$\na\n\nb\n$$\n\nText", "$$\na\n\nb\n$$\n\n", id="a closed formula"),
        pytest.param(
            "\\[\na\n\nb\n\\]\n\nText", "\\[\na\n\nb\n\\]\n\n", id="a formula in brackets"
        ),
    ],
)
def test_a_block_is_complete_if_more_text_cannot_change_it(text: str, complete: str) -> None:
    assert split_complete_blocks(text)[0] == complete


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        pytest.param("a\x0cb\n\n```\nx\n```\nText", "a\x0cb\n\n```\nx\n```\n", id="form feed"),
        pytest.param("a\r\n\r\nb\u2028\u2028c", "a\r\n\r\nb\u2028\u2028", id="other line ends"),
        pytest.param("```\n$$\n```\n\nText", "```\n$$\n```\n\n", id="dollar signs in code"),
    ],
)
def test_split_and_rewriting_use_the_same_line_ends(text: str, complete: str) -> None:
    assert split_complete_blocks(text)[0] == complete


# The URL of the attacker's server in every attack.
EVIL = "http://evil.example/p.png"
# Each entry loads or runs something with at least one parser.
ATTACKS = {
    "image": f"![x]({EVIL})",
    "image in the text of an image": f"![ ![x]({EVIL})",
    "image after exclamation marks": f"!!![x]({EVIL})",
    "image as an address in angles": f"!<{EVIL}?a=b> and \\!<{EVIL}?a=b>",
    "image as the text of a link": f"[![x]({EVIL})](http://a.b)",
    "image by reference": f"![x][r]\n\n[r]: {EVIL}",
    "image by shortcut reference": f"![r]\n\n[r]: {EVIL}",
    "invalid image data": f"![a](data:image/ x y)\n\n[a]: {EVIL}",
    "data of SVG": "![a](data:image/svg+xml;base64,AAAA)",
    "image of this server": "![a](/api/contents)",
    "attachment": "![a](attachment:a.png)",
    "image in a table": f"| a |\n|---|\n| ![x]({EVIL}) |",
    "image after backticks": f"`` ` ![x]({EVIL}) ` `",
    "image between escaped backticks": f"\\` ![x]({EVIL}) \\`",
    "image in code over two lines": f"a `b\n![x]({EVIL})\n\nc` d",
    "tag": f"<img src={EVIL}>",
    "tag after a form feed": f"a\x0cb\x0c<img src={EVIL}>\n```\nx\n```",
    "tag after a line separator": f"a\u2028\u2028<img src={EVIL}>\n```\nx\n```",
    "tag after a vertical tab": f"a\x0b```\x0b<img src={EVIL}>\n```\nx\n```",
    "tag after a next-line character": f"a\x85    <img src={EVIL}>\n\n```\nx\n```",
    "tag after a carriage return": f"```\rx\r```\r<img src={EVIL}>",
    "tag after a file separator": f"a\x1c```\x1d<img src={EVIL}>\x1e```",
    "fence closed by another": f"```\nx\n~~~\n<img src={EVIL}>\n```",
    "fence without an end": f"```\n\n- a\n  ~~~\n<img src={EVIL}>",
    "fence in a list": f"- ```\n  x\n```\n<img src={EVIL}>\n```",
    "reference name that continues into a fence": f"[a\n\n```\n]: b\n <img src={EVIL}>\n```",
    "reference names that continue into a fence": f"[a\n[a\n\n```\n]: b\n <img src={EVIL}>\n```",
    "code after a tilde": "~`&#36;\\href{javascript:alert(1)}{x}&dollar;`",
    "brackets after a backslash": f"\\\\\\[a\n\n```\n\\\\]\n<img src={EVIL}>\n```",
    "address that begins before code": (
        "http://a.b`\\[\\style{background:url(x)}{x}\\]`c http://a.b`\\(\\href{y:z}{x}\\)`"
    ),
    "address after backslashes": f"\\\\<http://a.b?c=d>\n\n```\n\\\\]\n<img src={EVIL}>\n```",
    "reference name with an open formula": f"[a \\] $[0,1)$\n\n```\n]: b\n <img src={EVIL}>\n```",
    "address that mistune takes for a tag": f"<script@b.c>\n\n```\n<img src={EVIL}>\n```",
    "fence in a quote": f"> ```\n<img src={EVIL}>\n> ```",
    "fence in a quote continues outside": f"> ```\nx\n```\n<img src={EVIL}>",
    "fence with text in its line": f"``` `x`\n<img src={EVIL}>\n```",
    "language that ends the attribute": f'```x"><img/src={EVIL}>\ny\n```',
    "diagram": f"```mermaid\n</pre><img src={EVIL}>\n```",
    "diagram with an image": f'```Mermaid\nflowchart\nA@{{img: "{EVIL}"}}\n```',
    "indented code": f"a\n\n    <img src={EVIL}>\n\n- b\n\n        <img src={EVIL}>",
    "indented lines of a paragraph": f"a\n    <img src={EVIL}>",
    "style": f'<p title=">" style="background:url({EVIL})">',
    "handler": '<details open title=">" ontoggle=alert(1)>',
    "script": "<script>alert(1)</script>",
    "comment": "<!-- a --><script>alert(1)</script><!--",
    "tag that continues in a fence": '<p title="\n\n```\n"><script>alert(1)</script>\n```',
    "link": "[x](javascript:alert(1))",
    "link with a tab": "[x](java\tscript:alert(1))",
    "link with an entity": "[x](&#106;avascript&colon;alert(1))",
    "link in angles": "[x](<javascript:alert(1)>)",
    "link by reference": "[x]\n\n[x]: javascript:alert(1)",
    "link by reference on two lines": "[x]\n\n[x]:\n<javascript:alert(1)>",
    "link of an address in angles": "<javascript:alert(1)>",
    "link to a data URL": "[x](data:text/html,<script>alert(1)</script>)",
    "link of this server": "[x](/logout)",
    "link with a quote in its title": '[x](http://a.b "a\\" onclick=alert(1)")',
    "tag in a block of HTML": "<br>\n<http://a/onmouseover=alert>",
    "formula with a tag": f"$<img src={EVIL}>$ and $$<img src={EVIL}>$$",
    "formula as a link": "$\\href{javascript:alert(1)}{x}$",
    "formula of entities": "&#36;\\href{javascript:alert(1)}{x}&dollar;",
    "formula of escaped brackets": "\\\\(\\href{javascript:alert(1)}{x}\\\\)",
    "formula with a style": "\\[\\style{background:url(http://a.b)}{x}\\]",
    "formula in an address": 'http://a.b/$"onclick="alert(1)$',
    "formula in the address of a link": '[x](http://a.b/$"onclick="alert(1)$)',
    "formula after a link": '](http://a.b "t")$"onclick="alert(1)$',
    "formula in a title": '[x]: http://a.b\n"$\\"onclick=alert(1) $"\n\n[x]',
    "formula in an address as text": "http://a.b\\[\\style{background:url(x)}{x}\\]",
    "formula placeholder in a title": '[x]: http://a.b\n"@\\@0@@"\n\n[x] $"onclick=alert(1) y="$',
    "formula that opens before a fence": f"$$\n\n```\n$$\n<img src={EVIL}>\n```",
    "brackets that open before a fence": f"$a \\\\[ b$\n\n```\n\\\\]\n<img src={EVIL}>\n```",
    "environment that opens before a fence": (
        f"\\begin{{a}}\n```\n\\end{{a}}\n<img src={EVIL}>\n```"
    ),
    "address of another scheme": "see ftp://evil.example/x",
}


@pytest.fixture(scope="module")
def parsers() -> Iterator[dict[str, Render]]:
    """The parsers of JupyterLab (marked), nbconvert (mistune) and markdown-it."""
    with marked() as jupyterlab:
        yield {"marked": jupyterlab, "mistune": mistune, "markdown-it": markdown_it}


def find_hazards(text: str, parsers: dict[str, Render]) -> dict[str, list[str]]:
    """Return what the rewritten text loads or runs, by parser; empty if it is safe."""
    shown = strip_remote_content(text)
    loaded = {name: hazards(render(shown)) for name, render in parsers.items()}
    loaded["columns"] = hazards(markdown_to_html(text))
    return {name: items for name, items in loaded.items() if items}


@pytest.mark.parametrize("text", [pytest.param(each, id=name) for name, each in ATTACKS.items()])
def test_an_attack_loads_and_runs_nothing_under_any_parser(
    text: str, parsers: dict[str, Render]
) -> None:
    assert find_hazards(text, parsers) == {}
    assert find_hazards(f"- a\n\n{text}\n\nb `c`", parsers) == {}
    assert find_hazards("> " + text.replace("\n", "\n> "), parsers) == {}


def test_most_attacks_are_detected_without_rewriting(parsers: dict[str, Render]) -> None:
    detected = {
        name
        for name, text in ATTACKS.items()
        if any(hazards(render(text)) for render in parsers.values())
    }
    assert len(detected) > len(ATTACKS) * 3 / 4


BUILDING = (
    *(
        "\n",
        "\n",
        "\n\n",
        "  ",
        "    ",
        "\t",
        "> ",
        "- ",
        "1. ",
        "# ",
        "---\n",
        "| a |\n|---|\n| ",
    ),
    *(
        "|",
        ": ",
        "```\n",
        "~~~\n",
        "````\n",
        "```html\n",
        "`",
        "``",
        "\\",
        "![",
        "[r]",
        "](",
        "]:",
    ),
    *("[r]: ", "!", "[", "]", "(", ")", "<", ">", '"', "'", "$", "$$", "\\(", "\\)", "\\[", "\\]"),
    *("\\\\(", "\\\\[", "\\\\]", "\\begin{a}", "\\end{a}", "{", "}", "&", "&#36;", "&#92;", "@@"),
    *("@\\@0@@", "<br>", "<div>", "</div>", "<!--", "http://a.b/", "www.a.b", "a@b.c", "x^2", "5"),
    *("word ", "*", "_", "~~", "\x0c", "\x0b", "\x85", "\u2028", "\u2029", "\r", "\x1c", "\u00a0"),
)
DANGEROUS = st.lists(st.sampled_from([*BUILDING, *ATTACKS.values()]), max_size=25).map("".join)


@settings(deadline=None)
@given(DANGEROUS)
def test_generated_markdown_loads_and_runs_nothing_under_any_parser(
    parsers: dict[str, Render], text: str
) -> None:
    assert find_hazards(text, parsers) == {}


@settings(deadline=None)
@given(DANGEROUS)
def test_parts_of_an_answer_are_rewritten_like_the_whole(text: str) -> None:
    complete, rest = split_complete_blocks(text)
    assert complete + rest == text
    shown = strip_remote_content(complete) + "\n" + strip_remote_content(rest)
    assert normalize_spaces(shown) == normalize_spaces(strip_remote_content(text))


def normalize_spaces(markdown: str) -> str:
    """Return Markdown with normalized spaces and literal brackets."""
    return " ".join(markdown.replace("&#91;", "[").split())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("![sky](http://x/a.png)", "[image: sky](http://x/a.png)", id="an image"),
        pytest.param("![](//x/a.png)", "[image]\\(//x/a.png)", id="an image without a scheme"),
        pytest.param("\\![a](http://x)", "\\![a](http://x)", id="an escaped image is a link"),
        pytest.param(
            "![a b](data:image/png;base64,AA==)",
            "![a b](data:image/png;base64,AA==)",
            id="an image as a data URL",
        ),
        pytest.param("a <b>bold</b> word", "a &lt;b>bold&lt;/b> word", id="HTML"),
        pytest.param("H<sub>2</sub>O<br>b", "H<sub>2</sub>O<br>b", id="harmless HTML"),
        pytest.param("see <https://a.b/c>", "see <https://a.b/c>", id="an address"),
        pytest.param("[a](https://a.b/c_d 't')", "[a](https://a.b/c_d)", id="a link"),
        pytest.param("[a](mailto:a@b.c)", "[a](mailto:a@b.c)", id="a mail link"),
        pytest.param("[a](lesson.ipynb)", "[a]\\(lesson.ipynb)", id="a link to a file"),
        pytest.param("use `x` and `y[0]` so", "use `x` and `y[0]` so", id="inline code"),
        pytest.param("```html\n<img src=x>\n```", "```html\n<img src=x>\n```", id="a fence"),
        pytest.param("a\n~~~ py x\n`<b>`\n", "a\n\n```py\n`<b>`\n```\n", id="other fences"),
        pytest.param("<p>\n```\n<b>\n```", "&lt;p>\n\n```\n<b>\n```", id="a fence after HTML"),
        pytest.param("    <img>\n", "```\n<img>\n```\n", id="an indented block"),
        pytest.param(
            "- a\n  ```py\n  x\n  ```\n", "- a\n  ```py\n  x\n  ```\n", id="a fence in a list"
        ),
    ],
)
def test_markdown_is_rewritten_without_remote_content(text: str, shown: str) -> None:
    assert strip_remote_content(text) == shown


COMMON = (
    "# Head\n\nSome *words* and **more**, ~~less~~.\n",
    "1. one\n2. two\n   - three\n\n> quoted\n> again\n\n---\n",
    "| a | b |\n|---|:-:|\n| 1 | `x` |\n\nText [link](https://a.b).\n",
    "- [ ] open\n- [x] done\n\nA sum: a < b, 1<2 & more.\n",
    "```python\nif a < b:\n    print('$x', [1](2))\n```\n\nand `a` or ``b`c``.\n",
)


@pytest.mark.parametrize("text", COMMON)
def test_common_markdown_is_unchanged_under_every_parser(
    text: str, parsers: dict[str, Render]
) -> None:
    shown = strip_remote_content(text)
    for name, render in parsers.items():
        assert words(render(shown)) == words(render(text)), name


@pytest.mark.parametrize(
    "text",
    [
        "Use `List<int>`, `![a](u)`, `$HOME`, `a|b` and `\\begin{x}`.",
        "- Do\n\n  ```html\n  <b>\n\n  $x$ [a](b)\n  ```\n\n- Then",
        "```\n<script>![a](u) $x$ \\begin{a}\n```",
    ],
)
def test_code_is_unchanged_by_rewriting(text: str, parsers: dict[str, Render]) -> None:
    code = re.findall(r"<code[^>]*>(.*?)</code>", markdown_it(text), re.DOTALL)
    assert code
    shown = strip_remote_content(text)
    for name in ("marked", "markdown-it"):
        html = parsers[name](shown)
        found = re.findall(r"<code[^>]*>(.*?)</code>", html, re.DOTALL)
        assert list(map(decode, found)) == list(map(decode, code)), name


def decode(html: str) -> str:
    """Return HTML with decoded entities and without trailing spaces."""
    return unescape(html).rstrip().replace("\n \n", "\n\n")


def words(html: str) -> list[str]:
    return unescape(re.sub(r"</?[a-z][^>]*>", " ", html)).split()


def test_the_first_code_block_is_not_rewritten() -> None:
    found = find_first_code_block("a\n\n```html\n<img src=x>\n```")
    assert found is not None
    assert found.text == "<img src=x>\n"
