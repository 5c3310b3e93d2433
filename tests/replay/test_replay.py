"""A replay reproduces the recorded answer and costs nothing."""

from pathlib import Path

import pytest

from cfai_magics.errors import DailyQuotaError
from cfai_magics.session.session import Session
from tests.replay.sessions import HI, ask, replayed_fields, replaying
from tests.standin import Standin
from tests.standin.dialects import DIALECTS


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "complete"])
def test_a_replay_reproduces_the_answer_in_every_dialect(
    cloudflare: Standin, recorder: Session, path: Path, dialect: str, stream: bool
) -> None:
    cloudflare.switch(answer="Blue *scatters* — 藍色 \u2028 most.", dialect=dialect)
    first = ask(recorder, think=True, stream=stream)
    with replaying(path) as elsewhere:
        for again in (True, False):
            replayed = ask(elsewhere, think=True, stream=again)
            assert replayed_fields(replayed) == replayed_fields(first)
            assert replayed.usage.completion_tokens == first.usage.completion_tokens
            assert (replayed.neurons, replayed.cost_basis) == (0.0, "replayed")
    assert len(cloudflare.requests) == 1


def test_reasoning_and_tool_calls_are_replayed(
    cloudflare: Standin, recorder: Session, path: Path
) -> None:
    cloudflare.switch(
        thought="Let me see.", tool_calls=[{"name": "look", "arguments": {"at": "sky"}}]
    )
    tools = {"tools": [{"type": "function", "function": {"name": "look"}}]}
    first = ask(recorder, think=True, extra=tools)
    assert first.tool_calls
    with replaying(path) as elsewhere:
        assert replayed_fields(ask(elsewhere, think=True, extra=tools)) == replayed_fields(first)


def test_a_replay_contains_its_recording_date_and_cost(recorder: Session, path: Path) -> None:
    first = ask(recorder)
    with replaying(path) as elsewhere:
        recorded = ask(elsewhere).provenance.recording
    assert recorded is not None
    assert (recorded.date, recorded.neurons) == ("2026-10-12", first.neurons)


def test_the_cost_of_an_unbilled_recording_is_estimated_from_its_tokens(
    cloudflare: Standin, recorder: Session, path: Path
) -> None:
    cloudflare.switch(omit_neurons_body=True, omit_neurons_header=True)
    first = ask(recorder)
    assert first.cost_basis == "estimated"
    with replaying(path) as elsewhere:
        recorded = ask(elsewhere).provenance.recording
    assert recorded is not None
    assert recorded.neurons == pytest.approx(first.neurons)


def test_a_replay_is_booked_as_replayed_and_costs_nothing(recorder: Session, path: Path) -> None:
    first = ask(recorder)
    with replaying(path) as elsewhere:
        replayed = ask(elsewhere)
        (row,) = elsewhere.accounting.ledger.history.iter_calls()
        assert elsewhere.accounting.day_usage().spent == 0
    assert (row["status"], row["basis"], row["neurons"]) == ("replayed", "replayed", 0.0)
    assert row["tokens_out"] == first.usage.completion_tokens
    assert (
        row["request"]
        == replayed.provenance.request_fingerprint
        == first.provenance.request_fingerprint
    )


def test_a_replay_ignores_budgets_and_the_closed_day(
    cloudflare: Standin, recorder: Session
) -> None:
    ask(recorder)
    recorder.accounting.ledger.budgets.set("day", 0.0)
    recorder.accounting.mark_quota_exhausted()
    assert ask(recorder).cost_basis == "replayed"
    with pytest.raises(DailyQuotaError, match="Recorded answers are still replayed"):
        ask(recorder, "Not recorded")
    assert len(cloudflare.requests) == 1


def test_an_interrupted_replay_is_booked_as_replayed(recorder: Session, path: Path) -> None:
    ask(recorder)
    with replaying(path) as elsewhere:
        with elsewhere.stream(elsewhere.build_request(HI)) as stream:
            next(iter(stream))
        assert (stream.answer.cost_basis, stream.answer.finish_reason) == (
            "replayed",
            "interrupted",
        )
        (row,) = elsewhere.accounting.ledger.history.iter_calls()
    assert row["status"] == "replayed"


def test_an_instant_replay_has_no_speed(recorder: Session, path: Path) -> None:
    assert ask(recorder).tokens_per_second is not None
    with replaying(path) as elsewhere:
        assert ask(elsewhere).tokens_per_second is None
