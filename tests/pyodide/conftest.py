"""Fixtures of the tests that only run inside Pyodide: the stand-in of the test runner."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cfai_magics.session.session import Session
from cfai_magics.settings import Cfai

if TYPE_CHECKING:
    from cfai_magics.workers_ai.fetch import FetchTransport

Control = Callable[..., Any]
ANSWER = "one two three four five six seven eight nine ten"
DEFAULTS = {
    "answer": ANSWER,
    "tokens_per_second": 0.0,
    "error": None,
    "canned": None,
    "error_path": "",
    "delay_before_headers": 0.0,
}

# Without Pyodide, these tests are not collected.
collect_ignore_glob = [] if "STANDIN" in os.environ else ["test_*.py"]


@pytest.fixture(scope="session")
def environ() -> Mapping[str, str]:
    """Return the environment variables that connect a client with the stand-in."""
    return json.loads(os.environ["STANDIN"])


@pytest.fixture
def control(environ: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Control:
    """Set the account of the stand-in; return a function that sends it a control request."""
    from js import Object, fetch
    from pyodide.ffi import run_sync, to_js

    address = environ["CLOUDFLARE_API_BASE_URL"].replace("/client/v4", "/_standin/")

    def send(method: str, name: str, body: Mapping[str, Any] | None = None) -> Any:
        options = {"method": method, "body": None if body is None else json.dumps(body)}
        js_options = to_js(options, dict_converter=Object.fromEntries)
        response = run_sync(fetch(address + name, js_options))
        return json.loads(run_sync(response.text()))

    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    send("POST", "switches", DEFAULTS)
    send("DELETE", "requests")
    return send


@pytest.fixture
def transport() -> "FetchTransport":
    """Return the transport of the session."""
    from cfai_magics.workers_ai.fetch import FetchTransport

    return FetchTransport()


@pytest.fixture
def session(transport: "FetchTransport", control: Control, home: Path) -> Iterator[Session]:
    """Yield a session with the account of the stand-in."""
    created = Session(Cfai(), home, transport=transport)
    yield created
    created.close()
