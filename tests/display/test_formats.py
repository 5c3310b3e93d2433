"""Rendering of each output format; the text of a model is escaped in HTML."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cfai_magics.display.formats import (
    fence_code,
    render_final_answer,
    render_partial_answer,
    wrap_in_iframe,
)
from cfai_magics.prompt.output_formats import OUTPUT_FORMATS, apply_format
from cfai_magics.types.messages import Answer

HOSTILE = '"><script>alert(1)</script><iframe srcdoc="x">'


def render(name: str, text: str) -> dict[str, str]:
    return dict(
        render_final_answer(
            apply_format(Answer("m", text=text), OUTPUT_FORMATS[name]), OUTPUT_FORMATS[name]
        )
    )


@pytest.mark.parametrize(
    ("name", "text", "bundle"),
    [
        ("code", "x = 1", {"text/markdown": "```python\nx = 1\n```", "text/plain": "x = 1"}),
        (
            "code",
            "So:\n```\nx\n```",
            {"text/markdown": "So:\n\n```\nx\n```", "text/plain": "x"},
        ),
        (
            "block",
            "So:\n```sql\nx\n```",
            {"text/markdown": "```sql\nx\n```", "text/plain": "x"},
        ),
        (
            "json",
            '{"ä": [1]}',
            {
                "text/markdown": '```json\n{\n  "ä": [\n    1\n  ]\n}\n```',
                "text/plain": '{\n  "ä": [\n    1\n  ]\n}',
            },
        ),
        ("latex", "x^2", {"text/latex": "$$\nx^2\n$$", "text/plain": "x^2"}),
        ("latex", "so $x$", {"text/latex": "so $x$", "text/plain": "so $x$"}),
        ("json", "no", {"text/markdown": "no", "text/plain": "no"}),
    ],
)
def test_each_format_renders_its_mime_bundle(name: str, text: str, bundle: dict[str, str]) -> None:
    assert render(name, text) == bundle


def test_latex_with_external_links_is_shown_as_code() -> None:
    source = r"\href{javascript:alert(1)}{x}"
    assert render("latex", source)["text/markdown"] == f"```latex\n{source}\n```"


def test_dollar_signs_in_table_cells_stay_text() -> None:
    table = render("table", "| a |\n|---|\n| $x$ |")["text/html"]
    assert "<td><span>&#36;</span>x<span>&#36;</span></td>" in table


def test_a_latex_document_is_shown_as_code() -> None:
    assert render("latex", r"\begin{document}x\end{document}")["text/markdown"].startswith(
        "```lat"
    )


def test_a_table_is_rendered_and_escaped() -> None:
    bundle = render("table", f"| a |\n|---|\n| {HOSTILE} |")
    assert "<table" in bundle["text/html"]
    assert "<script" not in bundle["text/html"]
    assert "<iframe" not in bundle["text/html"]


@given(st.text() | st.just(HOSTILE))
def test_html_cannot_leave_its_iframe(html: str) -> None:
    framed = wrap_in_iframe(html)
    start, end = framed.index('srcdoc="') + len('srcdoc="'), framed.rindex('"')
    assert not set("<>\"'") & set(framed[start:end])
    assert framed.count("<") == 2
    assert 'sandbox=""' in framed


def test_the_security_policy_precedes_the_html() -> None:
    framed = wrap_in_iframe("<p>x")
    assert framed.index("default-src") < framed.index("&lt;p&gt;x")


@given(st.text(alphabet="`a\n"))
def test_code_cannot_close_its_own_fence(text: str) -> None:
    lines = fence_code(text, "x").splitlines()
    assert lines[0].endswith("x")
    assert lines[-1] == lines[0][:-1]
    assert all(not line.startswith(lines[-1]) for line in lines[1:-1])


def test_a_partial_html_answer_is_shown_as_code() -> None:
    assert render_partial_answer("<b>", OUTPUT_FORMATS["html"]) == {
        "text/markdown": "```html\n<b>\n```"
    }
    assert render_partial_answer("```html\n<b>", OUTPUT_FORMATS["html"]) == {
        "text/markdown": "```html\n<b>\n```"
    }
    assert render_partial_answer("| a |", OUTPUT_FORMATS["table"]) == {"text/markdown": "| a |"}
