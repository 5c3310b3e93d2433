"""Usage section of the panel."""

import pytest

from cfai_magics.errors import DailyQuotaError
from cfai_magics.storage.ledger import CallContext, Ledger
from cfai_magics.types.messages import Message
from cfai_magics.widgets.panel import Panel
from tests.standin import Fault, Standin
from tests.widgets.conftest import enter

pytestmark = pytest.mark.slow

HI: list[Message] = [{"role": "user", "content": "Hi"}]


def test_the_counter_runs_while_an_answer_comes_and_ends_as_billed(
    panel: Panel, account: Standin
) -> None:
    account.switch(answer="word " * 60, tokens_per_second=100)
    shown: list[str] = []
    panel.usage.gauge.observe(lambda change: shown.append(change["new"]), "value")
    answer = panel.session.ask(panel.session.build_request(HI))
    assert any("in progress <b>0</b>" not in value for value in shown)
    assert "in progress <b>0</b>" in shown[-1]
    assert f"billed <b>{answer.neurons:.1f}</b>" in shown[-1]
    assert "gemma-4-26b-a4b-it" in panel.usage.model_table.value


def test_a_budget_entered_here_stops_calls_and_one_set_elsewhere_shows(panel: Panel) -> None:
    enter(panel.usage.budget_input, value="2,500")
    assert panel.session.day_usage().limit == 2_500
    assert "of 2,500 neurons" in panel.usage.gauge.value
    panel.session.accounting.ledger.budgets.set("session", 40)
    panel.refresh()
    assert "This session's budget: 0 of 40 neurons" in panel.usage.other_limits.value.replace(
        "&#x27;", "'"
    )
    enter(panel.usage.budget_input, value="")
    assert panel.session.day_usage().limit == 10_000


def test_a_budget_that_is_none_is_refused_with_a_reason(panel: Panel) -> None:
    enter(panel.usage.budget_input, value="lots")
    assert "is not a number of neurons" in panel.usage.message.value
    assert panel.usage.budget_input.value == ""


def test_a_day_that_cloudflare_closed_is_red_and_can_be_opened_again(
    panel: Panel, account: Standin
) -> None:
    account.switch(error=Fault.of(4006))
    with pytest.raises(DailyQuotaError):
        panel.session.ask(panel.session.build_request(HI))
    assert "quota used up at Cloudflare" in panel.usage.gauge.value
    assert panel.usage.reopen_button.layout.display is None
    panel.usage.reopen_button.click()
    assert "cfai-green" in panel.usage.gauge.value
    assert panel.usage.reopen_button.layout.display == "none"


def test_what_another_kernel_reserves_shows_within_two_seconds(panel: Panel) -> None:
    other = Ledger(panel.session.home)
    place = CallContext(panel.session.backend.billing_account())
    seen: list[str] = []
    panel.usage.gauge.observe(lambda change: seen.append(change["new"]), "value")
    other.reserve(place, "m", "Text Generation", lambda _limits, _closed: 5.0)
    from tests.session.test_observers import Told

    assert Told().until(lambda: any("reserved <b>5.0</b>" in value for value in seen))
    other.close()


def test_answers_from_this_machine_are_told_to_cost_nothing(panel: Panel) -> None:
    panel.session.settings.local = "small"
    assert "uses no neurons" in panel.usage.gauge.value


def test_without_an_account_nothing_is_counted(fresh: Panel) -> None:
    assert "Add an account" in fresh.usage.gauge.value
