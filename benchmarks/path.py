"""Count the calls to our own functions that one plain question makes in a running kernel.

Usage: python benchmarks/path.py [--frames N] [--list N]

The kernel has already answered one question. The question is traced twice: with N and with N + 100
frames in its answer. The difference gives the number of calls per frame. Resuming a generator
counts as a call. `depth` is the largest number of our functions that are active at the same time
on one thread.
"""

import argparse
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.kernels import Kernel, running_kernel
from tests.standin import Standin

TRACE = """
import collections, json, pathlib, sys, threading
import cfai_magics
package = str(pathlib.Path(cfai_magics.__file__).parent)
calls, files = collections.Counter(), set()
depth = collections.defaultdict(lambda: [0, 0])  # of each thread: now, and the most

def count(frame, event, _argument):
    if event not in ("call", "return") or not frame.f_code.co_filename.startswith(package):
        return
    now = depth[threading.get_ident()]
    now[0] += 1 if event == "call" else -1
    now[1] = max(now)
    if event == "call":
        calls[frame.f_code.co_qualname] += 1
        files.add(frame.f_code.co_filename)

threading.setprofile(count)
sys.setprofile(count)
try:
    get_ipython().run_cell_magic("cfai", "", "Go on.")
finally:
    sys.setprofile(None)
    threading.setprofile(None)
result = [sum(calls.values()), sorted(files), max(most for _, most in depth.values()), calls]
"""
PACKAGE = Path(__file__).parents[1] / "cfai_magics"
STEP = 100


class Trace(NamedTuple):
    """The trace of one question: number of calls, files, depth and calls by function."""

    calls: int
    files: list[str]
    depth: int
    calls_by_function: dict[str, int]


def trace(kernel: Kernel, cloudflare: Standin, frames: int) -> Trace:
    """Trace a question whose answer has the given number of frames."""
    cloudflare.switch(answer="word" * frames)  # the stand-in sends four characters per frame
    kernel.run(TRACE)
    return Trace(*json.loads(kernel.run("print(json.dumps(result))").text))


def main() -> None:
    """Run the benchmark and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=100, metavar="N")
    parser.add_argument("--list", type=int, default=0, metavar="N", help="also list N functions")
    options = parser.parse_args()
    with (
        Standin() as cloudflare,
        TemporaryDirectory() as home,
        running_kernel(**cloudflare.environ(), CFAI_HOME=home) as kernel,
    ):
        kernel.run("%load_ext cfai_magics")
        kernel.run("%%cfai\nHi")
        first = trace(kernel, cloudflare, options.frames)
        second = trace(kernel, cloudflare, options.frames + STEP)
    per_frame = (second.calls - first.calls) / STEP
    print(f"Python {sys.version.split()[0]}")
    print(f"{first.calls - per_frame * options.frames:.0f} calls, and {per_frame:.1f} per frame")
    print(f"{len(first.files)} files, depth {first.depth}")
    by_count = sorted(first.calls_by_function.items(), key=lambda item: -item[1])
    for name, count in by_count[: options.list]:
        print(f"{count:>7} {name}")
    if options.list:
        print(*(f"        {Path(file).relative_to(PACKAGE)}" for file in first.files), sep="\n")


if __name__ == "__main__":
    main()
