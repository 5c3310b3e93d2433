"""If the ledger cannot be written, calls are settled later, exactly once."""

import os
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from cfai_magics.errors import StorageError
from cfai_magics.storage.ledger import FILE_NAME, CallContext, CallOutcome, Ledger
from cfai_magics.types.usage import Usage

ROOT = Path(__file__).parents[2]
ME = CallContext("account")
RESERVED = 10.0


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path, lock_timeout=0.05)
    yield ledger
    ledger.close()


@contextmanager
def locked(home: Path, lock: str = "IMMEDIATE") -> Iterator[None]:
    """Lock the file from another connection."""
    with closing(sqlite3.connect(home / FILE_NAME, isolation_level=None)) as other:
        other.execute(f"BEGIN {lock}")
        yield
        other.execute("ROLLBACK")


def book(ledger: Ledger, neurons: float = RESERVED) -> int:
    return ledger.reserve(ME, "m", "Text Generation", lambda *_: neurons)


def billed(neurons: float) -> CallOutcome:
    return CallOutcome("ok", Usage(3, 4, neurons=neurons, cost_basis="billed"), 1.0)


def read_calls(home: Path) -> list[tuple[str, str, float]]:
    """Return the calls in the file as another program reads them."""
    with closing(sqlite3.connect(home / FILE_NAME)) as other:
        return other.execute("SELECT status, basis, neurons FROM calls ORDER BY id").fetchall()


def read_totals(home: Path) -> tuple[float, float, float]:
    with closing(sqlite3.connect(home / FILE_NAME)) as other:
        query = "SELECT total(billed), total(estimated), total(reserved) FROM totals"
        return tuple(other.execute(query).fetchone())  # type: ignore[return-value]


@pytest.mark.parametrize("lock", ["IMMEDIATE", "EXCLUSIVE"])
def test_the_next_call_settles_calls_of_a_locked_ledger(
    ledger: Ledger, tmp_path: Path, lock: str
) -> None:
    first, second = book(ledger), book(ledger)
    with locked(tmp_path, lock):
        assert isinstance(ledger.settle(first, billed(2.0)), StorageError)
        assert isinstance(ledger.settle(second, billed(3.0)), StorageError)
    assert read_calls(tmp_path) == [("reserved", "estimated", RESERVED)] * 2
    book(ledger, 1.0)
    assert read_calls(tmp_path)[:2] == [("ok", "billed", 2.0), ("ok", "billed", 3.0)]
    assert read_totals(tmp_path) == pytest.approx((5.0, 0.0, 1.0))


def test_a_locked_ledger_still_shows_the_usage_of_the_day(ledger: Ledger, tmp_path: Path) -> None:
    number = book(ledger)
    with locked(tmp_path):
        ledger.settle(number, billed(2.0))
        assert ledger.day_usage("account").reserved == RESERVED
    assert ledger.day_usage("account").billed == 2.0


@pytest.mark.parametrize("ending", ["close", "exit"])
def test_unsettled_calls_are_settled_when_the_kernel_ends(tmp_path: Path, ending: str) -> None:
    code = f"""
import sqlite3, sys
from pathlib import Path
from tests.storage.test_late_settlement import Ledger, billed, book, locked
home = Path(sys.argv[1])
ledger = Ledger(home, lock_timeout=0.05)
number = book(ledger)
with locked(home):
    assert ledger.settle(number, billed(2.0))
if {ending == "close"}:
    ledger.close()
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=True)
    assert read_calls(tmp_path) == [("ok", "billed", 2.0)]
    assert read_totals(tmp_path) == pytest.approx((2.0, 0.0, 0.0))


def test_a_late_bill_replaces_the_estimate_of_another_kernel(tmp_path: Path) -> None:
    closing_ledger, other = Ledger(tmp_path, lock_timeout=0.05), Ledger(tmp_path)
    number = book(closing_ledger)
    with locked(tmp_path):
        closing_ledger.settle(number, billed(2.0))
        closing_ledger.close()
    assert other.day_usage("account").estimated == RESERVED
    closing_ledger.day_usage("account")
    assert read_totals(tmp_path) == pytest.approx((2.0, 0.0, 0.0)), (
        "the bill replaces the estimate"
    )
    other.day_usage("account")
    assert read_calls(tmp_path) == [("ok", "billed", 2.0)]
    closing_ledger.close()
    other.close()


def test_a_settled_call_is_not_settled_again(ledger: Ledger, tmp_path: Path) -> None:
    number = book(ledger)
    assert ledger.settle(number, billed(2.0)) is None
    assert ledger.settle(number, CallOutcome("failed", Usage(neurons=9.0))) is None
    assert read_calls(tmp_path) == [("ok", "billed", 2.0)]


def test_a_pool_is_released_when_the_ledger_is_unlocked(ledger: Ledger, tmp_path: Path) -> None:
    pool = ledger.reserve(ME, "m", "Map, reserved", lambda *_: 50.0)
    with locked(tmp_path):
        ledger.release_pool(pool)
        ledger.close_day("account")
    assert ledger.day_usage("account").reserved == 0
    assert ledger.day_usage("account").is_closed


def test_the_hint_matches_the_error(ledger: Ledger, tmp_path: Path) -> None:
    book(ledger)
    with locked(tmp_path), pytest.raises(StorageError, match="database is locked") as caught:
        book(ledger)
    assert "Another program is writing" in caught.value.hint
    assert "Move it" not in caught.value.hint
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / FILE_NAME).write_bytes(b"no database " * 100)
    with pytest.raises(StorageError, match="not a database") as caught:
        book(Ledger(damaged))
    assert "Move it to another folder" in caught.value.hint


FILL_DISK = """
import resource, signal, sys
from pathlib import Path
from tests.storage.test_late_settlement import FILE_NAME, Ledger, billed, book
home = Path(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
ledger = Ledger(home)
numbers = [book(ledger) for _ in range(3)]
size = max(file.stat().st_size for file in home.glob(FILE_NAME + "*"))
resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
errors = [ledger.settle(number, billed(2.0)) for number in numbers]
print(errors[0].cause, errors[0].hint, sep="\\n")
assert all(errors), errors
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
book(ledger, 1.0)
day = ledger.day_usage("account")
print(day.billed, day.reserved)
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="needs RLIMIT_FSIZE")
def test_calls_on_a_full_disk_are_settled_when_there_is_space(tmp_path: Path) -> None:
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    command: list[Any] = [sys.executable, "-c", FILL_DISK, tmp_path]
    output = subprocess.run(
        command, cwd=ROOT, env=environ, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    assert "can't be used" in output[0]
    assert output[1].startswith("The disk may be full.")
    assert output[2] == "6.0 1.0"


@pytest.mark.parametrize(
    "figure", [2**63, 10**400, -1, 10**12 + 1], ids=["2^63", "10^400", "-1", "a trillion"]
)
def test_impossible_token_counts_are_not_stored(
    ledger: Ledger, tmp_path: Path, figure: int
) -> None:
    assert (
        ledger.settle(book(ledger), CallOutcome("ok", Usage(figure, figure, figure, 1.0))) is None
    )
    (row,) = ledger.history.iter_calls()
    assert (row["tokens_in"], row["tokens_cached"], row["tokens_out"]) == (0, 0, 0)
    assert [total.tokens_in for total in ledger.history.totals("day")] == [0]


@pytest.mark.parametrize("figure", [float("inf"), float("nan"), -1.0, 1e300], ids=repr)
def test_impossible_neurons_are_not_stored(ledger: Ledger, figure: float) -> None:
    outcome = CallOutcome("ok", Usage(1, 1, 0, figure, "billed"), float("nan"), float("inf"))
    assert ledger.settle(book(ledger), outcome) is None
    assert ledger.day_usage("account").billed == 0
    ledger.save_account_figure("account", figure)
    account_usage = ledger.day_usage("account").account
    assert account_usage is not None
    assert account_usage.neurons == 0
