"""Calls never exceed their limits and are not cut while a limit has neurons left."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cfai_magics.errors import BudgetCutoffError, BudgetExceededError, CfaiError
from cfai_magics.session.call import ClientGroup
from cfai_magics.session.parallel import reserve_pool
from cfai_magics.session.session import Session
from cfai_magics.settings import load_settings
from cfai_magics.storage.ledger import CallOutcome
from cfai_magics.types.messages import Answer, Request
from cfai_magics.types.usage import Usage
from tests.frames import FrameServer, text, tokens
from tests.session.servers import ANSWER_RATE, LONG, PLAIN, REPORTS, Behavior, answer
from tests.standin import Standin

pytestmark = pytest.mark.slow

UNPRICED = "@cf/utter-project/eurollm-9b-it"
SCOPES = ("day", "session", "notebook", "cell", "course day", "course call")
SLACK = 1e-6  # neurons, of sums of floating-point numbers


@pytest.fixture
def server() -> Iterator[FrameServer]:
    with FrameServer(answer) as running:
        yield running


def open_session(server: FrameServer, home: Path, course: str = "") -> Session:
    environ = {
        "CLOUDFLARE_ACCOUNT_ID": secrets.token_hex(16),
        "CLOUDFLARE_API_TOKEN": secrets.token_hex(20),
        "CLOUDFLARE_API_BASE_URL": server.base_url,
    }
    folder = home.parent / "course"
    folder.mkdir(exist_ok=True)
    (folder / "cfai.toml").write_text(course)
    session = Session(load_settings(home, None, folder), home, environ=environ)
    session.notebook = "lesson.ipynb"
    return session


@pytest.fixture
def own(server: FrameServer, home: Path) -> Iterator[Session]:
    session = open_session(server, home)
    yield session
    session.close()


def session_with_limit(
    server: FrameServer, home: Path, scope: str, neurons: float
) -> tuple[Session, Any]:
    """Return a session with one limit, and the max_neurons to pass to its calls."""
    kind, _, course_key = scope.partition(" ")
    if kind == "course":
        return open_session(server, home, f"[budget]\n{course_key} = {neurons}\n"), None
    session = open_session(server, home)
    if kind == "cell":
        return session, neurons
    session.accounting.ledger.budgets.set(kind, neurons, "lesson.ipynb")  # type: ignore[arg-type]
    return session, None


def ask(
    session: Session, behavior: Behavior, max_neurons: float | None = None, **fields: Any
) -> Answer:
    return session.ask(session.build_request([behavior.message()], **fields), max_neurons)


def row(session: Session) -> dict[str, Any]:
    return dict(list(session.accounting.ledger.history.iter_calls())[-1])


def required_neurons(session: Session, behavior: Behavior, **fields: Any) -> float:
    """Return the neurons that a call must reserve."""
    request = session.build_request([behavior.message()], **fields)
    cost = session.estimate_cost(request, session.resolve_model(request.model))
    assert cost is not None
    return cost.high


@pytest.mark.parametrize("report", REPORTS)
@pytest.mark.parametrize("token", [LONG, PLAIN, "\n", "=" * 60, " a", "(name", "\u79d1\u5b66"])
def test_an_exact_limit_does_not_cut_an_answer_at_max_tokens(
    server: FrameServer, own: Session, report: str, token: str
) -> None:
    behavior = Behavior(report, token)
    own.accounting.ledger.budgets.set("day", required_neurons(own, behavior, max_tokens=64))
    complete = ask(own, behavior, max_tokens=64)
    assert complete.text == token * 64
    assert row(own)["status"] == "ok"
    assert server.bodies[-1]["max_tokens"] == 64


@pytest.mark.parametrize("scope", SCOPES)
def test_every_kind_of_limit_lets_an_answer_reach_max_tokens(
    server: FrameServer, home: Path, scope: str
) -> None:
    session, max_neurons = session_with_limit(server, home, scope, 5_000.0)
    assert ask(session, Behavior("end", LONG), max_neurons, max_tokens=100).text == LONG * 100
    session.close()


@pytest.mark.parametrize("report", REPORTS)
@pytest.mark.parametrize("scope", SCOPES)
def test_an_answer_that_ignores_max_tokens_is_cut_at_the_limit(
    server: FrameServer, home: Path, scope: str, report: str
) -> None:
    session, max_neurons = session_with_limit(server, home, scope, 3.0)
    behavior = Behavior(report, obeys=False)
    with pytest.raises(BudgetCutoffError, match="The answer was cut off") as caught:
        ask(session, behavior, max_neurons, max_tokens=50)
    received = caught.value.answer.text.count(PLAIN)
    assert received > 50, "the limit allows more than was reserved"
    assert behavior.neurons(received) <= 3.0 + 2 * ANSWER_RATE + 0.2
    assert row(session)["status"] == "interrupted"
    assert row(session)["neurons"] <= 3.0 + 2 * ANSWER_RATE
    session.close()


def test_a_call_can_use_neurons_that_another_kernel_releases(
    server: FrameServer, own: Session, home: Path
) -> None:
    behavior = Behavior("cumulative", obeys=False)
    reserved_neurons = required_neurons(own, behavior, max_tokens=50)
    own.accounting.ledger.budgets.set("day", 3.0)
    place = own.accounting.get_context()
    other = open_session(server, home)
    number = other.accounting.ledger.reserve(
        place, "m", "Text Generation", lambda *_: 3.0 - reserved_neurons
    )
    with own.stream(own.build_request([behavior.message()], max_tokens=50)) as stream:
        deltas = iter(stream)
        for _ in range(20):
            next(deltas)
        other.accounting.ledger.settle(number, CallOutcome("failed", Usage(neurons=0.0)))
        with pytest.raises(BudgetCutoffError):
            list(deltas)
        assert behavior.neurons(stream.answer.text.count(PLAIN)) == pytest.approx(3.0, abs=0.1)
    other.close()


def test_a_call_cannot_use_neurons_that_another_kernel_has_reserved(
    server: FrameServer, own: Session, home: Path
) -> None:
    behavior = Behavior("cumulative", obeys=False)
    reserved_neurons = required_neurons(own, behavior, max_tokens=50)
    own.accounting.ledger.budgets.set("day", 10.0)
    place = own.accounting.get_context()
    other = open_session(server, home)
    with own.stream(own.build_request([behavior.message()], max_tokens=50)) as stream:
        deltas = iter(stream)
        next(deltas)
        other.accounting.ledger.reserve(
            place, "m", "Text Generation", lambda *_: 10.0 - reserved_neurons
        )
        with pytest.raises(BudgetCutoffError):
            list(deltas)
    usage = own.day_usage()
    assert usage.spent + usage.reserved <= 10.0 + 2 * ANSWER_RATE
    other.close()


def test_an_unpriced_model_is_cut_by_reported_usage_not_by_text(own: Session) -> None:
    own.accounting.ledger.budgets.set("day", 3.0)
    assert ask(own, Behavior("end", LONG), model=UNPRICED, max_tokens=90).text == LONG * 90
    with pytest.raises(BudgetCutoffError):
        ask(own, Behavior("cumulative", obeys=False), model=UNPRICED, max_tokens=90)
    assert own.day_usage().spent <= 3.0 + ANSWER_RATE


def test_parallel_calls_share_the_limit_of_their_cell(own: Session) -> None:
    request = own.build_request([Behavior("cumulative", obeys=False).message()], max_tokens=20)
    with own.parallel([request] * 4, max_neurons=6.0) as calls:
        finished = [event for _, event in calls if hasattr(event, "error")]
    assert any(isinstance(each.error, BudgetCutoffError) for each in finished)
    assert own.day_usage().spent <= 6.0 + 4 * ANSWER_RATE
    assert own.day_usage().spent > 5.0, (
        "the answers use the whole limit, not only the reserved neurons"
    )


def test_rows_of_a_pool_stay_within_the_limit_of_their_cell(own: Session) -> None:
    request = own.build_request([Behavior("cumulative", obeys=False).message()], max_tokens=20)
    model = own.resolve_model(request.model)
    cost = own.estimate_cost(request, model)
    assert cost is not None
    with reserve_pool(
        own.accounting, ClientGroup(own.backend), model, [cost] * 3, 3 * cost.high
    ) as pool:
        with own.stream(request, pool=pool) as endless_stream, pytest.raises(BudgetCutoffError):
            list(endless_stream)
        with own.stream(
            own.build_request([Behavior("end").message()], max_tokens=20), pool=pool
        ) as stream:
            list(stream)
    assert stream.answer.text == PLAIN * 20
    assert own.day_usage().reserved == 0
    assert own.day_usage().spent <= 3 * cost.high + ANSWER_RATE


def test_a_repeated_row_needs_remaining_neurons(own: Session) -> None:
    request = own.build_request([Behavior("end").message()], max_tokens=20)
    model = own.resolve_model(request.model)
    cost = own.estimate_cost(request, model)
    assert cost is not None
    own.accounting.ledger.budgets.set("day", 2 * cost.high)
    with reserve_pool(own.accounting, ClientGroup(own.backend), model, [cost] * 2) as pool:
        call = (model.name, model.task, "")
        for _ in range(2):
            pool.reserve_unassigned(call, cost)
        with pytest.raises(BudgetExceededError):
            pool.reserve_unassigned(call, cost)
    usage = own.day_usage()
    assert usage.spent + usage.reserved <= 2 * cost.high + SLACK


def test_rows_without_max_tokens_reserve_their_longest_answers(own: Session) -> None:
    message = Behavior("cumulative", obeys=False).message()
    request = own.build_request([message], extra={"max_tokens": None})
    model = own.resolve_model(request.model)
    cost = own.estimate_cost(request, model)
    assert cost is not None
    longest = cost.bounded.high
    assert longest > 1_000 * cost.high
    clients = ClientGroup(own.backend)
    own.accounting.ledger.budgets.set("day", 2 * longest - 1)
    with pytest.raises(BudgetExceededError, match="these 2 calls may cost"):
        reserve_pool(own.accounting, clients, model, [cost] * 2)
    own.accounting.ledger.budgets.set("day", 2 * longest)
    call = (model.name, model.task, "")
    with reserve_pool(own.accounting, clients, model, [cost] * 2) as pool:
        assert own.day_usage().reserved == pytest.approx(2 * longest)
        pool.reserve_unassigned(call, cost)
        with own.stream(request, pool=pool) as stream:
            deltas = iter(stream)
            next(deltas)
            assert own.day_usage().reserved == pytest.approx(2 * longest)
            list(deltas)
        with pytest.raises(BudgetExceededError):
            pool.reserve_unassigned(call, cost)
    assert own.day_usage().spent + own.day_usage().reserved <= 2 * longest + SLACK


def test_without_a_limit_rows_without_max_tokens_reserve_their_prompts(own: Session) -> None:
    request = own.build_request([Behavior("end").message()], extra={"max_tokens": None})
    model = own.resolve_model(request.model)
    cost = own.estimate_cost(request, model)
    with reserve_pool(own.accounting, ClientGroup(own.backend), model, [cost] * 2):
        assert cost is not None
        assert own.day_usage().reserved == pytest.approx(2 * cost.high)


def endless_answer(_body: Any) -> Iterator[bytes]:
    for _ in range(5_000):
        yield text(PLAIN)


def impossible_usage(_body: Any) -> Iterator[bytes]:
    yield text(PLAIN, tokens(10, 10**11))


@pytest.mark.parametrize("frames", [endless_answer, impossible_usage])
@pytest.mark.parametrize("limit", [None, 50.0], ids=["no limit", "a budget"])
def test_an_estimate_does_not_exceed_the_reservation(
    home: Path, frames: Any, limit: float | None
) -> None:
    with FrameServer(frames) as server:
        session = open_session(server, home)
        session.accounting.ledger.budgets.set("day", limit)
        behavior = Behavior("never")
        reserved = required_neurons(session, behavior, max_tokens=50)
        stream = session.stream(session.build_request([behavior.message()], max_tokens=50))
        with stream, pytest.raises(CfaiError):
            list(stream)
        assert stream.answer.cost_basis == "estimated"
        assert 0 < row(session)["neurons"] <= (limit or reserved) + SLACK
        assert stream.answer.neurons == row(session)["neurons"]
        session.close()


def test_an_interrupted_answer_with_old_usage_is_booked_by_its_text(own: Session) -> None:
    behavior = Behavior("start")
    with own.stream(own.build_request([behavior.message()], max_tokens=400)) as stream:
        deltas = iter(stream)
        for _ in range(300):
            next(deltas)
    call = row(own)
    assert call["tokens_out"] == pytest.approx(300, rel=0.3)
    assert call["neurons"] == pytest.approx(behavior.neurons(300), rel=0.3)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_a_request_without_max_tokens_gets_the_tokens_that_the_limit_allows(
    own: Session, server: FrameServer, stream: bool
) -> None:
    own.accounting.ledger.budgets.set("day", 5.0)
    message = Behavior("end").message()
    received = own.ask(Request("gemma-4-26b-a4b-it", (message,), stream=stream))
    (body,) = server.bodies
    assert body["max_tokens"] > 50
    assert received.text.count(PLAIN) == body["max_tokens"]
    assert row(own)["status"] == "ok"
    assert row(own)["neurons"] <= 5.0
    note = f"max_tokens was set to {body['max_tokens']} to fit today's budget."
    assert note in received.notes


def test_a_request_without_max_tokens_is_sent_unchanged_if_the_longest_answer_fits(
    account: Standin, session: Session
) -> None:
    session.accounting.ledger.budgets.set("day", 1e6)
    request = Request("gemma-4-26b-a4b-it", ({"role": "user", "content": "Hi"},))
    assert not any("max_tokens" in note for note in session.ask(request).notes)
    assert "max_tokens" not in account.requests[0].json
