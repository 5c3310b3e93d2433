"""Measure the time per call of an empty ledger and of a ledger with a million rows.

Usage: python benchmarks/ledger.py [--rows N] [--calls N]

Each call makes a reservation, settles it and reads today's total. The rows are from the last 100
days and 300 kernels; a tenth of them are from today.
"""

import argparse
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from cfai_magics.storage.ledger import FILE_NAME, CallContext, CallOutcome, Ledger
from cfai_magics.types.usage import Limit, Usage

PLACE = CallContext("account", "lesson.ipynb")
USAGE = Usage(214, 388, neurons=12.5, cost_basis="billed")
DAYS, KERNELS, MODELS = 100, 300, 12
STARTED = f":now - 86400.0 * (i % 10 > 0) * (i % {DAYS})"
FILL = f"""
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows)
INSERT INTO calls (started, day, account, model, task, status, basis, neurons, tokens_in,
  tokens_out, seconds, notebook, kernel, thread)
SELECT {STARTED}, date({STARTED}, 'unixepoch'), 'account', 'model ' || i % {MODELS},
  'Text Generation', 'ok', 'billed', 0.001, 200, 400, 1.5, 'lesson ' || i % 40 || '.ipynb',
  'kernel ' || i % {KERNELS}, '' FROM n
"""


def fit(limits: Sequence[Limit], closed: bool) -> float:  # noqa: FBT001 - signature of Fit
    """Return the number of neurons to reserve: the maximum cost of a typical call."""
    assert not closed
    assert all(limit.remaining > 0 for limit in limits)
    return 56.0


def fill(home: Path, rows: int) -> None:
    """Insert rows directly into the database, whose triggers update the totals."""
    with sqlite3.connect(home / FILE_NAME) as connection:
        connection.execute(FILL, {"rows": rows, "now": time.time()})
    connection.close()


def measure(rows: int, calls: int) -> float:
    """Return the median time per call, in milliseconds."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder))
        ledger.budgets.set("day", 1e9)
        if rows:
            fill(Path(folder), rows)
            known = sum(total.calls for total in ledger.history.totals("day"))
            assert known == rows, known
        took = []
        for _ in range(calls):
            begun = time.perf_counter()
            number = ledger.reserve(PLACE, "model 3", "Text Generation", fit)
            ledger.settle(number, CallOutcome("ok", USAGE, 1.9, 0.3))
            ledger.day_usage("account")
            took.append(time.perf_counter() - begun)
        ledger.close()
    return statistics.median(took) * 1000


def main() -> None:
    """Print the times for an empty and a full ledger, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--calls", type=int, default=500)
    options = parser.parse_args()
    empty = measure(0, options.calls)
    full = measure(options.rows, options.calls)
    print(f"{'ledger':>20}  median of reserve + settle + today's sum")
    print(f"{'empty':>20}  {empty:.2f} ms")
    print(f"{options.rows:>15,} rows  {full:.2f} ms, {full / empty:.2f} times as much")


if __name__ == "__main__":
    main()
