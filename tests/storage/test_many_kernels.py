"""Many processes send calls at once and some are killed: no limit is exceeded, no row is lost."""

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from cfai_magics.session.session import Session
from tests.standin import Standin

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
LIMIT = 40.0  # neurons
PROCESSES, KILLED, ROUNDS = 8, 5, 6
ASK = """
import os, sys
from pathlib import Path
from cfai_magics.errors import BudgetExceededError
from cfai_magics.session.session import Session
from cfai_magics.settings import Cfai, get_home_folder

session = Session(Cfai(), get_home_folder())
messages = [{"role": "user", "content": "Go on."}]
print("ready", flush=True)
sys.stdin.readline()
for _ in range(int(sys.argv[1])):
    try:
        session.ask(session.build_request(messages, max_tokens=120))
    except BudgetExceededError:
        pass
session.close()
"""


def start() -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", ASK, str(ROUNDS)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=ROOT, text=True, stdin=pipe, stdout=pipe)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def release(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


@pytest.fixture
def limited_session(session: Session, account: Standin) -> Session:
    account.switch(answer="word " * 100, tokens_per_second=150)
    session.accounting.ledger.budgets.set("day", LIMIT)
    return session


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as exit_stack:
        yield exit_stack


def test_eight_kernels_stay_within_the_limit_and_record_each_call(
    limited_session: Session, account: Standin, stack: ExitStack
) -> None:
    rng = random.Random(7)
    processes = [stack.enter_context(start()) for _ in range(PROCESSES)]
    for process in processes:
        release(process)
    to_kill = rng.sample(processes, KILLED)
    assert account.wait_for(lambda c: len(c.requests) >= PROCESSES)
    highest = 0.0
    while any(process.poll() is None for process in processes):
        usage = limited_session.accounting.day_usage()
        highest = max(highest, usage.spent + usage.reserved)
        if to_kill:
            to_kill.pop().send_signal(signal.SIGKILL)
        time.sleep(0.05)
    exit_codes = Counter(process.wait() for process in processes)
    assert exit_codes == {0: PROCESSES - KILLED, -signal.SIGKILL: KILLED}
    assert highest <= LIMIT + 1e-6
    check_ledger(limited_session, account)


def check_ledger(session: Session, account: Standin) -> None:
    usage = session.accounting.day_usage()
    assert usage.reserved == 0
    assert 0 < account.billed <= usage.spent <= LIMIT + 1e-6
    rows: list[dict[str, Any]] = [
        dict(row) for row in session.accounting.ledger.history.iter_calls()
    ]
    statuses = Counter(row["status"] for row in rows)
    assert statuses["ok"] + statuses["interrupted"] >= len(account.requests) > 0
    assert 1 <= statuses["interrupted"] <= KILLED
    assert sum(statuses.values()) >= (PROCESSES - KILLED) * ROUNDS
    billed = sum(row["neurons"] for row in rows if row["status"] == "ok")
    assert billed <= account.billed + 1e-6
