"""An answer received while the ledger is locked is complete; the next call books it."""

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from cfai_magics.errors import BudgetCutoffError, StorageError
from cfai_magics.session.call import ClientGroup
from cfai_magics.session.parallel import reserve_pool
from cfai_magics.session.session import Session
from cfai_magics.settings import Cfai
from cfai_magics.storage.ledger import FILE_NAME, Ledger
from tests.frames import FrameServer
from tests.session.servers import Behavior, answer
from tests.standin import Standin


@pytest.fixture
def impatient(account: Standin, home: Path) -> Iterator[Session]:
    """A session with the stand-in's account, whose ledger does not wait for a lock."""
    session = Session(Cfai(), home)
    session.accounting.ledger = Ledger(home, lock_timeout=0.05)
    yield session
    session.close()


@contextmanager
def locked(home: Path) -> Iterator[None]:
    with closing(sqlite3.connect(home / FILE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


def rows(session: Session) -> list[dict[str, Any]]:
    return [dict(row) for row in session.accounting.ledger.history.iter_calls()]


def test_an_answer_is_complete_while_the_ledger_is_locked(
    impatient: Session, account: Standin, home: Path
) -> None:
    account.switch(answer="Blue light scatters most.")
    request = impatient.build_request([{"role": "user", "content": "Why?"}])
    with impatient.stream(request) as stream:
        deltas = iter(stream)
        next(deltas)
        with locked(home):
            list(deltas)
    assert stream.answer.text == "Blue light scatters most."
    assert stream.answer.cost_basis == "billed"
    (note,) = stream.answer.notes
    assert note.startswith("Not yet saved in the ledger: ")
    assert "It will be saved with the next call." in note
    assert [row["status"] for row in rows(impatient)] == ["reserved"]
    impatient.ask(request)
    assert [row["status"] for row in rows(impatient)] == ["ok", "ok"]
    assert rows(impatient)[0]["neurons"] == stream.answer.neurons


def test_rows_of_a_pool_are_complete_while_the_ledger_is_locked(
    impatient: Session, account: Standin, home: Path
) -> None:
    request = impatient.build_request([{"role": "user", "content": "Why?"}])
    model = impatient.resolve_model(request.model)
    costs = [impatient.estimate_cost(request, model)] * 2
    with reserve_pool(impatient.accounting, ClientGroup(impatient.backend), model, costs) as pool:
        stream = impatient.stream(request, pool=pool)
        deltas = iter(stream)
        next(deltas)
        lock = locked(home)
        lock.__enter__()
        list(deltas)
    lock.__exit__(None, None, None)
    assert stream.answer.text
    assert impatient.day_usage().reserved == 0
    assert impatient.day_usage().billed == pytest.approx(account.billed, rel=0.01)


def test_an_answer_that_cannot_extend_its_reservation_is_kept_partially(
    home: Path,
) -> None:
    with FrameServer(answer) as server:
        environ = {
            "CLOUDFLARE_ACCOUNT_ID": secrets.token_hex(16),
            "CLOUDFLARE_API_TOKEN": secrets.token_hex(20),
            "CLOUDFLARE_API_BASE_URL": server.base_url,
        }
        session = Session(Cfai(), home, environ=environ)
        session.accounting.ledger = Ledger(home, lock_timeout=0.05)
        session.accounting.ledger.budgets.set("day", 100.0)
        behavior = Behavior("cumulative", obeys=False)
        with session.stream(session.build_request([behavior.message()], max_tokens=30)) as stream:
            deltas = iter(stream)
            next(deltas)
            with locked(home), pytest.raises(StorageError, match="database is locked") as caught:
                list(deltas)
        assert not isinstance(caught.value, BudgetCutoffError)
        assert caught.value.answer.text.count("word") >= 30
        assert session.day_usage().reserved == 0
        assert [row["status"] for row in rows(session)] == ["interrupted"]
        session.close()


def test_answer_seconds_end_with_the_last_delta(account: Standin, home: Path) -> None:
    now = 100.0
    session = Session(Cfai(), home, clock=lambda: now)
    with session.stream(session.build_request([{"role": "user", "content": "Why?"}])) as stream:
        deltas = iter(stream)
        next(deltas)
        now = 102.0
        list(deltas)
        now = 130.0
    assert stream.answer.seconds == 2.0
    session.close()
