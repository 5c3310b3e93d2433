"""At any concurrency, no budget is exceeded, and students pay what Cloudflare bills."""

import asyncio
from collections import Counter

import httpx
import pytest

from tests.class_server import MODEL, TIMEOUT, ClassServer
from tests.standin import Standin

ANSWER = "These words are an answer of forty-eight letters. "


async def ask_at_once(server: ClassServer, keys: list[str]) -> list[httpx.Response]:
    """Send a call for each key at once, half of them streamed."""
    limits = httpx.Limits(max_connections=len(keys))
    async with httpx.AsyncClient(
        base_url=server.url, timeout=TIMEOUT, limits=limits, trust_env=False
    ) as client:

        def ask(number: int, key: str) -> asyncio.Task[httpx.Response]:
            body = {
                "model": MODEL,
                "messages": [{"role": "user", "content": f"Question {number}"}],
                "max_tokens": 60,
                "stream": number % 2 == 0,
            }
            headers = {"authorization": f"Bearer {key}"}
            return asyncio.create_task(
                client.post("/v1/chat/completions", json=body, headers=headers)
            )

        return await asyncio.gather(*(ask(*one) for one in enumerate(keys)))


def class_usage(server: ClassServer) -> tuple[float, int]:
    """Return the neurons and the number of calls of the class."""
    rows = server.admin("GET", "usage")["usage"]
    return sum(row["neurons"] for row in rows), sum(row["calls"] for row in rows)


@pytest.mark.parametrize(
    ("students", "calls", "share", "budget"),
    [(200, 1, 300, 10_000), (200, 1, 300, 100), (20, 10, 7, 10_000), (40, 5, 5, 60)],
    ids=["all fit", "the class is short", "students are short", "both are short"],
)
def test_200_calls_at_once_exceed_no_budget_and_cost_what_cloudflare_bills(
    students: int, calls: int, share: float, budget: float
) -> None:
    # Each case has its own account, because that allows 300 calls per minute.
    with Standin() as cloudflare, ClassServer(cloudflare) as server:
        cloudflare.switch(answer=ANSWER, omit_neurons_header=True, tokens_per_second=100)
        server.admin("PATCH", "class", {"share": share, "budget": budget})
        keys = [server.add_student(f"Student {number}") for number in range(students)]
        responses = asyncio.run(ask_at_once(server, keys * calls))
        spent = [server.settled(key)["spent"] for key in keys]
        neurons, count = class_usage(server)
    statuses = Counter(response.status_code for response in responses)
    assert statuses.keys() <= {200, 429}
    assert (statuses[429] == 0) == (share == 300 and budget == 10_000)
    assert statuses[200] == len(cloudflare.requests) == count
    assert max(spent) <= share
    assert sum(spent) <= budget
    assert sum(spent) == pytest.approx(neurons)
    assert sum(spent) == pytest.approx(cloudflare.billed)
