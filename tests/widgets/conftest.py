"""Panels with recorded messages to the page; `set_state` replaces the page."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import comm
import pytest
from comm.base_comm import BaseComm
from ipywidgets import Text, Widget, widget_serialization

from cfai_magics.backends.selector import API_URL_VARIABLE
from cfai_magics.session.session import Session
from cfai_magics.settings import Cfai
from cfai_magics.widgets.panel import Panel
from tests.standin import Standin


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The messages to the page, as JSON."""
    messages: list[str] = []

    class RecordedComm(BaseComm):
        def publish_msg(self, msg_type: str, data: Any = None, *_: Any, **more: Any) -> None:
            messages.append(json.dumps([msg_type, data, more], default=str))

    monkeypatch.setattr(comm, "create_comm", RecordedComm)
    return messages


@pytest.fixture
def session_without_account(cloudflare: Standin, home: Path) -> Iterator[Session]:
    """A session with the URL of Cloudflare and without an account."""
    session = Session(Cfai(), home, environ={API_URL_VARIABLE: cloudflare.base_url})
    yield session
    session.close()


@pytest.fixture
def empty_panel(session_without_account: Session, sent: list[str]) -> Iterator[Panel]:
    """The panel of a session without an account."""
    panel = Panel(session_without_account)
    yield panel
    panel.close()


@pytest.fixture
def panel(session: Session, sent: list[str]) -> Iterator[Panel]:
    """The panel of a session with an account."""
    panel = Panel(session)
    yield panel
    panel.close()


def enter(widget: Widget, **state: Any) -> None:
    """Set the state of a widget as the page does when the user edits it."""
    widget.set_state(dict(state))


def type_in(field: Text, text: str) -> None:
    """Enter text in a write-only field: a link on the page copies it to the receiver.

    The page then clears the field, or shows the kept text, which the links also copy.
    """
    receiver = receiver_of(field)
    shown = receiver.placeholder
    enter(receiver, value=text)
    enter(receiver, value=shown)
    if receiver.placeholder != shown:
        enter(receiver, value=receiver.placeholder)


def press_enter(field: Text, text: str = "") -> None:
    """Press Enter in a write-only field: the page reports the key, then sends the text."""
    data = {"method": "custom", "content": {"event": "submit"}}
    field.comm.handle_msg({"content": {"data": data}, "buffers": []})
    receiver: Any = receiver_of(field)
    count = receiver.enter_count
    if text:
        type_in(field, text)
    enter(receiver, enter_echo=count)


def receiver_of(field: Text) -> Text:
    """Return the hidden widget that receives the text of a write-only field."""
    source = [f"IPY_MODEL_{field.model_id}", "value"]
    links = [model["state"] for model in all_models() if model["state"].get("source") == source]
    (receiver,) = (name for name, trait in (link["target"] for link in links) if trait == "value")
    widget: Text = widget_serialization["from_json"](receiver, None)
    return widget


def all_state() -> str:
    """Return the state of all widgets, as a notebook would save it."""
    return repr(all_models())


def all_models() -> list[dict[str, Any]]:
    return list(Widget.get_manager_state()["state"].values())
