"""Test `%cfai models`: the order of the models and filters without a match."""

from collections.abc import Callable

import pytest

from cfai_magics.commands import run
from cfai_magics.display.tables import Table
from cfai_magics.errors import InvalidOptionError
from cfai_magics.session.session import Session
from cfai_magics.types.usage import CHAT_TASK
from tests.fake_frontends import bare_frontend
from tests.standin import Standin


@pytest.fixture
def models(session: Session, account: Standin) -> Callable[[str], Table]:
    def list_models(line: str) -> Table:
        table = run("models", line.split(), bare_frontend(session), "%cfai")
        assert isinstance(table, Table)
        return table

    return list_models


def test_chat_models_of_the_free_plan_are_listed_first(models: Callable[[str], Table]) -> None:
    tasks = [row[1] for row in models("").rows]
    chat_count = tasks.count(CHAT_TASK)
    assert tasks[:chat_count] == [CHAT_TASK] * chat_count
    assert tasks[chat_count:] == sorted(tasks[chat_count:])
    plans = [row[9].partition(",")[0] for row in models("").rows[:chat_count]]
    assert plans == sorted(plans)


def test_models_are_sorted_by_price_with_unknown_prices_last(
    models: Callable[[str], Table],
) -> None:
    prices = [
        sum(float(price.replace(",", "")) for price in row[2:4] if price)
        for row in models("--sort price").rows
    ]
    known = prices[: prices.index(0.0)]
    assert len(known) > 10
    assert known == sorted(known)
    assert not any(prices[len(known) :])


def test_an_unknown_order_is_rejected_with_a_suggestion(models: Callable[[str], Table]) -> None:
    with pytest.raises(InvalidOptionError, match="Did you mean price"):
        models("--sort prise")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("visoin", "No model matches visoin. Did you mean vision? %cfai models lists all models."),
        ("gemma zzz", "No model matches gemma zzz. %cfai models lists all models."),
    ],
)
def test_words_without_a_match_are_reported(
    models: Callable[[str], Table], words: str, message: str
) -> None:
    assert str(models(words)).startswith(message)
