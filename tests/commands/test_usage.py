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
def session_with_calls(session: Session, account: Standin) -> Session:
    """A session with calls to two models. Only one model reports billed neurons."""
    messages = [{"role": "user", "content": "Hi"}]
    session.notebook = "lesson.ipynb"
    session.ask(session.build_request(messages))
    session.ask(session.build_request(messages))
    session.notebook = ""
    account.switch(omit_neurons_body=True, omit_neurons_header=True)
    session.ask(session.build_request(messages, "llama-3.2-3b-instruct"))
    return session


@pytest.fixture
def usage(session_with_calls: Session) -> Callable[[str], object]:
    def run_usage(line: str) -> object:
        frontend = bare_frontend(session_with_calls)
        return run("usage", line.split(), frontend, "%cfai")

    return run_usage


def report(result: object) -> UsageReport:
    assert isinstance(result, UsageReport)
    return result


def test_todays_usage_is_listed_by_model_and_cost_basis(
    usage: Callable[[str], object], account: Standin
) -> None:
    gemma, llama = report(usage("")).rows
    assert (gemma[0], gemma[1]) == ("@cf/google/gemma-4-26b-a4b-it", 2)
    assert gemma[4] + llama[5] == pytest.approx(account.billed, rel=0.01)
    assert (gemma[5], llama[4]) == (0, 0)
    output = str(usage(""))
    assert "3 calls today (UTC)" in output
    assert "█ billed, ░ estimated" in output


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("notebook", {"lesson.ipynb", ""}),
        ("task", {"Text Generation"}),
        ("model", {"@cf/google/gemma-4-26b-a4b-it", "@cf/meta/llama-3.2-3b-instruct"}),
    ],
)
def test_usage_can_be_grouped_by_notebook_task_or_model(
    usage: Callable[[str], object], by: str, names: set[str]
) -> None:
    assert {row[0] for row in report(usage(f"7d --by {by}")).rows} == names


def test_a_longer_period_is_listed_by_day(usage: Callable[[str], object]) -> None:
    (day,) = report(usage("all")).rows
    assert len(day[0]) == len("2026-10-12")


def test_the_chart_is_vega_lite_with_html_and_text_fallbacks(
    usage: Callable[[str], object],
) -> None:
    bundle = report(usage("")).chart._repr_mimebundle_()
    assert set(bundle) == {VEGA_LITE_MIME_TYPE, "text/html", "text/plain"}
    values = json.loads(json.dumps(bundle[VEGA_LITE_MIME_TYPE]))["data"]["values"]
    assert {value["basis"] for value in values if value["neurons"]} == {"billed", "estimated"}
    assert "<script" not in bundle["text/html"]


def test_the_csv_has_one_line_per_call(
    usage: Callable[[str], object], session_with_calls: Session
) -> None:
    lines = list(csv.DictReader(str(usage("all --csv")).splitlines()))
    assert [line["basis"] for line in lines] == ["billed", "billed", "estimated"]
    assert lines[0]["started"].endswith("+00:00")
    assert sum(float(line["neurons"]) for line in lines) == pytest.approx(
        session_with_calls.accounting.day_usage().spent
    )


def test_the_usage_of_the_account_is_shown_next_to_the_ledger(
    usage: Callable[[str], object], session_with_calls: Session, account: Standin
) -> None:
    assert session_with_calls.accounting.day_usage().account is None
    table = str(usage("--account"))
    assert "this ledger" in table
    assert "are a few minutes old" in table
    figure = session_with_calls.accounting.day_usage().account
    assert figure is not None
    assert figure.neurons == pytest.approx(account.billed)
    answer = session_with_calls.ask(
        session_with_calls.build_request([{"role": "user", "content": "Hi"}])
    )
    assert answer.day_usage is not None
    assert answer.day_usage.account == figure


def test_a_missing_permission_is_named(
    usage: Callable[[str], object], account: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", account.issue_token(()))
    with pytest.raises(PermissionDeniedError) as caught:
        usage("--account")
    assert "Account Analytics - Read" in caught.value.hint


@pytest.mark.parametrize(
    ("period", "message"),
    [
        ("today", "No calls today (UTC). %cfai usage all shows earlier calls."),
        ("7d", "No calls in the last 7 days. %cfai usage all shows earlier calls."),
        ("all", "No calls yet."),
    ],
)
def test_a_period_without_calls_is_reported_as_such(
    session: Session, period: str, message: str
) -> None:
    assert str(run("usage", [period], bare_frontend(session), "%cfai")) == message


def test_an_invalid_period_is_rejected(usage: Callable[[str], object]) -> None:
    with pytest.raises(InvalidOptionError, match="invalid choice"):
        usage("yesterday")


def test_the_totals_are_available_as_a_data_frame(usage: Callable[[str], object]) -> None:
    import pandas as pd

    frame = report(usage("")).df()
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns)[:2] == ["model", "calls"]
    assert frame["calls"].sum() == 3
