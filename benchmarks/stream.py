"""Compare the CPU time per streamed token of this package and other clients.

Usage: python benchmarks/stream.py [--tokens N] [--rounds N] [DIALECT ...]

For each Workers AI dialect, the stand-in creates one stream. Another process sends this stream in
response to every request, with one HTTP chunk per token, as fast as the client reads it. Each
figure is the lowest of all rounds.
"""

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import openai
from httpx_sse import connect_sse

sys.path.insert(0, str(Path(__file__).parents[1]))

from cfai_magics import Request, WorkersAI
from cfai_magics.types.messages import TextDelta
from tests.standin import Standin, Switches

ACCOUNT, KEY, MODEL = "0" * 32, "none", "@cf/google/gemma-4-26b-a4b-it"
MESSAGES = ({"role": "user", "content": "Go"},)
PATIENCE = 120  # s


def recorded(dialect: str, tokens: int) -> list[bytes]:
    """Return the events of one long answer in this dialect."""
    switches = Switches(dialect=dialect, answer=" word" * tokens, daily_neurons=1e9)
    body = {"model": MODEL, "messages": MESSAGES, "stream": True, "max_tokens": 2 * tokens}
    with Standin(switches=switches) as cloudflare:
        url = f"{cloudflare.base_url}/accounts/{cloudflare.account_id}/ai/v1/chat/completions"
        headers = {"Authorization": f"Bearer {cloudflare.token}"}
        reply = httpx.post(url, json=body, headers=headers, timeout=PATIENCE).raise_for_status()
    return [event + b"\n\n" for event in reply.content.split(b"\n\n") if event]


def server_of(events: list[bytes]) -> ThreadingHTTPServer:
    """Return a server that answers every request with these events, one HTTP chunk each."""
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in events)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(chunks + b"0\r\n\r\n")

        def log_message(self, *_: object) -> None:
            """Write no log."""

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


def raw_bytes(base_url: str) -> int:
    """Read the bytes with httpx without parsing them, and return the number of chunks."""
    with httpx.stream("POST", f"{base_url}/chat/completions", timeout=PATIENCE) as reply:
        return sum(1 for _ in reply.iter_bytes())


def sse_and_json(base_url: str) -> int:
    """Read with httpx-sse, parse each event's JSON and return the number of events."""
    count = 0
    with (
        httpx.Client(timeout=PATIENCE) as client,
        connect_sse(client, "POST", f"{base_url}/chat/completions") as source,
    ):
        for event in source.iter_sse():
            if event.data != "[DONE]":
                json.loads(event.data)
                count += 1
    return count


def this_package(base_url: str) -> int:
    """Read with `WorkersAI` and return the number of text deltas."""
    with (
        WorkersAI.openai_compatible(base_url, KEY, timeout=PATIENCE) as client,
        client.stream(Request(MODEL, MESSAGES)) as deltas,
    ):
        return sum(isinstance(delta, TextDelta) for delta in deltas)


def openai_sdk(base_url: str) -> int:
    """Read with the openai SDK and return the number of chunks."""
    client = openai.OpenAI(base_url=base_url, api_key=KEY, timeout=PATIENCE)
    with (
        client,
        client.chat.completions.create(
            model=MODEL, messages=list(MESSAGES), stream=True
        ) as chunks,
    ):
        return sum(1 for _ in chunks)


WAYS: Mapping[str, Callable[[str], int]] = {
    "httpx, raw bytes": raw_bytes,
    "cfai_magics": this_package,
    "httpx-sse and json": sse_and_json,
    "openai SDK": openai_sdk,
}


def measured(base_url: str, tokens: int, rounds: int) -> dict[str, float]:
    """Return the CPU time per token of each client, in microseconds."""
    best = dict.fromkeys(WAYS, float("inf"))
    for _ in range(rounds):
        for name, way in WAYS.items():
            begun = time.process_time()
            seen = way(base_url)
            spent = time.process_time() - begun
            if seen < tokens:
                sys.exit(f"{name} saw {seen} of {tokens} tokens")
            best[name] = min(best[name], spent / tokens * 1e6)
    return best


def main() -> None:
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dialects", nargs="*", default=["rest", "gemma", "cumulative"])
    parser.add_argument("--tokens", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(f"{'dialect':<12} {'way':<20} {'µs/token':>9} {'beside raw bytes':>17}")
    for dialect in options.dialects:
        events = recorded(dialect, options.tokens)
        server = server_of(events)
        process = multiprocessing.Process(target=server.serve_forever, daemon=True)
        process.start()
        base_url = f"http://127.0.0.1:{server.server_port}"
        spent = measured(base_url, options.tokens, options.rounds)
        process.terminate()
        for name, figure in spent.items():
            ratio = figure / spent["httpx, raw bytes"]
            print(f"{dialect:<12} {name:<20} {figure:>9.1f} {ratio:>16.2f}x")


if __name__ == "__main__":
    main()
