"""Measure what recording an answer costs, and loading and lookup, as the recording grows.

Usage: python benchmarks/recording.py [--answers N ...] [--rounds N]

Each size is a cassette with that many answers. A session then asks `--rounds` new questions in
mode "auto"; the answers come from a transport in memory. Its CPU time has all parts of a call:
lookup, ledger, stream and recording. The time of closing the session, which puts the lines in
order, is shown per file. Of load and lookup the lowest of three is shown.
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
    """Answer at once."""
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=BODY)


def build_interaction(number: int) -> Interaction:
    """Return a recorded answer as long as the ones that the session records."""
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
    """Write a cassette in order, and return its interactions."""
    interactions = sorted(map(build_interaction, range(answers)), key=lambda one: one.sort_key)
    path.write_bytes(b"".join(interaction.to_line() for interaction in interactions))
    return interactions


def measure_recording(path: Path, rounds: int) -> tuple[float, float]:
    """Return the CPU ms per recorded answer, and those of closing the session."""
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
    """Return the seconds of loading a cassette, and the microseconds of one lookup in it."""
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
    """Return the seconds of the fastest of a few attempts."""
    times = []
    for _ in range(ATTEMPTS):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return min(times)


def main() -> None:
    """Print a row per size, and the ratio of each to the first."""
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
