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
from tests.batch.maps import count_cached_answers, sent_prompts, sentiment
from tests.standin import Fault, Standin

pytestmark = pytest.mark.usefixtures("has_threads")


# --- input and result


class WithoutText:
    def __str__(self) -> str:
        return 5  # type: ignore[return-value]  # noqa: PLE0307


def test_a_value_without_text_is_an_error_of_its_row(account: Standin) -> None:
    account.switch(answer="good")
    rows = [{"x": "fine"}, {"x": WithoutText()}, {"x": {1: 2, "1": 3}}]
    result = cfai_magics.map("{x}?", rows)
    assert [row["answer"] for row in result] == ["good", None, None]
    assert [row["error"] for row in result] == [
        None,
        "x: TypeError: __str__ returned non-string (type int)",
        'x: Two keys, columns or index labels have the same text "1". Rename one of them.',
    ]
    assert len(account.requests) == 1


def test_a_data_frame_is_returned_with_answer_error_and_neurons(account: Standin) -> None:
    account.switch(answer=sentiment)
    frame = pd.DataFrame(
        {"text": ["fine", "awful", "fine", None], "n": [1, 2, 3, 4]}, [7, 7, 8, 9]
    )
    result = cfai_magics.map("{n}? {{text}} {'a': 1}", frame, max_tokens=9)
    assert list(result.columns) == ["text", "n", "answer", "error", "neurons"]
    assert list(result.index) == [7, 7, 8, 9]
    assert list(result["answer"])[:3] == ["good", "bad", "good"]
    assert result["answer"].iloc[3] is None
    assert result["error"].iloc[3] == "text has no value in this row; no request was sent"
    assert result["neurons"].sum() == pytest.approx(account.billed)
    assert sent_prompts(account) == ["1? fine {'a': 1}", "2? awful {'a': 1}", "3? fine {'a': 1}"]
    assert "answer" not in frame.columns, "the given data frame is unchanged"


@pytest.mark.parametrize(
    ("data", "result_type"),
    [
        (["fine", "awful"], list),
        ([{"text": "fine"}, {"text": "awful"}], list),
        (pd.Series(["fine", "awful"]), pd.DataFrame),
        (pl.DataFrame({"text": ["fine", "awful"]}), pl.DataFrame),
        (pl.Series("text", ["fine", "awful"]), pl.DataFrame),
        (lambda: (word for word in ("fine", "awful")), list),
    ],
    ids=["texts", "dicts", "series", "polars", "polars series", "generator"],
)
def test_rows_are_returned_in_the_type_of_the_input(
    data: Any, result_type: type, account: Standin
) -> None:
    account.switch(answer=sentiment)
    rows_given = data() if callable(data) else data
    result = cfai_magics.map("Is it {text}?", rows_given, max_tokens=9)
    assert isinstance(result, result_type)
    if isinstance(result, pd.DataFrame):
        rows = result.to_dict("records")
    else:
        rows = result if isinstance(result, list) else result.to_dicts()
    assert [row["answer"] for row in rows] == ["good", "bad"]


@pytest.mark.parametrize("queue", [False, True])
def test_a_map_without_max_tokens_stays_within_its_budget(
    account: Standin, capsys: pytest.CaptureFixture[str], queue: bool
) -> None:
    account.switch(answer="word " * 3_000, batch_polls=0)

    def map_rows(max_neurons: float) -> Any:
        return cfai_magics.map(
            "Is it {text}?",
            ["a", "b"],
            model="gpt-oss-20b",
            max_neurons=max_neurons,
            extra={"max_tokens": None},
            queue=queue,
        )

    with pytest.raises(BudgetExceededError, match=r"these 2 calls may cost \d"):
        map_rows(1_000)
    assert account.requests == ()
    rows = map_rows(100_000)
    assert all(row["answer"] for row in rows)
    assert "answers up to 127," in "".join(capsys.readouterr()), (
        "the context window without the prompt"
    )
    bodies = account.requests[0].json["requests"] if queue else [account.requests[0].json]
    assert {body["max_tokens"] for body in bodies} == {None}


def test_equal_prompts_are_sent_and_billed_once(account: Standin) -> None:
    result = cfai_magics.map("Is it {text}?", ["a", "b", "a", "a"], max_tokens=9)
    assert sent_prompts(account) == ["Is it a?", "Is it b?"]
    assert [row["neurons"] > 0 for row in result] == [True, True, False, False]
    assert result[0]["answer"] == result[2]["answer"] == result[3]["answer"]


class City(pydantic.BaseModel):
    name: str


@pytest.mark.parametrize("schema", [City, City.model_json_schema()], ids=["pydantic", "dict"])
def test_answers_are_parsed_by_the_schema_or_reported_as_errors(
    schema: Any, account: Standin
) -> None:
    account.switch(answer=lambda prompt: '{"name": "Bonn"}' if "1" in prompt else "no JSON")
    result = cfai_magics.map("City {text}", ["1", "2"], schema=schema, concurrency=1)
    expected = City(name="Bonn") if schema is City else {"name": "Bonn"}
    assert [row["answer"] for row in result] == [expected, None]
    assert "does not match the schema" in result[1]["error"]
    repeated = cfai_magics.map("City {text}", ["1", "2"], schema=schema)
    assert repeated[0]["answer"] == expected
    assert len(account.requests) == 3, "only the prompt without a valid answer is sent again"


def test_the_schema_field_is_dropped_after_a_model_rejects_it(account: Standin) -> None:
    account.switch(answer='{"name": "Bonn"}', error=Fault.of(8001), errors_before_success=1)
    result = cfai_magics.map("City {text}", ["1", "2", "3"], schema=City, concurrency=1)
    assert [row["answer"] for row in result] == [City(name="Bonn")] * 3
    fields = ["response_format" in request.json for request in account.requests]
    assert fields == [True, False, False, False]


# --- invalid arguments


@pytest.mark.parametrize(
    ("template", "data", "options", "message"),
    [
        ("No placeholder", ["a"], {}, "has no placeholder for a column"),
        ("{txt}", ["a"], {}, "{txt} is not a column of the data.\nColumns: text."),
        ("{text}", "a", {}, "a value of type str has no rows"),
        ("{text}", 7, {}, "a value of type int has no rows"),
        ("{answer}", [{"answer": "a"}], {}, "The data already has a column named answer"),
        ("{text}", ["a"], {"concurrency": 0}, "concurrency=0"),
        ("{text}", ["a"], {"temprature": 1}, "map() does not accept the argument temprature"),
        ("{text}", ["a"], {"schema": 7}, "not a dict, a pydantic model or a JSON file"),
        ("{text}", ["a"], {"model": "gpt-6"}, "The model 'gpt-6' is not in the list"),
        (
            "{text}",
            ["a"],
            {"queue": True, "model": "llama-3.2-1b-instruct"},
            "llama-3.2-1b-instruct does not support the Batch API",
        ),
        ("{text}", ["a"], {"max_neurons": 0}, "max_neurons=0 is not a positive number"),
    ],
)
def test_invalid_arguments_raise_an_error_before_sending(
    template: str, data: Any, options: dict[str, Any], message: str, account: Standin
) -> None:
    with pytest.raises(CfaiError) as caught:
        cfai_magics.map(template, data, **options)
    assert message.lower() in str(caught.value).lower()
    assert account.requests == ()


# --- estimates and confirmation


def test_the_estimate_is_printed_before_and_the_cost_after(
    account: Standin, capsys: pytest.CaptureFixture[str]
) -> None:
    cfai_magics.map("Is it {text}?", ["a", "b", "a", None], max_tokens=9)
    output = capsys.readouterr().err
    assert output.startswith("4 rows, 2 distinct prompts, 1 row without a value. gemma-4-26b")
    assert "neurons (answers up to 9 tokens)." in output
    assert f"{account.billed:.1g}" in output
    assert "maps.sqlite; %cfai map clear deletes them." in output


def test_a_budget_rejects_the_whole_map_before_sending(session: Session, account: Standin) -> None:
    session.accounting.ledger.budgets.set("day", 50)
    with pytest.raises(BudgetExceededError, match="these 20 calls may cost"):
        cfai_magics.map("Is it {text}?", map(str, range(20)), max_tokens=200)
    with pytest.raises(BudgetExceededError, match="the cost of this call is unknown"):
        cfai_magics.map("Is it {text}?", ["a"], model="@cf/no/price", confirm=False)
    assert account.requests == ()
    assert session.accounting.day_usage().reserved == 0
    cfai_magics.map("Is it {text}?", map(str, range(20)), max_tokens=9)
    assert len(account.requests) == 20


@pytest.mark.parametrize("reply", ["y", "no", ""])
def test_a_map_above_the_confirmation_limit_asks_for_confirmation(
    reply: str, account: Standin, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    confirmations: list[str] = []
    session.settings.confirm_neurons = 0.5

    def answer(prompt: str) -> str:
        confirmations.append(prompt)
        return reply

    monkeypatch.setattr(builtins, "input", answer)
    if reply == "y":
        cfai_magics.map("Is it {text}?", ["a", "b"], max_tokens=9)
    else:
        with pytest.raises(InterruptedAnswerError, match="Nothing was sent"):
            cfai_magics.map("Is it {text}?", ["a", "b"], max_tokens=9)
    assert confirmations == ["This may cost up to 1.1 neurons. Continue? [y/N] "]
    assert len(account.requests) == (2 if reply == "y" else 0)


def test_a_map_without_user_input_requires_an_explicit_limit(
    account: Standin, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed_input(_prompt: str) -> str:
        raise EOFError

    session.settings.confirm_neurons = 0.5
    monkeypatch.setattr(builtins, "input", closed_input)
    with pytest.raises(InvalidOptionError, match=r"set max_neurons=N or confirm=False"):
        cfai_magics.map("Is it {text}?", ["a", "b"], max_tokens=9)
    assert account.requests == ()
    cfai_magics.map("Is it {text}?", ["a", "b"], max_tokens=9, max_neurons=2)
    cfai_magics.map("Is it {text}?", ["c", "d"], max_tokens=9, confirm=False)
    assert len(account.requests) == 4


# --- recordings


def test_recorded_answers_are_replayed_at_no_cost(
    account: Standin, session: Session, tmp_path: Path
) -> None:
    account.switch(answer=sentiment)
    recordings = tmp_path / "lesson.cfai"
    session.recorder.set_mode(RecordMode("auto", recordings))
    rows = ["fine", "awful", "fine"]
    cfai_magics.map("Is it {text}?", rows, max_tokens=9)
    assert len(account.requests) == 2
    session.recorder.set_mode(RecordMode("only", recordings))
    session.accounting.ledger.budgets.set("day", 0.001)
    result = cfai_magics.map("Is it {text}?", rows, max_tokens=9, fresh=True)
    assert [row["answer"] for row in result] == ["good", "bad", "good"]
    assert len(account.requests) == 2
    with pytest.raises(NotRecordedError, match="“Is it new"):
        cfai_magics.map("Is it {text}?", ["fine", "new"], max_tokens=9, fresh=True)
    assert len(account.requests) == 2


def test_answers_recorded_without_the_schema_field_are_replayed(
    account: Standin, session: Session, tmp_path: Path
) -> None:
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}}
    account.switch(answer='{"ok": true}', error=Fault.of(5024), errors_before_success=1)
    session.recorder.set_mode(RecordMode("auto", tmp_path / "lesson.cfai"))
    first = cfai_magics.map("{text}?", ["a", "b"], schema=schema, concurrency=1)
    count = len(account.requests)
    session.recorder.set_mode(RecordMode("only", tmp_path / "lesson.cfai"))
    repeated = cfai_magics.map("{text}?", ["a", "b"], schema=schema, fresh=True)
    assert [row["answer"] for row in repeated] == [row["answer"] for row in first]
    assert len(account.requests) == count


def test_the_cost_of_a_row_that_broke_off_is_that_of_the_ledger(
    account: Standin, session: Session
) -> None:
    account.switch(answer="a b c d e f g h", drop_connection_after=3)
    (row,) = cfai_magics.map("{text}", ["a"], max_tokens=99)
    (call,) = session.accounting.ledger.history.iter_calls()
    assert row["error"].startswith("The answer ended early")
    assert row["neurons"] == call["neurons"] > 0


def test_the_footer_of_a_cached_map_has_no_tokens(
    account: Standin, capsys: pytest.CaptureFixture[str]
) -> None:
    cfai_magics.map("{text}", ["a"], max_tokens=9)
    capsys.readouterr()
    cfai_magics.map("{text}", ["a"], max_tokens=9)
    assert len(account.requests) == 1
    output = "".join(capsys.readouterr())
    assert "no requests" in output
    assert "→" not in output


def test_an_answer_with_a_model_error_is_neither_returned_nor_cached(account: Standin) -> None:
    account.switch(finish_reason="error", answer="Hal")
    (row,) = cfai_magics.map("Is it {text}?", ["fine"], max_tokens=9)
    assert (row["answer"], row["error"]) == (None, "the model reported an error")
    assert count_cached_answers() == 0
