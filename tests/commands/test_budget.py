"""Test `%cfai budget`."""

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
    def shown(line: str, *, shell: bool = False) -> str:
        frontend = bare_frontend(session, is_one_shot=shell)
        return str(run("budget", line.split(), frontend, "%cfai"))

    return shown


def test_without_one_the_free_allowance_is_shown(budget: Callable[[str], str]) -> None:
    assert "today's free allowance  10,000" in budget("")
    assert "The day ends at 00:00 UTC, in " in budget("")


def test_budgets_stand_beside_each_other(budget: Callable[[str], str], session: Session) -> None:
    session.notebook = "lesson.ipynb"
    budget("2,000")
    budget("500 --session")
    shown = budget("300 --notebook")
    for line in ("today, all kernels", "this session", "this notebook, today"):
        assert line in shown
    assert "today's free allowance" not in shown
    assert "this session" not in budget("off --session")
    assert "today's free allowance" in budget("off")


def test_a_day_can_be_opened_again(budget: Callable[[str], str], session: Session) -> None:
    session.accounting.mark_quota_exhausted()
    assert "%cfai budget reopen" in budget("")
    assert "open again" in budget("reopen")
    assert "%cfai budget reopen" not in budget("")


@pytest.mark.parametrize("amount", ["-5", "lots", "nan", "inf"])
def test_what_is_no_number_sets_nothing(
    budget: Callable[[str], str], session: Session, amount: str
) -> None:
    with pytest.raises(InvalidOptionError):
        budget(amount)
    assert session.accounting.ledger.budgets.limits(session.accounting.get_context()) == []


def test_a_notebook_nobody_names_has_no_budget(budget: Callable[[str], str]) -> None:
    with pytest.raises(InvalidOptionError, match="path of this notebook"):
        budget("5 --notebook")


def test_a_shell_command_has_no_session(session: Session) -> None:
    frontend = bare_frontend(session, is_one_shot=True)
    with pytest.raises(InvalidOptionError, match="its own session"):
        run("budget", ["5", "--session"], frontend, "cfai")


def test_it_is_shown_and_set_without_an_account(
    cloudflare: Standin, home: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pathlib import Path

    assert isinstance(home, Path)
    session = Session(Cfai(), home)
    frontend = bare_frontend(session)
    assert "2,000" in str(run("budget", ["2000"], frontend, "%cfai"))
    session.close()
