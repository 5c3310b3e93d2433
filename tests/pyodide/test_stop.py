"""The page of a browser kernel stops what the kernel waits for."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import js
import pytest
from pyodide.ffi import run_sync

from cfai_magics import browser_stop, runtime
from cfai_magics.errors import APITimeoutError
from cfai_magics.session.session import Session
from cfai_magics.settings import Cfai
from cfai_magics.types.messages import Request
from cfai_magics.workers_ai.fetch import FetchTransport
from tests.pyodide.conftest import ANSWER, Control

SLOW = {"answer": "word " * 1000, "tokens_per_second": 20}
LONG = 60  # seconds; a test that waits so long has failed


class Page:
    """A page with a Stop button, and what the kernel tells it."""

    def __init__(self) -> None:
        self.told: list[bool] = []
        self.channel = js.BroadcastChannel.new(browser_stop.open_channel(self.told.append))

    def get_ready(self) -> None:
        """Tell the kernel that there is a button."""
        self.channel.postMessage("ready")
        while not browser_stop.has_stop_button():
            run_sync(asyncio.sleep(0.01))

    def press_stop(self, seconds: float) -> None:
        """Press the button after a number of seconds."""
        asyncio.get_event_loop().call_later(seconds, self.channel.postMessage, "stop")


@pytest.fixture
def page() -> Iterator[Page]:
    opened = Page()
    yield opened
    opened.channel.close()
    browser_stop.close_channel()


@pytest.fixture
def transport() -> FetchTransport:
    return FetchTransport()


@pytest.fixture
def session(transport: FetchTransport, control: Control, home: Path) -> Iterator[Session]:
    created = Session(Cfai(), home, transport=transport)
    yield created
    created.close()


def question(session: Session, content: str = "Hi") -> Request:
    return session.build_request([{"role": "user", "content": content}], max_tokens=50)


def test_stop_interrupts_the_answer_and_keeps_its_text(
    session: Session, control: Control, page: Page
) -> None:
    page.get_ready()
    control("POST", "switches", SLOW)
    page.press_stop(0.4)
    with session.stream(question(session)) as stream, pytest.raises(KeyboardInterrupt):
        for _ in stream:
            pass
    assert stream.answer.text.startswith("word")
    assert stream.answer.finish_reason == "interrupted"
    control("POST", "switches", {"answer": ANSWER, "tokens_per_second": 0.0})
    assert session.ask(question(session, "Again")).text == ANSWER


def test_stop_ends_the_wait_before_the_first_token(
    session: Session, control: Control, page: Page
) -> None:
    page.get_ready()
    control("POST", "switches", {"delay_before_headers": LONG})
    page.press_stop(0.2)
    with pytest.raises(KeyboardInterrupt):
        session.ask(question(session))


def test_stop_ends_the_wait_between_two_attempts(page: Page) -> None:
    page.get_ready()
    page.press_stop(0.1)
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        runtime.sleep(LONG)
    assert time.monotonic() - start < LONG


def test_a_page_with_a_button_removes_the_deadline_of_a_running_answer(
    session: Session, control: Control, transport: FetchTransport, page: Page
) -> None:
    transport.deadline = 0.5
    control("POST", "switches", {"answer": ANSWER, "tokens_per_second": 8})
    page.channel.postMessage("ready")
    assert session.ask(question(session)).text == ANSWER
    assert browser_stop.has_stop_button()


def test_the_deadline_applies_without_a_button(
    session: Session, control: Control, transport: FetchTransport, page: Page
) -> None:
    transport.deadline = 0.5
    control("POST", "switches", SLOW)
    with pytest.raises(APITimeoutError, match="stopped after"):
        session.ask(question(session))
    assert not browser_stop.has_stop_button()


def test_the_page_is_told_once_that_requests_are_in_progress(
    session: Session, control: Control, page: Page
) -> None:
    for content in ("one", "two", "three"):
        session.ask(question(session, content))
    assert page.told == [True]
    while page.told != [True, False]:
        run_sync(asyncio.sleep(0.05))


def test_a_stop_without_a_request_does_not_affect_the_next_one(
    session: Session, control: Control, page: Page
) -> None:
    page.get_ready()
    page.press_stop(0)
    run_sync(asyncio.sleep(0.1))
    assert session.ask(question(session)).text == ANSWER
