"""Test `%cfai verify`: repeat recorded prompts and compare the answers."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cfai_magics.commands import run
from cfai_magics.display.tables import Table
from cfai_magics.errors import InvalidOptionError, MissingCredentialsError
from cfai_magics.pricing.catalog import BUNDLED_DATE, load_bundled, save_cached
from cfai_magics.replay.record_mode import RecordMode
from cfai_magics.session.session import Session
from cfai_magics.types.messages import Message
from tests.fake_frontends import bare_frontend
from tests.standin import Fault, Standin

Verify = Callable[..., tuple[list[str], Table]]


def messages(text: str) -> list[Message]:
    return [{"role": "user", "content": text}]


@pytest.fixture
def path(session: Session, tmp_path: Path, account: Standin) -> Path:
    """Record three answers and leave recording on."""
    path = tmp_path / "lesson.cfai.jsonl"
    session.recorder.set_mode(RecordMode("auto", path))
    account.switch(answer="Blue light scatters most.")
    for text in ("One?", "Two?", "Three?"):
        session.ask(session.build_request(messages(text)))
    account.clear()
    return path


@pytest.fixture
def verify(session: Session) -> Verify:
    def run_verify(*words: str) -> tuple[list[str], Table]:
        printed: list[str] = []
        frontend = bare_frontend(session, print=printed.append)
        table = run("verify", words, frontend, "%cfai")
        assert isinstance(table, Table)
        return printed, table

    return run_verify


def test_the_cost_is_estimated_and_a_sample_is_repeated(
    verify: Verify, path: Path, account: Standin
) -> None:
    before = path.read_bytes()
    printed, table = verify("-n", "2")
    (line,) = printed
    assert line.startswith("Repeating 2 of 3 recorded prompts: ≈ 0.")
    assert line.endswith(" neurons. Budgets apply.")
    assert [row[3] for row in table.rows] == ["same text", "same text"]
    assert "neurons in total, billed" in table.note
    chat_requests = [
        request for request in account.requests if request.path.endswith("completions")
    ]
    assert len(chat_requests) == 2
    assert path.read_bytes() == before


def test_the_difference_of_a_changed_answer_is_shown(
    verify: Verify, path: Path, account: Standin
) -> None:
    account.switch(answer="Blue light bends most.", finish_reason="length")
    _, table = verify("-n", "1")
    assert table.rows[0][3] == (
        "75 % similar: “…lue light bends most.” instead of “…lue light scatters most.”; "
        "finish reason now length"
    )


def test_retired_models_are_named(verify: Verify, path: Path, account: Standin) -> None:
    account.switch(retired=["@cf/google/gemma-4-26b-a4b-it"])
    _, table = verify("-n", "1")
    assert table.rows[0][3].startswith("retired: Model has been deprecated")
    assert "@cf/google/gemma-4-26b-a4b-it is retired: it is not in the model list of" in table.note


def test_unrepeatable_prompts_are_counted_and_not_shown_as_retired(
    verify: Verify, path: Path, session: Session
) -> None:
    session.to_markdown([("a.csv", b"a,b\n1,2\n", "text/csv")])
    session.embed(["sun"])
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    session.ask(session.build_request([{"role": "user", "content": [picture]}]))
    printed, table = verify("-n", "9")
    assert printed[0].startswith("Repeating 3 of 6 recorded prompts")
    assert (
        "Not repeatable: images are stored only as hashes (1), not a chat prompt (2)."
        in table.note
    )
    assert "retired" not in table.note


@pytest.fixture
def retiring_models(home: Path) -> None:
    """Cache a catalog in which every model has a retirement date."""
    models = [replace(model, deprecation_date="2099-01-31") for model in load_bundled().models]
    save_cached(home, models, BUNDLED_DATE)


@pytest.mark.usefixtures("retiring_models")  # before the session reads the catalog
def test_a_model_that_will_retire_is_named(verify: Verify, path: Path, account: Standin) -> None:
    account.switch(error=Fault.of(5006), error_path="models/search")
    assert "will be retired on 31 Jan 2099" in verify()[1].note


def test_budgets_are_enforced(
    verify: Verify, path: Path, session: Session, account: Standin
) -> None:
    session.accounting.ledger.budgets.set("day", 0.0)
    _, table = verify()
    assert all("are left in today's budget" in row[3] for row in table.rows)
    assert not [request for request in account.requests if request.path.endswith("completions")]


def test_a_missing_token_raises_an_error(
    verify: Verify, path: Path, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLOUDFLARE_API_TOKEN")
    with pytest.raises(MissingCredentialsError):
        verify()


def test_a_recording_without_prompts_raises_an_error(
    verify: Verify, session: Session, tmp_path: Path
) -> None:
    with pytest.raises(InvalidOptionError, match="No recording is in use"):
        verify()
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    with pytest.raises(InvalidOptionError, match="has no prompts that can be repeated"):
        verify(str(empty))
    with pytest.raises(InvalidOptionError, match="-n must be at least 1, not 0"):
        verify(str(empty), "-n", "0")
