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
from cfai_magics.types.messages import Answer
from cfai_magics.types.usage import Usage
from tests.frames import FrameServer, text, tokens
from tests.session.servers import ANSWER_RATE, LONG, PLAIN, REPORTS, Behavior, answer

pytestmark = pytest.mark.slow

UNPRICED = "@cf/utter-project/eurollm-9b-it"
SCOPES = ("day", "session", "notebook", "cell", "course day", "course call")
SLACK = 1e-6  # neurons, of sums of floating-point numbers


@pytest.fixture
def server() -> Iterator[FrameServer]:
    with FrameServer(answer) as running:
        yield running


def begin(server: FrameServer, home: Path, course: str = "") -> Session:
    environ = {
        "CLOUDFLARE_ACCOUNT_ID": secrets.token_hex(16),
        "CLOUDFLARE_API_TOKEN": secrets.token_hex(20),
        "CLOUDFLARE_API_BASE_URL": server.base_url,
    }
    folder = home.parent / "course"
    folder.mkdir(exist_ok=True)
    (folder / "cfai.toml").write_text(course)
    made = Session(load_settings(home, None, folder), home, environ=environ)
    made.notebook = "lesson.ipynb"
    return made


@pytest.fixture
def own(server: FrameServer, home: Path) -> Iterator[Session]:
    made = begin(server, home)
    yield made
    made.close()


def limited(server: FrameServer, home: Path, scope: str, neurons: float) -> tuple[Session, Any]:
    """Return a session with one limit, and the max_neurons to pass to its calls."""
    kind, _, of_course = scope.partition(" ")
    if kind == "course":
        return begin(server, home, f"[budget]\n{of_course} = {neurons}\n"), None
    made = begin(server, home)
    if kind == "cell":
        return made, neurons
    made.accounting.ledger.budgets.set(kind, neurons, "lesson.ipynb")  # type: ignore[arg-type]
    return made, None


def ask(session: Session, how: Behavior, most: float | None = None, **fields: Any) -> Answer:
    return session.ask(session.build_request([how.message()], **fields), most)


def row(session: Session) -> dict[str, Any]:
    return dict(list(session.accounting.ledger.history.iter_calls())[-1])


def fitting(session: Session, how: Behavior, **fields: Any) -> float:
    """Return the neurons that a call must reserve."""
    request = session.build_request([how.message()], **fields)
    cost = session.estimate_cost(request, session.resolve_model(request.model))
    assert cost is not None
    return cost.high


@pytest.mark.parametrize("report", REPORTS)
@pytest.mark.parametrize("token", [LONG, PLAIN, "\n", "=" * 60, " a", "(name", "\u79d1\u5b66"])
def test_an_answer_that_reaches_max_tokens_is_whole_under_a_limit_it_just_fits(
    server: FrameServer, own: Session, report: str, token: str
) -> None:
    how = Behavior(report, token)
    own.accounting.ledger.budgets.set("day", fitting(own, how, max_tokens=64))
    whole = ask(own, how, max_tokens=64)
    assert whole.text == token * 64
    assert row(own)["status"] == "ok"
    assert server.bodies[-1]["max_tokens"] == 64


@pytest.mark.parametrize("scope", SCOPES)
def test_every_limit_lets_an_answer_reach_max_tokens(
    server: FrameServer, home: Path, scope: str
) -> None:
    session, most = limited(server, home, scope, 5_000.0)
    assert ask(session, Behavior("end", LONG), most, max_tokens=100).text == LONG * 100
    session.close()


@pytest.mark.parametrize("report", REPORTS)
@pytest.mark.parametrize("scope", SCOPES)
def test_a_server_that_ignores_max_tokens_is_cut_at_the_limit(
    server: FrameServer, home: Path, scope: str, report: str
) -> None:
    session, most = limited(server, home, scope, 3.0)
    how = Behavior(report, obeys=False)
    with pytest.raises(BudgetCutoffError, match="The answer was cut off") as caught:
        ask(session, how, most, max_tokens=50)
    arrived = caught.value.answer.text.count(PLAIN)
    assert arrived > 50, "the limit allows more than was reserved"
    assert how.neurons(arrived) <= 3.0 + 2 * ANSWER_RATE + 0.2
    assert row(session)["status"] == "interrupted"
    assert row(session)["neurons"] <= 3.0 + 2 * ANSWER_RATE
    session.close()


def test_a_call_may_use_what_others_have_left_in_the_meantime(
    server: FrameServer, own: Session, home: Path
) -> None:
    how = Behavior("cumulative", obeys=False)
    needed = fitting(own, how, max_tokens=50)
    own.accounting.ledger.budgets.set("day", 3.0)
    place = own.accounting.get_context()
    other = begin(server, home)
    number = other.accounting.ledger.reserve(
        place, "m", "Text Generation", lambda *_: 3.0 - needed
    )
    with own.stream(own.build_request([how.message()], max_tokens=50)) as deltas:
        arriving = iter(deltas)
        for _ in range(20):
            next(arriving)
        other.accounting.ledger.settle(number, CallOutcome("failed", Usage(neurons=0.0)))
        with pytest.raises(BudgetCutoffError):
            list(arriving)
        assert how.neurons(deltas.answer.text.count(PLAIN)) == pytest.approx(3.0, abs=0.1)
    other.close()


def test_a_call_may_not_use_what_others_have_reserved(
    server: FrameServer, own: Session, home: Path
) -> None:
    how = Behavior("cumulative", obeys=False)
    needed = fitting(own, how, max_tokens=50)
    own.accounting.ledger.budgets.set("day", 10.0)
    place = own.accounting.get_context()
    other = begin(server, home)
    with own.stream(own.build_request([how.message()], max_tokens=50)) as deltas:
        arriving = iter(deltas)
        next(arriving)
        other.accounting.ledger.reserve(place, "m", "Text Generation", lambda *_: 10.0 - needed)
        with pytest.raises(BudgetCutoffError):
            list(arriving)
    standing = own.day_usage()
    assert standing.spent + standing.reserved <= 10.0 + 2 * ANSWER_RATE
    other.close()


def test_an_unpriced_model_is_cut_by_what_it_reports_and_not_by_its_text(own: Session) -> None:
    own.accounting.ledger.budgets.set("day", 3.0)
    assert ask(own, Behavior("end", LONG), model=UNPRICED, max_tokens=90).text == LONG * 90
    with pytest.raises(BudgetCutoffError):
        ask(own, Behavior("cumulative", obeys=False), model=UNPRICED, max_tokens=90)
    assert own.day_usage().spent <= 3.0 + ANSWER_RATE


def test_calls_side_by_side_share_the_limit_of_their_cell(own: Session) -> None:
    request = own.build_request([Behavior("cumulative", obeys=False).message()], max_tokens=20)
    with own.parallel([request] * 4, max_neurons=6.0) as calls:
        ends = [event for _, event in calls if hasattr(event, "error")]
    assert any(isinstance(each.error, BudgetCutoffError) for each in ends)
    assert own.day_usage().spent <= 6.0 + 4 * ANSWER_RATE
    assert own.day_usage().spent > 5.0, "the whole limit is used, not only the reserved part"


def test_rows_of_a_pool_are_held_to_the_limit_of_their_cell(own: Session) -> None:
    request = own.build_request([Behavior("cumulative", obeys=False).message()], max_tokens=20)
    model = own.resolve_model(request.model)
    cost = own.estimate_cost(request, model)
    assert cost is not None
    with reserve_pool(
        own.accounting, ClientGroup(own.backend), model, [cost] * 3, 3 * cost.high
    ) as drawn:
        with own.stream(request, pool=drawn) as first, pytest.raises(BudgetCutoffError):
            list(first)
        with own.stream(
            own.build_request([Behavior("end").message()], max_tokens=20), pool=drawn
        ) as two:
            list(two)
    assert two.answer.text == PLAIN * 20
    assert own.day_usage().reserved == 0
    assert own.day_usage().spent <= 3 * cost.high + ANSWER_RATE


def test_a_row_that_is_asked_again_needs_room_in_the_limits(own: Session) -> None:
    request = own.build_request([Behavior("end").message()], max_tokens=20)
    model = own.resolve_model(request.model)
    cost = own.estimate_cost(request, model)
    assert cost is not None
    own.accounting.ledger.budgets.set("day", 2 * cost.high)
    with reserve_pool(own.accounting, ClientGroup(own.backend), model, [cost] * 2) as drawn:
        asked = (model.name, model.task, "")
        for _ in range(2):
            drawn.reserve_unassigned(asked, cost)
        with pytest.raises(BudgetExceededError):
            drawn.reserve_unassigned(asked, cost)
    standing = own.day_usage()
    assert standing.spent + standing.reserved <= 2 * cost.high + SLACK


def endless(_body: Any) -> Iterator[bytes]:
    for _ in range(5_000):
        yield text(PLAIN)


def nonsense(_body: Any) -> Iterator[bytes]:
    yield text(PLAIN, tokens(10, 10**11))


@pytest.mark.parametrize("frames", [endless, nonsense])
@pytest.mark.parametrize("limit", [None, 50.0], ids=["no limit", "a budget"])
def test_an_estimate_is_at_most_what_was_reserved(
    home: Path, frames: Any, limit: float | None
) -> None:
    with FrameServer(frames) as server:
        session = begin(server, home)
        session.accounting.ledger.budgets.set("day", limit)
        how = Behavior("never")
        reserved = fitting(session, how, max_tokens=50)
        stream = session.stream(session.build_request([how.message()], max_tokens=50))
        with stream, pytest.raises(CfaiError):
            list(stream)
        assert stream.answer.cost_basis == "estimated"
        assert 0 < row(session)["neurons"] <= (limit or reserved) + SLACK
        assert stream.answer.neurons == row(session)["neurons"]
        session.close()


def test_an_interrupted_answer_is_booked_by_its_text_where_the_report_is_old(own: Session) -> None:
    how = Behavior("start")
    with own.stream(own.build_request([how.message()], max_tokens=400)) as stream:
        arriving = iter(stream)
        for _ in range(300):
            next(arriving)
    booked = row(own)
    assert booked["tokens_out"] == pytest.approx(300, rel=0.3)
    assert booked["neurons"] == pytest.approx(how.neurons(300), rel=0.3)
