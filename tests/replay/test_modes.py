"""Record modes auto, only, refresh and off: what each sends, records and replays."""

from pathlib import Path

import pytest

from cfai_magics.errors import MissingCredentialsError, NotRecordedError
from cfai_magics.replay.record_mode import RecordMode
from cfai_magics.session.session import Session
from tests.replay.sessions import HI, ask, lines, recording, replaying
from tests.standin import Standin


def test_auto_sends_unrecorded_requests_and_records_them(
    cloudflare: Standin, recorder: Session, path: Path
) -> None:
    for _ in range(2):
        ask(recorder, "One?")
        ask(recorder, "Two?")
    assert len(cloudflare.requests) == 2
    assert len(lines(path)) == 2


def test_auto_without_credentials_replays_or_raises_an_error(
    recorder: Session, path: Path
) -> None:
    ask(recorder)
    with replaying(path, "auto") as elsewhere:
        assert ask(elsewhere).cost_basis == "replayed"
        with pytest.raises(
            MissingCredentialsError, match=r"not recorded \(the closest recording in .*“Why not\?”"
        ):
            ask(elsewhere, "Why not?")


def test_only_sends_no_request_even_with_credentials(
    cloudflare: Standin, recorder: Session, path: Path
) -> None:
    ask(recorder)
    with recording(cloudflare, path, "only") as other:
        assert ask(other).cost_basis == "replayed"
        with pytest.raises(
            NotRecordedError, match=r"model: @cf/meta/llama-3\.2-3b-instruct instead of"
        ):
            ask(other, model="llama-3.2-3b-instruct")
        assert [row["status"] for row in other.accounting.ledger.history.iter_calls()][
            -1
        ] == "replayed"
    assert len(cloudflare.requests) == 1


def test_refresh_sends_requests_again_and_replaces_recordings(
    cloudflare: Standin, path: Path
) -> None:
    cloudflare.switch(answer=["old one", "old two", "new"])
    with recording(cloudflare, path) as recorder:
        recorder.recorder.begin_cell()
        for _ in range(2):
            recorder.ask(recorder.build_request(HI))
    assert len(lines(path)) == 2
    with recording(cloudflare, path, "refresh") as recorder:
        assert ask(recorder).text == "new"
    with replaying(path) as elsewhere:
        assert [ask(elsewhere).text for _ in range(2)] == ["new", "new"]
    assert len(lines(path)) == 1


def test_refresh_keeps_further_repetitions_of_another_cell(
    cloudflare: Standin, path: Path
) -> None:
    cloudflare.switch(answer=["old"] * 4 + ["heads", "tails", "edge", "once"])
    with recording(cloudflare, path) as recorder:
        for _ in range(4):
            recorder.ask(recorder.build_request(HI))
    with recording(cloudflare, path, "refresh") as recorder:
        for _ in range(3):
            recorder.ask(recorder.build_request(HI))
        assert ask(recorder).text == "once"  # the same prompt in a later cell
    with replaying(path) as elsewhere:
        texts = [elsewhere.ask(elsewhere.build_request(HI)).text for _ in range(3)]
    assert texts == ["once", "tails", "edge"]
    assert len(lines(path)) == 3


def test_off_neither_records_nor_replays(cloudflare: Standin, path: Path) -> None:
    with recording(cloudflare, path) as recorder:
        ask(recorder)
        before = lines(path)
        recorder.recorder.set_mode(RecordMode("off"))
        assert ask(recorder).cost_basis == "billed"
        ask(recorder, "Another?")
    assert lines(path) == before


def test_repeated_requests_of_a_cell_replay_in_order(cloudflare: Standin, path: Path) -> None:
    texts = ["heads", "tails", "edge"]
    cloudflare.switch(answer=texts)
    with recording(cloudflare, path) as recorder:
        request = recorder.build_request(HI)
        assert [recorder.ask(request).text for _ in texts] == texts
        recorder.recorder.begin_cell()
        assert [recorder.ask(request).text for _ in texts] == texts
    with replaying(path) as elsewhere:
        request = elsewhere.build_request(HI)
        assert [elsewhere.ask(request).text for _ in range(4)] == [*texts, "heads"]
    assert len(cloudflare.requests) == 3
