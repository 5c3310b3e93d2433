"""The stand-in's AI Gateway behaves as the documents say."""

from typing import Any

import pytest

from tests.standin import Standin
from tests.standin_tests.api import HELLO, Api, events, text_of

BODY = {"model": "@cf/google/gemma-4-26b-a4b-it", "messages": HELLO, "stream": True}
CHAT = "/ai/v1/chat/completions"


def ask(api: Api, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return api.http.post(CHAT, json=BODY, headers=named)


def test_without_the_header_nothing_of_it_is_told(api: Api) -> None:
    assert not [name for name in ask(api).headers if name.startswith("cf-aig")]


@pytest.mark.parametrize("caches", [True, False])
def test_only_a_cache_tells_its_status(cloudflare: Standin, api: Api, caches: bool) -> None:
    cloudflare.switch(gateway_caches=caches)
    first, again = (ask(api, cf_aig_gateway_id="default") for _ in range(2))
    told = [reply.headers.get("cf-aig-cache-status") for reply in (first, again)]
    assert told == (["MISS", "HIT"] if caches else [None, None])
    assert text_of(events(first.text)) == text_of(events(again.text))
    assert len(cloudflare.calls) == (1 if caches else 2)
    assert again.headers["cf-aig-log-id"] != first.headers["cf-aig-log-id"]


def test_a_gateway_that_is_not_there_is_refused_in_its_own_shape(api: Api) -> None:
    reply = ask(api, cf_aig_gateway_id="nowhere")
    assert (reply.status_code, reply.json()["internalCode"]) == (400, 2001)


def test_a_spend_limit_is_kept_for_each_metadata(cloudflare: Standin, api: Api) -> None:
    cloudflare.switch(gateway_calls=1)

    def status(student: str) -> int:
        reply = ask(api, cf_aig_gateway_id="default", cf_aig_metadata=f'{{"s": "{student}"}}')
        return int(reply.status_code)

    assert [status(who) for who in ("ada", "ada", "bob")] == [200, 429, 200]
