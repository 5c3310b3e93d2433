"""Usage section of the panel."""

import re

import pytest

from cfai_magics.errors import DailyQuotaError
from cfai_magics.storage.ledger import CallContext, Ledger
from cfai_magics.types.messages import Message
from cfai_magics.widgets.panel import Panel
from tests.standin import Fault, Standin
from tests.widgets.conftest import enter

pytestmark = pytest.mark.slow

HI: list[Message] = [{"role": "user", "content": "Hi"}]


def test_the_gauge_counts_while_streaming_and_ends_as_billed(
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


def test_the_gauge_and_the_table_agree_while_an_answer_streams(
    panel: Panel, account: Standin
) -> None:
    account.switch(answer="word " * 60, tokens_per_second=100)
    shown: list[tuple[list[str], list[str]]] = []

    def read_both(_change: object) -> None:
        gauge, table = panel.usage.gauge.value, panel.usage.model_table.value
        legend = re.findall(r"(?:billed|estimated|reserved) <b>([^<]*)</b>", gauge)
        cells = re.findall(r"<td[^>]*>([^<]*)</td>", table)
        shown.append((legend, cells[-3:]))

    panel.usage.model_table.observe(read_both, "value")
    panel.session.ask(panel.session.build_request(HI))
    assert len({legend[2] for legend, _cells in shown}) > 2, "reserved neurons become used"
    assert [legend for legend, _cells in shown] == [cells for _legend, cells in shown]


def test_an_entered_budget_applies_and_other_budgets_are_shown(panel: Panel) -> None:
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


def test_an_invalid_budget_is_rejected_with_a_reason(panel: Panel) -> None:
    enter(panel.usage.budget_input, value="lots")
    assert "is not a number of neurons" in panel.usage.message.value
    assert panel.usage.budget_input.value == ""


def test_a_used_up_quota_is_red_and_can_be_reopened(panel: Panel, account: Standin) -> None:
    account.switch(error=Fault.of(4006))
    with pytest.raises(DailyQuotaError):
        panel.session.ask(panel.session.build_request(HI))
    assert "quota used up at Cloudflare" in panel.usage.gauge.value
    assert panel.usage.reopen_button.layout.display is None
    panel.usage.reopen_button.click()
    assert "cfai-green" in panel.usage.gauge.value
    assert panel.usage.reopen_button.layout.display == "none"


def test_reservations_of_another_kernel_are_shown(panel: Panel) -> None:
    other = Ledger(panel.session.home)
    context = CallContext(panel.session.backend.billing_account())
    shown: list[str] = []
    panel.usage.gauge.observe(lambda change: shown.append(change["new"]), "value")
    other.reserve(context, "m", "Text Generation", lambda _limits, _closed: 5.0)
    from tests.session.test_observers import Notifications

    assert Notifications().until(lambda: any("reserved <b>5.0</b>" in value for value in shown))
    other.close()


def test_answers_of_the_local_model_use_no_neurons(panel: Panel) -> None:
    panel.session.settings.local = "small"
    assert "uses no neurons" in panel.usage.gauge.value


def test_without_an_account_the_gauge_asks_for_one(empty_panel: Panel) -> None:
    assert "Add an account" in empty_panel.usage.gauge.value
