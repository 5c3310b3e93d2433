"""Test `%cfai login`, `logout` and `status` as in a terminal."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

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
from tests.standin.accounts import EVERYTHING


@pytest.fixture
def session(cloudflare: Standin, home: Path) -> Iterator[Session]:
    """A session with the address of Cloudflare but without an account."""
    made = Session(Cfai(), home, environ={API_URL_VARIABLE: cloudflare.base_url})
    yield made
    made.close()


def door_that_types(session: Session, *typed: str) -> Frontend:
    answers = iter(typed)
    return create_shell_frontend(session)._replace(
        prompt_secret=lambda _question: next(answers), print=print
    )


def ask(session: Session, name: str, *typed: str) -> str:
    return str(run(name, [], door_that_types(session, *typed), "cfai"))


def test_login_tells_how_verifies_and_names_where_it_keeps(
    session: Session, cloudflare: Standin, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = ask(session, "login", f" {cloudflare.account_id}\n", f" {cloudflare.token} ")
    assert "Workers AI API Token" in capsys.readouterr().out
    assert said.startswith("The token is active")
    assert f"Saved in the file {home / 'credentials.json'}" in said
    assert (home / "credentials.json").stat().st_mode & 0o777 == 0o600
    assert cloudflare.token not in said
    status = ask(session, "status")
    assert re.search(rf"…{cloudflare.account_id[-4:]} +the file", status)
    assert cloudflare.account_id not in status
    assert session.ask(session.build_request([{"role": "user", "content": "Hi"}])).text


def test_a_token_of_the_account_itself_is_told(session: Session, cloudflare: Standin) -> None:
    made = cloudflare.issue_token(EVERYTHING, owner="account")
    assert "belongs to the account" in ask(session, "login", cloudflare.account_id, made)


def test_a_token_that_may_not_list_is_told_and_kept(session: Session, cloudflare: Standin) -> None:
    made = cloudflare.issue_token(permissions=())
    said = ask(session, "login", cloudflare.account_id, made)
    assert "lacks the permission Workers AI - Read" in said


def test_a_wrong_token_is_refused_and_not_kept(session: Session, cloudflare: Standin) -> None:
    with pytest.raises(AuthenticationError):
        ask(session, "login", cloudflare.account_id, token())
    assert ask(session, "logout") == "No stored credentials were found."


@pytest.mark.parametrize("status", ["disabled", "expired"])
def test_a_token_that_has_ended_is_named_as_such(
    session: Session, cloudflare: Standin, status: str
) -> None:
    made = cloudflare.issue_token(EVERYTHING, status=status)
    with pytest.raises(AuthenticationError, match=status):
        ask(session, "login", cloudflare.account_id, made)
    assert ask(session, "logout") == "No stored credentials were found."


def test_status_tells_what_is_wrong_with_the_account(home: Path) -> None:
    broken = Session(Cfai(), home, environ={ACCOUNT_VARIABLE: token()})
    status = ask(broken, "status")
    assert "looks like an API token" in status
    assert "version" in status


def test_a_token_as_account_id_is_named_as_such(session: Session, cloudflare: Standin) -> None:
    with pytest.raises(InvalidAccountIdError, match="token") as caught:
        ask(session, "login", cloudflare.token)
    assert cloudflare.token not in str(caught.value)
    assert cloudflare.requests == ()


def test_an_account_id_as_token_is_named_as_such(session: Session, cloudflare: Standin) -> None:
    with pytest.raises(InvalidOptionError, match="account id"):
        ask(session, "login", cloudflare.account_id, cloudflare.account_id)
    assert cloudflare.requests == ()


def test_logout_forgets(session: Session, cloudflare: Standin) -> None:
    ask(session, "login", cloudflare.account_id, cloudflare.token)
    assert ask(session, "logout").startswith("Removed from the file")
    assert re.search("account +none +No ", ask(session, "status"))


def test_login_where_nobody_can_be_asked_is_one_line(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(_question: str) -> str:
        raise EOFError

    monkeypatch.setattr("getpass.getpass", closed)
    with pytest.raises(SetupError, match="This front end can't ask for input"):
        run("login", [], create_shell_frontend(session), "cfai")


def test_status_names_an_address_of_ones_own(session: Session, cloudflare: Standin) -> None:
    status = ask(session, "status")
    assert re.search(f"address +{cloudflare.base_url} +{API_URL_VARIABLE}", status)
    assert os.environ.get(API_URL_VARIABLE) is None
