"""Test `%cfai login`, `logout` and `status` as in a terminal."""

import io
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from cfai_magics.backends.credentials import ACCOUNT_VARIABLE
from cfai_magics.backends.selector import API_URL_VARIABLE
from cfai_magics.chat.frontend import Frontend
from cfai_magics.commands import run
from cfai_magics.errors import (
    AuthenticationError,
    InvalidAccountIdError,
    InvalidOptionError,
    SetupError,
)
from cfai_magics.frontends.shell import create_shell_frontend
from cfai_magics.session.session import Session
from cfai_magics.settings import Cfai
from tests.canaries import token
from tests.standin import Standin
from tests.standin.state import EVERYTHING


@pytest.fixture
def session(cloudflare: Standin, home: Path) -> Iterator[Session]:
    """A session that knows the API address but has no account."""
    session = Session(Cfai(), home, environ={API_URL_VARIABLE: cloudflare.base_url})
    yield session
    session.close()


def frontend_with_input(session: Session, *inputs: str) -> Frontend:
    answers = iter(inputs)
    return create_shell_frontend(session)._replace(
        prompt_secret=lambda _prompt: next(answers),
        prompt_account_id=lambda _prompt: next(answers),
        print=print,
    )


def run_command(session: Session, name: str, *inputs: str) -> str:
    return str(run(name, [], frontend_with_input(session, *inputs), "cfai"))


def test_login_verifies_the_token_and_names_the_credentials_file(
    session: Session, cloudflare: Standin, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = run_command(session, "login", f" {cloudflare.account_id}\n", f" {cloudflare.token} ")
    assert "Workers AI API token" in capsys.readouterr().out
    assert output.startswith("Token verified: user token, active")
    assert f"Saved in the file {home / 'credentials.json'}" in output
    assert (home / "credentials.json").stat().st_mode & 0o777 == 0o600
    assert cloudflare.token not in output
    status = run_command(session, "status")
    assert re.search(rf"…{cloudflare.account_id[-4:]} +the file", status)
    assert cloudflare.account_id not in status
    assert session.ask(session.build_request([{"role": "user", "content": "Hi"}])).text


def test_login_reports_an_account_token(session: Session, cloudflare: Standin) -> None:
    new_token = cloudflare.issue_token(EVERYTHING, owner="account")
    assert "Token verified: account token, active." in run_command(
        session, "login", cloudflare.account_id, new_token
    )


def test_a_token_without_list_permission_is_accepted_with_a_note(
    session: Session, cloudflare: Standin
) -> None:
    new_token = cloudflare.issue_token(permissions=())
    output = run_command(session, "login", cloudflare.account_id, new_token)
    assert "lacks the Workers AI - Read permission" in output


def test_a_wrong_token_is_rejected_and_not_saved(session: Session, cloudflare: Standin) -> None:
    with pytest.raises(AuthenticationError):
        run_command(session, "login", cloudflare.account_id, token())
    assert run_command(session, "logout") == "No stored credentials were found."


@pytest.mark.parametrize("status", ["disabled", "expired"])
def test_the_status_of_an_inactive_token_is_reported(
    session: Session, cloudflare: Standin, status: str
) -> None:
    new_token = cloudflare.issue_token(EVERYTHING, status=status)
    with pytest.raises(AuthenticationError, match=status):
        run_command(session, "login", cloudflare.account_id, new_token)
    assert run_command(session, "logout") == "No stored credentials were found."


def test_status_reports_an_invalid_account_id(home: Path) -> None:
    broken = Session(Cfai(), home, environ={ACCOUNT_VARIABLE: token()})
    status = run_command(broken, "status")
    assert "looks like an API token" in status
    assert "version" in status


def test_a_token_is_rejected_as_an_account_id(session: Session, cloudflare: Standin) -> None:
    with pytest.raises(InvalidAccountIdError, match="token") as caught:
        run_command(session, "login", cloudflare.token)
    assert cloudflare.token not in str(caught.value)
    assert cloudflare.requests == ()


def test_an_account_id_is_rejected_as_a_token(session: Session, cloudflare: Standin) -> None:
    with pytest.raises(InvalidOptionError, match="account ID"):
        run_command(session, "login", cloudflare.account_id, cloudflare.account_id)
    assert cloudflare.requests == ()


def test_logout_deletes_the_credentials(session: Session, cloudflare: Standin) -> None:
    run_command(session, "login", cloudflare.account_id, cloudflare.token)
    assert run_command(session, "logout").startswith("Removed from the file")
    assert re.search("account +none +No ", run_command(session, "status"))


def test_login_without_user_input_raises_a_setup_error(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(SetupError, match="This front end can't ask for input"):
        run("login", [], create_shell_frontend(session), "cfai")


def test_status_shows_a_custom_api_address(session: Session, cloudflare: Standin) -> None:
    status = run_command(session, "status")
    assert re.search(f"address +{cloudflare.base_url} +{API_URL_VARIABLE}", status)
    assert os.environ.get(API_URL_VARIABLE) is None


def test_a_terminal_erases_a_token_that_was_typed_as_the_account_id(
    cloudflare: Standin, home: Path
) -> None:
    terminal = pexpect.spawn(
        sys.executable,
        ["-m", "cfai_magics", "login"],
        env={**os.environ, "CFAI_HOME": str(home), API_URL_VARIABLE: cloudflare.base_url},
        encoding="utf-8",
        timeout=120,
        dimensions=(24, 40),
    )
    terminal.delaybeforesend = 0.2  # getpass drops input that is typed before its prompt
    terminal.expect_exact("Account ID: ")
    terminal.sendline(token())
    terminal.expect_exact("Enter the account ID again")
    assert "\x1b[2A\x1b[J" in terminal.before, "the line has 65 columns, so it takes two rows"
    terminal.expect_exact("Account ID: ")
    terminal.sendline(cloudflare.account_id)
    terminal.expect_exact("API token: ")
    terminal.sendline(cloudflare.token)
    terminal.expect_exact("Token verified")
