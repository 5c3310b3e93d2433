"""Test `{{expression}}` fields: parsing, values, and text that stays as typed."""

import ast
import datetime as dt
from asyncio import CancelledError
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cfai_magics.errors import VariableError
from cfai_magics.prompt.serialize import to_text
from cfai_magics.prompt.template import Field, evaluate_field, parse_template

WITHOUT_FIELDS = {
    "single braces": "a {b} {} { } }{ {{ }} {{}}",
    "JSON": '{"a": {"b": {}}, "c": [{"d": "{{"}]}',
    "TypeScript": "const f = (x: {y: number}) => `${x.y}`; type T = {a: {b: string}};",
    "JSX": "<div style={{color: 'red', margin: 0}}>{name}</div>",
    "JSX on several lines": "<div style={{\n  color: red,\n}}>",
    "LaTeX": r"\frac{1}{2} {\bf x} x^{{12}} \mathrm{{\bf a}} {{\it a} b}}",
    "f-string": "f\"{x!r:>{width}} {{'a': {x}}} {x:,}\"",
    "Jinja": "{% for x in y %}{# note #}{% endfor %}",
    "Handlebars": "{{#if x}} {{/if}} {{> part}}",
    "C": "int a[2][2] = {{1, 2}, {3, 4}}; int b[1][2] = {{1, 2}};",
    "shell": "${HOME} ${x:-y} {a,b} {1..3}",
    "closing braces only": "}} x }}",
    "opening braces only": "{{ x } y",
    "a long text between braces": "{{" + "x + " * 1_000 + "x}}",
    "deep braces": "{{" + "{" * 50 + "}" * 50 + "}}",
    "lone surrogates": "{{\ud800}}",
    "a null character": "{{a\0b}}",
}


@pytest.mark.parametrize("text", WITHOUT_FIELDS.values(), ids=WITHOUT_FIELDS)
def test_text_without_fields_is_unchanged(text: str) -> None:
    assert "".join(map(str, parse_template(text).pieces)) == text


FIELDS = {
    "x": Field("{{x}}", "x"),
    " x ": Field("{{ x }}", "x"),
    "x!r": Field("{{x!r}}", "x", "r"),
    "x !r:>10": Field("{{x !r:>10}}", "x", "r", ">10"),
    "x:,.2f": Field("{{x:,.2f}}", "x", "", ",.2f"),
    "x:.1%": Field("{{x:.1%}}", "x", "", ".1%"),
    "x:%d %B, %H:%M": Field("{{x:%d %B, %H:%M}}", "x", "", "%d %B, %H:%M"),
    "a != b": Field("{{a != b}}", "a != b"),
    "a[1:2]": Field("{{a[1:2]}}", "a[1:2]"),
    "(lambda: 1)()": Field("{{(lambda: 1)()}}", "(lambda: 1)()"),
    "'}} {{'": Field("{{'}} {{'}}", "'}} {{'"),
    "d['it\\'s']": Field("{{d['it\\'s']}}", "d['it\\'s']"),
    "df.a\n  .mean()": Field("{{df.a\n  .mean()}}", "df.a\n  .mean()"),
    "1 + 1": Field("{{1 + 1}}", "1 + 1"),
    "f'{x}'": Field("{{f'{x}'}}", "f'{x}'"),
}


@pytest.mark.parametrize("inside", FIELDS)
def test_a_field_has_expression_conversion_and_format_spec(inside: str) -> None:
    assert parse_template(f"a {{{{{inside}}}}} b {{c}}").pieces == ("a ", FIELDS[inside], " b {c}")


def test_braces_next_to_a_field_are_unchanged() -> None:
    pieces = parse_template(r"\frac{{{x}}}{{{{y}}}}").pieces
    assert pieces == (r"\frac{", Field("{{x}}", "x"), "}{{", Field("{{y}}", "y"), "}}")


def test_a_space_makes_a_dictionary_an_expression() -> None:
    assert parse_template("{{ {'a': {'b': x}} }}").pieces[0].expression == "{'a': {'b': x}}"


def test_a_string_literal_produces_double_braces() -> None:
    (field,) = parse_template("{{'{{x}}'}}").pieces
    assert evaluate_field(field, ast.literal_eval, str) == "{{x}}"


def test_a_field_inside_other_double_braces_is_parsed() -> None:
    template = parse_template("style={{color: {{c}} }}")
    assert template.pieces[1] == Field("{{c}}", "c")
    assert template.unparsed == ("{{color: {{c}} }}",)


def test_an_invalid_field_is_reported_as_unparsed() -> None:
    assert parse_template("{{df.head(}} {{1, 2}} {{}}").unparsed == ("{{df.head(}}",)


def value_of(text: str, **names: Any) -> Any:
    (field,) = parse_template(text).pieces
    return evaluate_field(field, lambda source: eval(source, names), lambda value: value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{x}}", 1234.5),
        ("{{x:,.2f}}", "1,234.50"),
        ("{{s!r}}", "'a'"),
        ("{{s!r:>5}}", "  'a'"),
        ("{{day:%d %B}}", "02 March"),
        ("{{[n for n in\n range(k)]}}", [0, 1]),
    ],
)
def test_a_value_is_formatted_as_in_an_f_string(text: str, value: Any) -> None:
    names = {"x": 1234.5, "s": "a", "day": dt.date(2026, 3, 2), "k": 2}
    assert value_of(text, **names) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{nope}}", "{{nope}}: name 'nope' is not defined.\nDefine it first, or add --raw"),
        ("{{d['k']}}", "{{d['k']}}: KeyError: 'k'.\nCorrect the expression, or add --raw"),
        ("{{1 / 0}}", "{{1 / 0}}: ZeroDivisionError: division by zero."),
        ("{{x:d}}", "{{x:d}}: ValueError: Unknown format code 'd'"),
    ],
)
def test_a_failed_field_raises_two_lines_that_name_it(text: str, message: str) -> None:
    with pytest.raises(VariableError) as caught:
        value_of(text, d={}, x="a")
    assert str(caught.value).startswith(message)


class FailingText(ValueError):
    def __str__(self) -> str:
        raise self


class NoText(ValueError):
    def __str__(self) -> str:
        return None  # type: ignore[return-value]  # noqa: PLE0307


class NameWithoutText(NoText, NameError):
    pass


class CustomExit(BaseException):
    pass


class Unprintable:
    def __str__(self) -> str:
        return 5  # type: ignore[return-value]  # noqa: PLE0307


def raise_error(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (FailingText(), "FailingText.\nCorrect the expression,"),
        (NoText(), "NoText.\nCorrect the expression,"),
        (NameWithoutText(), "NameError.\nDefine it first,"),
        (CancelledError(), "CancelledError.\nCorrect the expression,"),
        (GeneratorExit("end"), "GeneratorExit: end.\nCorrect the expression,"),
        (CustomExit("x\ny"), "CustomExit: x y.\nCorrect the expression,"),
        (BaseExceptionGroup("g", [CustomExit()]), "BaseExceptionGroup: g (1 sub-exception)."),
        (StopIteration(), "StopIteration.\nCorrect the expression,"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_any_error_in_a_field_names_it_in_two_lines(error: BaseException, message: str) -> None:
    with pytest.raises(VariableError) as caught:
        value_of("{{f(e)}}", f=raise_error, e=error)
    assert str(caught.value).startswith(f"{{{{f(e)}}}}: {message}")


@pytest.mark.parametrize("error_type", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_in_a_field_and_the_end_of_the_program_are_not_caught(
    error_type: type[BaseException],
) -> None:
    with pytest.raises(error_type):
        value_of("{{f(e)}}", f=raise_error, e=error_type())


def test_a_value_whose_text_fails_is_named() -> None:
    (field,) = parse_template("{{x}}").pieces
    with pytest.raises(VariableError, match=r"^{{x}}: TypeError: __str__ returned non-string"):
        evaluate_field(field, lambda _source: Unprintable(), to_text)


def test_a_value_that_has_no_json_form_is_named_with_the_next_step() -> None:
    (field,) = parse_template("{{d}}").pieces
    with pytest.raises(VariableError) as caught:
        evaluate_field(field, lambda _source: {1: 2, "1": 3}, to_text)
    assert str(caught.value) == (
        '{{d}}: Two keys, columns or index labels have the same text "1".\nRename one of them.'
    )


SNIPPETS = st.sampled_from(
    [*"{}'\"\\:!\n ax1.%#", "{{", "}}", "{%", "{{x}}", "'''", "!r", ":>3", "ä", "\ud800", "🙂"]
)


@given(st.lists(SNIPPETS, max_size=40).map("".join))
def test_the_pieces_join_to_the_text(text: str) -> None:
    pieces = parse_template(text).pieces
    assert "".join(p.source_text if isinstance(p, Field) else p for p in pieces) == text
    for piece in pieces:
        if isinstance(piece, Field):
            ast.parse(piece.eval_source, mode="eval")


@given(st.text().filter(lambda text: "{{" not in text))
def test_a_text_without_double_braces_is_unchanged(text: str) -> None:
    assert "".join(parse_template(text).pieces) == text


@given(st.text(), st.text())
def test_a_field_is_parsed_at_any_position(before: str, after: str) -> None:
    before = before.replace("{", "(")
    pieces = parse_template(f"{before}{{{{x}}}}{after}").pieces
    assert Field("{{x}}", "x") in pieces
