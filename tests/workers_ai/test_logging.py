"""Log records of httpx show no account ID, and appear only for debugging."""

import logging
import os
import subprocess
import sys

import httpx
import pytest

from cfai_magics.session.session import Session
from tests.standin import Standin


def ask(session: Session) -> None:
    session.ask(session.build_request([{"role": "user", "content": "Hi"}]))


def test_requests_are_not_logged_at_info(
    session: Session, account: Standin, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        ask(session)
        session.embed(("Hi",))
        session.fetch_catalog()
    assert [record for record in caplog.records if record.name == "httpx"] == []
    assert account.account_id not in caplog.text


def test_the_account_id_is_masked_at_debug(
    session: Session, account: Standin, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        ask(session)
        session.fetch_catalog()
    assert f"/accounts/…{account.account_id[-4:]}/ai/v1/chat/completions" in caplog.text
    assert account.account_id not in caplog.text
    assert account.token not in caplog.text


@pytest.mark.usefixtures("session")
def test_requests_of_other_programs_are_logged_unchanged(
    account: Standin, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"{account.base_url}/accounts/{account.account_id}"
    with caplog.at_level(logging.INFO):
        httpx.get(url)
    assert account.account_id in caplog.text


def test_basic_config_shows_no_request_in_a_new_process(account: Standin) -> None:
    code = "import logging, cfai_magics; logging.basicConfig(level='INFO'); cfai_magics.ask('Hi')"
    run = subprocess.run(
        [sys.executable, "-c", code], env=os.environ, capture_output=True, text=True, check=True
    )
    assert (run.stdout, run.stderr) == ("", "")
    assert len(account.requests) == 1
