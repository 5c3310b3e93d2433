"""A panel, and all that it sends to the page; what the page sends is given by `set_state`."""

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
    """All that goes to the page, message by message, as JSON."""
    messages: list[str] = []

    class Recorded(BaseComm):
        def publish_msg(self, msg_type: str, data: Any = None, *_: Any, **more: Any) -> None:
            messages.append(json.dumps([msg_type, data, more], default=str))

    monkeypatch.setattr(comm, "create_comm", Recorded)
    return messages


@pytest.fixture
def newcomer(cloudflare: Standin, home: Path) -> Iterator[Session]:
    """A session that knows where Cloudflare is, and no account."""
    made = Session(Cfai(), home, environ={API_URL_VARIABLE: cloudflare.base_url})
    yield made
    made.close()


@pytest.fixture
def fresh(newcomer: Session, sent: list[str]) -> Iterator[Panel]:
    """The panel of a session without an account."""
    made = Panel(newcomer)
    yield made
    made.close()


@pytest.fixture
def panel(session: Session, sent: list[str]) -> Iterator[Panel]:
    """The panel of a session with an account."""
    made = Panel(session)
    yield made
    made.close()


def enter(widget: Widget, **state: Any) -> None:
    """Do what the page does when a person has entered something."""
    widget.set_state(dict(state))


def type_in(field: Text, text: str) -> None:
    """Do what the page does with a write-only field: a link hands the text to its receiver."""
    source = [f"IPY_MODEL_{field.model_id}", "value"]
    links = [model["state"] for model in all_models() if model["state"].get("source") == source]
    (receiver,) = (name for name, trait in (link["target"] for link in links) if trait == "value")
    enter(widget_serialization["from_json"](receiver, None), value=text)


def all_state() -> str:
    """The state of every widget there is, as a notebook would save it."""
    return repr(all_models())


def all_models() -> list[dict[str, Any]]:
    return list(Widget.get_manager_state()["state"].values())
