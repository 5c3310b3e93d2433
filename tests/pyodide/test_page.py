"""The page of a browser kernel stops what the kernel waits for, and keeps credentials."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import js
import pytest
from pyodide.ffi import create_proxy, run_sync, to_js

from cfai_magics import browser_page, runtime
from cfai_magics.backends.credentials import CredentialStore
from cfai_magics.errors import APITimeoutError
from cfai_magics.secret import Secret
from cfai_magics.session.session import Session
from cfai_magics.types.messages import Request
from cfai_magics.workers_ai.fetch import FetchTransport
from tests.canaries import class_key
from tests.pyodide.conftest import ANSWER, Control

SLOW = {"answer": "word " * 1000, "tokens_per_second": 20}
LONG = 60  # seconds; a test that waits so long has failed


class Page:
    """A page with a Stop button, and what the kernel tells it."""

    def __init__(self) -> None:
        self.received: list[bool] = []
        self.saved: list[dict[str, Any]] = []
        self._channel = js.BroadcastChannel.new(browser_page.open_page(self.received.append))
        self._listener = create_proxy(lambda event: self.saved.append(event.data.to_py()))
        self._channel.addEventListener("message", self._listener)

    def send(self, **message: Any) -> None:
        """Send a message to the kernel."""
        self._channel.postMessage(to_js(message, dict_converter=js.Object.fromEntries))

    def get_ready(self, credentials: str | None = None, *, keep: bool = False) -> None:
        """Send the first message, and wait until the kernel has received it."""
        self.send(type="ready", credentials=credentials, keep=keep)
        while not browser_page.has_stop_button():
            run_sync(asyncio.sleep(0.01))

    def press_stop(self, seconds: float) -> None:
        """Press the button after a number of seconds."""
        asyncio.get_event_loop().call_later(seconds, lambda: self.send(type="stop"))

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()
        self._listener.destroy()


@pytest.fixture
def page() -> Iterator[Page]:
    opened = Page()
    yield opened
    opened.close()
    browser_page.close_page()


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
    page.send(type="ready", credentials=None, keep=False)
    assert session.ask(question(session)).text == ANSWER
    assert browser_page.has_stop_button()


def test_the_deadline_applies_without_a_button(
    session: Session, control: Control, transport: FetchTransport, page: Page
) -> None:
    transport.deadline = 0.5
    control("POST", "switches", SLOW)
    with pytest.raises(APITimeoutError, match="stopped after"):
        session.ask(question(session))
    assert not browser_page.has_stop_button()


def test_the_page_is_told_once_that_requests_are_in_progress(
    session: Session, control: Control, page: Page
) -> None:
    for content in ("one", "two", "three"):
        session.ask(question(session, content))
    assert page.received == [True]
    while page.received != [True, False]:
        run_sync(asyncio.sleep(0.05))


def test_a_stop_without_a_request_does_not_affect_the_next_one(
    session: Session, control: Control, page: Page
) -> None:
    page.get_ready()
    page.press_stop(0)
    run_sync(asyncio.sleep(0.1))
    assert session.ask(question(session)).text == ANSWER


URL = "https://physics1.example.workers.dev"


def test_the_page_keeps_the_key_of_a_class_server(page: Page, home: Path) -> None:
    page.get_ready()
    key = class_key()
    place = CredentialStore(home).save_class_key(URL, Secret(key))
    assert place == "this tab of the browser"
    while not page.saved:
        run_sync(asyncio.sleep(0.01))
    (message,) = page.saved
    assert (message["type"], message["keep"]) == ("save", False)
    assert key in message["credentials"]
    assert list(Path("/tmp/cfai").glob("*")) == []


def test_a_new_kernel_gets_the_key_from_the_page(page: Page, home: Path) -> None:
    key = class_key()
    page.get_ready(json.dumps({"class_server": URL, "class_key": key}), keep=True)
    found, place = CredentialStore(home).class_key(URL)
    assert found == Secret(key)
    assert place == "this browser"
    other, _place = CredentialStore(home).class_key("https://other.example.workers.dev")
    assert not other


def test_a_logout_deletes_the_key_in_the_page(page: Page, home: Path) -> None:
    page.get_ready(json.dumps({"class_server": URL, "class_key": class_key()}))
    assert CredentialStore(home).delete() == ["Removed from this tab of the browser."]
    while not page.saved:
        run_sync(asyncio.sleep(0.01))
    assert page.saved[0]["credentials"] is None
    assert not CredentialStore(home).class_key(URL)[0]


def test_the_kernel_waits_once_for_a_page_that_does_not_answer(
    page: Page, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browser_page, "READY_TIMEOUT", 0.05)
    assert not CredentialStore(home).class_key(URL)[0]
    monkeypatch.setattr(browser_page, "run_sync", pytest.fail)
    assert not CredentialStore(home).class_key(URL)[0]


def test_without_a_page_the_key_ends_with_the_kernel(home: Path) -> None:
    store = CredentialStore(home)
    place = store.save_class_key(URL, Secret(class_key()))
    assert place == "the memory of this notebook's kernel"
    assert store.class_key(URL)[0]
    assert store.delete() == ["Removed from the memory of this notebook's kernel."]
