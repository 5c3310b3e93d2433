"""`map`: one prompt over many rows, priced before, asked once each, resumed after a crash."""

import builtins
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pydantic
import pytest

import cfai_magics
from cfai_magics import api
from cfai_magics.errors import (
    AllowanceUsedUp,
    BadOption,
    BudgetExceeded,
    CfaiError,
    Interrupted,
    NotRecorded,
)
from cfai_magics.mapping.queue import batches
from cfai_magics.replay.way import Way
from cfai_magics.session import Session
from tests.kernels import running_kernel
from tests.standin import Fault, Standin

ROOT = Path(__file__).parents[2]
QUEUEING = "gpt-oss-20b"
MAP = """
import sys
import cfai_magics
rows = [f"review {number}" for number in range(int(sys.argv[1]))]
queue = sys.argv[2] == "queue"
model = "gpt-oss-20b" if queue else ""
print("ready", flush=True)
cfai_magics.map("Classify: {text}", rows, model=model, queue=queue, max_tokens=9, concurrency=4)
"""


@pytest.fixture(autouse=True)
def _own_session(account: Standin) -> Iterator[None]:
    assert account.base_url
    api._own_session.cache_clear()
    yield
    api._own_session().close()
    api._own_session.cache_clear()


@pytest.fixture
def session() -> Session:
    return api.current_session()


def asked(account: Standin) -> list[str]:
    """Return the prompts that were sent, sorted."""
    return sorted(
        one.json["messages"][-1]["content"] for one in account.requests if "messages" in one.json
    )


def opinion(prompt: str) -> str:
    return "bad" if "awful" in prompt else "good"


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
    assert found["error"].iloc[3] == "text has no value here, so nothing was asked"
    assert found["neurons"].sum() == pytest.approx(account.billed)
    assert asked(account) == ["1? fine {'a': 1}", "2? awful {'a': 1}", "3? fine {'a': 1}"]
    assert "answer" not in frame.columns, "the data frame given is left as it is"


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
    assert "does not fit the schema" in found[1]["error"]
    again = cfai_magics.map("City {text}", ["1", "2"], schema=schema)
    assert again[0]["answer"] == wanted
    assert len(account.requests) == 3, "only what did not fit is asked again"


def test_a_model_that_refuses_the_schemas_field_is_asked_without(account: Standin) -> None:
    account.switch(answer='{"name": "Bonn"}', error=Fault.of(8001), errors_before_success=1)
    found = cfai_magics.map("City {text}", ["1", "2", "3"], schema=City, concurrency=1)
    assert [row["answer"] for row in found] == [City(name="Bonn")] * 3
    fields = ["response_format" in one.json for one in account.requests]
    assert fields == [True, False, False, False]


# --- what does not fit


@pytest.mark.parametrize(
    ("template", "data", "more", "told"),
    [
        ("No place", ["a"], {}, "has no place for a column"),
        ("{txt}", ["a"], {}, "{txt} is none of the columns. There are: text."),
        ("{text}", "a", {}, "a value of type str holds no rows"),
        ("{text}", 7, {}, "a value of type int holds no rows"),
        ("{answer}", [{"answer": "a"}], {}, "There is a column answer already"),
        ("{text}", ["a"], {"concurrency": 0}, "concurrency=0"),
        ("{text}", ["a"], {"temprature": 1}, "map takes no 'temprature'"),
        ("{text}", ["a"], {"schema": 7}, "neither a dict nor a pydantic model"),
        ("{text}", ["a"], {"model": "gpt-6"}, "There is no model 'gpt-6'"),
        ("{text}", ["a"], {"queue": True}, "gemma-4-26b-a4b-it takes no batches"),
        ("{text}", ["a"], {"max_neurons": 0}, "max_neurons=0 is no limit"),
    ],
)
def test_what_does_not_fit_is_told_and_nothing_is_sent(
    template: str, data: Any, more: dict[str, Any], told: str, account: Standin
) -> None:
    with pytest.raises(CfaiError) as caught:
        cfai_magics.map(template, data, **more)
    assert told.lower() in str(caught.value).lower()
    assert account.requests == ()


# --- the price first


def test_the_price_is_told_before_and_the_cost_after(
    account: Standin, capsys: pytest.CaptureFixture[str]
) -> None:
    cfai_magics.map("Is it {text}?", ["a", "b", "a", None], max_tokens=9)
    told = capsys.readouterr().err
    assert told.startswith("4 rows, 2 different prompts, 1 rows without a value. gemma-4-26b")
    assert "neurons estimated, with at most 9 tokens an answer." in told
    assert f"{account.billed:.1g}" in told
    assert "maps.sqlite; %cfai map clear deletes them." in told


def test_a_budget_refuses_the_whole_before_anything_is_sent(
    session: Session, account: Standin
) -> None:
    session.books.ledger.budgets.set("day", 50)
    with pytest.raises(BudgetExceeded, match="these 20 calls may cost"):
        cfai_magics.map("Is it {text}?", map(str, range(20)), max_tokens=200)
    with pytest.raises(BudgetExceeded, match="nobody knows what"):
        cfai_magics.map("Is it {text}?", ["a"], model="@cf/no/price", confirm=False)
    assert account.requests == ()
    assert session.books.standing().reserved == 0
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
        with pytest.raises(Interrupted, match="Nothing was sent"):
            cfai_magics.map("Is it {text}?", ["a", "b"], max_tokens=9)
    assert questions == ["This may cost up to 1.1 neurons. Go on? [y/N] "]
    assert len(account.requests) == (2 if said == "y" else 0)


def test_where_nobody_can_be_asked_a_limit_is_asked_for(
    account: Standin, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(_question: str) -> str:
        raise EOFError

    session.settings.confirm_neurons = 0.5
    monkeypatch.setattr(builtins, "input", nobody)
    with pytest.raises(BadOption, match=r"give max_neurons=N or confirm=False"):
        cfai_magics.map("Is it {text}?", ["a", "b"], max_tokens=9)
    assert account.requests == ()
    cfai_magics.map("Is it {text}?", ["a", "b"], max_tokens=9, max_neurons=2)
    cfai_magics.map("Is it {text}?", ["c", "d"], max_tokens=9, confirm=False)
    assert len(account.requests) == 4


# --- several at once, kept, resumed


def test_so_many_run_at_once_and_what_the_others_may_cost_stays_reserved(
    account: Standin, home: Path
) -> None:
    account.switch(answer="word " * 9, tokens_per_second=0.5)
    with subprocess.Popen(
        [sys.executable, "-c", MAP, "12", "direct"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert account.wait_for(lambda c: len(c.requests) == 4)
        assert account.calls == [], "none of the four had ended when the fourth began"
        standing = api.current_session().books.standing()
        reserved = standing.reserved
        process.kill()
    account.switch(tokens_per_second=0)
    standing = api.current_session().books.standing()
    assert standing.estimated == pytest.approx(reserved * 4 / 12, rel=0.01), (
        "the others were not sent"
    )
    assert standing.reserved == 0


def test_after_a_crash_only_what_is_missing_is_asked(account: Standin) -> None:
    account.switch(answer=opinion, tokens_per_second=50)
    command = [sys.executable, "-c", MAP, "40", "direct"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert account.wait_for(lambda c: len(c.calls) >= 12)
        process.send_signal(signal.SIGKILL)
    account.switch(answer=opinion, tokens_per_second=0)
    kept = kept_answers()
    assert 8 <= kept < 40
    account.clear()
    rows = [f"review {number}" for number in range(40)]
    found = cfai_magics.map("Classify: {text}", rows, max_tokens=9)
    assert {row["answer"] for row in found} == {"good"}
    assert len(account.requests) == 40 - kept
    cfai_magics.map("Classify: {text}", rows, max_tokens=9)
    assert len(account.requests) == 40 - kept
    cfai_magics.map("Classify: {text}", rows[:3], max_tokens=9, fresh=True)
    assert len(account.requests) == 40 - kept + 3
    cfai_magics.map("Classify: {text}", rows[:3], max_tokens=9, temperature=1)
    assert len(account.requests) == 40 - kept + 6, "another temperature is another question"


def kept_answers() -> int:
    path = api.current_session().home / "maps.sqlite"
    with sqlite3.connect(path) as connection:
        found = connection.execute("SELECT count(*) FROM answers").fetchone()[0]
    connection.close()
    return int(found)


def test_an_interrupt_stops_all_at_once_and_the_next_run_goes_on(
    account: Standin, tmp_path: Path
) -> None:
    with running_kernel(**account.environ(), CFAI_HOME=str(tmp_path / "kernel")) as kernel:
        kernel.run("import cfai_magics as cfai")
        account.switch(answer=lambda p: "good" if "a" in p else "word " * 500)
        account.switch(tokens_per_second=100)
        call = "cfai.map('Is it {text}?', ['a', 'b', 'c', 'd'], concurrency=4, max_tokens=400)"
        running = kernel.start(call)
        assert account.wait_for(lambda c: len(c.requests) == 4)
        kernel.until_shown(running, "1 of 4")
        kernel.manager.interrupt_kernel()
        cell = kernel.finish(running)
        assert cell.ename == "Interrupted"
        assert "Interrupted when 1 were answered. Run the same again" in cell.traceback[0]
        assert account.wait_for(lambda c: c.disconnects == 3)
        account.switch(answer="good", tokens_per_second=0)
        account.clear()
        told = kernel.run(f"print([row['answer'] for row in {call}])").text
        assert "['good', 'good', 'good', 'good']" in told
        assert "1 answered before" in told
        assert asked(account) == ["Is it b?", "Is it c?", "Is it d?"]
        statuses = kernel.run(
            "calls = cfai.api.current_session().books.ledger.history.calls()\n"
            "print(sorted((c['status'], c['basis'], c['neurons'] > 0) for c in calls))"
        ).text
        assert statuses.count("('interrupted', 'estimated', True)") == 3
        assert statuses.count("('ok', 'billed', True)") == 4


def test_an_error_that_all_would_meet_ends_it_and_keeps_what_came(
    account: Standin, session: Session
) -> None:
    account.switch(answer=opinion, daily_neurons=0.2)
    rows = [f"review {number}" for number in range(30)]
    with pytest.raises(AllowanceUsedUp, match="Run the same again for the rest"):
        cfai_magics.map("Classify: {text}", rows, max_tokens=9, concurrency=1)
    sent = len(account.requests)
    assert kept_answers() == sent - 1 < 29
    with pytest.raises(AllowanceUsedUp):
        cfai_magics.map("Classify: {text}", rows, max_tokens=9)
    assert len(account.requests) == sent, "a closed day sends nothing"
    assert session.books.standing().reserved == 0


def test_an_error_of_one_row_stands_in_its_column(account: Standin) -> None:
    account.switch(answer=opinion, error=Fault.of(3030), errors_before_success=1)
    found = cfai_magics.map("Is it {text}?", ["a", "b"], max_tokens=9, concurrency=1)
    assert found[0]["answer"] is None
    assert "code 3030" in found[0]["error"]
    assert (found[1]["answer"], found[1]["error"]) == ("good", None)


def test_prompts_stand_in_no_file_and_clearing_leaves_nothing(
    account: Standin, session: Session
) -> None:
    account.switch(answer="an unmistakable answer")
    cfai_magics.map("An unmistakable {text}", ["prompt"], max_tokens=9)
    session.close()
    files = [path for path in session.home.rglob("*") if path.is_file()]
    whole = b"".join(path.read_bytes() for path in files)
    assert b"unmistakable prompt" not in whole
    assert b"unmistakable answer" in whole
    run = [sys.executable, "-m", "cfai_magics", "map"]
    shown = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert shown.startswith("1 answers of maps are kept in ")
    cleared = subprocess.run([*run, "clear"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert cleared.stdout == "1 answers of maps were deleted.\n"
    whole = b"".join(path.read_bytes() for path in session.home.rglob("maps*"))
    assert b"unmistakable answer" not in whole


# --- the queue


def test_a_batch_is_one_request_and_each_answer_is_booked(
    account: Standin, session: Session
) -> None:
    account.switch(answer=opinion, batch_polls=0)
    found = cfai_magics.map(
        "Is it {text}?", ["a", "awful", "a", "c"], model=QUEUEING, queue=True, max_tokens=9
    )
    assert [row["answer"] for row in found] == ["good", "bad", "good", "good"]
    queued, polled = account.requests
    assert queued.query == {"queueRequest": "true"}
    assert len(queued.json["requests"]) == 3
    assert set(polled.json) == {"request_id"}
    calls = list(session.books.ledger.history.calls())
    assert [call["status"] for call in calls] == ["ok"] * 3
    assert sum(call["neurons"] for call in calls) == pytest.approx(account.billed)


def test_a_batch_in_the_queue_outlives_the_kernel_and_is_not_sent_again(
    account: Standin, session: Session
) -> None:
    account.switch(answer=opinion, batch_polls=10**6)
    command = [sys.executable, "-c", MAP, "5", "queue"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert account.wait_for(lambda c: len(c.requests) >= 2)
        process.kill()
    rows = [f"review {number}" for number in range(5)]
    assert session.books.standing().estimated > account.billed == 0
    account.clear()
    account.switch(batch_polls=0)
    found = cfai_magics.map("Classify: {text}", rows, model=QUEUEING, queue=True, max_tokens=9)
    assert [row["answer"] for row in found] == ["good"] * 5
    assert [set(one.json) for one in account.requests] == [{"request_id"}]
    standing = session.books.standing()
    assert (standing.billed, standing.estimated) == (pytest.approx(account.billed), 0)


def test_a_batch_that_is_gone_is_an_error_and_is_asked_anew(
    account: Standin, session: Session
) -> None:
    account.switch(batch_polls=0, error=Fault(404, 3042, "No such request"))
    account.switch(error_path="/ai/run", errors_before_success=2)
    with pytest.raises(CfaiError):
        cfai_magics.map("Is it {text}?", ["a"], model=QUEUEING, queue=True, max_tokens=9)
    assert session.books.standing().reserved == 0


def test_no_batch_is_too_big(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cfai_magics.mapping.queue.MOST_BYTES", 1000)
    plan = api.current_session()
    made = cfai_magics.mapping.plan_of(plan, "Is it {text}?", [f"{n:0300}" for n in range(7)])
    parts = list(batches(made, made.requests))
    assert [len(part) for part in parts] == [2, 2, 2, 1]
    assert [key for part in parts for key in part] == list(made.requests)


# --- recordings


def test_what_was_recorded_is_replayed_and_costs_nothing(
    account: Standin, session: Session, tmp_path: Path
) -> None:
    account.switch(answer=opinion)
    recordings = tmp_path / "lesson.cfai"
    session.replay.choose(Way("auto", recordings))
    rows = ["fine", "awful", "fine"]
    cfai_magics.map("Is it {text}?", rows, max_tokens=9)
    assert len(account.requests) == 2
    session.replay.choose(Way("only", recordings))
    session.books.ledger.budgets.set("day", 0.001)
    found = cfai_magics.map("Is it {text}?", rows, max_tokens=9, fresh=True)
    assert [row["answer"] for row in found] == ["good", "bad", "good"]
    assert len(account.requests) == 2
    with pytest.raises(NotRecorded, match="“Is it new"):
        cfai_magics.map("Is it {text}?", ["fine", "new"], max_tokens=9, fresh=True)
    assert len(account.requests) == 2


def test_what_a_model_answered_without_the_field_for_the_schema_is_replayed(
    account: Standin, session: Session, tmp_path: Path
) -> None:
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}}
    account.switch(answer='{"ok": true}', error=Fault.of(5024), errors_before_success=1)
    session.replay.choose(Way("auto", tmp_path / "lesson.cfai"))
    first = cfai_magics.map("{text}?", ["a", "b"], schema=schema, concurrency=1)
    count = len(account.requests)
    session.replay.choose(Way("only", tmp_path / "lesson.cfai"))
    again = cfai_magics.map("{text}?", ["a", "b"], schema=schema, fresh=True)
    assert [row["answer"] for row in again] == [row["answer"] for row in first]
    assert len(account.requests) == count
