"""Fork child processes from scripts that tests start as separate processes.

Python 3.12 warns about a fork in a process with threads, and a test process has threads.
"""

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PATIENCE = 120  # s before a script counts as hung


@dataclass
class Child:
    """One forked child; `result` waits for the result of its work."""

    pid: int
    reading: int

    def result(self) -> Any:
        """Return the result of the work. Raises AssertionError if the child failed."""
        with os.fdopen(self.reading) as pipe:
            output = pipe.read()
        _, status = os.waitpid(self.pid, 0)
        assert status == 0, f"the child ended with {status}: {output}"
        return json.loads(output)


def forked(work: Callable[[], object]) -> Child:
    """Fork a child that runs `work` and exits."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return Child(pid, reading)
    os.close(reading)
    code = 1
    try:
        output = json.dumps(work())
        code = 0
    except BaseException:  # noqa: BLE001 - sent to the parent
        output = traceback.format_exc()
    with os.fdopen(writing, "w") as pipe:
        pipe.write(output)
    os._exit(code)


def run_script(source: str, environ: dict[str, str]) -> Any:
    """Run a script in a new Python process; return the JSON of its last printed line."""
    done = subprocess.run(
        [sys.executable, "-c", source],
        cwd=ROOT,
        env={**os.environ, **environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
