"""The GraphQL analytics report the neurons of the ledger."""

from typing import Any

import pytest

from tests.standin import Standin
from tests.standin.state import EDIT, READ
from tests.standin_tests.api import GEMMA, Api

NOON = 1_791_460_800.0
BGE = "@cf/baai/bge-m3"
BY_MODEL = """
query($a: string!, $s: Time!, $e: Time!) {
  viewer { accounts(filter: {accountTag: $a}) {
    aiInferenceAdaptiveGroups(
      limit: 1000, filter: {datetime_geq: $s, datetime_lt: $e}, orderBy: [sum_totalNeurons_DESC]
    ) { count sum { totalNeurons totalInputTokens totalOutputTokens } dimensions { modelId } }
  } }
}
"""


class Clock:
    """A clock that is set by the test."""

    now = NOON

    def __call__(self) -> float:
        return self.now


def run_query(api: Api, cloudflare: Standin, query: str, **variables: Any) -> Any:
    body = {"query": query, "variables": {"a": cloudflare.account_id, **variables}}
    return api.http.post(f"{cloudflare.base_url}/graphql", json=body)


def groups(api: Api, cloudflare: Standin, query: str, **variables: Any) -> Any:
    body = run_query(api, cloudflare, query, **variables).json()
    assert body["errors"] is None
    return body["data"]["viewer"]["accounts"][0]["aiInferenceAdaptiveGroups"]


def node(arguments: str, fields: str) -> str:
    return (
        "query($a: String!) { viewer { accounts(filter: {accountTag: $a}) "
        f"{{ aiInferenceAdaptiveGroups({arguments}) {{ {fields} }} }} }} }}"
    )


def test_analytics_group_neurons_by_model_in_descending_order() -> None:
    with Standin(clock=Clock()) as cloudflare:
        api = Api(cloudflare)
        with api.http:
            api.run(BGE, text="word")
            api.chat()
            api.chat()
            day = {"s": "2026-10-08T00:00:00Z", "e": "2026-10-09T00:00:00Z"}
            result = groups(api, cloudflare, BY_MODEL, **day)
            assert [one["dimensions"]["modelId"] for one in result] == [GEMMA, BGE]
            assert [one["count"] for one in result] == [2, 1]
            total = sum(one["sum"]["totalNeurons"] for one in result)
            assert total == pytest.approx(cloudflare.billed)
            assert result[1]["sum"]["totalInputTokens"] == 1
            next_day = {"s": "2026-10-09T00:00:00Z", "e": "2026-10-10T00:00:00Z"}
            assert groups(api, cloudflare, BY_MODEL, **next_day) == []


def test_dates_and_hours_can_be_grouped_and_filtered() -> None:
    clock = Clock()
    with Standin(clock=clock) as cloudflare, Api(cloudflare).http:
        cloudflare.spend(1)
        clock.now += 86_400
        cloudflare.spend(2)
        api = Api(cloudflare)
        with api.http:
            daily = node(
                "limit: 9, orderBy: [date_ASC]", "sum { n: totalNeurons } dimensions { date }"
            )
            result = groups(api, cloudflare, daily)
            assert [(one["dimensions"]["date"], one["sum"]["n"]) for one in result] == [
                ("2026-10-08", 1),
                ("2026-10-09", 2),
            ]
            second = node('limit: 9, filter: {date: "2026-10-09"}', "dimensions { datetimeHour }")
            hours = groups(api, cloudflare, second)
            assert hours == [{"dimensions": {"datetimeHour": "2026-10-09T12:00:00Z"}}]
            expensive = node("limit: 9, filter: {neurons_geq: 1.5}", "count")
            assert groups(api, cloudflare, expensive) == [{"count": 1}]
            named = node('limit: 9, filter: {modelId_in: ["@cf/no/such"]}', "count")
            assert groups(api, cloudflare, named) == []


def test_analytics_lag_behind_the_calls() -> None:
    clock = Clock()
    with Standin(clock=clock) as cloudflare:
        cloudflare.switch(analytics_lag=180)
        cloudflare.spend(5)
        api = Api(cloudflare)
        with api.http:
            query = node("limit: 1", "sum { totalNeurons }")
            assert groups(api, cloudflare, query) == []
            clock.now += 180
            assert groups(api, cloudflare, query) == [{"sum": {"totalNeurons": 5}}]


def test_a_token_without_the_permission_is_not_authorized(cloudflare: Standin) -> None:
    api = Api(cloudflare, cloudflare.issue_token((READ, EDIT)))
    with api.http:
        reply = run_query(api, cloudflare, node("limit: 1", "count"))
    assert reply.status_code == 403
    assert reply.json()["data"] is None
    assert reply.json()["errors"][0]["message"] == "not authorized for that account"
    assert reply.json()["errors"][0]["extensions"]["code"] == "authz"


def test_an_unknown_token_is_unauthorized(cloudflare: Standin) -> None:
    api = Api(cloudflare, "wrong")
    with api.http:
        reply = run_query(api, cloudflare, node("limit: 1", "count"))
    assert (reply.status_code, reply.json()["errors"][0]["message"]) == (401, "Unauthorized")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (node("limit: 1", "sum { totalWishes }"), 'unknown field "totalWishes"'),
        (node("limit: 1", "wishes"), 'unknown field "wishes"'),
        (node("limit: 1, filter: {color: 1}", "count"), 'unknown field "color"'),
        (node("limit: 0", "count"), "limit must be positive"),
        ("{ viewer { zones { x } } }", 'unknown field "zones"'),
        ("{ viewer", "query contains error"),
        ("{ viewer { % } }", "error parsing args"),
        ("", "query contains error"),
    ],
    ids=str,
)
def test_an_invalid_query_is_rejected(
    query: str, message: str, cloudflare: Standin, api: Api
) -> None:
    cloudflare.spend(1)
    reply = run_query(api, cloudflare, query)
    assert reply.status_code == 400
    assert message in reply.json()["errors"][0]["message"]
