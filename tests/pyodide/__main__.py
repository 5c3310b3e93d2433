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
TESTS = (
    *("tests/pyodide", "tests/types", "tests/pricing", "tests/corpus"),
    *("tests/test_texts.py", "tests/test_magic_line.py", "tests/test_course_file.py"),
    *("tests/replay/test_record_mode.py", "tests/replay/test_fingerprint.py"),
    *("tests/replay/test_mismatch.py", "tests/storage/test_conversations.py"),
    *("tests/display/test_tables.py", "tests/display/test_footer.py"),
    "tests/display/test_grid.py",
)


def main(packages: str, *arguments: str) -> int:
    """Start the stand-in, run pytest in Pyodide, and return its exit status."""
    options = ("-p", "tests.pyodide.plugin", "-p", "no:cacheprovider", "-q", "-m", "not slow")
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
