"""Answers are recorded once and replayed without a key, a network or a neuron."""

import json
import re
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cfai_magics.commands import run
from cfai_magics.errors import (
    AllowanceUsedUp,
    BadOption,
    BudgetReached,
    CfaiError,
    CutStream,
    NoCredentials,
    NotRecorded,
    StoreError,
    UnknownModel,
)
from cfai_magics.ipython.doors import shell_door
from cfai_magics.replay import Way
from cfai_magics.session import Session
from cfai_magics.settings import Cfai
from cfai_magics.values import Answer
from tests.replay.sessions import HI, OCTOBER_12, ask, lines, recording, replaying
from tests.secrets import token
from tests.standin import Fault, Standin
from tests.standin.dialects import DIALECTS

SAID = ("text", "thought", "tool_calls", "finish", "model", "local")


def said(answer: Answer) -> dict[str, Any]:
    return {name: getattr(answer, name) for name in SAID}


@pytest.fixture
def session(cloudflare: Standin, path: Path) -> Iterator[Session]:
    with recording(cloudflare, path) as made:
        yield made


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
def test_a_replay_says_what_was_said_in_every_dialect(
    cloudflare: Standin, session: Session, path: Path, dialect: str, stream: bool
) -> None:
    cloudflare.switch(answer="Blue *scatters* — 藍色 \u2028 most.", dialect=dialect)
    first = ask(session, think=True, stream=stream)
    with replaying(path) as elsewhere:
        for again in (True, False):
            replayed = ask(elsewhere, think=True, stream=again)
            assert said(replayed) == said(first)
            assert replayed.usage.completion_tokens == first.usage.completion_tokens
            assert (replayed.neurons, replayed.basis) == (0.0, "replayed")
    assert len(cloudflare.requests) == 1


def test_thoughts_and_tool_calls_are_replayed(
    cloudflare: Standin, session: Session, path: Path
) -> None:
    cloudflare.switch(
        thought="Let me see.", tool_calls=[{"name": "look", "arguments": {"at": "sky"}}]
    )
    tools = {"tools": [{"type": "function", "function": {"name": "look"}}]}
    first = ask(session, think=True, extra=tools)
    assert first.tool_calls
    with replaying(path) as elsewhere:
        assert said(ask(elsewhere, think=True, extra=tools)) == said(first)


def test_a_replay_tells_when_it_was_recorded_and_what_asking_would_cost(
    session: Session, path: Path
) -> None:
    first = ask(session)
    with replaying(path) as elsewhere:
        recorded = ask(elsewhere).origin.recorded
    assert recorded is not None
    assert (recorded.date, recorded.neurons) == ("2026-10-12", first.neurons)


def test_what_was_not_billed_would_cost_what_its_tokens_do(
    cloudflare: Standin, session: Session, path: Path
) -> None:
    cloudflare.switch(omit_neurons_body=True, omit_neurons_header=True)
    first = ask(session)
    assert first.basis == "estimated"
    with replaying(path) as elsewhere:
        recorded = ask(elsewhere).origin.recorded
    assert recorded is not None
    assert recorded.neurons == pytest.approx(first.neurons)


def test_a_replay_is_booked_as_replayed_and_costs_nothing(session: Session, path: Path) -> None:
    first = ask(session)
    with replaying(path) as elsewhere:
        replayed = ask(elsewhere)
        (row,) = elsewhere.books.ledger.history.calls()
        assert elsewhere.books.standing().spent == 0
    assert (row["status"], row["basis"], row["neurons"]) == ("replayed", "replayed", 0.0)
    assert row["tokens_out"] == first.usage.completion_tokens
    assert row["request"] == replayed.origin.request == first.origin.request


def test_no_budget_and_no_closed_day_stops_a_replay(cloudflare: Standin, session: Session) -> None:
    ask(session)
    session.books.ledger.budgets.set("day", 0.0)
    session.books.close_day()
    assert ask(session).basis == "replayed"
    with pytest.raises(AllowanceUsedUp, match="Recorded answers still come"):
        ask(session, "Not recorded")
    assert len(cloudflare.requests) == 1


def test_auto_asks_what_is_not_recorded_and_records_it(
    cloudflare: Standin, session: Session, path: Path
) -> None:
    for _ in range(2):
        ask(session, "One?")
        ask(session, "Two?")
    assert len(cloudflare.requests) == 2
    assert len(lines(path)) == 2


def test_without_a_key_auto_replays_and_says_why_it_cannot_ask(
    session: Session, path: Path
) -> None:
    ask(session)
    with replaying(path, "auto") as elsewhere:
        assert ask(elsewhere).basis == "replayed"
        with pytest.raises(NoCredentials, match=r"not recorded \(nearest in .*“Why not\?”"):
            ask(elsewhere, "Why not?")


def test_only_asks_nothing_though_it_could(
    cloudflare: Standin, session: Session, path: Path
) -> None:
    ask(session)
    with recording(cloudflare, path, "only") as other:
        assert ask(other).basis == "replayed"
        with pytest.raises(NotRecorded, match=r"model @cf/meta/llama-3\.2-3b-instruct instead of"):
            ask(other, model="llama-3.2-3b-instruct")
        assert [row["status"] for row in other.books.ledger.history.calls()][-1] == "replayed"
    assert len(cloudflare.requests) == 1


def test_refresh_asks_again_and_takes_the_place_of_what_was_recorded(
    cloudflare: Standin, path: Path
) -> None:
    cloudflare.switch(answer=["old one", "old two", "new"])
    with recording(cloudflare, path) as session:
        session.replay.begin_cell()
        for _ in range(2):
            session.ask(session.request(HI))
    assert len(lines(path)) == 2
    with recording(cloudflare, path, "refresh") as session:
        assert ask(session).text == "new"
    with replaying(path) as elsewhere:
        assert [ask(elsewhere).text for _ in range(2)] == ["new", "new"]
    assert len(lines(path)) == 1


def test_refresh_keeps_what_another_cell_asked_more_often(cloudflare: Standin, path: Path) -> None:
    cloudflare.switch(answer=["old"] * 4 + ["heads", "tails", "edge", "once"])
    with recording(cloudflare, path) as session:
        for _ in range(4):
            session.ask(session.request(HI))
    with recording(cloudflare, path, "refresh") as session:
        for _ in range(3):
            session.ask(session.request(HI))
        assert ask(session).text == "once"  # the same question in a cell below
    with replaying(path) as elsewhere:
        texts = [elsewhere.ask(elsewhere.request(HI)).text for _ in range(3)]
    assert texts == ["once", "tails", "edge"]
    assert len(lines(path)) == 3


def test_off_neither_records_nor_replays(cloudflare: Standin, path: Path) -> None:
    with recording(cloudflare, path) as session:
        ask(session)
        before = lines(path)
        session.replay.choose(Way("off"))
        assert ask(session).basis == "billed"
        ask(session, "Another?")
    assert lines(path) == before


def test_the_same_question_asked_several_times_in_a_cell_replays_in_order(
    cloudflare: Standin, path: Path
) -> None:
    texts = ["heads", "tails", "edge"]
    cloudflare.switch(answer=texts)
    with recording(cloudflare, path) as session:
        request = session.request(HI)
        assert [session.ask(request).text for _ in texts] == texts
        session.replay.begin_cell()
        assert [session.ask(request).text for _ in texts] == texts
    with replaying(path) as elsewhere:
        request = elsewhere.request(HI)
        assert [elsewhere.ask(request).text for _ in range(4)] == [*texts, "heads"]
    assert len(cloudflare.requests) == 3


@pytest.mark.parametrize(
    ("switches", "error"),
    [
        ({"done": False}, CutStream),
        ({"error": Fault.of(5006)}, CfaiError),
        ({"error": Fault.of(3040), "error_in_stream_after": 3}, CfaiError),
        ({"drop_connection_after": 3}, CfaiError),
        ({"finish_reason": "error"}, None),
    ],
    ids=str,
)
def test_what_failed_or_was_cut_is_not_recorded(
    cloudflare: Standin, session: Session, path: Path, switches: dict[str, Any], error: Any
) -> None:
    cloudflare.switch(answer="one two three four five six", **switches)
    with pytest.raises(error) if error else nullcontext():
        assert any("Not recorded" in note for note in ask(session).notes)
    assert not path.exists()


def test_what_was_interrupted_is_not_recorded(
    cloudflare: Standin, session: Session, path: Path
) -> None:
    cloudflare.switch(answer="word " * 500, tokens_per_second=50)
    with session.stream(session.request(HI)) as stream:
        next(iter(stream))
    assert not path.exists()


def test_what_a_budget_cut_is_not_recorded(
    cloudflare: Standin, session: Session, path: Path
) -> None:
    cloudflare.switch(answer="word " * 3_000)
    answer = session.ask(session.request(HI), max_neurons=2.0)
    assert answer.finish == "length"
    assert "Not recorded: a budget had cut it short." in answer.notes
    known = session.catalogue()
    unpriced = tuple(m for m in known.models if m.name != session.settings.model)
    session._models._catalogue = replace(known, models=unpriced)
    session.books.ledger.budgets.set("day", session.books.standing().spent + 2.0)
    with pytest.raises(BudgetReached):
        session.ask(session.request(HI))
    assert not path.exists()


def test_an_answer_that_fitted_a_lowered_limit_is_recorded_as_it_was_asked(
    session: Session, path: Path
) -> None:
    answer = session.ask(session.request(HI), max_neurons=2.0)
    assert any("max_tokens was lowered" in note for note in answer.notes)
    with replaying(path) as elsewhere:
        assert ask(elsewhere).text == answer.text


def test_an_answer_that_came_at_another_try_is_recorded_once(
    cloudflare: Standin, session: Session, path: Path
) -> None:
    cloudflare.switch(error=Fault.of(3040), errors_before_success=1, retry_after="0")
    first = ask(session)
    cloudflare.switch(error=None, empty_json_for_stream=True)
    second = ask(session, "Streams come empty?")
    assert second.text
    with replaying(path) as elsewhere:
        assert ask(elsewhere).text == first.text
        assert ask(elsewhere, "Streams come empty?").text == second.text
    assert len(lines(path)) == 2


def test_nothing_of_the_account_is_in_a_recording(
    cloudflare: Standin, session: Session, path: Path
) -> None:
    ask(session)
    session.embed(["a"])
    kept = path.read_bytes()
    assert cloudflare.token.encode() not in kept
    assert cloudflare.account_id.encode() not in kept
    assert b"cf-ray" not in kept
    assert b"127.0.0.1" not in kept


def test_what_looks_like_a_token_is_not_recorded(
    cloudflare: Standin, session: Session, path: Path
) -> None:
    cloudflare.switch(answer=f"It is {token()}.")
    assert any("looks like an API token" in note for note in ask(session).notes)
    assert not path.exists()


def test_a_file_that_cannot_be_written_loses_no_answer(cloudflare: Standin, path: Path) -> None:
    path.mkdir()
    with recording(cloudflare, path) as session, pytest.raises(CfaiError, match="can't be used"):
        ask(session)
    nowhere = path.parent / "no" / "folder.jsonl"
    with recording(cloudflare, path, CFAI_REPLAY=f"refresh:{nowhere}") as session:
        answer = ask(session)
    assert answer.text
    assert any("Not recorded" in note for note in answer.notes)


def test_vectors_are_recorded_and_replayed(
    cloudflare: Standin, session: Session, path: Path
) -> None:
    texts = [f"text {n}" for n in range(130)]
    first = session.embed(texts)
    with replaying(path) as elsewhere:
        again = elsewhere.embed(texts)
        with pytest.raises(NotRecorded, match=r"text 1 says “other” instead of “text 0”"):
            elsewhere.embed(["other", *texts[1:]])
    assert again.usage.basis == "replayed"
    for one, other in zip(first.vectors, again.vectors, strict=True):
        assert other == pytest.approx(one, rel=1e-6)
    assert len(cloudflare.requests) == 2


@pytest.mark.parametrize(
    ("model", "payload"),
    [
        ("flux-1-schnell", {"prompt": "a lighthouse", "steps": 1}),
        ("phoenix-1.0", {"prompt": "a lighthouse", "width": 64, "height": 64}),
        ("m2m100-1.2b", {"text": "Hello", "source_lang": "en", "target_lang": "fr"}),
    ],
)
def test_native_tasks_are_recorded_and_replayed(
    session: Session, path: Path, model: str, payload: dict[str, Any]
) -> None:
    first = session.run(model, payload)
    with replaying(path) as elsewhere:
        again = elsewhere.run(model, payload)
        with pytest.raises(NotRecorded, match=r"input .* instead of"):
            elsewhere.run(model, {**payload, "seed": 1})
    assert (again.result, again.content) == (first.result, first.content)
    assert (again.neurons, again.basis) == (0.0, "replayed")
    assert again.origin.recorded is not None
    assert again.origin.recorded.neurons == first.neurons


def test_documents_and_sounds_are_known_by_what_they_hold(session: Session, path: Path) -> None:
    files = [("a.html", b"<h1>Hi</h1>", "text/html")]
    first = session.to_markdown(files)
    sound = session.run("whisper", {"audio": [7] * 2_000})
    assert len(max(lines(path), key=len)) < 3_000
    with replaying(path) as elsewhere:
        assert elsewhere.to_markdown(files).result == first.result
        assert elsewhere.run("whisper", {"audio": [7] * 2_000}).result == sound.result
        with pytest.raises(NotRecorded):
            elsewhere.run("whisper", {"audio": [8] * 2_000})


def test_what_is_too_large_is_told_and_not_recorded(
    cloudflare: Standin, session: Session, path: Path
) -> None:
    vectors = session.embed(["x"] * 800)
    assert len(vectors) == 800
    (note,) = [note for note in vectors.notes if note.startswith("Not recorded")]
    assert re.match(r"Not recorded: it has 4\.\d MB, and a recording takes up to 4 MB", note)
    assert not path.exists()


def test_a_damaged_line_is_told_once_and_skipped(
    cloudflare: Standin, session: Session, path: Path
) -> None:
    ask(session, "One?")
    ask(session, "Two?")
    first, second = lines(path)
    path.write_bytes(first[:-40] + b"\n" + second)
    whole = json.loads(second)["request"]["messages"][0]["content"]
    with replaying(path) as elsewhere:
        assert ask(elsewhere, whole).notes == (
            "In lesson.cfai.jsonl line 1 is no JSON: skipped, and left as it is.",
        )
        assert ask(elsewhere, whole).notes == ()
        with pytest.raises(NotRecorded):
            ask(elsewhere, "Two?" if whole == "One?" else "One?")


def test_an_answer_that_cannot_be_played_counts_as_none(session: Session, path: Path) -> None:
    session.run("phoenix-1.0", {"prompt": "a", "width": 64, "height": 64})
    told = json.loads(path.read_bytes())
    told["replies"][0]["base64"] = "no base64"
    path.write_text(json.dumps(told) + "\n", encoding="utf-8")
    with replaying(path) as elsewhere, pytest.raises(NotRecorded, match="is damaged"):
        elsewhere.run("phoenix-1.0", {"prompt": "a", "width": 64, "height": 64})


def test_a_recorded_model_that_is_no_longer_listed_is_still_known_by_its_short_name(
    session: Session, path: Path
) -> None:
    first = ask(session)
    with replaying(path) as elsewhere:
        known = elsewhere.catalogue()
        left = tuple(model for model in known.models if model.name != first.model)
        elsewhere._models._catalogue = replace(known, models=left)
        assert said(ask(elsewhere, model="gemma-4-26b-a4b-it")) == said(first)
        with pytest.raises(UnknownModel):
            ask(elsewhere, model="never-there")


def test_leaving_a_replay_early_books_it_as_replayed(session: Session, path: Path) -> None:
    ask(session)
    with replaying(path) as elsewhere:
        with elsewhere.stream(elsewhere.request(HI)) as stream:
            next(iter(stream))
        assert (stream.answer.basis, stream.answer.finish) == ("replayed", "interrupted")
        (row,) = elsewhere.books.ledger.history.calls()
    assert row["status"] == "replayed"


def test_a_recording_beside_the_notebook_is_replayed_and_not_added_to(
    cloudflare: Standin, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = path.parent / "lesson.ipynb"
    notebook.write_text("{}")
    with recording(cloudflare, path) as session:
        ask(session)
    before = lines(path)
    session = Session(Cfai(), path.parent / "home", environ=cloudflare.environ())
    session.notebook = str(notebook)
    assert ask(session).basis == "replayed"
    assert ask(session, "Another?").basis == "billed"
    assert lines(path) == before
    session.close()


def test_answers_of_a_local_model_are_recorded_and_say_so(
    home: Path, small_model: Path, path: Path
) -> None:
    (home / "models").mkdir(parents=True)
    (home / "models" / small_model.name).symlink_to(small_model)
    environ = {"CFAI_REPLAY": f"auto:{path}"}
    session = Session(Cfai(local="small"), home, environ=environ, wall_clock=lambda: OCTOBER_12)
    try:
        first = ask(session, max_tokens=8)
        vectors = session.embed(["sun"])
        run("ask", ("--task", "embed", "moon"), shell_door(session), "cfai")
        assert first.local
        assert ask(session, max_tokens=8).basis == "replayed"
    finally:
        session.close()
    with replaying(path) as elsewhere:
        answer = ask(elsewhere, max_tokens=8)
        assert said(answer) == said(first)
        assert answer.model == "SmolLM2-135M-Instruct"
        assert answer.origin.recorded is not None
        assert answer.origin.recorded.neurons == 0
        assert elsewhere.embed(["sun"]).model == vectors.model
        run("ask", ("--task", "embed", "moon"), shell_door(elsewhere), "cfai")
        booked = [row["model"] for row in elsewhere.books.ledger.history.calls()]
        assert booked == ["SmolLM2-135M-Instruct"] * 3


def test_what_only_workers_ai_does_replays_whoever_would_answer(
    cloudflare: Standin,
    session: Session,
    path: Path,
    home: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("ask", "--task", "image", "--save", str(path.with_name("a.jpg")))
    run(words[0], (*words[1:], "A house"), shell_door(session), "cfai")
    other = Session(
        Cfai(base_url="http://127.0.0.1:9/v1"), home, environ={"CFAI_REPLAY": f"only:{path}"}
    )
    run(words[0], (*words[1:], "A house"), shell_door(other), "cfai")
    assert [row["status"] for row in other.books.ledger.history.calls()] == ["ok", "replayed"]
    assert capsys.readouterr().err.count("Waiting for") == 1
    told = run(words[0], (*words[1:], "--dry-run", "A house"), shell_door(session), "cfai")
    assert "The answer is recorded" in str(told)
    with pytest.raises(BadOption, match="for Workers AI alone"):
        run(words[0], (*words[1:], "A home"), shell_door(other), "cfai")
    other.close()
    assert len(cloudflare.requests) == 1


def test_a_replay_needs_no_folder_of_state(cloudflare: Standin, path: Path) -> None:
    with recording(cloudflare, path) as session:
        ask(session)
        session.embed(["sun"])
    (path.parent / "no folder").write_text("")
    with replaying(path, home="no folder") as elsewhere:
        answer = ask(elsewhere)
        assert answer.basis == "replayed"
        assert "Not booked: " in answer.notes[0]
        assert "Not booked: " in elsewhere.embed(["sun"]).notes[0]
        run("ask", ("-n", "2", HI[0]["content"]), shell_door(elsewhere), "cfai")
    asking = Session(Cfai(), path.parent / "no folder", environ=cloudflare.environ())
    with pytest.raises(StoreError):  # what costs is not asked without the ledger
        ask(asking)
    assert len(cloudflare.requests) == 2


def test_with_an_account_auto_asks_it_though_a_local_model_was_recorded(
    cloudflare: Standin, path: Path
) -> None:
    with recording(cloudflare, path) as session:
        ask(session)
    told = json.loads(path.read_bytes())
    other = replace(_record(path), asked=_local(told))
    path.write_bytes(other.line())
    with recording(cloudflare, path) as session:
        assert ask(session).basis == "billed"
    with replaying(path, "auto") as elsewhere:
        assert ask(elsewhere).origin.recorded is not None


def _record(path: Path) -> Any:
    from cfai_magics.replay.record import record_in

    return record_in(path.read_bytes())


def _local(told: dict[str, Any]) -> Any:
    from cfai_magics.replay import Asked

    return Asked({**told["request"], "local": "a small one"})
