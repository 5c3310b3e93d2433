"""Callbacks of a session are called after each change."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cfai_magics.backends.selector import API_URL_VARIABLE
from cfai_magics.errors import IncompleteStreamError
from cfai_magics.session.observers import Observers
from cfai_magics.session.session import Session
from cfai_magics.settings import Cfai
from cfai_magics.storage.ledger import CallContext, CallOutcome, Ledger
from cfai_magics.types.messages import Message
from cfai_magics.types.usage import ActiveCall, Usage
from tests.standin import Standin

pytestmark = pytest.mark.slow

HI: list[Message] = [{"role": "user", "content": "Hi"}]
PATIENCE = 30  # s to wait for a callback before the test fails


class Told:
    """A callback that records its calls and their threads."""

    def __init__(self, look: Callable[[], object] = lambda: None) -> None:
        self.seen: list[object] = []
        self.threads: set[str] = set()
        self._look = look

    def __call__(self) -> None:
        self.threads.add(threading.current_thread().name)
        self.seen.append(self._look())

    def until(self, done: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + PATIENCE
        while not done() and time.monotonic() < deadline:
            time.sleep(0.02)
        return done()


def watching_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "cfai-watch"]


def test_a_setting_is_told_once_and_never_after_unwatching(session: Session) -> None:
    told = Told(lambda: session.settings.model)
    unwatch = session.watch(told)
    session.settings.model = "llama-3.2-3b-instruct"
    session.settings.model = "llama-3.2-3b-instruct"
    unwatch()
    session.settings.model = "other"
    unwatch()
    assert told.seen == ["llama-3.2-3b-instruct"]
    assert told.threads == {threading.current_thread().name}


def test_an_answer_is_told_while_it_comes_and_at_its_end(
    session: Session, account: Standin
) -> None:
    account.switch(answer="word " * 60, tokens_per_second=60)
    told = Told(lambda: (session.active_calls, session.day_usage()))
    session.watch(told)
    answer = session.ask(session.build_request(HI))
    states = list(told.seen)
    (begun,), before = states[0]
    assert begun == ActiveCall(answer.model)
    assert before.reserved > 0
    neurons = [running[0].usage.neurons for running, _ in states if running]
    growing = [n for n in neurons if n is not None]
    assert growing == sorted(growing)
    assert len(set(growing)) >= 2
    running, after = states[-1]
    assert running == ()
    assert (after.billed, after.reserved) == (answer.neurons, 0)


def test_a_streaming_answer_is_told_a_few_times_a_second_at_most() -> None:
    now = 0.0
    watchers = Observers(lambda: None, lambda: now)
    told = Told()
    watchers.add(told)
    try:
        for _ in range(1_000):  # over one second
            now += 0.001
            watchers.call_progress(1, lambda: ActiveCall("m"))
        assert 2 <= len(told.seen) <= 5
        watchers.call_finished(1)
        assert watchers.active_calls == ()
    finally:
        watchers.close()


def test_nobody_watching_costs_nothing(session: Session) -> None:
    def never() -> ActiveCall:
        raise AssertionError

    session.observers.call_progress(1, never)
    assert watching_threads() == []


def test_a_failed_call_runs_no_more(session: Session, account: Standin) -> None:
    account.switch(answer="Blue scatters.", done=False, finish_reason="")
    session.watch(Told())
    with pytest.raises(IncompleteStreamError):
        session.ask(session.build_request(HI))
    assert session.active_calls == ()


def test_what_a_watcher_raises_hurts_neither_the_call_nor_the_others(
    session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise ValueError("mine")

    told = Told()
    session.watch(broken)
    session.watch(told)
    assert session.ask(session.build_request(HI)).text
    assert len(told.seen) >= 2
    assert "mine" in caplog.text


def test_what_another_kernel_books_is_told(session: Session, home: Path) -> None:
    told = Told(lambda: session.day_usage().billed)
    session.watch(told)
    other = Ledger(home)
    place = CallContext(session.backend.billing_account())
    number = other.reserve(place, "m", "Text Generation", lambda _limits, _closed: 5.0)
    other.settle(number, CallOutcome("ok", Usage(1, 1, 0, 4.0, "billed")))
    assert told.until(lambda: 4.0 in told.seen)
    assert told.threads == {"cfai-watch"}
    other.close()


def test_a_budget_set_here_is_told_too(session: Session) -> None:
    told = Told(lambda: session.day_usage().limit)
    session.watch(told)
    session.accounting.ledger.budgets.set("day", 77)
    assert told.until(lambda: 77 in told.seen)


def test_the_thread_is_there_only_while_somebody_watches(session: Session) -> None:
    unwatch = [session.watch(Told()) for _ in range(5)]
    assert len(watching_threads()) == 1
    for each in unwatch:
        each()
    assert Told().until(lambda: not watching_threads())
    session.watch(Told())
    session.close()
    assert Told().until(lambda: not watching_threads())


def test_other_credentials_are_told(cloudflare: Standin, home: Path) -> None:
    session = Session(Cfai(), home, environ={API_URL_VARIABLE: cloudflare.base_url})
    told = Told()
    session.watch(told)
    session.backend.invalidate_credentials()
    assert len(told.seen) == 1
    session.close()


def test_the_standing_begins_nothing(home: Path) -> None:
    session = Session(Cfai(local="small"), home, environ={})
    assert session.day_usage().spent == 0
    assert session.backend.local_server is None
    session.close()


def test_closing_ends_the_thread_that_looks_at_the_ledger(session: Session) -> None:
    session.watch(Told())
    assert watching_threads()
    session.close()
    assert not watching_threads()


def test_a_watcher_may_close_what_it_watches(session: Session) -> None:
    told = Told(session.observers.close)
    session.watch(told)
    session.settings.model = "llama-3.2-3b-instruct"
    session.settings.model = "other"
    assert len(told.seen) == 1
