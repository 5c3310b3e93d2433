"""Test `%cfai usage`: usage from the ledger and from the account."""

import csv
import json
from collections.abc import Callable

import pytest

from cfai_magics.commands import run
from cfai_magics.display.chart import VEGA_LITE_MIME_TYPE
from cfai_magics.display.usage_table import UsageReport
from cfai_magics.errors import InvalidOptionError, PermissionDeniedError
from cfai_magics.session.session import Session
from tests.fake_frontends import bare_frontend
from tests.standin import Standin


@pytest.fixture
def spent(session: Session, account: Standin) -> Session:
    """A session with calls to two models; one of them reports no bill."""
    messages = [{"role": "user", "content": "Hi"}]
    session.notebook = "lesson.ipynb"
    session.ask(session.build_request(messages))
    session.ask(session.build_request(messages))
    session.notebook = ""
    account.switch(omit_neurons_body=True, omit_neurons_header=True)
    session.ask(session.build_request(messages, "llama-3.2-3b-instruct"))
    return session


@pytest.fixture
def usage(spent: Session) -> Callable[[str], object]:
    def shown(line: str) -> object:
        frontend = bare_frontend(spent)
        return run("usage", line.split(), frontend, "%cfai")

    return shown


def report(shown: object) -> UsageReport:
    assert isinstance(shown, UsageReport)
    return shown


def test_today_is_told_by_model_with_the_basis_of_each_figure(
    usage: Callable[[str], object], account: Standin
) -> None:
    gemma, llama = report(usage("")).rows
    assert (gemma[0], gemma[1]) == ("@cf/google/gemma-4-26b-a4b-it", 2)
    assert gemma[4] + llama[5] == pytest.approx(account.billed, rel=0.01)
    assert (gemma[5], llama[4]) == (0, 0)
    shown = str(usage(""))
    assert "3 calls today (UTC)" in shown
    assert "█ billed, ░ estimated" in shown


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("notebook", {"lesson.ipynb", ""}),
        ("task", {"Text Generation"}),
        ("model", {"@cf/google/gemma-4-26b-a4b-it", "@cf/meta/llama-3.2-3b-instruct"}),
    ],
)
def test_it_can_be_summed_by_other_things(
    usage: Callable[[str], object], by: str, names: set[str]
) -> None:
    assert {row[0] for row in report(usage(f"7d --by {by}")).rows} == names


def test_a_longer_period_is_told_by_day(usage: Callable[[str], object]) -> None:
    (day,) = report(usage("all")).rows
    assert len(day[0]) == len("2026-10-12")


def test_the_chart_is_vega_lite_with_html_and_text_to_fall_back_on(
    usage: Callable[[str], object],
) -> None:
    bundle = report(usage("")).chart._repr_mimebundle_()
    assert set(bundle) == {VEGA_LITE_MIME_TYPE, "text/html", "text/plain"}
    values = json.loads(json.dumps(bundle[VEGA_LITE_MIME_TYPE]))["data"]["values"]
    assert {value["basis"] for value in values if value["neurons"]} == {"billed", "estimated"}
    assert "<script" not in bundle["text/html"]


def test_every_call_is_a_line_of_csv(usage: Callable[[str], object], spent: Session) -> None:
    lines = list(csv.DictReader(str(usage("all --csv")).splitlines()))
    assert [line["basis"] for line in lines] == ["billed", "billed", "estimated"]
    assert lines[0]["started"].endswith("+00:00")
    assert sum(float(line["neurons"]) for line in lines) == pytest.approx(
        spent.accounting.day_usage().spent
    )


def test_the_accounts_own_figure_stands_beside_the_ledgers(
    usage: Callable[[str], object], spent: Session, account: Standin
) -> None:
    assert spent.accounting.day_usage().account is None
    table = str(usage("--account"))
    assert "this ledger" in table
    assert "are some minutes old" in table
    figure = spent.accounting.day_usage().account
    assert figure is not None
    assert figure.neurons == pytest.approx(account.billed)
    answer = spent.ask(spent.build_request([{"role": "user", "content": "Hi"}]))
    assert answer.day_usage is not None
    assert answer.day_usage.account == figure


def test_without_the_permission_it_is_named(
    usage: Callable[[str], object], account: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", account.issue_token(()))
    with pytest.raises(PermissionDeniedError) as caught:
        usage("--account")
    assert "Account Analytics - Read" in caught.value.hint


def test_an_empty_ledger_says_so(session: Session) -> None:
    frontend = bare_frontend(session)
    assert "0 calls" in str(run("usage", [], frontend, "%cfai"))
    assert str(run("usage", ["--csv"], frontend, "%cfai")) == ""


def test_a_period_that_is_none_is_refused(usage: Callable[[str], object]) -> None:
    with pytest.raises(InvalidOptionError, match="invalid choice"):
        usage("yesterday")


def test_the_sums_are_a_data_frame(usage: Callable[[str], object]) -> None:
    import pandas as pd

    frame = report(usage("")).df()
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns)[:2] == ["model", "calls"]
    assert frame["calls"].sum() == 3
