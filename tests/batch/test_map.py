"""Test `map`: estimates, one request per distinct prompt, and resuming after a crash."""

import builtins
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pydantic
import pytest

import cfai_magics
from cfai_magics.errors import (
    BudgetExceededError,
    CfaiError,
    InterruptedAnswerError,
    InvalidOptionError,
    NotRecordedError,
)
from cfai_magics.replay.record_mode import RecordMode
from cfai_magics.session.session import Session
from tests.batch.maps import asked, opinion
from tests.standin import Fault, Standin

# --- rows in, rows out


def test_a_data_frame_comes_back_with_answer_error_and_neurons(account: Standin) -> None:
    account.switch(answer=opinion)
    frame = pd.DataFrame(
        {"text": ["fine", "awful", "fine", None], "n": [1, 2, 3, 4]}, [7, 7, 8, 9]
    )
    found = cfai_magics.map("{n}? {{text}} {'a': 1}", frame, max_tokens=9)
    assert list(found.columns) == ["text", "n", "answer", "error", "neurons"]
    assert list(found.index) == [7, 7, 8, 9]
    assert list(found["answer"])[:3] == ["good", "bad", "good"]
    assert found["answer"].iloc[3] is None
    assert found["error"].iloc[3] == "text has no value in this row; no request was sent"
    assert found["neurons"].sum() == pytest.approx(account.billed)
    assert asked(account) == ["1? fine {'a': 1}", "2? awful {'a': 1}", "3? fine {'a': 1}"]
    assert "answer" not in frame.columns, "the given data frame is unchanged"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (["fine", "awful"], list),
        ([{"text": "fine"}, {"text": "awful"}], list),
        (pd.Series(["fine", "awful"]), pd.DataFrame),
        (pl.DataFrame({"text": ["fine", "awful"]}), pl.DataFrame),
        (pl.Series("text", ["fine", "awful"]), pl.DataFrame),
        ((word for word in ("fine", "awful")), list),
    ],
    ids=["texts", "dicts", "series", "polars", "polars series", "generator"],
)
def test_rows_come_back_in_the_kind_they_came_in(data: Any, kind: type, account: Standin) -> None:
    account.switch(answer=opinion)
    found = cfai_magics.map("Is it {text}?", data, max_tokens=9)
    assert isinstance(found, kind)
    rows = found if isinstance(found, list) else found.to_dicts() if kind is pl.DataFrame else None
    rows = found.to_dict("records") if rows is None else rows
    assert [row["answer"] for row in rows] == ["good", "bad"]


def test_equal_prompts_are_asked_once_and_cost_once(account: Standin) -> None:
    found = cfai_magics.map("Is it {text}?", ["a", "b", "a", "a"], max_tokens=9)
    assert asked(account) == ["Is it a?", "Is it b?"]
    assert [row["neurons"] > 0 for row in found] == [True, True, False, False]
    assert found[0]["answer"] == found[2]["answer"] == found[3]["answer"]


class City(pydantic.BaseModel):
    name: str


@pytest.mark.parametrize("schema", [City, City.model_json_schema()], ids=["pydantic", "dict"])
def test_answers_by_a_schema_are_values_and_others_are_errors(
    schema: Any, account: Standin
) -> None:
    account.switch(answer=lambda prompt: '{"name": "Bonn"}' if "1" in prompt else "no JSON")
    found = cfai_magics.map("City {text}", ["1", "2"], schema=schema, concurrency=1)
    wanted = City(name="Bonn") if schema is City else {"name": "Bonn"}
    assert [row["answer"] for row in found] == [wanted, None]
    assert "does not match the schema" in found[1]["error"]
    again = cfai_magics.map("City {text}", ["1", "2"], schema=schema)
    assert again[0]["answer"] == wanted
    assert len(account.requests) == 3, "only the prompt without a valid answer is sent again"


def test_a_model_that_refuses_the_schemas_field_is_asked_without(account: Standin) -> None:
    account.switch(answer='{"name": "Bonn"}', error=Fault.of(8001), errors_before_success=1)
    found = cfai_magics.map("City {text}", ["1", "2", "3"], schema=City, concurrency=1)
    assert [row["answer"] for row in found] == [City(name="Bonn")] * 3
    fields = ["response_format" in one.json for one in account.requests]
    assert fields == [True, False, False, False]


# --- invalid arguments


@pytest.mark.parametrize(
    ("template", "data", "more", "told"),
    [
        ("No place", ["a"], {}, "has no placeholder for a column"),
        ("{txt}", ["a"], {}, "{txt} is not a column of the data. Columns: text."),
        ("{text}", "a", {}, "a value of type str has no rows"),
        ("{text}", 7, {}, "a value of type int has no rows"),
        ("{answer}", [{"answer": "a"}], {}, "The data already has a column answer"),
        ("{text}", ["a"], {"concurrency": 0}, "concurrency=0"),
        ("{text}", ["a"], {"temprature": 1}, "map() has no argument temprature"),
        ("{text}", ["a"], {"schema": 7}, "not a dict, a pydantic model or a JSON file"),
        ("{text}", ["a"], {"model": "gpt-6"}, "The model 'gpt-6' is not in the list"),
        ("{text}", ["a"], {"queue": True}, "gemma-4-26b-a4b-it does not support the Batch API"),
        ("{text}", ["a"], {"max_neurons": 0}, "max_neurons=0 is not a positive number"),
    ],
)
def test_what_does_not_fit_is_told_and_nothing_is_sent(
    template: str, data: Any, more: dict[str, Any], told: str, account: Standin
) -> None:
    with pytest.raises(CfaiError) as caught:
        cfai_magics.map(template, data, **more)
    assert told.lower() in str(caught.value).lower()
    assert account.requests == ()


# --- estimates and confirmation


def test_the_price_is_told_before_and_the_cost_after(
    account: Standin, capsys: pytest.CaptureFixture[str]
) -> None:
    cfai_magics.map("Is it {text}?", ["a", "b", "a", None], max_tokens=9)
    told = capsys.readouterr().err
    assert told.startswith("4 rows, 2 distinct prompts, 1 row without a value. gemma-4-26b")
    assert "neurons, at most 9 tokens per answer." in told
    assert f"{account.billed:.1g}" in told
    assert "maps.sqlite; %cfai map clear deletes them." in told


def test_a_budget_refuses_the_whole_before_anything_is_sent(
    session: Session, account: Standin
) -> None:
    session.accounting.ledger.budgets.set("day", 50)
    with pytest.raises(BudgetExceededError, match="these 20 calls may cost"):
        cfai_magics.map("Is it {text}?", map(str, range(20)), max_tokens=200)
    with pytest.raises(BudgetExceededError, match="the cost of this call is unknown"):
        cfai_magics.map("Is it {text}?", ["a"], model="@cf/no/price", confirm=False)
    assert account.requests == ()
    assert session.accounting.day_usage().reserved == 0
    cfai_magics.map("Is it {text}?", map(str, range(20)), max_tokens=9)
    assert len(account.requests) == 20


@pytest.mark.parametrize("said", ["y", "no", ""])
def test_above_a_limit_it_is_asked_whether_to_go_on(
    said: str, account: Standin, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions: list[str] = []
    session.settings.confirm_neurons = 0.5

    def answer(question: str) -> str:
        questions.append(question)
        return said

    monkeypatch.setattr(builtins, "input", answer)
    if said == "y":
        cfai_magics.map("Is it {text}?", ["a", "b"], max_tokens=9)
    else:
        with pytest.raises(InterruptedAnswerError, match="Nothing was sent"):
            cfai_magics.map("Is it {text}?", ["a", "b"], max_tokens=9)
    assert questions == ["This may cost up to 1.1 neurons. Continue? [y/N] "]
    assert len(account.requests) == (2 if said == "y" else 0)


def test_where_nobody_can_be_asked_a_limit_is_asked_for(
    account: Standin, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(_question: str) -> str:
        raise EOFError

    session.settings.confirm_neurons = 0.5
    monkeypatch.setattr(builtins, "input", nobody)
    with pytest.raises(InvalidOptionError, match=r"set max_neurons=N or confirm=False"):
        cfai_magics.map("Is it {text}?", ["a", "b"], max_tokens=9)
    assert account.requests == ()
    cfai_magics.map("Is it {text}?", ["a", "b"], max_tokens=9, max_neurons=2)
    cfai_magics.map("Is it {text}?", ["c", "d"], max_tokens=9, confirm=False)
    assert len(account.requests) == 4


# --- recordings


def test_what_was_recorded_is_replayed_and_costs_nothing(
    account: Standin, session: Session, tmp_path: Path
) -> None:
    account.switch(answer=opinion)
    recordings = tmp_path / "lesson.cfai"
    session.recorder.set_mode(RecordMode("auto", recordings))
    rows = ["fine", "awful", "fine"]
    cfai_magics.map("Is it {text}?", rows, max_tokens=9)
    assert len(account.requests) == 2
    session.recorder.set_mode(RecordMode("only", recordings))
    session.accounting.ledger.budgets.set("day", 0.001)
    found = cfai_magics.map("Is it {text}?", rows, max_tokens=9, fresh=True)
    assert [row["answer"] for row in found] == ["good", "bad", "good"]
    assert len(account.requests) == 2
    with pytest.raises(NotRecordedError, match="“Is it new"):
        cfai_magics.map("Is it {text}?", ["fine", "new"], max_tokens=9, fresh=True)
    assert len(account.requests) == 2


def test_what_a_model_answered_without_the_field_for_the_schema_is_replayed(
    account: Standin, session: Session, tmp_path: Path
) -> None:
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}}
    account.switch(answer='{"ok": true}', error=Fault.of(5024), errors_before_success=1)
    session.recorder.set_mode(RecordMode("auto", tmp_path / "lesson.cfai"))
    first = cfai_magics.map("{text}?", ["a", "b"], schema=schema, concurrency=1)
    count = len(account.requests)
    session.recorder.set_mode(RecordMode("only", tmp_path / "lesson.cfai"))
    again = cfai_magics.map("{text}?", ["a", "b"], schema=schema, fresh=True)
    assert [row["answer"] for row in again] == [row["answer"] for row in first]
    assert len(account.requests) == count
