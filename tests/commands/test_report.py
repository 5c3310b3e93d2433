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

QUESTION: list[Message] = [{"role": "user", "content": "Why is the sky blue?"}]
Report = Callable[..., Any]


@pytest.fixture
def notebook(session: Session, tmp_path: Path) -> Path:
    path = tmp_path / "lesson.ipynb"
    write(path)
    session.notebook = str(path)
    return path


def write(path: Path, *told: object) -> None:
    outputs = [
        {"output_type": "display_data", "data": {}, "metadata": {METADATA_MIME_TYPE: each}}
        for each in told
    ]
    cells = [{"cell_type": "code", "source": "", "outputs": outputs}, {"cell_type": "markdown"}]
    path.write_text(json.dumps({"cells": cells, "nbformat": 4}))


def asked(session: Session) -> Answer:
    return session.ask(session.build_request(QUESTION))


@pytest.fixture
def report(session: Session) -> Report:
    def shown(*words: str) -> Any:
        frontend = bare_frontend(session)
        return run("report", words, frontend, "%cfai")

    return shown


def test_every_call_is_told_with_its_model_cost_and_hash(
    report: Report, session: Session, notebook: Path, account: Standin
) -> None:
    answer = asked(session)
    statement = report()
    assert isinstance(statement, AiUseReport)
    text = str(statement)
    assert text.startswith("# AI use in this notebook\n\nNotebook `lesson.ipynb`, as of ")
    assert f"`{answer.provenance.request_fingerprint}`" in text
    assert "| @cf/google/gemma-4-26b-a4b-it | 1 |" in text
    assert "| billed | ok |" in text
    assert "sky" not in text
    assert statement._repr_mimebundle_()["text/markdown"] == text


def test_calls_of_other_notebooks_are_not_in_it(
    report: Report, session: Session, notebook: Path
) -> None:
    session.notebook = "other.ipynb"
    asked(session)
    session.notebook = str(notebook)
    assert "No AI use is recorded" in str(report())


def test_outputs_made_elsewhere_are_told_and_those_made_here_once(
    report: Report, session: Session, notebook: Path
) -> None:
    here = output_metadata(asked(session))[METADATA_MIME_TYPE]
    elsewhere = here | {"date": "2026-01-02T03:04:05+00:00", "model": "@cf/a/b|c"}
    local = here | {"date": "2026-01-03T03:04:05+00:00", "local": True, "basis": None}
    write(notebook, here, elsewhere, local, "nonsense", {"usage": 1, "date": 5})
    entries = report().entries
    assert [(entry.is_output_only, entry.cost_basis) for entry in entries] == [
        *((True, ""), (True, "billed"), (True, "local"), (False, "billed"))
    ]
    assert entries[1].started_utc == "2026-01-02 03:04:05"
    assert r"@cf/a/b\|c" in str(report())
    assert "3 of them were made on another machine" in str(report())


def test_what_a_notebook_tells_is_text_in_every_cell(
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


def test_the_csv_has_a_line_a_call(report: Report, session: Session, notebook: Path) -> None:
    write(notebook, {"model": "=1+1", "date": "2026-01-02T03:04:05+00:00"})
    answer = asked(session)
    rows = list(csv.DictReader(io.StringIO(str(report("--csv")))))
    assert [row["model"] for row in rows] == ["'=1+1", answer.model]
    assert rows[1]["request"] == answer.provenance.request_fingerprint
    assert float(rows[1]["neurons"]) == answer.neurons
    assert (rows[1]["basis"], rows[1]["ended"]) == ("billed", "ok")


def test_it_is_saved_beside_the_notebook_when_asked(
    report: Report, session: Session, notebook: Path
) -> None:
    asked(session)
    told = report("--save")
    markdown, table = notebook.with_suffix(".ai-use.md"), notebook.with_suffix(".ai-use.csv")
    assert (str(markdown) in told, str(table) in told) == (True, True)
    assert markdown.read_text().startswith("# AI use in this notebook")
    assert table.read_text().startswith("date,model,")


def test_an_unknown_notebook_is_told(report: Report, tmp_path: Path) -> None:
    with pytest.raises(InvalidOptionError, match="A notebook path is required"):
        report()
    with pytest.raises(InvalidOptionError, match="does not exist"):
        report(str(tmp_path / "gone.ipynb"))
