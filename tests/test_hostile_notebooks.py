"""Notebook files with unusual content are read, or rejected in two lines."""

import csv
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cfai_magics.chat.options import ASK_LINE_OPTIONS, OptionParser, get_ask_parser
from cfai_magics.commands import run
from cfai_magics.display.saved_answers import read_saved_answers
from cfai_magics.errors import InvalidOptionError
from cfai_magics.notebook import CfaiCell, read_cfai_cells, read_provenances
from cfai_magics.secret_patterns import scan_notebook
from cfai_magics.session.session import Session
from cfai_magics.types.provenance import METADATA_MIME_TYPE
from tests.canaries import class_key, token
from tests.fake_frontends import bare_frontend


def read_cells(path: Path) -> list[CfaiCell]:
    return read_cfai_cells(path, get_ask_parser(), OptionParser("%cfai ask", ASK_LINE_OPTIONS))


READERS = {
    "plan": read_cells,
    "report": read_provenances,
    "report with text": read_saved_answers,
    "doctor": scan_notebook,
}
DEEP = "[" * 100_000 + "]" * 100_000
FIGURES = ("NaN", "Infinity", "-Infinity", "1" + "0" * 400, "-1", "true", "1e300", '"5"', "[5]")
DATES = (
    *("9999-12-31T23:59:59-12:00", "0001-01-01", "0001-01-01T00:00:00+14:00", "9999-12-31"),
    *("", "soon", "\ud800"),
)


@pytest.fixture(params=READERS)
def read(request: pytest.FixtureRequest) -> Callable[[Path], Any]:
    return READERS[request.param]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(f'{{"cells": {DEEP}}}', id="deep cells"),
        pytest.param(f'{{"cells": [], "metadata": {DEEP}}}', id="deep metadata"),
        pytest.param(f'{{"cells": [{"1" * 5_000}]}}', id="a number of 5,000 digits"),
        pytest.param("{", id="broken"),
        pytest.param("null", id="null"),
        pytest.param('{"cells": {"a": 1}}', id="cells of a wrong type"),
    ],
)
def test_invalid_notebooks_are_rejected_in_two_lines(
    read: Callable[[Path], Any], tmp_path: Path, content: str
) -> None:
    path = tmp_path / "lesson.ipynb"
    path.write_text(content)
    with pytest.raises(InvalidOptionError, match="is not a notebook") as caught:
        read(path)
    assert str(caught.value).count("\n") <= 1


@pytest.mark.parametrize(
    ("create", "reason"),
    [
        pytest.param(lambda path: path.mkdir(), "it is a folder", id="folder"),
        pytest.param(os.mkfifo, "it is not a regular file", id="pipe"),
        pytest.param(lambda path: path.write_bytes(b"\xff"), "it is not UTF-8", id="encoding"),
        pytest.param(
            lambda path: path.touch() or os.truncate(path, 10**9),  # type: ignore[func-returns-value]
            "larger than 200,000,000 bytes",
            id="size",
        ),
        pytest.param(lambda _path: None, "does not exist", id="missing"),
    ],
)
def test_unreadable_notebooks_are_rejected_with_the_reason(
    read: Callable[[Path], Any], tmp_path: Path, create: Callable[[Path], object], reason: str
) -> None:
    path = tmp_path / "lesson.ipynb"
    create(path)
    with pytest.raises(InvalidOptionError, match=f"can't be read: .*{reason}"):
        read(path)


@pytest.mark.parametrize("depth", [300, 480, 900])
@pytest.mark.parametrize("make_token", [token, class_key])
def test_secrets_are_found_below_many_levels(
    tmp_path: Path, depth: int, make_token: Callable[[], str]
) -> None:
    path, secret = tmp_path / "lesson.ipynb", make_token()
    nested = '{"a": [' * (depth // 2) + f'"{secret}"' + "]}" * (depth // 2)
    path.write_text(f'{{"cells": [{{"metadata": {nested}}}]}}')
    assert [found.location for found in scan_notebook(path)] == ["cell 1, metadata"]


def test_a_byte_order_mark_is_accepted(read: Callable[[Path], Any], tmp_path: Path) -> None:
    path = tmp_path / "lesson.ipynb"
    path.write_text('\ufeff{"cells": []}', encoding="utf-8")
    assert read(path) == []


@pytest.mark.parametrize("source", ["[1, null, [2]]", "{}", "5", "null"])
def test_sources_of_a_wrong_type_are_empty(tmp_path: Path, source: str) -> None:
    path = tmp_path / "lesson.ipynb"
    path.write_text(f'{{"cells": [{{"cell_type": "code", "source": {source}}}, 5, null]}}')
    assert read_cells(path) == []


def write_output(path: Path, metadata: str) -> None:
    output = f'{{"metadata": {{"{METADATA_MIME_TYPE}": {metadata}}}}}'
    path.write_text(f'{{"cells": [{{"outputs": [{output}]}}]}}')


def report(session: Session, *words: str) -> str:
    return str(run("report", words, bare_frontend(session), "%cfai"))


@pytest.mark.parametrize("figure", FIGURES)
def test_impossible_figures_are_reported_as_zero(
    session: Session, tmp_path: Path, figure: str
) -> None:
    path = tmp_path / "lesson.ipynb"
    names = ("prompt_tokens", "completion_tokens", "neurons")
    usage = ", ".join(f'"{name}": {figure}' for name in names)
    write_output(path, f'{{"model": "m", "usage": {{{usage}}}}}')
    row = next(csv.DictReader(io.StringIO(report(session, str(path), "--csv"))))
    assert (row["tokens_in"], row["tokens_out"], row["neurons"]) == ("0", "0", "0.0")
    assert "| m | 1 | 0 | 0 | 0 |" in report(session, str(path))


@pytest.mark.parametrize("date", DATES)
def test_impossible_dates_are_reported_as_the_epoch(
    session: Session, tmp_path: Path, date: str
) -> None:
    path = tmp_path / "lesson.ipynb"
    write_output(path, json.dumps({"model": "m", "date": date}))
    assert "| 1970-01-01 00:00:00 | m |" in report(session, str(path))


def test_lone_surrogates_are_replaced_in_reports_and_plans(
    session: Session, tmp_path: Path
) -> None:
    path = tmp_path / "lesson.ipynb"
    names = ("model", "finish", "basis", "request")
    write_output(path, json.dumps(dict.fromkeys(names, "a\ud800b")))
    report(session, str(path), "--save")
    assert "a?b" in path.with_suffix(".ai-use.md").read_text(encoding="utf-8")
    assert "a?b" in path.with_suffix(".ai-use.csv").read_text(encoding="utf-8")
    cell = {"cell_type": "code", "source": ["%%cfai\n", "Hi \udfff"]}
    path.write_text(json.dumps({"cells": [cell]}))
    plan = str(run("plan", [str(path)], bare_frontend(session), "%cfai"))
    assert "Hi ?" in plan


@pytest.mark.parametrize("key", ["model", "finish", "basis", "request", "date", "usage"])
@pytest.mark.parametrize("value", ["[" * 900 + "]" * 900, "{}", "5", "null"], ids=str)
def test_metadata_of_a_wrong_type_is_reported_as_empty(
    session: Session, tmp_path: Path, key: str, value: str
) -> None:
    path = tmp_path / "lesson.ipynb"
    write_output(path, f'{{"{key}": {value}}}')
    assert "1 call," in report(session, str(path))


def report_with_text(session: Session, path: Path) -> dict[str, str]:
    """Return the only row of the CSV with the prompts and answers of a notebook."""
    report(session, str(path), "--with-text", "--overwrite")
    table = path.with_suffix(".ai-appendix.csv").read_text(encoding="utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(table))
    return row


def write_answer(path: Path, metadata: str, data: str = '{"text/markdown": "Because."}') -> None:
    output = f'{{"data": {data}, "metadata": {{"{METADATA_MIME_TYPE}": {metadata}}}}}'
    cell = f'{{"cell_type": "code", "source": "%%cfai", "outputs": [5, null, {output}]}}'
    path.write_text(f'{{"cells": [5, {cell}, {{"cell_type": "code", "outputs": 5}}]}}')


@pytest.mark.parametrize("figure", FIGURES)
def test_impossible_figures_are_unknown_in_a_report_with_text(
    session: Session, tmp_path: Path, figure: str
) -> None:
    path = tmp_path / "lesson.ipynb"
    names = ("prompt_tokens", "completion_tokens", "neurons")
    usage = ", ".join(f'"{name}": {figure}' for name in names)
    write_answer(path, f'{{"model": "m", "usage": {{{usage}}}}}')
    row = report_with_text(session, path)
    assert (row["tokens_in"], row["tokens_out"], row["neurons"]) == ("", "", "")
    page = path.with_suffix(".ai-appendix.html").read_text()
    assert "unknown → unknown" in page


@pytest.mark.parametrize("date", DATES)
def test_impossible_dates_are_unknown_in_a_report_with_text(
    session: Session, tmp_path: Path, date: str
) -> None:
    path = tmp_path / "lesson.ipynb"
    write_answer(path, json.dumps({"model": "m", "date": date, "recorded": {"date": date}}))
    assert report_with_text(session, path)["date"] == ""


@pytest.mark.parametrize(
    "key",
    [
        *("model", "finish", "basis", "request", "date", "usage", "version", "parameters"),
        *("recorded", "local", "answers"),
    ],
)
@pytest.mark.parametrize(
    "value",
    [
        *("[" * 900 + "]" * 900, "{}", "5", "null", '{"a": NaN, "b": [[]], "c": "\\ud800"}'),
        '[5, {"model": "m"}]',
    ],
    ids=str,
)
def test_metadata_of_any_type_is_reported_with_text(
    session: Session, tmp_path: Path, key: str, value: str
) -> None:
    path = tmp_path / "lesson.ipynb"
    write_answer(path, f'{{"{key}": {value}, "answers": [{{"model": "m"}}]}}')
    message = report(session, str(path), "--with-text")
    assert ("Saved 1 answer" in message) or (key == "answers" and "have no answers" in message)


@pytest.mark.parametrize(
    "data",
    [
        *("[]", "5", "null", '{"text/markdown": 5}', '{"text/markdown": [[], "a", null]}'),
        *('{"image/png": "A"}', '{"image/png": {"a": 1}}', '{"text/html": "<div><p>a\\ud800"}'),
        '{"text/html": "<audio src=\\"data:audio/wav;base64,A=A\\">"}',
        *(f'{{"text/html": "{tag * 25_000}"}}' for tag in ("<div>", "<a ", "<!--", "<p>&#")),
    ],
    ids=lambda data: data[:25],
)
def test_outputs_of_any_type_are_reported_with_text(
    session: Session, tmp_path: Path, data: str
) -> None:
    path = tmp_path / "lesson.ipynb"
    write_answer(path, '{"model": "m"}', data)
    assert report_with_text(session, path)["model"] == "m"


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("-n 999999999", "999,999,999 answers are too many for one cell"),
        ("-t " + ",".join(["1"] * 100), "100 answers are too many for one cell"),
        ("-n -5", "-n must be at least 1, not -5"),
        ("--max-tokens 0", "--max-tokens 0 is too small"),
        ("-t 9", "--temperature 9"),
    ],
)
def test_a_plan_has_the_limits_of_asking(
    session: Session, tmp_path: Path, line: str, error: str
) -> None:
    path = tmp_path / "lesson.ipynb"
    cell = {"cell_type": "code", "source": f"%%cfai {line}\nHi"}
    path.write_text(json.dumps({"cells": [cell]}))
    table = run("plan", [str(path)], bare_frontend(session), "%cfai")
    assert error in table.rows[0][3]  # type: ignore[attr-defined]
