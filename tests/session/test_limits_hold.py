"""Property test: for any server reports and interleaving of calls, limits are exact."""

import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cfai_magics.errors import BudgetCutoffError, BudgetExceededError
from cfai_magics.session.call import ClientGroup
from cfai_magics.session.parallel import BudgetPool, reserve_pool
from cfai_magics.session.session import Session
from cfai_magics.session.stream import AnswerStream
from cfai_magics.settings import Cfai
from cfai_magics.types.messages import Delta, TextDelta
from tests.frames import FrameServer
from tests.session.servers import ANSWER_RATE, LONG, PLAIN, REPORTS, Behavior, answer

pytestmark = pytest.mark.slow

KERNELS = 2
UNPRICED = "@cf/utter-project/eurollm-9b-it"
NOTEBOOK = "lesson.ipynb"
PROMPT_SLACK = 0.2  # neurons that a prompt may cost more than its lower estimate


SIZES, REPORT_KINDS = st.integers(1, 3), st.sampled_from(REPORTS)
OBEYING = st.builds(Behavior, REPORT_KINDS, st.sampled_from((PLAIN, LONG)), SIZES)
# Each of these words is one token, so a server cannot send more tokens than are counted.
BEHAVIORS = OBEYING | st.builds(
    Behavior, REPORT_KINDS, st.just(PLAIN), SIZES, obeys=st.just(value=False)
)


@dataclass
class OpenCall:
    """A call in progress, and the neurons that its server bills for the received tokens."""

    behavior: Behavior
    stream: AnswerStream
    deltas: Iterator[Delta]
    max_neurons: float | None
    is_priced: bool = True
    in_pool: bool = False
    count: int = 0  # tokens

    @property
    def neurons(self) -> float:
        return self.behavior.neurons(self.count) if self.count else 0.0


class Calls(RuleBasedStateMachine):
    """Several kernels share a ledger; the server reports any usage or ignores max_tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.server = FrameServer(answer).__enter__()
        environ = {
            "CLOUDFLARE_ACCOUNT_ID": secrets.token_hex(16),
            "CLOUDFLARE_API_TOKEN": secrets.token_hex(20),
            "CLOUDFLARE_API_BASE_URL": self.server.base_url,
        }
        home = Path(self.folder.name)
        self.kernels = [Session(Cfai(), home, environ=environ) for _ in range(KERNELS)]
        for kernel in self.kernels:
            kernel.notebook = NOTEBOOK
        self.limit = 0.0
        self.open: list[OpenCall] = []
        self.pools: list[tuple[Session, BudgetPool]] = []
        self.started: list[OpenCall] = []

    @initialize(scope=st.sampled_from(("day", "notebook", "session")), limit=st.floats(1.5, 6))
    def begin(self, scope: str, limit: float) -> None:
        self.scope, self.limit = scope, limit
        for kernel in self.kernels:
            kernel.accounting.ledger.budgets.set(scope, limit, NOTEBOOK)  # type: ignore[arg-type]

    @rule(
        kernel=st.integers(0, KERNELS - 1),
        behavior=BEHAVIORS,
        max_tokens=st.integers(16, 60),
        max_neurons=st.none() | st.floats(0.5, 4),
        kind=st.sampled_from(("priced", "unpriced", "in a pool")),
        frames=st.integers(1, 240),
    )
    def ask(
        self,
        kernel: int,
        behavior: Behavior,
        max_tokens: int,
        max_neurons: float | None,
        kind: str,
        frames: int,
    ) -> None:
        session = self.kernels[kernel]
        is_priced = kind != "unpriced" or behavior.report not in {"cumulative", "deltas"}
        own_pool = next((pool for owner, pool in self.pools if owner is session), None)
        in_pool = kind == "in a pool" and own_pool is not None
        model = "" if is_priced else UNPRICED
        request = session.build_request([behavior.message()], model, max_tokens=max_tokens)
        try:
            stream = session.stream(
                request, max_neurons=max_neurons, pool=own_pool if in_pool else None
            )
        except BudgetExceededError:
            return  # the pool and the limit have no neurons left
        max_neurons = None if in_pool else max_neurons
        call = OpenCall(behavior, stream, iter(stream), max_neurons, is_priced, in_pool)
        self.open.append(call)
        try:
            self._receive_frames(call, frames)
        except BudgetExceededError:
            self.open.remove(call)

    @rule(kernel=st.integers(0, KERNELS - 1), count=st.integers(1, 4))
    def reserve_a_pool(self, kernel: int, count: int) -> None:
        session = self.kernels[kernel]
        request = session.build_request([Behavior("deltas").message()], max_tokens=30)
        model = session.resolve_model(request.model)
        cost = session.estimate_cost(request, model)
        try:
            pool = reserve_pool(
                session.accounting, ClientGroup(session.backend), model, [cost] * count
            )
        except BudgetExceededError:
            return
        self.pools.append((session, pool))

    @rule(place=st.integers(0, 9), frames=st.integers(1, 240))
    def receive(self, place: int, frames: int) -> None:
        if not self.open:
            return
        call = self.open[place % len(self.open)]
        self._receive_frames(call, frames)

    @rule(place=st.integers(0, 9))
    def interrupt(self, place: int) -> None:
        if self.open:
            call = self.open.pop(place % len(self.open))
            call.stream.close()

    @rule()
    def drop_the_pools(self) -> None:
        running = [call for call in self.open if call.in_pool]
        if not running:
            for _, each in self.pools:
                each.__exit__(None, None, None)
            self.pools.clear()

    def _receive_frames(self, call: OpenCall, frames: int) -> None:
        for _ in range(frames):
            if call in self.open:
                self._receive(call)

    def _receive(self, call: OpenCall) -> None:
        try:
            delta = next(call.deltas)
        except StopIteration:
            self.open.remove(call)
            return
        except BudgetCutoffError:
            assert not (call.behavior.obeys and call.is_priced), (
                "the server ends the answer at max_tokens"
            )
            self.open.remove(call)
            # The stream does not yield the frame that exceeded the limit.
            delta = TextDelta(call.behavior.token * call.behavior.size)
        if call not in self.started:
            self.started.append(call)
        if isinstance(delta, TextDelta):
            call.count += delta.text.count(call.behavior.token)

    @property
    def slack(self) -> float:
        """The possible excess: the last frame of a server that ignores max_tokens."""
        excess_calls = [
            call for call in self.started if not call.behavior.obeys or not call.is_priced
        ]
        return 1e-6 + sum(
            (call.behavior.size + 1) * ANSWER_RATE + PROMPT_SLACK for call in excess_calls
        )

    @invariant()
    def booked_neurons_stay_within_every_limit(self) -> None:
        for kernel in self.kernels:
            place = kernel.accounting.get_context()
            for limit in kernel.accounting.ledger.budgets.limits(place):
                assert limit.spent <= limit.neurons + self.slack

    @invariant()
    def billed_neurons_stay_within_every_limit(self) -> None:
        limits = self.limit * (KERNELS if self.scope == "session" else 1) if self.limit else 0.0
        assert sum(call.neurons for call in self.started) <= limits + self.slack
        for call in self.started:
            if call.max_neurons is not None:
                assert call.neurons <= call.max_neurons + 3 * ANSWER_RATE + PROMPT_SLACK

    def teardown(self) -> None:
        for call in self.open:
            call.stream.close()
        for _, each in self.pools:
            each.__exit__(None, None, None)
        for kernel in self.kernels:
            if self.limit:
                assert kernel.day_usage().reserved == 0
            kernel.close()
        self.server.__exit__()
        self.folder.cleanup()


TestCalls = Calls.TestCase
TestCalls.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
