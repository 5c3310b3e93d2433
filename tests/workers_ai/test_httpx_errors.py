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
from tests.workers_ai.calls import ACCOUNT_ID, DONE, GEMMA, REQUEST, Body, Script, streamed, told

NO_CONNECTION_IN_TIME = (APIConnectionError, "Connecting to the server timed out")
TOO_SLOW = (APITimeoutError, "The server did not answer in time")
NO_ADDRESS = (InvalidOptionError, "The server address is not a valid URL")
UNREACHABLE = (APIConnectionError, "The server could not be reached")
BROKEN = (APIConnectionError, "The connection was lost")
OURS: dict[type[Exception], tuple[type[CfaiError], str]] = {
    httpx.ConnectTimeout: NO_CONNECTION_IN_TIME,
    httpx.PoolTimeout: NO_CONNECTION_IN_TIME,
    httpx.TimeoutException: TOO_SLOW,
    httpx.ReadTimeout: TOO_SLOW,
    httpx.WriteTimeout: TOO_SLOW,
    httpx.UnsupportedProtocol: NO_ADDRESS,
    httpx.InvalidURL: NO_ADDRESS,
    httpx.ProxyError: (APIConnectionError, "The proxy refused the connection"),
    httpx.ConnectError: UNREACHABLE,
}


def family(kind: type[Exception]) -> list[type[Exception]]:
    """Return a class with all its subclasses."""
    return [kind, *(one for child in kind.__subclasses__() for one in family(child))]


THEIRS = [
    kind
    for root in (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, httpx.CookieConflict)
    for kind in family(root)
]
each_of_theirs = pytest.mark.parametrize("theirs", THEIRS, ids=lambda kind: kind.__name__)


def made(kind: type[Exception]) -> Exception:
    """Return an exception of any class without calling its constructor."""
    return kind.__new__(kind)


def test_every_error_that_httpx_exports_is_in_the_families() -> None:
    exported = {
        each
        for each in vars(httpx).values()
        if isinstance(each, type) and issubclass(each, Exception)
    }
    assert exported <= set(THEIRS)


@each_of_theirs
def test_each_error_of_httpx_has_one_of_ours(theirs: type[Exception]) -> None:
    ours = map_httpx_error(made(theirs))
    assert (type(ours), ours.cause) == OURS.get(theirs, BROKEN)


@each_of_theirs
def test_an_error_while_sending_is_one_of_ours(theirs: type[Exception]) -> None:
    script = Script(made(theirs))
    kind = OURS.get(theirs, BROKEN)[0]
    with script.client() as client, pytest.raises(kind) as caught:
        client.chat(REQUEST)
    assert type(caught.value) is kind
    assert caught.value.model == GEMMA
    assert caught.value.__suppress_context__
    assert len(script.requests) == (5 if kind is APIConnectionError else 1)


@each_of_theirs
def test_an_error_in_the_middle_of_an_answer_keeps_what_had_come(
    theirs: type[Exception],
) -> None:
    script = Script(streamed(told("One "), told("two "), made(theirs)))
    kind, cause = OURS.get(theirs, BROKEN)
    late = IncompleteStreamError if kind is APIConnectionError else kind
    with script.client() as client, pytest.raises(late) as caught:
        client.chat(REQUEST)
    assert caught.value.text == "One two "
    assert caught.value.cause.endswith(cause)
    assert len(script.requests) == 1


def test_an_answer_that_breaks_while_the_model_thinks_is_cut_and_not_asked_again() -> None:
    thought = b'data: {"choices":[{"delta":{"reasoning":"Hm"}}]}\n\n'
    script = Script(streamed(thought, httpx.ReadError("")), streamed(told("late"), DONE))
    with script.client() as client, pytest.raises(IncompleteStreamError) as caught:
        client.chat(REQUEST)
    assert caught.value.text == ""
    assert len(script.requests) == 1


@each_of_theirs
@pytest.mark.parametrize("status", [200, 400])
def test_an_error_inside_a_whole_reply_is_one_of_ours(
    theirs: type[Exception], status: int
) -> None:
    replies = (
        httpx.Response(status, headers={"content-type": "application/json"}, stream=body)
        for body in [Body([b"{", made(theirs)]) for _ in range(5)]
    )
    with Script(*replies).client() as client, pytest.raises(OURS.get(theirs, BROKEN)[0]):
        client.run(GEMMA, {})


@pytest.mark.parametrize("address", ["api.example", "ftp://api.example", "http://a:b"])
def test_an_address_that_is_none_is_asked_once(address: str) -> None:
    pauses: list[float] = []
    client = WorkersAI(ACCOUNT_ID, "none", base_url=address, sleep=pauses.append)
    with client, pytest.raises(InvalidOptionError, match="CLOUDFLARE_API_BASE_URL"):
        client.list_models()
    assert pauses == []


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("ALL_PROXY", "socks5://localhost:1", "SOCKS"),
        ("HTTPS_PROXY", "ftp://someone:{}@localhost", "HTTPS_PROXY"),
        ("HTTPS_PROXY", "http://someone:{}/@localhost", "HTTPS_PROXY"),
        ("NO_PROXY", "[::1],localhost", "NO_PROXY"),
        ("SSL_CERT_FILE", "nowhere.pem", "SSL_CERT_FILE"),
    ],
)
def test_an_environment_that_httpx_cannot_use_is_our_error_without_its_passwords(
    name: str, value: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    password = secrets.token_hex(8)
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv(name, value.replace("{}", password))
    with pytest.raises(InvalidOptionError, match=told) as caught:
        WorkersAI(ACCOUNT_ID, "none")
    assert password not in str(caught.value)
