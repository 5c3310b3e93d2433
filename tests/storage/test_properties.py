"""Property test of the ledger: limits are never exceeded, and sums equal the bills."""

import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cfai_magics.errors import BudgetExceededError
from cfai_magics.pricing.limits import admit
from cfai_magics.pricing.prices import Cost
from cfai_magics.storage.database import utc_day
from cfai_magics.storage.ledger import CallContext, CallOutcome, Ledger
from cfai_magics.types.usage import Limit, Usage

pytestmark = pytest.mark.slow

LIMIT = 100.0
KERNELS = 3
PLACE = CallContext("account")
SLACK = 1e-6  # neurons, of sums of floating-point numbers


class Kernels(RuleBasedStateMachine):
    """Several kernels with one ledger; Cloudflare bills any amount up to the reservation."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.now = 1_800_014_400.0
        self.kernels = [self.kernel() for _ in range(KERNELS)]
        self.kernels[0].budgets.set("day", LIMIT)
        self.open: dict[int, list[tuple[int, float]]] = defaultdict(list)
        self.billed: dict[int, float] = {}

    def kernel(self) -> Ledger:
        return Ledger(Path(self.folder.name), lambda: self.now)

    @rule(
        kernel=st.integers(0, KERNELS - 1),
        prompt=st.floats(0, 30),
        per_token=st.floats(0, 1),
        tokens=st.integers(1, 200),
    )
    def reserve(self, kernel: int, prompt: float, per_token: float, tokens: int) -> None:
        cost = Cost(prompt, prompt, per_token, tokens)
        reserved = 0.0

        def fit(limits: Sequence[Limit], _closed: bool) -> float:
            nonlocal reserved
            reserved = admit(cost, limits).neurons
            return reserved

        try:
            number = self.kernels[kernel].reserve(PLACE, "m", "Text Generation", fit)
        except BudgetExceededError:
            return
        self.open[kernel].append((number, reserved))

    @rule(kernel=st.integers(0, KERNELS - 1), share=st.floats(0, 1))
    def settle(self, kernel: int, share: float) -> None:
        if self.open[kernel]:
            number, reserved = self.open[kernel].pop()
            bill = reserved * share
            self.billed[number] = bill
            usage = Usage(neurons=bill, cost_basis="billed")
            self.kernels[kernel].settle(number, CallOutcome("ok", usage))

    @rule(kernel=st.integers(0, KERNELS - 1))
    def crash(self, kernel: int) -> None:
        self.kernels[kernel].close()
        self.open[kernel].clear()
        self.kernels[kernel] = self.kernel()

    @rule(hours=st.integers(1, 30))
    def time_passes(self, hours: int) -> None:
        self.now += hours * 3_600

    @invariant()
    def every_day_stays_within_its_limit(self) -> None:
        usage_today = self.kernels[0].day_usage(PLACE.account)
        assert usage_today.spent + usage_today.reserved <= LIMIT + SLACK
        for total in self.kernels[0].history.totals("day"):
            assert total.neurons + total.reserved <= LIMIT + SLACK, utc_day(self.now)

    @invariant()
    def settled_rows_equal_the_bills(self) -> None:
        rows = list(self.kernels[0].history.iter_calls())
        billed = {row["id"]: row["neurons"] for row in rows if row["status"] == "ok"}
        assert billed == self.billed
        totals = self.kernels[0].history.totals("model")
        assert abs(sum(t.billed for t in totals) - sum(self.billed.values())) <= SLACK
        open_count = sum(len(calls) for calls in self.open.values())
        assert sum(row["status"] == "reserved" for row in rows) == open_count

    def teardown(self) -> None:
        for kernel in self.kernels:
            kernel.close()
        self.folder.cleanup()


TestKernels = Kernels.TestCase
TestKernels.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
