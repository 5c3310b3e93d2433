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
from tests.batch.maps import MAP, ROOT, count_cached_answers, sent_prompts, sentiment
from tests.kernels import running_kernel
from tests.standin import Fault, Standin

pytestmark = pytest.mark.slow


def test_four_rows_run_at_once_and_the_cost_of_all_rows_is_reserved(
    account: Standin, home: Path
) -> None:
    account.switch(answer="word " * 9, tokens_per_second=0.5)
    with subprocess.Popen(
        [sys.executable, "-c", MAP, "12", "direct"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert account.wait_for(lambda c: len(c.requests) == 4)
        assert account.calls == [], "the fourth request starts before the first one ends"
        usage = api.get_current_session().accounting.day_usage()
        reserved = usage.reserved
        process.kill()
    account.switch(tokens_per_second=0)
    usage = api.get_current_session().accounting.day_usage()
    assert usage.estimated == pytest.approx(reserved * 4 / 12, rel=0.01), (
        "the other rows were not sent"
    )
    assert usage.reserved == 0


def test_a_rerun_after_a_crash_sends_only_missing_prompts(account: Standin) -> None:
    account.switch(answer=sentiment, tokens_per_second=50)
    command = [sys.executable, "-c", MAP, "40", "direct"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert account.wait_for(lambda c: len(c.calls) >= 12)
        process.send_signal(signal.SIGKILL)
    account.switch(answer=sentiment, tokens_per_second=0)
    cached = count_cached_answers()
    assert 8 <= cached < 40
    account.clear()
    rows = [f"review {number}" for number in range(40)]
    result = cfai_magics.map("Classify: {text}", rows, max_tokens=9)
    assert {row["answer"] for row in result} == {"good"}
    assert len(account.requests) == 40 - cached
    cfai_magics.map("Classify: {text}", rows, max_tokens=9)
    assert len(account.requests) == 40 - cached
    cfai_magics.map("Classify: {text}", rows[:3], max_tokens=9, fresh=True)
    assert len(account.requests) == 40 - cached + 3
    cfai_magics.map("Classify: {text}", rows[:3], max_tokens=9, temperature=1)
    assert len(account.requests) == 40 - cached + 6, "another temperature makes another prompt"


def test_an_interrupt_stops_all_rows_and_the_next_run_resumes(
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
        assert "Interrupted after 1 prompt.\nRun the same map again" in cell.traceback[0]
        assert account.wait_for(lambda c: c.disconnects == 3)
        account.switch(answer="good", tokens_per_second=0)
        account.clear()
        output = kernel.run(f"print([row['answer'] for row in {call}])").text
        assert "['good', 'good', 'good', 'good']" in output
        assert "1 already answered" in output
        assert sent_prompts(account) == ["Is it b?", "Is it c?", "Is it d?"]
        statuses = kernel.run(
            "calls = cfai.api.get_current_session().accounting.ledger.history.iter_calls()\n"
            "print(sorted((c['status'], c['basis'], c['neurons'] > 0) for c in calls))"
        ).text
        assert statuses.count("('interrupted', 'estimated', True)") == 3
        assert statuses.count("('ok', 'billed', True)") == 4


def test_a_fatal_error_ends_the_map_and_keeps_received_answers(
    account: Standin, session: Session
) -> None:
    account.switch(answer=sentiment, daily_neurons=0.2)
    rows = [f"review {number}" for number in range(30)]
    with pytest.raises(DailyQuotaError, match="Run the same map again for the rest"):
        cfai_magics.map("Classify: {text}", rows, max_tokens=9, concurrency=1)
    sent = len(account.requests)
    assert count_cached_answers() == sent - 1 < 29
    with pytest.raises(DailyQuotaError):
        cfai_magics.map("Classify: {text}", rows, max_tokens=9)
    assert len(account.requests) == sent, "after the quota is used up, nothing is sent"
    assert session.accounting.day_usage().reserved == 0


def test_an_error_of_one_row_is_in_its_error_column(account: Standin) -> None:
    account.switch(answer=sentiment, error=Fault.of(3030), errors_before_success=1)
    result = cfai_magics.map("Is it {text}?", ["a", "b"], max_tokens=9, concurrency=1)
    assert result[0]["answer"] is None
    assert "code 3030" in result[0]["error"]
    assert (result[1]["answer"], result[1]["error"]) == ("good", None)


def test_prompts_are_not_saved_and_map_clear_deletes_the_answers(
    account: Standin, session: Session
) -> None:
    account.switch(answer="an unmistakable answer")
    cfai_magics.map("An unmistakable {text}", ["prompt"], max_tokens=9)
    session.close()
    files = [path for path in session.home.rglob("*") if path.is_file()]
    content = b"".join(path.read_bytes() for path in files)
    assert b"unmistakable prompt" not in content
    assert b"unmistakable answer" in content
    run = [sys.executable, "-m", "cfai_magics", "map"]
    status = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert status.startswith("1 map answer is cached in ")
    cleared = subprocess.run([*run, "clear"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert cleared.stdout == "Deleted 1 map answer.\n"
    content = b"".join(path.read_bytes() for path in session.home.rglob("maps*"))
    assert b"unmistakable answer" not in content


def test_no_thread_starts_before_the_results_are_read() -> None:
    """An interrupt always occurs inside the `with` block, whose exit stops the threads."""
    started: list[int] = []

    def process(item: int) -> list[str]:
        started.append(item)
        return ["result"]

    with WorkerPool(2, [1, 2], process, lambda: None) as results:
        assert started == []
        assert list(results) == ["result", "result"]
    assert sorted(started) == [1, 2]
