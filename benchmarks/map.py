"""Compare the prompts per second of `map` and a plain httpx.AsyncClient.

Usage: python benchmarks/map.py [--prompts N] [--concurrency N] [--delay S] [--rounds N]

Both send the same number of parallel requests to the stand-in. It runs in a separate process and
takes as long to answer as a model does. `map` streams the answers, reserves and records each call
in the ledger, caches each answer and shows a progress bar. The plain client only sends requests
and reads JSON. Each figure is the best of all rounds. The limit on requests per minute is lifted
for both; otherwise, the benchmark would only measure the waits.
"""

import argparse
import asyncio
import io
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parents[1]))

from cfai_magics.batch.map_run import MapOptions, MapRunner
from cfai_magics.batch.plan import make_plan
from cfai_magics.display.map_progress import create_terminal_writer
from cfai_magics.pricing.limits import REQUESTS_PER_MINUTE_BY_TASK
from cfai_magics.session.session import Session
from cfai_magics.settings import Cfai
from tests.standin import Standin, Switches

MODEL = "@cf/google/gemma-4-26b-a4b-it"
NO_LIMIT = 10**9
PATIENCE = 120  # s


@dataclass(frozen=True, order=True)
class Spent:
    """Wall time and CPU time of this process, in seconds."""

    clock: float
    cpu: float

    def __sub__(self, other: "Spent") -> "Spent":
        return Spent(self.clock - other.clock, self.cpu - other.cpu)


def now() -> Spent:
    """Return the current wall time and CPU time."""
    return Spent(time.perf_counter(), time.process_time())


def serve(pipe: Connection, delay: float) -> None:
    """Serve requests like Cloudflare until the process is terminated."""
    switches = Switches(
        answer="positive",
        delay_before_headers=delay,
        calls_per_minute=NO_LIMIT,
        daily_neurons=NO_LIMIT,
    )
    with Standin(switches=switches) as cloudflare:
        pipe.send(cloudflare.environ())
        pipe.recv()


def by_map(environ: Mapping[str, str], prompts: list[str], concurrency: int) -> Spent:
    """Return the time that `map` takes with a new state folder."""
    with tempfile.TemporaryDirectory() as home:
        session = Session(Cfai(), Path(home), environ=environ)
        begun = now()
        request = session.build_request((), max_tokens=20)
        plan = make_plan(session, "Classify: {text}", prompts, request)
        mapper = MapRunner(
            session, lambda _line: None, create_terminal_writer(io.StringIO()), input
        )
        rows = mapper.run(plan, MapOptions(concurrency, confirm=False))
        spent = now() - begun
        session.close()
    assert [row["answer"] for row in rows] == ["positive"] * len(prompts), rows[0]
    return spent


def by_plain_client(environ: Mapping[str, str], prompts: list[str], concurrency: int) -> Spent:
    """Return the time that a plain httpx.AsyncClient takes."""
    return asyncio.run(_plainly(environ, prompts, concurrency))


async def _plainly(environ: Mapping[str, str], prompts: list[str], concurrency: int) -> Spent:
    account, base = environ["CLOUDFLARE_ACCOUNT_ID"], environ["CLOUDFLARE_API_BASE_URL"]
    url = f"{base}/accounts/{account}/ai/v1/chat/completions"
    headers = {"Authorization": f"Bearer {environ['CLOUDFLARE_API_TOKEN']}"}
    gate = asyncio.Semaphore(concurrency)
    limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)

    async def ask(client: httpx.AsyncClient, prompt: str) -> str:
        message = {"role": "user", "content": f"Classify: {prompt}"}
        thinking = {"enable_thinking": False}
        body = {"model": MODEL, "messages": [message], "max_tokens": 20}
        async with gate:
            reply = await client.post(url, json={**body, "chat_template_kwargs": thinking})
        return str(reply.raise_for_status().json()["choices"][0]["message"]["content"])

    begun = now()
    async with httpx.AsyncClient(headers=headers, timeout=PATIENCE, limits=limits) as client:
        answers = await asyncio.gather(*(ask(client, prompt) for prompt in prompts))
    spent = now() - begun
    assert answers == ["positive"] * len(prompts), answers[0]
    return spent


WAYS: Mapping[str, Callable[[Mapping[str, str], list[str], int], Spent]] = {
    "httpx.AsyncClient": by_plain_client,
    "cfai_magics.map": by_map,
}


def main() -> None:
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=1_000)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--delay", type=float, default=0.3, help="seconds before an answer")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    os.environ.setdefault("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    REQUESTS_PER_MINUTE_BY_TASK["Text Generation"] = NO_LIMIT
    prompts = [f"review {number}" for number in range(options.prompts)]
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(theirs, options.delay), daemon=True)
    server.start()
    environ = {**os.environ, **ours.recv()}
    best = dict.fromkeys(WAYS, Spent(float("inf"), 0.0))
    for _ in range(options.rounds):
        for name, way in WAYS.items():
            best[name] = min(best[name], way(environ, prompts, options.concurrency))
    ours.send("end")
    server.join()
    plain = best["httpx.AsyncClient"]
    print(
        f"{options.prompts:,} prompts, {options.concurrency} at once, {options.delay} s each: "
        f"{options.prompts * options.delay / options.concurrency:.1f} s at the least"
    )
    print(
        f"{'way':<20} {'s':>7} {'prompts/s':>10} {'beside plain httpx':>19} {'ms of CPU each':>15}"
    )
    for name, spent in best.items():
        pace, each = options.prompts / spent.clock, spent.cpu / options.prompts * 1000
        ratio = f"{plain.clock / spent.clock:.2f}x"
        print(f"{name:<20} {spent.clock:>7.1f} {pace:>10.1f} {ratio:>19} {each:>15.2f}")


if __name__ == "__main__":
    main()
