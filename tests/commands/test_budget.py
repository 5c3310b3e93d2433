"""Test `%cfai budget`."""

import re
from collections.abc import Callable

import pytest

from cfai_magics.commands import run
from cfai_magics.errors import InvalidOptionError
from cfai_magics.session.session import Session
from cfai_magics.settings import Cfai
from tests.fake_frontends import bare_frontend
from tests.standin import Standin


@pytest.fixture
def budget(session: Session) -> Callable[[str], str]:
    def run_budget(line: str, *, shell: bool = False) -> str:
        frontend = bare_frontend(session, is_one_shot=shell)
        return str(run("budget", line.split(), frontend, "%cfai"))

    return run_budget


def test_without_a_budget_the_free_allowance_is_shown(budget: Callable[[str], str]) -> None:
    assert re.search(r"today's free quota +10,000 +0 +10,000", budget(""))
    assert "The day ends at 00:00 UTC, in " in budget("")


def test_budgets_of_several_scopes_are_listed_together(
    budget: Callable[[str], str], session: Session
) -> None:
    session.notebook = "lesson.ipynb"
    budget("2,000")
    budget("500 --session")
    output = budget("300 --notebook")
    for line in ("today, all kernels", "this session", "this notebook, today"):
        assert line in output
    assert "today's free quota" not in output
    assert "this session" not in budget("off --session")
    assert "today's free quota" in budget("off")


def test_an_exhausted_day_can_be_reopened(budget: Callable[[str], str], session: Session) -> None:
    session.accounting.mark_quota_exhausted()
    assert "%cfai budget reopen" in budget("")
    assert "Requests go to Workers AI again" in budget("reopen")
    assert "%cfai budget reopen" not in budget("")


@pytest.mark.parametrize("amount", ["-5", "lots", "nan", "inf"])
def test_an_invalid_amount_sets_no_budget(
    budget: Callable[[str], str], session: Session, amount: str
) -> None:
    with pytest.raises(InvalidOptionError):
        budget(amount)
    assert session.accounting.ledger.budgets.limits(session.accounting.get_context()) == []


def test_a_notebook_budget_requires_a_notebook_path(budget: Callable[[str], str]) -> None:
    with pytest.raises(InvalidOptionError, match="path of this notebook"):
        budget("5 --notebook")


def test_a_shell_command_rejects_a_session_budget(session: Session) -> None:
    frontend = bare_frontend(session, is_one_shot=True)
    with pytest.raises(InvalidOptionError, match="its own session"):
        run("budget", ["5", "--session"], frontend, "cfai")


def test_a_budget_can_be_set_without_an_account(
    cloudflare: Standin, home: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pathlib import Path

    assert isinstance(home, Path)
    session = Session(Cfai(), home)
    frontend = bare_frontend(session)
    assert "2,000" in str(run("budget", ["2000"], frontend, "%cfai"))
    session.close()
