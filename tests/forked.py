"""Run code in forked children, from scripts that tests start as processes of their own.

A test process has threads, in which Python 3.12 warns of any fork; scripts have only their own.
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
    """One forked child: `result` waits for what its work returned."""

    pid: int
    reading: int

    def result(self) -> Any:
        """Return what the work returned; a child that failed raises here."""
        with os.fdopen(self.reading) as pipe:
            said = pipe.read()
        _, status = os.waitpid(self.pid, 0)
        assert status == 0, f"the child ended with {status}: {said}"
        return json.loads(said)


def forked(work: Callable[[], object]) -> Child:
    """Fork a child that does the work and ends."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return Child(pid, reading)
    os.close(reading)
    code = 1
    try:
        said = json.dumps(work())
        code = 0
    except BaseException:  # noqa: BLE001 - told to the parent
        said = traceback.format_exc()
    with os.fdopen(writing, "w") as pipe:
        pipe.write(said)
    os._exit(code)


def run_script(source: str, environ: dict[str, str]) -> Any:
    """Run a script in a Python of its own, and return the JSON that it prints last."""
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
