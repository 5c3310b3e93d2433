"""The AI Gateway of the stand-in behaves as documented."""

from typing import Any

import pytest

from tests.standin import Standin
from tests.standin_tests.api import HELLO, Api, events, text_of

BODY = {"model": "@cf/google/gemma-4-26b-a4b-it", "messages": HELLO, "stream": True}
CHAT = "/ai/v1/chat/completions"


def ask(api: Api, **headers: str) -> Any:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return api.http.post(CHAT, json=BODY, headers=sent)


def test_a_request_without_the_header_gets_no_gateway_headers(api: Api) -> None:
    assert not [name for name in ask(api).headers if name.startswith("cf-aig")]


@pytest.mark.parametrize("caches", [True, False])
def test_the_cache_status_is_sent_only_with_a_cache(
    cloudflare: Standin, api: Api, caches: bool
) -> None:
    cloudflare.switch(gateway_caches=caches)
    first, second = (ask(api, cf_aig_gateway_id="default") for _ in range(2))
    statuses = [reply.headers.get("cf-aig-cache-status") for reply in (first, second)]
    assert statuses == (["MISS", "HIT"] if caches else [None, None])
    assert text_of(events(first.text)) == text_of(events(second.text))
    assert len(cloudflare.calls) == (1 if caches else 2)
    assert second.headers["cf-aig-log-id"] != first.headers["cf-aig-log-id"]


def test_an_unknown_gateway_is_rejected_in_the_gateway_format(api: Api) -> None:
    reply = ask(api, cf_aig_gateway_id="nowhere")
    assert (reply.status_code, reply.json()["internalCode"]) == (400, 2001)


def test_a_spend_limit_applies_per_metadata_value(cloudflare: Standin, api: Api) -> None:
    cloudflare.switch(gateway_calls=1)

    def send(student: str) -> Any:
        return ask(api, cf_aig_gateway_id="default", cf_aig_metadata=f'{{"s": "{student}"}}')

    first, refused, other = (send(student) for student in ("ada", "ada", "bob"))
    assert [each.status_code for each in (first, refused, other)] == [200, 429, 200]
    bucket = '{"s": "ada"}'
    error = {"message": "Spending limit exceeded", "bucket": bucket, "spent": 1, "limit": 1}
    assert refused.json() == {"success": False, "error": error}
