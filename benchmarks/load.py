"""Measure the time and the number of modules that `%load_ext` adds to bare IPython.

Usage: python benchmarks/load.py [--rounds N]

Each figure comes from a new process. The time shown is the lowest of all rounds. For comparison,
the table includes the imports of httpx and openai. Their cost is why httpx is imported on first
use.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
MEASURE = """
import json, sys, time
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config
config = Config()
config.HistoryManager.hist_file = ":memory:"
shell = InteractiveShell.instance(config=config)
before = set(sys.modules)
begun = time.perf_counter()
{statement}
spent = time.perf_counter() - begun
print(json.dumps([spent * 1000, len(set(sys.modules) - before)]))
"""
BARE = """
import json, sys, time
begun = time.perf_counter()
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
print(json.dumps([(time.perf_counter() - begun) * 1000, len(sys.modules)]))
"""
WAYS: Mapping[str, str] = {
    "bare IPython": BARE,
    "%load_ext cfai_magics": MEASURE.format(
        statement='shell.run_line_magic("load_ext", "cfai_magics")'
    ),
    "import httpx": MEASURE.format(statement="import httpx"),
    "import openai": MEASURE.format(statement="import openai"),
}


def measured(code: str, environ: Mapping[str, str]) -> tuple[float, int]:
    """Return the milliseconds and the number of modules that a new process reports."""
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environ, check=True
    )
    spent, modules = json.loads(run.stdout.splitlines()[-1])
    return spent, modules


def main() -> None:
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    best: dict[str, tuple[float, int]] = {}
    with tempfile.TemporaryDirectory() as home:
        environ = {**os.environ, "CFAI_HOME": home, "IPYTHONDIR": home, "PYTHONPATH": str(ROOT)}
        for _ in range(options.rounds):
            for name, code in WAYS.items():
                found = measured(code, environ)
                best[name] = min(best.get(name, found), found)
    bare = best["bare IPython"][0]
    print(f"{'what':<24} {'ms':>7} {'modules':>8} {'beside bare IPython':>20}")
    for name, (spent, modules) in best.items():
        print(f"{name:<24} {spent:>7.1f} {modules:>8} {spent / bare:>19.2f}x")


if __name__ == "__main__":
    main()
