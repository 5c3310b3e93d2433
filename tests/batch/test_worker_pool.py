"""Test concurrent rows: answers are cached at once, so a rerun sends only the missing ones."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

import cfai_magics
from cfai_magics import api
from cfai_magics.errors import DailyQuotaError
from cfai_magics.session.parallel import WorkerPool
from cfai_magics.session.session import Session
from tests.batch.maps import MAP, ROOT, asked, kept_answers, opinion
from tests.kernels import running_kernel
from tests.standin import Fault, Standin

pytestmark = pytest.mark.slow


def test_so_many_run_at_once_and_what_the_others_may_cost_stays_reserved(
    account: Standin, home: Path
) -> None:
    account.switch(answer="word " * 9, tokens_per_second=0.5)
    with subprocess.Popen(
        [sys.executable, "-c", MAP, "12", "direct"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert account.wait_for(lambda c: len(c.requests) == 4)
        assert account.calls == [], "none of the four had ended when the fourth began"
        standing = api.get_current_session().accounting.day_usage()
        reserved = standing.reserved
        process.kill()
    account.switch(tokens_per_second=0)
    standing = api.get_current_session().accounting.day_usage()
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
    assert len(account.requests) == 40 - kept + 6, "another temperature makes another prompt"


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
        cell = kernel.interrupt(running)
        assert cell.ename == "InterruptedAnswerError"
        assert "Interrupted after 1 prompt. Run the same map again" in cell.traceback[0]
        assert account.wait_for(lambda c: c.disconnects == 3)
        account.switch(answer="good", tokens_per_second=0)
        account.clear()
        told = kernel.run(f"print([row['answer'] for row in {call}])").text
        assert "['good', 'good', 'good', 'good']" in told
        assert "1 already answered" in told
        assert asked(account) == ["Is it b?", "Is it c?", "Is it d?"]
        statuses = kernel.run(
            "calls = cfai.api.get_current_session().accounting.ledger.history.iter_calls()\n"
            "print(sorted((c['status'], c['basis'], c['neurons'] > 0) for c in calls))"
        ).text
        assert statuses.count("('interrupted', 'estimated', True)") == 3
        assert statuses.count("('ok', 'billed', True)") == 4


def test_an_error_that_all_would_meet_ends_it_and_keeps_what_came(
    account: Standin, session: Session
) -> None:
    account.switch(answer=opinion, daily_neurons=0.2)
    rows = [f"review {number}" for number in range(30)]
    with pytest.raises(DailyQuotaError, match="Run the same map again for the rest"):
        cfai_magics.map("Classify: {text}", rows, max_tokens=9, concurrency=1)
    sent = len(account.requests)
    assert kept_answers() == sent - 1 < 29
    with pytest.raises(DailyQuotaError):
        cfai_magics.map("Classify: {text}", rows, max_tokens=9)
    assert len(account.requests) == sent, "a closed day sends nothing"
    assert session.accounting.day_usage().reserved == 0


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
    assert shown.startswith("1 map answer is cached in ")
    cleared = subprocess.run([*run, "clear"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert cleared.stdout == "Deleted 1 map answer.\n"
    whole = b"".join(path.read_bytes() for path in session.home.rglob("maps*"))
    assert b"unmistakable answer" not in whole


def test_no_thread_starts_before_the_results_are_read() -> None:
    """An interrupt always occurs inside the `with` block, whose exit stops the threads."""
    begun: list[int] = []
    with WorkerPool(2, [1, 2], begun.append, lambda: None) as crew:
        assert begun == []
        assert list(crew) == [None, None]
    assert sorted(begun) == [1, 2]
