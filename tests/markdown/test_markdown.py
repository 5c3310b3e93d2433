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
    assert "".join(split_complete_blocks(text)) == text


@given(TEXTS, TEXTS)
def test_what_is_finished_stays_finished(text: str, more: str) -> None:
    finished, _ = split_complete_blocks(text)
    assert split_complete_blocks(text + more)[0].startswith(finished)


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
    assert split_complete_blocks(text)[0] == finished


@pytest.mark.parametrize(
    ("text", "finished"),
    [
        pytest.param("a\x0cb\n\n```\nx\n```\nText", "a\x0cb\n\n```\nx\n```\n", id="form feed"),
        pytest.param("a\r\n\r\nb\u2028\u2028c", "a\r\n\r\nb\u2028\u2028", id="other line ends"),
        pytest.param("```\n$$\n```\n\nText", "```\n$$\n```\n\n", id="dollar signs in code"),
    ],
)
def test_blocks_are_cut_where_lines_end_for_the_rewriting(text: str, finished: str) -> None:
    assert split_complete_blocks(text)[0] == finished


# The URL of the attacker's server in every attack.
EVIL = "http://evil.example/p.png"
# One line per known way to load or run something with at least one parser.
ATTACKS = {
    "image": f"![x]({EVIL})",
    "image in the text of an image": f"![ ![x]({EVIL})",
    "image after signs": f"!!![x]({EVIL})",
    "image by an address": f"!<{EVIL}?a=b> and \\!<{EVIL}?a=b>",
    "image whose name is a link": f"[![x]({EVIL})](http://a.b)",
    "image by a name": f"![x][r]\n\n[r]: {EVIL}",
    "image by its own name": f"![r]\n\n[r]: {EVIL}",
    "data that is none": f"![a](data:image/ x y)\n\n[a]: {EVIL}",
    "data of SVG": "![a](data:image/svg+xml;base64,AAAA)",
    "image of this server": "![a](/api/contents)",
    "attachment": "![a](attachment:a.png)",
    "image in a table": f"| a |\n|---|\n| ![x]({EVIL}) |",
    "image behind backticks": f"`` ` ![x]({EVIL}) ` `",
    "image between escaped backticks": f"\\` ![x]({EVIL}) \\`",
    "image in code over two lines": f"a `b\n![x]({EVIL})\n\nc` d",
    "tag": f"<img src={EVIL}>",
    "tag after a form feed": f"a\x0cb\x0c<img src={EVIL}>\n```\nx\n```",
    "tag after a line separator": f"a\u2028\u2028<img src={EVIL}>\n```\nx\n```",
    "tag after a vertical tab": f"a\x0b```\x0b<img src={EVIL}>\n```\nx\n```",
    "tag after a next line": f"a\x85    <img src={EVIL}>\n\n```\nx\n```",
    "tag after a carriage return": f"```\rx\r```\r<img src={EVIL}>",
    "tag after a file separator": f"a\x1c```\x1d<img src={EVIL}>\x1e```",
    "fence closed by another": f"```\nx\n~~~\n<img src={EVIL}>\n```",
    "fence that never ends": f"```\n\n- a\n  ~~~\n<img src={EVIL}>",
    "fence in a list": f"- ```\n  x\n```\n<img src={EVIL}>\n```",
    "name that goes on into a fence": f"[a\n\n```\n]: b\n <img src={EVIL}>\n```",
    "names that go on into a fence": f"[a\n[a\n\n```\n]: b\n <img src={EVIL}>\n```",
    "code behind a tilde": "~`&#36;\\href{javascript:alert(1)}{x}&dollar;`",
    "brackets behind a backslash": f"\\\\\\[a\n\n```\n\\\\]\n<img src={EVIL}>\n```",
    "address that begins before code": (
        "http://a.b`\\[\\style{background:url(x)}{x}\\]`c http://a.b`\\(\\href{y:z}{x}\\)`"
    ),
    "address behind backslashes": f"\\\\<http://a.b?c=d>\n\n```\n\\\\]\n<img src={EVIL}>\n```",
    "name with a formula that goes on": f"[a \\] $[0,1)$\n\n```\n]: b\n <img src={EVIL}>\n```",
    "address that mistune takes for a tag": f"<script@b.c>\n\n```\n<img src={EVIL}>\n```",
    "fence in a quote": f"> ```\n<img src={EVIL}>\n> ```",
    "fence in a quote goes on": f"> ```\nx\n```\n<img src={EVIL}>",
    "fence with more in its line": f"``` `x`\n<img src={EVIL}>\n```",
    "language that ends the attribute": f'```x"><img/src={EVIL}>\ny\n```',
    "diagram": f"```mermaid\n</pre><img src={EVIL}>\n```",
    "diagram with an image": f'```Mermaid\nflowchart\nA@{{img: "{EVIL}"}}\n```',
    "indented code": f"a\n\n    <img src={EVIL}>\n\n- b\n\n        <img src={EVIL}>",
    "indented lines of a paragraph": f"a\n    <img src={EVIL}>",
    "style": f'<p title=">" style="background:url({EVIL})">',
    "handler": '<details open title=">" ontoggle=alert(1)>',
    "script": "<script>alert(1)</script>",
    "comment": "<!-- a --><script>alert(1)</script><!--",
    "tag that goes on": '<p title="\n\n```\n"><script>alert(1)</script>\n```',
    "link": "[x](javascript:alert(1))",
    "link with a tab": "[x](java\tscript:alert(1))",
    "link with an entity": "[x](&#106;avascript&colon;alert(1))",
    "link in angles": "[x](<javascript:alert(1)>)",
    "link by a name": "[x]\n\n[x]: javascript:alert(1)",
    "link by a name on two lines": "[x]\n\n[x]:\n<javascript:alert(1)>",
    "link of an address in angles": "<javascript:alert(1)>",
    "link to data": "[x](data:text/html,<script>alert(1)</script>)",
    "link of this server": "[x](/logout)",
    "link whose title ends it": '[x](http://a.b "a\\" onclick=alert(1)")',
    "tag in a block of HTML": "<br>\n<http://a/onmouseover=alert>",
    "formula with a tag": f"$<img src={EVIL}>$ and $$<img src={EVIL}>$$",
    "formula as a link": "$\\href{javascript:alert(1)}{x}$",
    "formula of entities": "&#36;\\href{javascript:alert(1)}{x}&dollar;",
    "formula of escaped brackets": "\\\\(\\href{javascript:alert(1)}{x}\\\\)",
    "formula with a style": "\\[\\style{background:url(http://a.b)}{x}\\]",
    "formula in an address": 'http://a.b/$"onclick="alert(1)$',
    "formula in the address of a link": '[x](http://a.b/$"onclick="alert(1)$)',
    "formula behind a link": '](http://a.b "t")$"onclick="alert(1)$',
    "formula in a title": '[x]: http://a.b\n"$\\"onclick=alert(1) $"\n\n[x]',
    "formula in an address as text": "http://a.b\\[\\style{background:url(x)}{x}\\]",
    "mark of a formula in a title": '[x]: http://a.b\n"@\\@0@@"\n\n[x] $"onclick=alert(1) y="$',
    "formula that opens before a fence": f"$$\n\n```\n$$\n<img src={EVIL}>\n```",
    "brackets that open before a fence": f"$a \\\\[ b$\n\n```\n\\\\]\n<img src={EVIL}>\n```",
    "environment that opens before a fence": (
        f"\\begin{{a}}\n```\n\\end{{a}}\n<img src={EVIL}>\n```"
    ),
    "address of another scheme": "see ftp://evil.example/x",
}


@pytest.fixture(scope="module")
def parsers() -> Iterator[dict[str, Render]]:
    """The parsers of JupyterLab, nbconvert, markdown-it and the columns of this package."""
    with marked() as jupyterlab:
        yield {"marked": jupyterlab, "mistune": mistune, "markdown-it": markdown_it}


def found_in(text: str, parsers: dict[str, Render]) -> dict[str, list[str]]:
    """What the rewritten text loads or runs, by parser; empty if it is safe."""
    shown = strip_remote_content(text)
    found = {name: hazards(render(shown)) for name, render in parsers.items()}
    found["columns"] = hazards(markdown_to_html(text))
    return {name: what for name, what in found.items() if what}


@pytest.mark.parametrize("text", [pytest.param(each, id=name) for name, each in ATTACKS.items()])
def test_an_attack_loads_and_runs_nothing_under_any_parser(
    text: str, parsers: dict[str, Render]
) -> None:
    assert found_in(text, parsers) == {}
    assert found_in(f"- a\n\n{text}\n\nb `c`", parsers) == {}
    assert found_in("> " + text.replace("\n", "\n> "), parsers) == {}


def test_the_attacks_are_seen_where_nothing_is_rewritten(parsers: dict[str, Render]) -> None:
    seen = {
        name
        for name, text in ATTACKS.items()
        if any(hazards(render(text)) for render in parsers.values())
    }
    assert len(seen) > len(ATTACKS) * 3 / 4


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
    assert found_in(text, parsers) == {}


@settings(deadline=None)
@given(DANGEROUS)
def test_parts_of_an_answer_are_shown_as_the_whole_of_it(text: str) -> None:
    finished, rest = split_complete_blocks(text)
    assert finished + rest == text
    shown = strip_remote_content(finished) + "\n" + strip_remote_content(rest)
    assert spaced(shown) == spaced(strip_remote_content(text))


def spaced(markdown: str) -> str:
    """Markdown with normalized spaces and literal brackets."""
    return " ".join(markdown.replace("&#91;", "[").split())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("![sky](http://x/a.png)", "[image: sky](http://x/a.png)", id="an image"),
        pytest.param("![](//x/a.png)", "[image]\\(//x/a.png)", id="without a scheme"),
        pytest.param("\\![a](http://x)", "\\![a](http://x)", id="an escaped one is a link"),
        pytest.param(
            "![a b](data:image/png;base64,AA==)", "![a b](data:image/png;base64,AA==)", id="data"
        ),
        pytest.param("a <b>bold</b> word", "a &lt;b>bold&lt;/b> word", id="HTML"),
        pytest.param("H<sub>2</sub>O<br>b", "H<sub>2</sub>O<br>b", id="harmless HTML"),
        pytest.param("see <https://a.b/c>", "see <https://a.b/c>", id="an address"),
        pytest.param("[a](https://a.b/c_d 't')", "[a](https://a.b/c_d)", id="a link"),
        pytest.param("[a](mailto:a@b.c)", "[a](mailto:a@b.c)", id="a link to a person"),
        pytest.param("[a](lesson.ipynb)", "[a]\\(lesson.ipynb)", id="a file"),
        pytest.param("use `x` and `y[0]` so", "use `x` and `y[0]` so", id="code in a line"),
        pytest.param("```html\n<img src=x>\n```", "```html\n<img src=x>\n```", id="a fence"),
        pytest.param("a\n~~~ py x\n`<b>`\n", "a\n\n```py\n`<b>`\n```\n", id="other fences"),
        pytest.param("<p>\n```\n<b>\n```", "&lt;p>\n\n```\n<b>\n```", id="a fence in HTML"),
        pytest.param("    <img>\n", "```\n<img>\n```\n", id="an indented block"),
        pytest.param("- a\n  ```py\n  x\n  ```\n", "- a\n  ```py\n  x\n  ```\n", id="in a list"),
    ],
)
def test_markdown_is_rewritten(text: str, shown: str) -> None:
    assert strip_remote_content(text) == shown


COMMON = (
    "# Head\n\nSome *words* and **more**, ~~less~~.\n",
    "1. one\n2. two\n   - three\n\n> said\n> again\n\n---\n",
    "| a | b |\n|---|:-:|\n| 1 | `x` |\n\nText [link](https://a.b).\n",
    "- [ ] open\n- [x] done\n\nA sum: a < b, 1<2 & more.\n",
    "```python\nif a < b:\n    print('$x', [1](2))\n```\n\nand `a` or ``b`c``.\n",
)


@pytest.mark.parametrize("text", COMMON)
def test_common_markdown_reads_the_same_under_every_parser(
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
def test_code_reads_as_it_was_written(text: str, parsers: dict[str, Render]) -> None:
    code = re.findall(r"<code[^>]*>(.*?)</code>", markdown_it(text), re.DOTALL)
    assert code
    shown = strip_remote_content(text)
    for name in ("marked", "markdown-it"):
        html = parsers[name](shown)
        found = re.findall(r"<code[^>]*>(.*?)</code>", html, re.DOTALL)
        assert list(map(read, found)) == list(map(read, code)), name


def read(html: str) -> str:
    """HTML with decoded entities and without trailing spaces."""
    return unescape(html).rstrip().replace("\n \n", "\n\n")


def words(html: str) -> list[str]:
    return unescape(re.sub(r"</?[a-z][^>]*>", " ", html)).split()


def test_the_text_that_is_read_from_code_is_not_rewritten() -> None:
    found = find_first_code_block("a\n\n```html\n<img src=x>\n```")
    assert found is not None
    assert found.text == "<img src=x>\n"
