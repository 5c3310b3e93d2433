"""Test the search for personal data and secrets in values."""

# ruff: noqa: RUF001 - Chinese punctuation

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cfai_magics.personal_data import find_personal_data, format_personal_data
from tests.canaries import class_key, older_token, token

MARKDOWN_TABLE = """\
| name | grade |
| --- | --- |
| Ada Lovelace | 1.7 |
| Alan Turing | 2.0 |
| Grace | 1.0 |
"""


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Write to ada@example.org.", 1),
        ("ada.lovelace+exam@uni-bonn.de, alan@cs.ox.ac.uk", 2),
        ("ADA@example.org and ada@example.org", 1),
        ("邮箱：zhang_san@example.cn请回复", 1),
        ("mailto:ada@example.org", 1),
        ('[{"mail": "ada@example.org"}, {"mail": "alan@example.org"}]', 2),
        ("<ada@example.org>", 1),
        (r'{"text": "Write to\nada@example.org"}', 1),
    ],
)
def test_email_addresses_are_counted_once(text: str, count: int) -> None:
    assert find_personal_data(text) == {"email_addresses": count}


@pytest.mark.parametrize(
    ("text", "count"),
    [
        pytest.param("Ada Lovelace: 1.7", 1, id="pair"),
        pytest.param("Ada Lovelace: 1,7", 1, id="decimal comma"),
        pytest.param("- Ada Lovelace: 1.7\n- Alan Turing: 2.3", 2, id="list"),
        pytest.param("1. Ada Lovelace – 87 %\n2. Alan Turing – 92 %", 2, id="percent"),
        pytest.param("Ada Lovelace: 17/20", 1, id="fraction"),
        pytest.param("Ada Lovelace: 42 points", 1, id="points"),
        pytest.param("Jörg von der Müller: 38 Punkte", 1, id="particles"),
        pytest.param("Ada Lovelace: B+\nAlan M. Turing: A", 2, id="letters"),
        pytest.param("Exam\nAda Lovelace: 87\nSinéad O'Connor: 64", 2, id="word in the text"),
        pytest.param("Pat McDonald: 1.7\nLi Na: 2.0", 2, id="short names"),
        pytest.param("Ada Lovelace\t1.7\nAlan Turing\t2.3", 2, id="tabs"),
        pytest.param("Lovelace, Ada; 1,7", 1, id="last name first"),
        pytest.param('{"Ada Lovelace": 1.7, "Alan Turing": 2.0}', 2, id="JSON object"),
        pytest.param("{'Ada Lovelace': '1.7'}", 1, id="dict"),
        pytest.param('Klausur: {"Ada": 1.7, "Alan": 2.0}', 2, id="first names"),
        pytest.param(MARKDOWN_TABLE, 3, id="Markdown"),
        pytest.param("Name,Score\nAda Lovelace,87\nAlan Turing,92\n", 2, id="CSV"),
        pytest.param('"Name","Note"\n"Lovelace, Ada","1"\n"Grace","2"\n', 2, id="quoted CSV"),
        pytest.param("Vorname;Nachname;Note\nAda;Lovelace;1,7\n", 1, id="German CSV"),
        pytest.param("id\tStudent\tExam points\n1\tAda\t20\n2\tAlan\t0\n", 2, id="TSV"),
        pytest.param("           name  grade\n0  Ada Lovelace    1.7\n", 1, id="printed frame"),
        pytest.param("姓名,成绩\n张三,92\n李小龙,88\n", 2, id="Chinese CSV"),
        pytest.param("成绩\n张三：92\n李四：85", 2, id="Chinese pairs"),
        pytest.param("张三：92分\n李四：85分", 2, id="Chinese points"),
        pytest.param('[{"name": "Ada", "grade": 1.7, "id": 3}]', 1, id="records"),
        pytest.param("[{'姓名': '张三', '成绩': 92}]", 1, id="Chinese records"),
        pytest.param('{"name": ["Ada", "Alan"], "points": [12, 9]}', 2, id="columns"),
        pytest.param("Exam: [('Ada Lovelace', 87), ('Alan Turing', 92)]", 2, id="tuples"),
        pytest.param("Name: Ada Lovelace, Grade: 1.7\n", 1, id="record on a line"),
        pytest.param("Name: Ada\nNote: 2,3\n\nName: Alan\nNote: 1,0", 2, id="record on two lines"),
        pytest.param("姓名：张三，成绩：92", 1, id="Chinese record on a line"),
        pytest.param("Name,Note\nMax Huber,1\nApril Ludgate,2\n", 2, id="names that are words"),
        pytest.param("Klausur\nMax Huber: 1,7", 1, id="pair with a name that is a word"),
        pytest.param('[{"first_name": "Ada", "last_name": "Lovelace", "grade": "A"}', 1, id="cut"),
    ],
)
def test_names_with_grades_are_counted(text: str, count: int) -> None:
    assert find_personal_data(text) == {"graded_names": count}


def test_label_makes_numbers_next_to_names_grades() -> None:
    text = json.dumps({"Ada Lovelace": 87, "Alan": 64, "Grace": 90})

    assert find_personal_data(text, "grades") == {"graded_names": 3}
    assert find_personal_data(text, "distances") == {}


@pytest.mark.parametrize(
    "text",
    [
        "+49 228 7312345",
        "+1 (555) 123-4567",
        "Tel. 0228 731234",
        "手机：13812345678",
        '{"phone": "0228/731234"}',
    ],
)
def test_phone_numbers_are_counted(text: str) -> None:
    assert find_personal_data(text) == {"phone_numbers": 1}


def test_tokens_and_keys_are_counted() -> None:
    values = [token(), older_token(), class_key()]

    assert find_personal_data(" ".join((*values, values[0]))) == {"secrets": 3}
    assert find_personal_data(json.dumps({"token": values[0]})) == {"secrets": 1}


def test_values_of_secret_environment_variables_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MY_SERVICE_KEY", "correct-horse")

    assert find_personal_data("correct-horse battery") == {"secrets": 1}


@pytest.mark.parametrize(
    "text",
    [
        f"sk-proj-{'a1B2' * 8}",
        f"ghp_{'a1B2' * 9}",
        "-----BEGIN RSA PRIVATE KEY-----\nabc",
        "password = 'hunter2hunter2'",
    ],
)
def test_other_secrets_are_counted(text: str) -> None:
    assert find_personal_data(text) == {"secrets": 1}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "What is a neuron?",
        # results of models
        "Random Forest: 93%\nDecision Tree: 91%\nGradient Boosting: 95 %",
        "Name: Nearest Neighbors, Score: 91",
        "model = {'name': 'resnet'}; name=resnet, score=91",
        "Max Pooling: 91 %\nMax Iterations: 1.5",
        # code
        "@app.route('/users')\ndef show(name: str, grade: float = 1.7) -> None: ...",
        "@property\n@functools.cache",
        r"@property\n@functools.cache",
        "y = a@b.dot(c) + x@w.T",
        "c = a@b.shape",
        "import numpy as np\nLearning = 0.1",
        "Point = 1.7\nclass Model: pass",
        '{"name": "Ada", "version": "1.7"}',
        "git clone git@github.com:owner/project.git",
        "https://user:pw@example.org/path",
        "logo@2x.png",
        # packages and models
        "lodash@4.17.21 react@18.2.0-rc.one @types/node@20.1.0",
        "pip install numpy==1.7\nNumPy: 1.7\nPython: 3.11",
        "@cf/meta/llama-3.1-8b-instruct",
        "Model Version: 1.7",
        # numbers
        "1.7 2.0 3.3\n4.0 5.0 1.0",
        "[[1.7, 2.0], [3.3, 4.0]]",
        '{"a": 1.7, "b": 2.0}',
        '{"Mean Score": 1.7, "Standard Deviation": 2.0}',
        "Learning Rate: 0.01\nBatch Size: 32\nHidden Units: 64",
        "Batch Size: 32, score 3",
        "Total Points: 100\nPassing Score: 50",
        "+123 456 789",
        "x = 1 +234567890",
        "+0.5 -1.25 +3",
        "2024-01-31 12:30:00",
        "Note: the grades of steel\nA: 1.7\nB: 2.0\nNone: 1\nTrue: 2\nSunday: 3\nMay: 5",
        "exam = 1\nItalicAngle: 12\nFormType: 1",
        # tables
        "| Name | Boiling point |\n| --- | --- |\n| Sodium chloride | 1465 |",
        "| element | Z | mass |\n| --- | --- | --- |\n| Hydrogen | 1 | 1.008 |",
        "Substance Name: Density\nSodium Chloride: 2.7\nRelative Density: 1.5",
        "| model | score |\n| --- | --- |\n| Llama | 87 |",
        "| name | score |\n| --- | --- |\n| llama-3 | 87 |\n| bert_base | 91 |",
        "| Name | Score |\n| --- | --- |\n| Logistic Regression | 0.82 |",
        "name,price\nAda Lovelace,12\n",
        "name,note\nAda Lovelace,likes algebra\n",
        "   name  population\n0  Bonn      330000",
        '[{"name": "Bonn", "inhabitants": 330000}]',
        '[{"name": "Ada", "grade": null}]',
        # prose
        "Ada Lovelace: born in 1815",
        "Chapter One: 12 pages",
        "In New York, 5 people met.",
        "Berlin: 3.7 million inhabitants",
        "温度：25\n时间：30分",
        "数学：92\n语文：85",
        "Ada Lovelace wrote the first program.",
    ],
)
def test_other_text_is_not_reported(text: str) -> None:
    assert find_personal_data(text) == {}


def test_counts_are_listed() -> None:
    counts = find_personal_data("ada@example.org, alan@example.org\nAda Lovelace: 1.7")

    assert format_personal_data(counts) == "2 e-mail addresses, 1 name with a grade"


@pytest.mark.parametrize(
    "piece",
    [
        "('Ab ",
        "a",
        "a.",
        "@",
        "A b ",
        "Ada ",
        "+1 ",
        "{'a': ",
        "| ",
        "Ab-",
        "Ab, ",
        "Tel 1 ",
        "张",
        "name: A ",
    ],
)
def test_long_text_without_personal_data_is_searched_completely(piece: str) -> None:
    assert find_personal_data(piece * 20_000) == {}


PIECES = st.sampled_from(
    [
        *"aA.@:=,;|\t\n '\"{}[]()-+/%1",
        "von",
        "Ada Lovelace",
        "name",
        "grade",
        "1.7",
        "张三",
        "成绩",
    ]
)


@given(st.lists(PIECES, max_size=30).map("".join))
def test_any_text_can_be_searched(text: str) -> None:
    assert all(count > 0 for count in find_personal_data(text, text).values())
