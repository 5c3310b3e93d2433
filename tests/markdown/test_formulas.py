"""Formulas are recognized the same way in a single answer and in columns."""

import re
from html import unescape

import pytest

from cfai_magics.markdown.blocks import strip_remote_content
from cfai_magics.markdown.html import markdown_to_html

FORMULA = re.compile(r"\$\$.*?\$\$|\$[^$]+\$")


def rendered_formulas(text: str) -> list[str]:
    """Return the formulas of `text`; a single answer and columns render the same ones."""
    shown = strip_remote_content(text)
    code = re.compile(r"```.*?```|`[^`]*`", re.DOTALL)
    columns = re.sub(
        r"<code>.*?</code>|<span>.*?</span>", "", markdown_to_html(text), flags=re.DOTALL
    )
    formulas = FORMULA.findall(code.sub("", shown))
    assert FORMULA.findall(unescape(columns)) == formulas
    assert "$" not in FORMULA.sub("", code.sub("", shown))
    return formulas


@pytest.mark.parametrize(
    "text",
    [
        "It costs $5 and then $10, so $5.",
        "between $5-$10, or US$5/US$10",
        "5$ or 6$, 7$",
        "Was $100, now **$80**!",
        "I have $20 and you have 30$.",
        "$1,000 plus shipping is due$",
        "$5 (or $6)",
        "$100 (x_1=$50)",
        "Rated $$ to $$$",
        "$$$ to $$, $$ or $$$?",
        "$$ \u2013 $$$ range",
        "$$-$$$ or $$/$$$",
        "cheap ($), mid ($$), fancy ($$$)",
        "under $20 ($), $20\u2013$40 ($$), over $40 ($$$)",
        "$$5 and $$10",
        "$$5, $$10\u2013$$15",
        "it is $$ and $$ each",
        "a $$ restaurant, a $$ bar",
        "| A | $ | $$ | $$$ |\n|---|---|---|---|\n| B | $$ | $$ | $$ |\n",
        "| A | $$ |\n|---|---|\n| B | $$ |\n",
        "| a | b |\n|---|---|\n| $5 | $10 |\n",
        "set $HOME/bin:$PATH or ${A}x${B}",
        "a $ b $ c",
        "only one $",
        "$$",
        "$$$$",
        "\\$5 and \\$10",
        "$5\n\nand x$",
        "&#36;x&#36; and &dollar;y&dollar;",
        "$a{b$ and $\\begin{x}$",
        "\\( a",
        "\\\\(a\\\\)",
        "\\(force times distance\\)",
        "\\begin{itemize} \\item a \\end{itemize}",
    ],
)
def test_prices_and_other_dollar_signs_stay_text(text: str) -> None:
    assert rendered_formulas(text) == []


@pytest.mark.parametrize(
    ("text", "formulas"),
    [
        ("\\( e^{i\\pi} \\) and \\[ a^2 \\]", ["$e^{i\\pi}$", "$$a^2$$"]),
        ("so $x$, $a_1 * b_2$ and $5$", ["$x$", "$a_1 * b_2$", "$5$"]),
        ("it costs $5, where $x$ is", ["$x$"]),
        ("a 2$\\times$2 matrix", ["$\\times$"]),
        ("costs $5 ($x$)", ["$x$"]),
        ("$5 ($x_1$), $6 ($y$), $7", ["$x_1$", "$y$"]),
        ("$10 \u2013 $20 [$x$], $5 **$y$**", ["$x$", "$y$"]),
        ("$5M ($x$M), $5-$y$ and f(x)=$z^2$", ["$x$", "$y$", "$z^2$"]),
        ("it costs $5 and f(x)=$x^2$ then $y$", ["$x^2$", "$y$"]),
        (
            "so $5 \\in [0, 10)$, $5 (1+x)$, $0^+$ and $0+$",
            [
                *("$5 \\in [0, 10)$", "$5 (1+x)$", "$0^+$", "$0+$"),
            ],
        ),
        ("where ($x$) and ($y$), $(2, 3)$", ["$x$", "$y$", "$(2, 3)$"]),
        ("is $$ x + y $$ or $$ ab $$ here", ["$$x + y$$", "$$ab$$"]),
        ("is $$ revenue - cost $$ or $$ way / time $$", ["$$revenue - cost$$", "$$way / time$$"]),
        ("$$\nprofit\n$$", ["$$profit$$"]),
        ("$$5 kg$$ and $$2x = 4$$", ["$$5 kg$$", "$$2x = 4$$"]),
        ("其中$x$是", ["$x$"]),
        ("$$\na\n= b\n+ c\n$$", ["$$a = b + c$$"]),
        ("\\[\n\na\n\n\\]", ["$$a$$"]),
        ("> \\[\n> a\n> \\]", ["$$a$$"]),
        ("$a<b$ and $x![a](b)$", ["$a< b$", "$x! [a] (b)$"]),
        ("$a$\\(b\\)", ["$a$", "$b$"]),
        ("$a % b\n c$", ["$a c$"]),
        ("$50%$ of $x = 5% of y$", ["$50\\%$", "$x = 5\\% of y$"]),
        (
            "\\(50%\\), \\[5 % of x\\] and $$5% - a%$$",
            [
                *("$50\\%$", "$$5 \\% of x$$", "$$5\\% - a\\%$$"),
            ],
        ),
        ("$$\n5 % 3\n= x%\n$$", ["$$5 \\% 3 = x\\%$$"]),
        ("$5\\%$ and $5\\\\\\%$", ["$5\\%$", "$5\\\\\\%$"]),
        ("$$\n% note\na % note\n\\\\% note\n= b\n$$", ["$$a \\\\ = b$$"]),
        (
            "\\begin{align}% note\na\\text{%\nb}\n\\end{align}",
            ["$$\\begin{align} a\\text{ b} \\end{align}$$"],
        ),
        ("$3x + 2y$ and $20 = x$", ["$3x + 2y$", "$20 = x$"]),
        ("\\(\\text{cost: } \\$5\\)", ["$\\text{cost: } \\$5$"]),
        (
            "\\begin{align}\na &= b \\\\\nc &= d\n\\end{align}",
            ["$$\\begin{align} a &= b \\\\ c &= d \\end{align}$$"],
        ),
        ("`$x$` and $y$\n\n```\n$z$\n```\n", ["$y$"]),
    ],
)
def test_formulas_are_normalized_in_markdown_and_columns(text: str, formulas: list[str]) -> None:
    # FORMULA can't parse an escaped dollar sign, so both sides are compared without it.
    assert rendered_formulas(text.replace("\\$", "")) == [
        each.replace("\\$", "") for each in formulas
    ]


@pytest.mark.parametrize(
    "command",
    [
        *("\\href{javascript:alert(1)}{x}", "\\HREF{a}{x}", "\\url{a}", "\\require{x}"),
        *("\\unicode[url(http://a.b)]{x}", "\\style{color:red}{x}", "\\class{a}{x}"),
        *("\\cssId{a}{x}", "\\htmlStyle{a}{x}", "\\data{a}{x}", "\\includegraphics{a}"),
        *("\\bbox[background:url(a)]{x}", "\\mmlToken{mi}[href='a']{x}", "\\def\\a{b}"),
        *("\\let\\a\\b", "\\newcommand{\\a}{b}", "\\color{url(a)}x", "http://a.b"),
    ],
)
def test_a_formula_with_unsafe_commands_becomes_text(command: str) -> None:
    assert (
        rendered_formulas(f"$a + {command}$, $${command}$$, \\({command}\\) and \\[{command}\\]")
        == []
    )
    assert rendered_formulas(f"\\begin{{align}}{command}\\end{{align}}") == []
