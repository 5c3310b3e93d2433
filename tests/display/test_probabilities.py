"""Tokens are shaded by probability, and a table has the same for terminals and screen readers."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cfai_magics.display.formats import render_final_answer
from cfai_magics.display.probabilities import MAX_ROWS, build_table, render_tokens
from cfai_magics.prompt.output_formats import OUTPUT_FORMATS
from cfai_magics.types.messages import Answer
from cfai_magics.types.tokens import Alternative, Token, Tokens, select_tokens

HOSTILE = '"><script>alert(1)</script><img src=x onerror="alert(1)">$x$ \x1b[31m\u202e\'&'


def token(text: str, probability: float | None = 0.5, *alternatives: tuple[str, float]) -> Token:
    others = tuple(Alternative(each, chance, each.encode()) for each, chance in alternatives)
    return Token(text, probability, text.encode(), others)


class Elements(HTMLParser):
    """Collects the start tags of HTML with their attributes, and the text of the spans."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    @property
    def tokens(self) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.found if "tabindex" in attributes]


def test_each_token_is_focusable_and_lists_its_alternatives() -> None:
    tokens = Tokens([token(" sky", 0.25, ("sea", 0.75), (" sky", 0.25)), token(".", 0.0001)])
    (first, second) = Elements(render_tokens(tokens)).tokens
    assert first["title"] == "“ sky” 25.0 %\n75.0 % “sea”\n25.0 % “ sky”"
    assert first["tabindex"] == "0"
    assert second["title"] == "“.” <0.1 %"


def test_a_less_likely_token_has_a_stronger_shade_and_an_underline() -> None:
    probabilities = (1.0, 0.95, 0.7, 0.3, 0.0, None)
    html = render_tokens(Tokens([token("x", each) for each in probabilities]))
    styles = [str(each["style"]) for each in Elements(html).tokens]
    opacities = [float(re.findall(r",([\d.]+)\)", style)[0]) for style in styles[:-1]]
    assert opacities == sorted(opacities)
    assert len(set(opacities)) == len(opacities)
    lines = [style.rpartition("border-bottom:")[2] for style in styles]
    assert lines == ["none", "none", "1px dotted", "2px solid", "2px solid", "2px dashed"]


def test_the_text_of_a_token_is_never_markup() -> None:
    tokens = Tokens([token(HOSTILE, 0.5, (HOSTILE, 0.5))])
    html = render_tokens(tokens)
    allowed = {"style", "div", "span", "br", "details", "summary", "table", "thead", "tbody"}
    assert {tag for tag, _attributes in Elements(html).found} <= allowed | {"tr", "th", "td"}
    assert not any(
        name.startswith("on") or name in ("src", "href")
        for _tag, attributes in Elements(html).found
        for name in attributes
    )
    for unsafe in ("\x1b", "\u202e", "alert(1)</script>", "$x$"):
        assert unsafe not in re.sub(r'title="[^"]*"', "", html)
    text = str(build_table(tokens))
    assert "\x1b" not in text
    assert "\u202e" not in text


@given(st.text())
def test_any_text_is_one_token_and_one_row(text: str) -> None:
    tokens = Tokens([Token(text, 0.5, text.encode(errors="replace"))])
    assert len(Elements(render_tokens(tokens)).tokens) == 1
    assert len(str(build_table(tokens)).split("\n")) == 2


def test_line_ends_and_unknown_probabilities_are_visible() -> None:
    tokens = Tokens([token("\n\n", None)])
    assert "⏎\n⏎\n</span>" in render_tokens(tokens)
    assert str(build_table(tokens)).splitlines()[1].split() == ["1", "“⏎⏎”", "unknown"]


def test_a_long_answer_has_all_tokens_and_a_table_of_the_first() -> None:
    tokens = Tokens([token("x")] * (MAX_ROWS + 1))
    html = render_tokens(tokens)
    assert len(Elements(html).tokens) == MAX_ROWS + 1
    assert html.count("<tr>") == MAX_ROWS + 1  # with the header
    assert "The first 200 of 201 tokens. Answer.tokens has all of them." in html


@pytest.mark.parametrize("name", ["markdown", "text"])
def test_an_answer_without_tokens_is_shown_as_before(name: str) -> None:
    bundle = render_final_answer(Answer("m", text="*Hi*"), OUTPUT_FORMATS[name])
    assert set(bundle) == {"text/markdown", "text/plain"}
    answer = Answer("m", text="*Hi*", tokens=Tokens([token("*Hi*")]))
    shaded = render_final_answer(answer, OUTPUT_FORMATS[name])
    assert set(shaded) == {"text/html", "text/plain"}
    assert shaded["text/plain"] == "*Hi*"


def test_a_data_frame_has_one_row_for_each_alternative() -> None:
    frame = Tokens([token("a", 0.25, ("b", 0.75), ("a", 0.25)), token("c", None)]).df()
    assert frame.columns.to_list() == [
        *("position", "token", "probability", "rank", "alternative", "alternative_probability"),
    ]
    assert frame["position"].to_list() == [0, 0, 1]
    assert frame["alternative"].to_list()[:2] == ["b", "a"]
    assert frame["probability"].isna().to_list() == [False, False, True]
    assert Tokens().df().empty


@pytest.mark.parametrize(
    ("texts", "text", "selected"),
    [
        pytest.param(["Hi", "!"], "Hi!", ["Hi", "!"], id="all"),
        pytest.param(["Hm", "</s>", "Hi", "!", "<end>"], "Hi!", ["Hi", "!"], id="within markers"),
        pytest.param(["a", "a"], "a", ["a"], id="before a stop sequence"),
        pytest.param(["4", "?", "4"], "4", ["4"], id="start"),
        pytest.param(["Hi", "", "!"], "Hi!", ["Hi", "", "!"], id="empty token"),
        pytest.param(["\ufffd", "!"], "é!", ["\ufffd", "!"], id="other text"),
        pytest.param([], "Hi", [], id="none"),
    ],
)
def test_the_tokens_of_the_text_are_selected(
    texts: list[str], text: str, selected: list[str]
) -> None:
    assert [each.text for each in select_tokens(list(map(token, texts)), text)] == selected
