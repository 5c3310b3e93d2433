"""Split the line of a magic into words."""

import pytest

from cfai_magics.magic_line import join_words, split_magic_line, to_words


@pytest.mark.parametrize(
    ("line", "words"),
    [
        pytest.param('-s "a b" -t 0', ["-s", "a b", "-t", "0"], id="double quotes"),
        pytest.param("-s 'a b'", ["-s", "a b"], id="single quotes"),
        pytest.param("-s don't -t 1", ["-s", "don't", "-t", "1"], id="apostrophe in a word"),
        pytest.param('-s "don\'t do"', ["-s", "don't do"], id="apostrophe in quotes"),
        pytest.param('-p y={"b":2}', ["-p", 'y={"b":2}'], id="JSON without spaces"),
        pytest.param("-p 'x={\"a\": 1}'", ["-p", 'x={"a": 1}'], id="JSON in quotes"),
        pytest.param('-p k="v w"', ["-p", "k=v w"], id="quotes after K="),
        pytest.param('what is "this', ["what", "is", '"this'], id="an unclosed quote"),
        pytest.param(r'-s "say \"hi\" now"', ["-s", 'say "hi" now'], id="escaped quotes"),
        pytest.param(r"-s C:\new\table", ["-s", r"C:\new\table"], id="backslashes stay"),
        pytest.param("-s '' -t 1", ["-s", "", "-t", "1"], id="an empty word"),
        pytest.param("-s {x} $y", ["-s", "{x}", "$y"], id="braces and dollars"),
        pytest.param("  ", [], id="only spaces"),
        pytest.param(
            'say {{ "a  b" + c }}, {{x -t}}', ["say", '{{ "a  b" + c }},', "{{x -t}}"], id="fields"
        ),
        pytest.param(
            '{{{"a": {"b": 1}}}} x', ['{{{"a": {"b": 1}}}}', "x"], id="braces in a field"
        ),
        pytest.param("{{a b", ["{{a", "b"], id="an unclosed field"),
    ],
)
def test_a_line_is_split_into_words(line: str, words: list[str]) -> None:
    assert split_magic_line(line) == words


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ('He said "no"', 'He said "no"'),
        ("'a' \"b c\"", "'a' \"b c\""),
        ('"What is it?"', "What is it?"),
        ("What   is it?", "What is it?"),
        ("", ""),
    ],
)
def test_a_prompt_keeps_its_quotes_unless_they_enclose_all_of_it(line: str, text: str) -> None:
    assert join_words(to_words(split_magic_line(line))) == text
