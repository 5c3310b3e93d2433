"""Test `%cfai plan`: the estimated cost of a notebook for a class."""

import json
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from cfai_magics.chat.cell_estimate import estimate_cell
from cfai_magics.commands import run
from cfai_magics.display.tables import Table, format_estimate
from cfai_magics.errors import InvalidOptionError
from cfai_magics.pricing.prices import catalog_rates, estimate_cost
from cfai_magics.session.session import Session
from cfai_magics.settings import load_settings
from cfai_magics.types.messages import Request
from cfai_magics.types.usage import Usage
from tests.fake_frontends import bare_frontend
from tests.standin import Standin

CELLS = (
    ("code", "%load_ext cfai_magics"),
    ("code", "%%cfai --max-tokens 100\nWhy is the sky blue?"),
    ("markdown", "%%cfai\nNo prompt."),
    ("code", "%%cfai -m llama-3.3-70b-instruct-fp8-fast -s 'Be brief.'\nTell me all."),
    ("code", "%%cfai -m @cf/no/price\nHi"),
    ("code", "%%cfai --nonsense\nHi"),
)


@pytest.fixture
def plan(session: Session) -> Callable[..., Table]:
    def run_plan(*words: str) -> Table:
        frontend = bare_frontend(session)
        table = run("plan", words, frontend, "%cfai")
        assert isinstance(table, Table)
        return table

    return run_plan


@pytest.fixture
def lesson(tmp_path: Path) -> str:
    path = tmp_path / "lesson.ipynb"
    cells = [{"cell_type": kind, "source": text.splitlines(keepends=True)} for kind, text in CELLS]
    path.write_text(json.dumps({"cells": cells, "nbformat": 4}))
    return str(path)


def test_every_prompt_cell_is_listed_with_its_estimated_cost(
    plan: Callable[..., Table], lesson: str, account: Standin
) -> None:
    rows = plan(lesson).rows
    assert [row[0] for row in rows] == ["2", "4", "5", "6"]
    assert rows[0][2:4] == ("gemma-4-26b-a4b-it", "≈ 0.81, at most 3.1")
    assert rows[1][4].endswith("(high)")
    assert rows[2][3] == "price has no known price"
    assert "unrecognized arguments: --nonsense" in rows[3][3]
    assert account.requests == ()


def test_the_limit_of_a_cell_caps_its_estimate(plan: Callable[..., Table], tmp_path: Path) -> None:
    path = tmp_path / "limited.ipynb"
    cell = {"cell_type": "code", "source": "%%cfai --max-neurons 5\nHi"}
    path.write_text(json.dumps({"cells": [cell]}))
    assert plan(str(path)).rows[0][3].endswith("at most 5.0")


def test_the_cost_is_multiplied_by_the_number_of_students(
    plan: Callable[..., Table], lesson: str, session: Session
) -> None:
    model = session.resolve_catalog_model("llama-3.3-70b-instruct-fp8-fast")
    rates = catalog_rates(model)
    assert rates is not None
    messages = ({"content": "Be brief."}, {"content": "Tell me all."})
    high = estimate_cost(Request(model.name, messages, max_tokens=2048), rates).high
    note = plan(lesson, "--students", "30").note
    first, against, cheaper, _ = note.splitlines()
    assert first.startswith("30 students: ")
    assert f"at most {30 * (high + 3.1):,.0f}"[:11] in first
    assert "times the daily free neurons" in against
    assert cheaper.startswith("Cheaper models for all cells: granite-4.0-h-micro ")
    assert "guard" not in cheaper


def test_a_low_cost_is_shown_as_a_share_of_the_daily_free_neurons(
    plan: Callable[..., Table], tmp_path: Path
) -> None:
    path = tmp_path / "one.ipynb"
    cell = {"cell_type": "code", "source": "%%cfai --max-tokens 10\nHi"}
    path.write_text(json.dumps({"cells": [cell]}))
    assert "at most 0 % of the daily free neurons" in plan(str(path)).note


def test_the_current_notebook_is_the_default(
    plan: Callable[..., Table], lesson: str, session: Session
) -> None:
    with pytest.raises(InvalidOptionError, match="A notebook path is required"):
        plan()
    session.notebook = lesson
    assert len(plan().rows) == 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "can't be read"),
        ("{", "is not a notebook"),
        ('{"cells": []}', "has no %%cfai cells"),
    ],
)
def test_a_file_without_prompt_cells_raises_an_error(
    plan: Callable[..., Table], tmp_path: Path, content: str | None, message: str
) -> None:
    path = tmp_path / "other.ipynb"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InvalidOptionError, match=message):
        plan(str(path))


def test_the_number_of_students_must_be_positive(plan: Callable[..., Table], lesson: str) -> None:
    with pytest.raises(InvalidOptionError, match="--students must be at least 1"):
        plan(lesson, "--students", "0")


def test_a_comparison_cell_costs_all_its_requests(
    plan: Callable[..., Table], tmp_path: Path
) -> None:
    def high(line: str) -> float:
        path = tmp_path / "several.ipynb"
        cell = {"cell_type": "code", "source": f"%%cfai --max-tokens 1000 {line}\nHi"}
        path.write_text(json.dumps({"cells": [cell]}))
        return float(plan(str(path)).rows[0][3].split()[-1])

    gemma, llama = high("-m gemma-4-26b-a4b-it"), high("-m llama-3.2-3b-instruct")
    both = high("-m gemma-4-26b-a4b-it -m llama-3.2-3b-instruct -n 3 -t 0,1")
    assert both == pytest.approx(6 * (gemma + llama), rel=0.02)
    assert plan(str(tmp_path / "several.ipynb")).rows[0][2] == (
        "6 × gemma-4-26b-a4b-it, 6 × llama-3.2-3b-instruct"
    )


def plan_of(plan: Callable[..., Table], folder: Path, *sources: str) -> Table:
    path = folder / "cells.ipynb"
    cells = [{"cell_type": "code", "source": source} for source in sources]
    path.write_text(json.dumps({"cells": cells, "nbformat": 4}))
    return plan(str(path))


def test_the_cells_above_are_planned_with_their_limit(
    plan: Callable[..., Table], tmp_path: Path, session: Session
) -> None:
    path = tmp_path / "context.ipynb"
    source = "%%cfai --context above:2000 --max-tokens 10\nWhy?"
    cells = [{"cell_type": "code", "source": source}]
    path.write_text(json.dumps({"cells": cells, "nbformat": 4}))
    (row,) = plan(str(path)).rows
    rates = catalog_rates(session.resolve_model("gemma-4-26b-a4b-it"))
    assert rates is not None
    price = rates.price_usage(Usage(2_000))
    assert price is not None
    typical, high = map(float, re.findall(r"[\d.]+", row[3]))
    assert price < typical < 1.1 * price < high


def test_a_dry_run_costs_nothing_in_a_plan(plan: Callable[..., Table], tmp_path: Path) -> None:
    asked = plan_of(plan, tmp_path, "%%cfai\nWhy?")
    both = plan_of(plan, tmp_path, "%%cfai\nWhy?", "%%cfai --dry-run\nWhy?")
    assert both.note == asked.note
    assert both.rows[0] == asked.rows[0]
    assert both.rows[1][3:] == ("0", "0 %")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "-m llama-3.2-3b-instruct --max-tokens 100",
        "-m llama-3.2-3b-instruct -m gemma-4-26b-a4b-it -t 0,0.7 -n 2",
        "-s 'Be brief.' -f json",
        "-f table",
        "-x",
        "--image last --image missing.png",
        "-p seed=3",
        "-p max_tokens=20",
        "--max-neurons 2",
        "-n 3 --max-neurons 5",
        "-c lesson",
        "--dry-run",
        "-n 4 --dry-run --image last",
    ],
)
def test_the_figures_are_those_below_the_cell(
    plan: Callable[..., Table], tmp_path: Path, session: Session, line: str
) -> None:
    source = f"%%cfai {line}\nWhy is the sky blue?"
    estimate = estimate_cell(session, source)
    assert estimate is not None
    assert estimate.typical is not None
    assert estimate.high is not None
    row = plan_of(plan, tmp_path, source).rows[0]
    assert row[3] == format_estimate(estimate.typical, estimate.high)
    assert (estimate.high == 0) == ("--dry-run" in line)


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("%%cfai\n", "The prompt is empty"),
        ("%%cfai -m llama-3.2-3b-instruct --image last\nWhy?", "can't see images"),
        ("%%cfai -n 2 -f json\nWhy?", "A comparison shows answers only as Markdown"),
        ("%%cfai --max-steps 2\nWhy?", "--allow-tools and --max-steps require --tools"),
        ("%%cfai -p x\nWhy?", "does not have the form K=V"),
        ("%%cfai --task image\nA fish", "a task: %%cfai --dry-run shows its cost"),
    ],
)
def test_a_cell_that_would_fail_or_has_another_price_is_not_counted(
    plan: Callable[..., Table], tmp_path: Path, source: str, error: str
) -> None:
    table = plan_of(plan, tmp_path, source, "%%cfai\nWhy?")
    assert error in table.rows[0][3]
    assert table.rows[1][4] == "100 % (high)"


def test_a_dry_run_of_a_task_costs_nothing(plan: Callable[..., Table], tmp_path: Path) -> None:
    rows = plan_of(plan, tmp_path, "%%cfai --task image --dry-run\nA fish").rows
    assert rows[0][3:] == ("0", "0 %")


def test_a_cell_that_the_course_does_not_allow_is_not_counted(
    account: Standin, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cfai.toml").write_text('max_tokens = 100\nlocked = ["max_tokens"]\n')
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "cells.ipynb"
    cell = {"cell_type": "code", "source": "%%cfai --max-tokens 500\nWhy?"}
    path.write_text(json.dumps({"cells": [cell], "nbformat": 4}))
    with closing(Session(load_settings(home), home)) as own:
        table = run("plan", [str(path)], bare_frontend(own), "%cfai")
    assert isinstance(table, Table)
    assert "100" in table.rows[0][3]
    assert table.note == "No cell has a known cost."
    assert account.requests == ()


def test_the_answers_of_the_account_determine_the_typical_cost(
    plan: Callable[..., Table], tmp_path: Path, session: Session, account: Standin
) -> None:
    first = plan_of(plan, tmp_path, "%%cfai\nWhy?").rows[0][3]
    account.switch(answer="word " * 300)
    session.ask(session.build_request([{"role": "user", "content": "Why?"}]))
    second = plan_of(plan, tmp_path, "%%cfai\nWhy?").rows[0][3]
    assert first == "≈ 2.8, at most 56.2"
    assert float(second.split(",")[0].removeprefix("≈ ")) > 5


@pytest.mark.parametrize(
    "source",
    [
        "\n \n%%cfai -t 0\nWhy?",
        "  %%cfai -t 0\n  Why?",
        "%%time\n%%cfai -t 0\nWhy?",
        "%%capture out\n\n%%time\n%%cfai -t 0\nWhy?",
    ],
)
def test_a_cell_is_planned_as_ipython_runs_it(
    plan: Callable[..., Table], tmp_path: Path, source: str
) -> None:
    assert plan_of(plan, tmp_path, source).rows == plan_of(plan, tmp_path, "%%cfai\nWhy?").rows


def test_lines_with_ask_are_planned_as_cells(plan: Callable[..., Table], tmp_path: Path) -> None:
    question = "Why is the sky blue?"
    (as_cell,) = plan_of(plan, tmp_path, f"%%cfai --max-tokens 20\n{question}").rows
    sources = (
        f"%cfai ask --max-tokens 20 {question}",
        f"x = 1\nanswer = %cfai ask --max-tokens 20 {question}",
        f"for x in 'a':\n    %cfai ask --max-tokens 20 '{question}'",
        f"%%time\n%cfai ask --max-tokens 20 {question}",
    )
    rows = plan_of(plan, tmp_path, *sources).rows
    assert [row[1:4] for row in rows] == [as_cell[1:4]] * 4
    assert [row[0] for row in rows] == ["1", "2", "3", "4"]


def test_lines_that_run_no_question_are_not_planned(
    plan: Callable[..., Table], tmp_path: Path
) -> None:
    text = "%%writefile a.txt\n%cfai ask Why?"
    (row,) = plan_of(plan, tmp_path, text, "# %cfai ask Why?", "%cfai asks", "%%cfai\nHi").rows
    assert row[0] == "4"
    (row,) = plan_of(plan, tmp_path, "%cfai ask --temprature 1 Why?").rows
    assert "--temprature" in str(row)
