"""Compare answers through the class server with direct ones: added latency, and CPU time.

Usage: python benchmarks/class.py [--rounds N] [--answers N] [--folder FOLDER]

The stand-in answers both. The class server runs in workerd on this machine, so the network between
a student and Cloudflare is not included. Direct calls and calls through the class server take
turns, so a busy machine slows both. A call waits until its reservation is on the disk, in a
temporary folder or in `--folder`. In a folder in memory (/dev/shm), the disk adds nothing.

The first table shows the milliseconds until the first token, and until the end of the answer, at
the 50th and 95th percentile. "added" is the 50th and 95th percentile of the difference between two
calls in turn.

The second table shows the CPU time of workerd per answer, next to that of a plain proxy that only
calls `fetch`. The difference is the CPU time of the class server, including its Durable Object,
which Cloudflare counts separately.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import NamedTuple

import httpx

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.class_server import MODEL, ClassServer
from tests.standin import Standin, Switches

MESSAGES = [{"role": "user", "content": "Why do pears ripen from within?"}]
SHORT, LONG = 20, 2000  # frames
# A stand-in at full speed would keep this process from reading the first token.
TOKENS_PER_SECOND = 400
ANSWERS_PER_TURN = 8
SETTLED = 0.5  # s after the last answer
TIMEOUT = 60  # s
PROXY = """
export default {
  fetch(request, env) {
    const address = `${env.API_BASE}/accounts/${env.CLOUDFLARE_ACCOUNT_ID}/ai`;
    const headers = { authorization: `Bearer ${env.CLOUDFLARE_API_TOKEN}` };
    const { body } = request;
    return fetch(`${address}/v1/chat/completions`, { method: 'POST', headers, body });
  }
};
"""


class Latency(NamedTuple):
    """Milliseconds until the first token, and until the end of an answer."""

    first: float
    whole: float


class Route:
    """An address that answers questions."""

    def __init__(self, url: str, key: str) -> None:
        headers = {"authorization": f"Bearer {key}"}
        self._url = url
        self._client = httpx.Client(headers=headers, timeout=TIMEOUT, trust_env=False)

    def ask(self) -> Latency:
        """Ask a question, and read the streamed answer."""
        body = {"model": MODEL, "messages": MESSAGES, "stream": True, "max_tokens": 2 * LONG}
        started = time.perf_counter()
        with self._client.stream("POST", f"{self._url}/chat/completions", json=body) as response:
            pieces = response.raise_for_status().iter_bytes()
            text = next(pieces)
            first = time.perf_counter()
            text += b"".join(pieces)
        ended = time.perf_counter()
        if b"[DONE]" not in text:
            sys.exit(f"not a whole answer: {text[:200]!r}")
        return Latency((first - started) * 1000, (ended - started) * 1000)


def switches(frames: int, tokens_per_second: int = 0) -> Switches:
    """Return the switches for an answer with this number of frames, by default at full speed."""
    return Switches(
        answer="word" * frames,
        dialect="gemma",
        calls_per_minute=10**6,
        tokens_per_second=tokens_per_second,
    )


def percentiles(values: Sequence[float]) -> tuple[float, float]:
    """Return the 50th and 95th percentile."""
    return median(values), quantiles(values, n=20)[-1]


def compare_latency(direct: Route, through: Route, rounds: int) -> None:
    """Print the latency of both routes."""
    pairs = [(direct.ask(), through.ask()) for _ in range(rounds)]
    print(f"{f'ms for {SHORT} frames':<24} {'p50':>8} {'p95':>8}")
    for part in Latency._fields:
        values = [[getattr(latency, part) for latency in pair] for pair in pairs]
        rows = {
            f"{part}, direct": [pair[0] for pair in values],
            f"{part}, class server": [pair[1] for pair in values],
            f"{part}, added": [pair[1] - pair[0] for pair in values],
        }
        for name, row in rows.items():
            middle, high = percentiles(row)
            print(f"{name:<24} {middle:>8.1f} {high:>8.1f}")


def cpu_time(server: ClassServer, route: Route, answers: int) -> float:
    """Return the CPU time of workerd for this number of answers, in milliseconds."""

    def total() -> float:
        times = server.workerd.cpu_times()
        return (times.user + times.system) * 1000

    before = total()
    for _ in range(answers):
        route.ask()
    time.sleep(SETTLED)
    return total() - before


def compare_cpu(proxy: ClassServer, server: ClassServer, key: str, answers: int) -> None:
    """Print the CPU time per answer of a plain proxy and of the class server."""
    routes = {proxy: Route(proxy.url, "none"), server: Route(f"{server.url}/v1", key)}
    for route in routes.values():
        route.ask()
    turns = max(1, answers // ANSWERS_PER_TURN)
    times = dict.fromkeys(routes, 0.0)
    for _ in range(turns):
        for one, route in routes.items():
            times[one] += cpu_time(one, route, ANSWERS_PER_TURN) / turns / ANSWERS_PER_TURN
    low, high = times[proxy], times[server]
    print(f"{low:>12.1f} {high:>14.1f} {high - low:>8.1f} {high / low:>7.2f}x")


def main() -> None:
    """Run the benchmark and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rounds", type=int, default=200, help="calls of each route (%(default)s)"
    )
    parser.add_argument("--answers", type=int, default=80, help="answers for CPU (%(default)s)")
    parser.add_argument("--folder", help="where the classes are stored")
    options = parser.parse_args()
    with ExitStack() as stack:
        cloudflare = stack.enter_context(Standin(plan="paid"))
        cloudflare.switches = switches(SHORT, TOKENS_PER_SECOND)

        # Each table has its own class, because a model allows 300 calls per minute.
        def start() -> tuple[ClassServer, str]:
            folder = Path(stack.enter_context(TemporaryDirectory(dir=options.folder)))
            server = stack.enter_context(ClassServer(cloudflare, folder=folder))
            unlimited = {"budget": 1e6, "share": 1e6, "max_tokens": 2 * LONG}
            server.admin("PATCH", "class", unlimited)
            return server, server.add_student("Ada")

        server, key = start()
        address = f"{cloudflare.base_url}/accounts/{cloudflare.account_id}/ai/v1"
        routes = Route(address, cloudflare.token), Route(f"{server.url}/v1", key)
        compare_latency(*routes, options.rounds)
        proxy = stack.enter_context(ClassServer(cloudflare, script=PROXY))
        print(f"\n{'CPU ms per answer':<20} {'plain proxy':>12} {'class server':>14} {'added':>8}")
        for frames in (1, LONG):
            cloudflare.switches = switches(frames)
            print(f"{f'{frames} frames':<20}", end=" ")
            compare_cpu(proxy, *start(), options.answers)


if __name__ == "__main__":
    main()
