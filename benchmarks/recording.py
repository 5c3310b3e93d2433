"""Measure the cost of recording, loading and looking up answers as the recording grows.

Usage: python benchmarks/recording.py [--answers N ...] [--rounds N]

The benchmark creates one cassette for each number of answers. A session then asks `--rounds` new
questions in "auto" mode, and an in-memory transport answers them. The CPU time per answer includes
all parts of a call: lookup, ledger, stream and recording. The CPU time to close the session, which
sorts the lines, is shown per file. The load and lookup times are the lowest of three.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from cfai_magics.pricing.limits import REQUESTS_PER_MINUTE_BY_TASK
from cfai_magics.replay.cassette import Cassette
from cfai_magics.replay.fingerprint import fingerprint_chat
from cfai_magics.replay.interaction import Interaction
from cfai_magics.session.session import Session
from cfai_magics.settings import Cfai
from cfai_magics.types.messages import Request
from cfai_magics.types.usage import Usage

MODEL = "@cf/google/gemma-4-26b-a4b-it"
MAX_TOKENS = 2048
WORDS = ["The", "sky", "is", "blue", "since", "air", "scatters", "short", "waves", "more"] * 8
FRAMES = "".join(
    f'data: {{"choices":[{{"index":0,"delta":{{"content":"{word} "}}}}]}}\n\n' for word in WORDS
)
STOP = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = 'data: {"choices":[],"usage":{"prompt_tokens":11,"completion_tokens":80}}\n\n'
BODY = f"{FRAMES}{STOP}{USAGE}data: [DONE]\n\n".encode()
ENVIRON = {"CLOUDFLARE_ACCOUNT_ID": "0" * 32, "CLOUDFLARE_API_TOKEN": "t" * 40}
NO_LIMIT = 10**9
LOOKUPS = 1_000
ATTEMPTS = 3


def answer(_request: httpx.Request) -> httpx.Response:
    """Return a streamed answer immediately."""
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=BODY)


def build_interaction(number: int) -> Interaction:
    """Return a recorded answer that is as long as those recorded by the session."""
    messages = ({"role": "user", "content": f"Why is the sky blue? Number {number}."},)
    stream = {
        "text": [[10 * place, f"{word} "] for place, word in enumerate(WORDS)],
        "thought": [],
        "tool_calls": [],
        "finish": "stop",
        "usage": {},
    }
    request = fingerprint_chat(Request(MODEL, messages, max_tokens=MAX_TOKENS))
    responses = ({"ms": 900, "stream": stream},)
    return Interaction(request, 0, "2026-10-12", "1.0", "stop", Usage(11, 80), responses)


def write_cassette(path: Path, answers: int) -> list[Interaction]:
    """Write a cassette with sorted lines, and return its interactions."""
    interactions = sorted(map(build_interaction, range(answers)), key=lambda one: one.sort_key)
    path.write_bytes(b"".join(interaction.to_line() for interaction in interactions))
    return interactions


def measure_recording(path: Path, rounds: int) -> tuple[float, float]:
    """Return the CPU time per recorded answer and for closing the session, in milliseconds."""
    environ = {**ENVIRON, "CFAI_REPLAY": f"auto:{path}"}
    session = Session(
        Cfai(), path.parent / "home", environ=environ, transport=httpx.MockTransport(answer)
    )
    before = path.read_bytes().count(b"\n")

    def ask(text: str) -> None:
        session.recorder.begin_cell()
        session.ask(session.build_request([{"role": "user", "content": text}]))

    ask("The first loads the file.")
    begun = time.process_time()
    for number in range(rounds):
        ask(f"A new question, number {number}")
    spent = time.process_time() - begun
    begun = time.process_time()
    session.close()
    closing = time.process_time() - begun
    assert path.read_bytes().count(b"\n") == before + rounds + 1
    return spent / rounds * 1000, closing * 1000


def measure_reading(path: Path, interactions: list[Interaction]) -> tuple[float, float]:
    """Return the time to load a cassette in seconds, and the time per lookup in microseconds."""
    requests = [interaction.request for interaction in interactions[:LOOKUPS]]

    def load() -> Cassette:
        cassette = Cassette(path, path.parent / "locks")
        cassette.contents()
        return cassette

    cassette = load()

    def look_up() -> None:
        for request in requests:
            exact, _ = cassette.contents().lookup(request, 0)
            assert exact is not None

    return fastest(load), fastest(look_up) / len(requests) * 1e6


def fastest(work: Callable[[], object]) -> float:
    """Run the function ATTEMPTS times and return the shortest time, in seconds."""
    times = []
    for _ in range(ATTEMPTS):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return min(times)


def main() -> None:
    """Print one row per cassette, with the ratio of its cost to that of the first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, nargs="+", default=[50, 1_200, 10_000])
    parser.add_argument("--rounds", type=int, default=50)
    options = parser.parse_args()
    REQUESTS_PER_MINUTE_BY_TASK.update(dict.fromkeys(REQUESTS_PER_MINUTE_BY_TASK, NO_LIMIT))
    first = 0.0
    print(
        f"{'recorded':>10} {'CPU ms an answer':>18} {'ratio':>7} {'CPU ms to close':>16}"
        f" {'load, s':>9} {'lookup, us':>11}"
    )
    for answers in options.answers:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "lesson.cfai.jsonl")
            interactions = write_cassette(path, answers)
            load, look_up = measure_reading(path, interactions)
            recording, closing = measure_recording(path, options.rounds)
        first = first or recording
        print(
            f"{answers:>10,} {recording:>18.2f} {recording / first:>6.2f}x {closing:>16.1f}"
            f" {load:>9.3f} {look_up:>11.1f}"
        )


if __name__ == "__main__":
    main()
