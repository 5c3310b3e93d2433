"""Tokens and keys are not sent over plain HTTP, except to this computer."""

import re
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from cfai_magics.commands import run
from cfai_magics.errors import CfaiError, InvalidOptionError
from cfai_magics.session.session import Session
from cfai_magics.settings import Cfai
from tests.canaries import account_id, token
from tests.fake_frontends import bare_frontend

KEY = "sk-other-server"
PLAIN_HOSTS = ("10.0.0.5", "proxy.example", "192.168.1.9:8080", "[fd00::1]", "user:word@lab")


class Recorder(httpx.BaseTransport):
    """A transport that counts requests and answers none."""

    def __init__(self) -> None:
        self.count = 0

    def handle_request(self, _request: httpx.Request) -> httpx.Response:
        self.count += 1
        return httpx.Response(400, json={"errors": []})


def ask(home: Path, **environ: str) -> tuple[int, str]:
    """Ask a question; return the number of requests and the error."""
    transport = Recorder()
    session = Session(Cfai(), home, environ=environ, transport=transport)
    try:
        with pytest.raises(CfaiError) as caught:
            session.ask(session.build_request([{"role": "user", "content": "Hi"}]))
    finally:
        session.close()
    return transport.count, str(caught.value)


def cloudflare(url: str, **more: str) -> dict[str, str]:
    variables = {"CLOUDFLARE_ACCOUNT_ID": account_id(), "CLOUDFLARE_API_TOKEN": token()}
    return {**variables, "CLOUDFLARE_API_BASE_URL": url, **more}


@pytest.mark.parametrize("host", PLAIN_HOSTS)
@pytest.mark.parametrize("scheme", ["http", "HTTP"])
def test_a_token_is_not_sent_over_plain_http(home: Path, scheme: str, host: str) -> None:
    count, error = ask(home, **cloudflare(f"{scheme}://{host}/client/v4"))
    assert count == 0
    assert error == (
        "The address in CLOUDFLARE_API_BASE_URL is not encrypted, so others could read the "
        "token.\n"
        "Use https. If you trust the network, set CFAI_ALLOW_HTTP=1."
    )


@pytest.mark.parametrize(
    "url",
    [
        *("https://proxy.example/v4", "http://localhost:1/v4", "http://127.0.0.1:1/v4"),
        *("http://127.9.9.9/v4", "http://[::1]:1/v4", "http://lab.localhost/v4"),
    ],
)
def test_https_and_this_computer_are_allowed(home: Path, url: str) -> None:
    assert ask(home, **cloudflare(url))[0] == 1


@pytest.mark.parametrize("host", PLAIN_HOSTS)
def test_the_environment_can_allow_plain_http(home: Path, host: str) -> None:
    assert ask(home, **cloudflare(f"http://{host}/v4", CFAI_ALLOW_HTTP="1"))[0] == 1


def test_the_key_of_another_server_is_not_sent_over_plain_http(home: Path) -> None:
    environ = {"CFAI_BASE_URL": "http://10.0.0.5/v1", "CFAI_API_KEY": KEY}
    count, error = ask(home, **environ)
    assert (count, "The address in CFAI_BASE_URL is not encrypted" in error) == (0, True)
    assert ask(home, **environ, CFAI_ALLOW_HTTP="1")[0] == 1
    assert ask(home, CFAI_BASE_URL="http://10.0.0.5/v1")[0] == 1, "there is no key to protect"


@pytest.mark.parametrize("command", ["doctor", "models", "usage --account"])
def test_other_commands_do_not_send_the_token_either(home: Path, command: str) -> None:
    transport = Recorder()
    environ = cloudflare("http://10.0.0.5/v4")
    session = Session(Cfai(), home, environ=environ, transport=transport)
    name, *words = command.split()
    with suppress(InvalidOptionError):
        run(name, words, bare_frontend(session), "%cfai")
    session.close()
    assert transport.count == 0


def test_status_shows_no_password(home: Path) -> None:
    environ = cloudflare("https://someone:pass%20word@proxy.example:8443/v4")
    session = Session(Cfai(), home, environ=environ)
    status = str(run("status", [], bare_frontend(session), "%cfai"))
    session.close()
    assert re.search("address +https://…@proxy.example:8443/v4 ", status)
    assert "someone" not in status
