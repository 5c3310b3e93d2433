"""Run tests inside Pyodide: `python -m tests.pyodide PACKAGES [ARGUMENT…]`.

PACKAGES is the folder of the packages for Pyodide. Without arguments for pytest, TESTS run.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.standin import Standin

FOLDER = Path(__file__).parent
# Tests that need no thread, socket or other process.
TESTS = ("tests/pyodide",)


def main(packages: str, *arguments: str) -> int:
    """Start the stand-in, run pytest in Pyodide, and return its exit status."""
    options = ("-p", "tests.pyodide.plugin", "-p", "no:cacheprovider", "-q")
    with Standin() as standin:
        return subprocess.run(
            [
                "node",
                FOLDER / "run.mjs",
                packages,
                FOLDER.parents[1],
                *options,
                *(arguments or TESTS),
            ],
            env={**os.environ, "STANDIN": json.dumps(standin.environ())},
            check=False,
        ).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
