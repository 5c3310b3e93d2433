"""Each exception of httpx is mapped to an error of this package, anywhere in a call."""

import secrets
import sys

import httpx
import pytest

from cfai_magics.errors import (
    APIConnectionError,
    APITimeoutError,
    CfaiError,
    IncompleteStreamError,
    InvalidOptionError,
)
from cfai_magics.workers_ai.client import WorkersAI
from cfai_magics.workers_ai.http import map_httpx_error
from tests.workers_ai.calls import (
    ACCOUNT_ID,
    DONE,
    GEMMA,
    REQUEST,
    Body,
    Script,
    streamed,
    text_event,
)

NO_CONNECTION_IN_TIME = (APIConnectionError, "Connecting to the server timed out")
TOO_SLOW = (APITimeoutError, "The server did not answer in time")
INVALID_URL = (InvalidOptionError, "The server address is not a valid URL")
UNREACHABLE = (APIConnectionError, "The server could not be reached")
BROKEN = (APIConnectionError, "The connection was lost")
PACKAGE_ERRORS: dict[type[Exception], tuple[type[CfaiError], str]] = {
    httpx.ConnectTimeout: NO_CONNECTION_IN_TIME,
    httpx.PoolTimeout: NO_CONNECTION_IN_TIME,
    httpx.TimeoutException: TOO_SLOW,
    httpx.ReadTimeout: TOO_SLOW,
    httpx.WriteTimeout: TOO_SLOW,
    httpx.UnsupportedProtocol: INVALID_URL,
    httpx.InvalidURL: INVALID_URL,
    httpx.ProxyError: (APIConnectionError, "The proxy refused the connection"),
    httpx.ConnectError: UNREACHABLE,
}


def family(kind: type[Exception]) -> list[type[Exception]]:
    """Return a class with all its subclasses."""
    return [kind, *(one for child in kind.__subclasses__() for one in family(child))]


HTTPX_ERRORS = [
    kind
    for root in (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, httpx.CookieConflict)
    for kind in family(root)
]
each_httpx_error = pytest.mark.parametrize(
    "httpx_class", HTTPX_ERRORS, ids=lambda kind: kind.__name__
)


def new_error(kind: type[Exception]) -> Exception:
    """Return an exception of any class without calling its constructor."""
    return kind.__new__(kind)


def test_all_exported_httpx_errors_are_tested() -> None:
    exported = {
        each
        for each in vars(httpx).values()
        if isinstance(each, type) and issubclass(each, Exception)
    }
    assert exported <= set(HTTPX_ERRORS)


@each_httpx_error
def test_each_httpx_error_maps_to_a_package_error(httpx_class: type[Exception]) -> None:
    error = map_httpx_error(new_error(httpx_class))
    assert (type(error), error.cause) == PACKAGE_ERRORS.get(httpx_class, BROKEN)


@each_httpx_error
def test_an_httpx_error_while_sending_raises_a_package_error(httpx_class: type[Exception]) -> None:
    script = Script(new_error(httpx_class))
    kind = PACKAGE_ERRORS.get(httpx_class, BROKEN)[0]
    with script.client() as client, pytest.raises(kind) as caught:
        client.chat(REQUEST)
    assert type(caught.value) is kind
    assert caught.value.model == GEMMA
    assert caught.value.__suppress_context__
    assert len(script.requests) == (5 if kind is APIConnectionError else 1)


@each_httpx_error
def test_an_httpx_error_in_a_stream_keeps_the_received_text(
    httpx_class: type[Exception],
) -> None:
    script = Script(streamed(text_event("One "), text_event("two "), new_error(httpx_class)))
    kind, cause = PACKAGE_ERRORS.get(httpx_class, BROKEN)
    late = IncompleteStreamError if kind is APIConnectionError else kind
    with script.client() as client, pytest.raises(late) as caught:
        client.chat(REQUEST)
    assert caught.value.text == "One two "
    assert caught.value.cause.endswith(cause)
    assert len(script.requests) == 1


def test_a_connection_lost_during_reasoning_is_not_retried() -> None:
    thought = b'data: {"choices":[{"delta":{"reasoning":"Hm"}}]}\n\n'
    script = Script(streamed(thought, httpx.ReadError("")), streamed(text_event("late"), DONE))
    with script.client() as client, pytest.raises(IncompleteStreamError) as caught:
        client.chat(REQUEST)
    assert caught.value.text == ""
    assert len(script.requests) == 1


@each_httpx_error
@pytest.mark.parametrize("status", [200, 400])
def test_an_httpx_error_in_a_json_body_raises_a_package_error(
    httpx_class: type[Exception], status: int
) -> None:
    responses = (
        httpx.Response(status, headers={"content-type": "application/json"}, stream=body)
        for body in [Body([b"{", new_error(httpx_class)]) for _ in range(5)]
    )
    with (
        Script(*responses).client() as client,
        pytest.raises(PACKAGE_ERRORS.get(httpx_class, BROKEN)[0]),
    ):
        client.run(GEMMA, {})


@pytest.mark.parametrize("address", ["api.example", "ftp://api.example", "http://a:b"])
def test_an_invalid_base_url_is_not_retried(address: str) -> None:
    pauses: list[float] = []
    client = WorkersAI(ACCOUNT_ID, "none", base_url=address, sleep=pauses.append)
    with client, pytest.raises(InvalidOptionError, match="CLOUDFLARE_API_BASE_URL"):
        client.list_models()
    assert pauses == []


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("ALL_PROXY", "socks5://localhost:1", "SOCKS"),
        ("HTTPS_PROXY", "ftp://someone:{}@localhost", "HTTPS_PROXY"),
        ("HTTPS_PROXY", "http://someone:{}/@localhost", "HTTPS_PROXY"),
        ("NO_PROXY", "localhost, [::1],b.example", r"NO_PROXY has .*: \[::1\]"),
        ("NO_PROXY", "a.example,fe80::/10", "NO_PROXY has .*: fe80::/10"),
        ("no_proxy", "[::1]:8080", r"NO_PROXY has .*: \[::1\]:8080"),
        ("SSL_CERT_FILE", "nowhere.pem", "SSL_CERT_FILE"),
    ],
)
def test_an_invalid_environment_raises_an_error_without_passwords(
    name: str, value: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    password = secrets.token_hex(8)
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv(name, value.replace("{}", password))
    with pytest.raises(InvalidOptionError, match=expected) as caught:
        WorkersAI(ACCOUNT_ID, "none")
    assert password not in str(caught.value)
