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


class Notifications:
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


def test_a_setting_change_calls_back_once_and_not_after_unwatch(session: Session) -> None:
    callback = Notifications(lambda: session.settings.model)
    unwatch = session.watch(callback)
    session.settings.model = "llama-3.2-3b-instruct"
    session.settings.model = "llama-3.2-3b-instruct"
    unwatch()
    session.settings.model = "other"
    unwatch()
    assert callback.seen == ["llama-3.2-3b-instruct"]
    assert callback.threads == {threading.current_thread().name}


def test_an_answer_calls_back_while_it_streams_and_at_its_end(
    session: Session, account: Standin
) -> None:
    account.switch(answer="word " * 60, tokens_per_second=60)
    callback = Notifications(lambda: (session.active_calls, session.day_usage()))
    session.watch(callback)
    answer = session.ask(session.build_request(HI))
    states = list(callback.seen)
    (started,), before = states[0]
    assert started == ActiveCall(answer.model)
    assert before.reserved > 0
    neurons = [running[0].usage.neurons for running, _ in states if running]
    growing = [n for n in neurons if n is not None]
    assert growing == sorted(growing)
    assert len(set(growing)) >= 2
    running, after = states[-1]
    assert running == ()
    assert (after.billed, after.reserved) == (answer.neurons, 0)


def test_callbacks_of_a_streaming_answer_are_limited_per_second() -> None:
    now = 0.0
    watchers = Observers(lambda: None, lambda: now)
    callback = Notifications()
    watchers.add(callback)
    try:
        for _ in range(1_000):  # over one second
            now += 0.001
            watchers.call_progress(1, lambda: ActiveCall("m"))
        assert 2 <= len(callback.seen) <= 5
        watchers.call_finished(1)
        assert watchers.active_calls == ()
    finally:
        watchers.close()


def test_without_callbacks_no_thread_is_started(session: Session) -> None:
    def fail() -> ActiveCall:
        raise AssertionError

    session.observers.call_progress(1, fail)
    assert watching_threads() == []


def test_a_failed_call_is_no_longer_active(session: Session, account: Standin) -> None:
    account.switch(answer="Blue scatters.", done=False, finish_reason="")
    session.watch(Notifications())
    with pytest.raises(IncompleteStreamError):
        session.ask(session.build_request(HI))
    assert session.active_calls == ()


def test_an_error_in_a_callback_is_logged_and_the_call_continues(
    session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise ValueError("callback error")

    callback = Notifications()
    session.watch(broken)
    session.watch(callback)
    assert session.ask(session.build_request(HI)).text
    assert len(callback.seen) >= 2
    assert "callback error" in caplog.text


def test_a_booking_of_another_kernel_calls_back(session: Session, home: Path) -> None:
    callback = Notifications(lambda: session.day_usage().billed)
    session.watch(callback)
    other = Ledger(home)
    place = CallContext(session.backend.billing_account())
    number = other.reserve(place, "m", "Text Generation", lambda _limits, _closed: 5.0)
    other.settle(number, CallOutcome("ok", Usage(1, 1, 0, 4.0, "billed")))
    assert callback.until(lambda: 4.0 in callback.seen)
    assert callback.threads == {"cfai-watch"}
    other.close()


def test_a_budget_change_calls_back(session: Session) -> None:
    callback = Notifications(lambda: session.day_usage().limit)
    session.watch(callback)
    session.accounting.ledger.budgets.set("day", 77)
    assert callback.until(lambda: 77 in callback.seen)


def test_the_watch_thread_runs_only_while_callbacks_exist(session: Session) -> None:
    unwatch_functions = [session.watch(Notifications()) for _ in range(5)]
    assert len(watching_threads()) == 1
    for unwatch in unwatch_functions:
        unwatch()
    assert Notifications().until(lambda: not watching_threads())
    session.watch(Notifications())
    session.close()
    assert Notifications().until(lambda: not watching_threads())


def test_a_change_of_credentials_calls_back(cloudflare: Standin, home: Path) -> None:
    session = Session(Cfai(), home, environ={API_URL_VARIABLE: cloudflare.base_url})
    callback = Notifications()
    session.watch(callback)
    session.backend.invalidate_credentials()
    assert len(callback.seen) == 1
    session.close()


def test_reading_the_day_usage_does_not_start_the_local_server(home: Path) -> None:
    session = Session(Cfai(local="small"), home, environ={})
    assert session.day_usage().spent == 0
    assert session.backend.local_server is None
    session.close()


def test_closing_the_session_ends_the_watch_thread(session: Session) -> None:
    session.watch(Notifications())
    assert watching_threads()
    session.close()
    assert not watching_threads()


def test_a_callback_can_close_the_observers(session: Session) -> None:
    callback = Notifications(session.observers.close)
    session.watch(callback)
    session.settings.model = "llama-3.2-3b-instruct"
    session.settings.model = "other"
    assert len(callback.seen) == 1


def test_without_threads_changes_of_the_own_session_call_back(
    session: Session, account: Standin, without_threads: None
) -> None:
    calls: list[float] = []
    unwatch = session.watch(lambda: calls.append(session.day_usage().reserved))
    session.ask(session.build_request(HI))
    assert calls[-1] == 0
    assert max(calls) > 0, "the call was active"
    count = len(calls)
    unwatch()
    session.ask(session.build_request(HI))
    assert len(calls) == count
