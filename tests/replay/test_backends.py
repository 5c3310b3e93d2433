"""A recording is replayed with any current backend."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cfai_magics.commands import run
from cfai_magics.errors import InvalidOptionError, ModelNotFoundError, StorageError
from cfai_magics.frontends.shell import create_shell_frontend
from cfai_magics.session.session import Session
from cfai_magics.settings import Cfai
from tests.catalog_cache import cache_catalog_without
from tests.replay.sessions import HI, OCTOBER_12, ask, lines, recording, replaying, said
from tests.standin import Standin

pytestmark = pytest.mark.slow


def test_a_recorded_model_that_is_no_longer_listed_is_still_known_by_its_short_name(
    recorder: Session, path: Path
) -> None:
    first = ask(recorder)
    cache_catalog_without(path.parent / "elsewhere", first.model)
    with replaying(path) as elsewhere:
        assert said(ask(elsewhere, model="gemma-4-26b-a4b-it")) == said(first)
        with pytest.raises(ModelNotFoundError):
            ask(elsewhere, model="never-there")


def test_a_recording_beside_the_notebook_is_replayed_and_not_added_to(
    cloudflare: Standin, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = path.parent / "lesson.ipynb"
    notebook.write_text("{}")
    with recording(cloudflare, path) as recorder:
        ask(recorder)
    before = lines(path)
    recorder = Session(Cfai(), path.parent / "home", environ=cloudflare.environ())
    recorder.notebook = str(notebook)
    assert ask(recorder).cost_basis == "replayed"
    assert ask(recorder, "Another?").cost_basis == "billed"
    assert lines(path) == before
    recorder.close()


def test_answers_of_a_local_model_are_recorded_and_say_so(
    home: Path, small_model: Path, path: Path
) -> None:
    (home / "models").mkdir(parents=True)
    (home / "models" / small_model.name).symlink_to(small_model)
    environ = {"CFAI_REPLAY": f"auto:{path}"}
    recorder = Session(Cfai(local="small"), home, environ=environ, wall_clock=lambda: OCTOBER_12)
    try:
        first = ask(recorder, max_tokens=8)
        vectors = recorder.embed(["sun"])
        run("ask", ("--task", "embed", "moon"), create_shell_frontend(recorder), "cfai")
        assert first.is_local
        assert ask(recorder, max_tokens=8).cost_basis == "replayed"
    finally:
        recorder.close()
    with replaying(path) as elsewhere:
        answer = ask(elsewhere, max_tokens=8)
        assert said(answer) == said(first)
        assert answer.model == "SmolLM2-135M-Instruct"
        assert answer.provenance.recording is not None
        assert answer.provenance.recording.neurons == 0
        assert elsewhere.embed(["sun"]).model == vectors.model
        run("ask", ("--task", "embed", "moon"), create_shell_frontend(elsewhere), "cfai")
        booked = [row["model"] for row in elsewhere.accounting.ledger.history.iter_calls()]
        assert booked == ["SmolLM2-135M-Instruct"] * 3


def test_what_only_workers_ai_does_replays_whoever_would_answer(
    cloudflare: Standin,
    recorder: Session,
    path: Path,
    home: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("ask", "--task", "image", "--save", str(path.with_name("a.jpg")))
    run(words[0], (*words[1:], "A house"), create_shell_frontend(recorder), "cfai")
    other = Session(
        Cfai(base_url="http://127.0.0.1:9/v1"), home, environ={"CFAI_REPLAY": f"only:{path}"}
    )
    run(words[0], (*words[1:], "A house"), create_shell_frontend(other), "cfai")
    assert [row["status"] for row in other.accounting.ledger.history.iter_calls()] == [
        "ok",
        "replayed",
    ]
    assert capsys.readouterr().err.count("Waiting for") == 1
    told = run(
        words[0], (*words[1:], "--dry-run", "A house"), create_shell_frontend(recorder), "cfai"
    )
    assert "Already recorded: the answer is replayed" in str(told)
    with pytest.raises(InvalidOptionError, match="works only with Workers AI"):
        run(words[0], (*words[1:], "A home"), create_shell_frontend(other), "cfai")
    other.close()
    assert len(cloudflare.requests) == 1


def test_a_replay_needs_no_folder_of_state(cloudflare: Standin, path: Path) -> None:
    with recording(cloudflare, path) as recorder:
        ask(recorder)
        recorder.embed(["sun"])
    (path.parent / "no folder").write_text("")
    with replaying(path, home="no folder") as elsewhere:
        answer = ask(elsewhere)
        assert answer.cost_basis == "replayed"
        assert "Not booked: " in answer.notes[0]
        assert "Not booked: " in elsewhere.embed(["sun"]).notes[0]
        run("ask", ("-n", "2", HI[0]["content"]), create_shell_frontend(elsewhere), "cfai")
    asking = Session(Cfai(), path.parent / "no folder", environ=cloudflare.environ())
    with pytest.raises(StorageError):  # calls that cost neurons need the ledger
        ask(asking)
    assert len(cloudflare.requests) == 2


def test_with_an_account_auto_asks_it_though_a_local_model_was_recorded(
    cloudflare: Standin, path: Path
) -> None:
    with recording(cloudflare, path) as recorder:
        ask(recorder)
    told = json.loads(path.read_bytes())
    other = replace(_record(path), request=_local(told))
    path.write_bytes(other.to_line())
    with recording(cloudflare, path) as recorder:
        assert ask(recorder).cost_basis == "billed"
    with replaying(path, "auto") as elsewhere:
        assert ask(elsewhere).provenance.recording is not None


def _record(path: Path) -> Any:
    from cfai_magics.replay.interaction import parse_line

    return parse_line(path.read_bytes())


def _local(told: dict[str, Any]) -> Any:
    from cfai_magics.replay.fingerprint import RecordedRequest

    return RecordedRequest({**told["request"], "local": "a small one"})
