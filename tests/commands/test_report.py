"""Test `%cfai report`: AI use in a notebook, from the ledger and from its outputs."""

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cfai_magics.commands import run
from cfai_magics.display.ai_use_report import AiUseReport
from cfai_magics.errors import InvalidOptionError
from cfai_magics.session.session import Session
from cfai_magics.types.messages import Answer, Message
from cfai_magics.types.provenance import METADATA_MIME_TYPE, output_metadata
from tests.fake_frontends import bare_frontend
from tests.parsers.hazards import hazards
from tests.parsers.renderers import markdown_it, mistune
from tests.standin import Standin

PROMPT: list[Message] = [{"role": "user", "content": "Why is the sky blue?"}]
Report = Callable[..., Any]


@pytest.fixture
def notebook(session: Session, tmp_path: Path) -> Path:
    path = tmp_path / "lesson.ipynb"
    write(path)
    session.notebook = str(path)
    return path


def write(path: Path, *metadata: object) -> None:
    outputs = [
        {"output_type": "display_data", "data": {}, "metadata": {METADATA_MIME_TYPE: each}}
        for each in metadata
    ]
    cells = [{"cell_type": "code", "source": "", "outputs": outputs}, {"cell_type": "markdown"}]
    path.write_text(json.dumps({"cells": cells, "nbformat": 4}))


def ask(session: Session) -> Answer:
    return session.ask(session.build_request(PROMPT))


@pytest.fixture
def report(session: Session) -> Report:
    def run_report(*words: str) -> Any:
        frontend = bare_frontend(session)
        return run("report", words, frontend, "%cfai")

    return run_report


def test_every_call_is_listed_with_its_model_cost_and_hash(
    report: Report, session: Session, notebook: Path, account: Standin
) -> None:
    answer = ask(session)
    statement = report()
    assert isinstance(statement, AiUseReport)
    text = str(statement)
    assert text.startswith("# AI use in this notebook\n\nNotebook `lesson.ipynb`, as of ")
    assert f"`{answer.provenance.request_fingerprint}`" in text
    assert "| @cf/google/gemma-4-26b-a4b-it | 1 |" in text
    assert "| billed | ok |" in text
    assert "sky" not in text
    assert statement._repr_mimebundle_()["text/markdown"] == text


def test_calls_of_other_notebooks_are_not_in_the_report(
    report: Report, session: Session, notebook: Path
) -> None:
    session.notebook = "other.ipynb"
    ask(session)
    session.notebook = str(notebook)
    assert "No AI use is recorded" in str(report())


def test_outputs_from_other_machines_are_listed_and_own_ones_once(
    report: Report, session: Session, notebook: Path
) -> None:
    own = output_metadata(ask(session))[METADATA_MIME_TYPE]
    other = own | {"date": "2026-01-02T03:04:05+00:00", "model": "@cf/a/b|c"}
    local = own | {"date": "2026-01-03T03:04:05+00:00", "local": True, "basis": None}
    write(notebook, own, other, local, "nonsense", {"usage": 1, "date": 5})
    entries = report().entries
    assert [(entry.is_output_only, entry.cost_basis) for entry in entries] == [
        *((True, ""), (True, "billed"), (True, "local"), (False, "billed"))
    ]
    assert entries[1].started_utc == "2026-01-02 03:04:05"
    assert r"@cf/a/b\|c" in str(report())
    assert "3 of them were made on another machine" in str(report())


def test_notebook_metadata_is_escaped_in_every_table_cell(
    report: Report, session: Session, tmp_path: Path
) -> None:
    hostile = "a`|![x](http://e.org/p.png)<script>$x$[l](javascript:y)**b**\n\n# h"
    path = tmp_path / f"{hostile.replace('/', '')[:20]}.ipynb"
    names = ("model", "finish", "basis", "request", "date")
    write(path, *({name: hostile} for name in names), dict.fromkeys(names, hostile))
    statement = str(report(str(path)))
    for render in (markdown_it, mistune):
        html = render(statement)
        assert hazards(html) == []
        assert "<strong>b" not in html
        assert html.count("<h1") == 1
        assert "$x$" not in re.sub("<code>.*?</code>", "", html)
        rows = re.findall("<tr>(.*?)</tr>", html, re.DOTALL)
        assert {row.count("<td") + row.count("<th") for row in rows} == {6, 8}


def test_the_csv_has_one_line_per_call(report: Report, session: Session, notebook: Path) -> None:
    write(notebook, {"model": "=1+1", "date": "2026-01-02T03:04:05+00:00"})
    answer = ask(session)
    rows = list(csv.DictReader(io.StringIO(str(report("--csv")))))
    assert [row["model"] for row in rows] == ["'=1+1", answer.model]
    assert rows[1]["request"] == answer.provenance.request_fingerprint
    assert float(rows[1]["neurons"]) == answer.neurons
    assert (rows[1]["basis"], rows[1]["ended"]) == ("billed", "ok")


def test_the_save_option_writes_files_next_to_the_notebook(
    report: Report, session: Session, notebook: Path
) -> None:
    ask(session)
    output = report("--save")
    markdown, table = notebook.with_suffix(".ai-use.md"), notebook.with_suffix(".ai-use.csv")
    assert (str(markdown) in output, str(table) in output) == (True, True)
    assert markdown.read_text().startswith("# AI use in this notebook")
    assert table.read_text().startswith("date,model,")


def test_an_unknown_notebook_raises_an_error(report: Report, tmp_path: Path) -> None:
    with pytest.raises(InvalidOptionError, match="A notebook path is required"):
        report()
    with pytest.raises(InvalidOptionError, match="does not exist"):
        report(str(tmp_path / "gone.ipynb"))
