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
from tests.replay.sessions import HI, OCTOBER_12, ask, lines, recording, replayed_fields, replaying
from tests.standin import Standin

pytestmark = pytest.mark.slow


def test_a_short_model_name_also_matches_an_unlisted_recorded_model(
    recorder: Session, path: Path
) -> None:
    first = ask(recorder)
    cache_catalog_without(path.parent / "elsewhere", first.model)
    with replaying(path) as elsewhere:
        assert replayed_fields(ask(elsewhere, model="gemma-4-26b-a4b-it")) == replayed_fields(
            first
        )
        with pytest.raises(ModelNotFoundError):
            ask(elsewhere, model="unknown-model")


def test_a_recording_next_to_the_notebook_is_replayed_but_not_changed(
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


def test_answers_of_a_local_model_are_recorded_with_their_origin(
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
        assert replayed_fields(answer) == replayed_fields(first)
        assert answer.model == "SmolLM2-135M-Instruct"
        assert answer.provenance.recording is not None
        assert answer.provenance.recording.neurons == 0
        assert elsewhere.embed(["sun"]).model == vectors.model
        run("ask", ("--task", "embed", "moon"), create_shell_frontend(elsewhere), "cfai")
        models = [row["model"] for row in elsewhere.accounting.ledger.history.iter_calls()]
        assert models == ["SmolLM2-135M-Instruct"] * 3


def test_recorded_workers_ai_tasks_replay_with_another_backend(
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
    output = run(
        words[0], (*words[1:], "--dry-run", "A house"), create_shell_frontend(recorder), "cfai"
    )
    assert "Already recorded: the answer is replayed" in str(output)
    with pytest.raises(InvalidOptionError, match="works only with Workers AI"):
        run(words[0], (*words[1:], "A home"), create_shell_frontend(other), "cfai")
    other.close()
    assert len(cloudflare.requests) == 1


def test_a_replay_works_without_a_state_folder(cloudflare: Standin, path: Path) -> None:
    with recording(cloudflare, path) as recorder:
        ask(recorder)
        recorder.embed(["sun"])
    (path.parent / "no folder").write_text("")
    with replaying(path, home="no folder") as elsewhere:
        answer = ask(elsewhere)
        assert answer.cost_basis == "replayed"
        assert "Not saved in the ledger: " in answer.notes[0]
        assert "Not saved in the ledger: " in elsewhere.embed(["sun"]).notes[0]
        run("ask", ("-n", "2", HI[0]["content"]), create_shell_frontend(elsewhere), "cfai")
    paying = Session(Cfai(), path.parent / "no folder", environ=cloudflare.environ())
    with pytest.raises(StorageError):  # calls that cost neurons need the ledger
        ask(paying)
    assert len(cloudflare.requests) == 2


def test_auto_mode_with_an_account_ignores_recorded_local_answers(
    cloudflare: Standin, path: Path
) -> None:
    with recording(cloudflare, path) as recorder:
        ask(recorder)
    line = json.loads(path.read_bytes())
    other = replace(_record(path), request=_local(line))
    path.write_bytes(other.to_line())
    with recording(cloudflare, path) as recorder:
        assert ask(recorder).cost_basis == "billed"
    with replaying(path, "auto") as elsewhere:
        assert ask(elsewhere).provenance.recording is not None


def _record(path: Path) -> Any:
    from cfai_magics.replay.interaction import parse_line

    return parse_line(path.read_bytes())


def _local(line: dict[str, Any]) -> Any:
    from cfai_magics.replay.fingerprint import RecordedRequest

    return RecordedRequest({**line["request"], "local": "a small one"})
