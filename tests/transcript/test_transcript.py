"""The sessions show, send and keep what the golden files say, byte for byte."""

import difflib
import sys

import pytest

from .session import GOLDEN, SESSIONS, records

pytestmark = pytest.mark.skipif(
    sys.version_info[:2] != (3, 11) or sys.platform != "linux",
    reason="texts of argparse, IPython and pandas differ between versions of Python and systems",
)
AGAIN = "python -m tests.transcript --write records what is meant to be so."


@pytest.fixture(scope="module")
def recorded() -> dict[str, str]:
    return records(SESSIONS)


@pytest.mark.parametrize("name", SESSIONS)
def test_session_leaves_the_golden_record(name: str, recorded: dict[str, str]) -> None:
    golden = (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")
    if recorded[name] != golden:
        lines = (golden.splitlines(), recorded[name].splitlines())
        changes = difflib.unified_diff(*lines, "golden", "recorded", lineterm="", n=1)
        pytest.fail("\n".join([*list(changes)[:200], AGAIN]), pytrace=False)
