"""Everything that shows a limit shows the budget of a student of a class, and whose it is."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from cfai_magics.backends import selector
from cfai_magics.commands import run
from cfai_magics.display.footer import format_usage_footer
from cfai_magics.errors import BudgetExceededError, InvalidOptionError
from cfai_magics.frontends.lab_comm import Request, build_state, handle_today
from cfai_magics.session.session import Session
from cfai_magics.types.messages import Answer, Message
from cfai_magics.types.usage import CLASS_PREFIX
from cfai_magics.widgets.panel import Panel
from tests.fake_frontends import bare_frontend
from tests.standin import Standin
from tests.widgets.conftest import enter

STUDENT = f"{CLASS_PREFIX}0123456789abcdef"
HI: list[Message] = [{"role": "user", "content": "Hi"}]
WORDS_OF_OTHERS = re.compile(
    r"free|plan change|change of plan|reopen|dashboard|Cloudflare", re.IGNORECASE
)
Command = Callable[[str], str]


@pytest.fixture
def student(session: Session, monkeypatch: pytest.MonkeyPatch) -> Session:
    """Return the session of a student whose budget is unknown."""
    monkeypatch.setattr(selector, "account_hash", lambda _account_id: STUDENT)
    return session


@pytest.fixture
def command(student: Session) -> Command:
    def run_command(line: str) -> str:
        name, *options = line.split()
        return str(run(name, options, bare_frontend(student), "%cfai"))

    return run_command


def report(session: Session, budget: float, spent: float) -> None:
    session.accounting.ledger.save_class_status(STUDENT, budget, spent)


def ask(session: Session) -> Answer:
    return session.ask(session.build_request(HI))


def test_the_footer_shows_the_class_budget(student: Session) -> None:
    report(student, 300, 40)
    answer = ask(student)
    assert answer.neurons is not None
    footer = str(format_usage_footer(answer, "full"))
    assert f"today {40 + answer.neurons:.1f} of your class budget of 300, resets in" in footer


def test_an_unknown_budget_is_not_shown_as_the_free_quota(
    student: Session, command: Command
) -> None:
    footer = str(format_usage_footer(ask(student), "full"))
    assert re.search(r"today [\d.]+ of your class budget, resets in", footer)
    panel = Panel(student)
    assert "your class budget is not known yet" in panel.usage.gauge.value
    assert 'role="meter"' not in panel.usage.gauge.value
    assert "neurons used today; your class budget is not known yet" in str(panel)
    assert build_state(student)["payer"] == "class"
    assert build_state(student)["day"] is None
    shown = [footer, str(panel), *map(command, ("budget", "usage", "status"))]
    assert not [text for text in shown if "10,000" in text]
    assert "has not reported your budget yet" in command("budget")


def test_a_warning_names_the_class_budget(student: Session) -> None:
    report(student, 300, 250)
    answer = ask(student)
    assert any("of today's class budget (300 neurons) has been used" in n for n in answer.notes)
    assert "of your class budget of 300" in str(format_usage_footer(answer, "short"))


def test_budgets_are_listed_with_their_source(student: Session, command: Command) -> None:
    report(student, 300, 40)
    assert re.search(r"today, your class budget +300 +40\.0 +260", command("budget"))
    output = command("budget 200")
    assert re.search(r"today, all kernels +200 +40\.0 +160", output)
    assert re.search(r"today, your class budget +300 +40\.0 +260", output)
    assert "The class server allows" not in output
    assert student.day_usage().limit_source == "user"


def test_a_budget_above_that_of_the_class_is_accepted_with_a_note(
    student: Session, command: Command
) -> None:
    report(student, 300, 40)
    output = command("budget 400")
    assert re.search(r"today, all kernels +400", output)
    assert "The class server allows you 300 neurons a day." in output
    assert student.day_usage().limit == 300
    assert "The class server allows" not in command("budget")


def test_a_lower_own_budget_is_enforced(
    student: Session, command: Command, account: Standin
) -> None:
    report(student, 300, 40)
    command("budget 41")
    answer = ask(student)
    assert "to fit today's budget" in " ".join(answer.notes)
    command("budget 40")
    with pytest.raises(BudgetExceededError, match="of 40 neurons are left in today's budget"):
        ask(student)
    assert len(account.requests) == 1


def test_a_plan_compares_a_lesson_with_the_class_budget(
    student: Session, command: Command, tmp_path: Path
) -> None:
    lesson = tmp_path / "lesson.ipynb"
    cell = {"cell_type": "code", "source": "%%cfai --max-tokens 100\nHi"}
    lesson.write_text(json.dumps({"cells": [cell], "nbformat": 4}))
    assert not WORDS_OF_OTHERS.search(command(f"plan {lesson}"))
    report(student, 300, 40)
    assert "260 of 300 neurons are left in your class budget today, which is enough." in command(
        f"plan {lesson}"
    )
    report(student, 300, 299)
    assert "Only 1.0 of 300 neurons are left in your class budget today." in command(
        f"plan {lesson}"
    )


def test_usage_shows_the_class_budget(student: Session, command: Command) -> None:
    report(student, 300, 40)
    assert "No calls today" in command("usage")
    answer = ask(student)
    assert answer.neurons is not None
    used = f"{40 + answer.neurons:.1f}"
    assert f"{used} of your class budget of 300 neurons are used today." in command("usage")
    assert "40.0 of them are from other devices or programs." in command("usage")


def test_the_figures_of_the_account_are_not_available(command: Command, account: Standin) -> None:
    with pytest.raises(InvalidOptionError, match="does not show the figures of its account"):
        command("usage --account")
    assert not account.requests


def test_words_about_the_free_quota_are_absent(student: Session, command: Command) -> None:
    report(student, 300, 290)
    answer = ask(student)
    report(student, 300, 300)
    shown = [
        str(format_usage_footer(answer, "full")),
        *map(command, ("budget", "budget 200", "usage", "usage 7d")),
        Panel(student).usage.gauge.value,
    ]
    assert "used up" in shown[-1]
    assert not [text for text in shown if WORDS_OF_OTHERS.search(text)]


def test_the_panel_shows_the_class_budget_and_other_devices(student: Session) -> None:
    report(student, 300, 40)
    panel = Panel(student)
    gauge = panel.usage.gauge.value
    assert "of your class budget of 300 neurons used today" in gauge
    assert "other devices or programs <b>40.0</b>" in gauge
    assert "left <b>260</b>" in gauge
    assert "40.0 of your class budget of 300 neurons used" in str(panel)
    student.accounting.ledger.budgets.set("day", 100)
    panel.refresh()
    assert "of your budget of 100 neurons used today" in panel.usage.gauge.value
    other_limits = panel.usage.other_limits.value.replace("&#x27;", "'")
    assert "Today's class budget: 40.0 of 300 neurons used or reserved." in other_limits


def test_a_higher_budget_in_the_panel_is_saved_with_a_note(student: Session) -> None:
    report(student, 300, 40)
    panel = Panel(student)
    enter(panel.usage.budget_input, value="400")
    assert "The class server allows you 300 neurons a day." in panel.usage.message.value
    enter(panel.usage.budget_input, value="200")
    assert "The class server" not in panel.usage.message.value
    assert student.day_usage().limit == 200


def test_the_page_receives_the_class_budget(student: Session) -> None:
    report(student, 300, 40)
    state = build_state(student)
    assert state["payer"] == "class"
    day = state["day"]
    assert (day["limit"], day["source"], day["elsewhere"]) == (300, "class", 40)
    student.accounting.ledger.budgets.set("day", 100)
    assert build_state(student)["day"]["source"] == "user"
    assert handle_today(Request({}, student, None))["budgets"] == [  # type: ignore[arg-type]
        {"scope": "day", "source": "user", "neurons": 100, "spent": 40},
        {"scope": "day", "source": "class", "neurons": 300, "spent": 40},
    ]
