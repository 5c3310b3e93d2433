"""The outputs, requests and files of the sessions equal the golden files byte for byte."""

import difflib
import subprocess
import sys
from pathlib import Path

import pytest

from .session import GOLDEN, SESSIONS
from .world import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.version_info[:2] != (3, 11) or sys.platform != "linux",
        reason="texts of argparse, IPython and pandas differ between versions of Python",
    ),
]
AGAIN = "python -m tests.transcript --write records intended changes."


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with new records, which a separate process writes, two at a time."""
    folder = tmp_path_factory.mktemp("recorded")
    command = [sys.executable, "-m", "tests.transcript", "--to", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True)
    return folder


@pytest.mark.parametrize("name", SESSIONS)
def test_session_leaves_the_golden_record(name: str, recorded: Path) -> None:
    golden = (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")
    now = (recorded / f"{name}.txt").read_text(encoding="utf-8")
    if now != golden:
        lines = (golden.splitlines(), now.splitlines())
        changes = difflib.unified_diff(*lines, "golden", "recorded", lineterm="", n=1)
        pytest.fail("\n".join([*list(changes)[:200], AGAIN]), pytrace=False)
