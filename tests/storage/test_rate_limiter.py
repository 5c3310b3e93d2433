"""All kernels together stay below the rate limits (per minute) of Workers AI."""

import subprocess
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

from cfai_magics.errors import CfaiError
from cfai_magics.pricing.catalog import load_bundled
from cfai_magics.pricing.limits import WINDOW_SECONDS, RateLimit, rate_limit_for
from cfai_magics.session.session import Session
from cfai_magics.storage.ledger import Ledger
from cfai_magics.types.messages import Message, Request
from cfai_magics.types.usage import Model
from cfai_magics.workers_ai.client import WorkersAI
from tests.standin import Standin

GLM = "@cf/zai-org/glm-5.2"
TAKE = """
import sys
from pathlib import Path
from cfai_magics.pricing.limits import RateLimit
from cfai_magics.storage.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]), lambda: 1000.0)
for _ in range(25):
    print(ledger.take_slot("account", RateLimit("model", 10)).seconds)
"""


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_requests_above_the_limit_wait_for_the_oldest_to_expire(tmp_path: Path) -> None:
    clock = Clock()
    ledger = Ledger(tmp_path, clock)
    waits = []
    for _ in range(5):
        waits.append(ledger.take_slot("account", RateLimit("model", 3)).seconds)
        clock.now += 1
    assert waits == [0, 0, 0, WINDOW_SECONDS - 3, WINDOW_SECONDS - 3]
    assert ledger.take_slot("account", RateLimit("other model", 3)).seconds == 0
    assert ledger.take_slot("another account", RateLimit("model", 3)).seconds == 0


def test_no_window_contains_more_requests_than_the_limit(tmp_path: Path) -> None:
    clock, times = Clock(), deque[float]()
    ledger = Ledger(tmp_path, clock)
    for step in range(200):
        times.append(clock.now + ledger.take_slot("account", RateLimit("model", 7)).seconds)
        clock.now += (step * 37 % 11) / 2
    ordered = sorted(times)
    pairs = zip(ordered, ordered[7:], strict=False)
    assert all(later - earlier >= WINDOW_SECONDS - 1e-6 for earlier, later in pairs)


def test_kernels_share_one_limit(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TAKE, str(tmp_path)]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
        for _ in range(4)
    ]
    waits = sorted(float(line) for each in running for line in each.communicate()[0].split())
    assert waits == [WINDOW_SECONDS * (place // 10) for place in range(100)]


@pytest.mark.parametrize(
    ("model", "rate_limit"),
    [
        (Model("@cf/a/b", "Text Generation"), RateLimit("Text Generation", 300)),
        (Model("@cf/a/unlisted"), RateLimit("Text Generation", 300)),
        (Model("@cf/a/b", "Text Embeddings"), RateLimit("Text Embeddings", 3000)),
        (Model("@cf/a/paid", "Text Generation", paid_plan_only=True), RateLimit("paid", 20)),
        (Model("@cf/a/b", "Text-to-Speech"), None),
    ],
)
def test_each_task_and_each_paid_model_has_a_rate_limit(
    model: Model, rate_limit: RateLimit | None
) -> None:
    assert rate_limit_for(model) == rate_limit


@pytest.mark.parametrize(("model", "limit"), [("@cf/google/gemma-4-26b-a4b-it", 300), (GLM, 20)])
def test_a_request_above_the_limit_waits_and_is_not_rejected(
    tmp_path: Path, model: str, limit: int
) -> None:
    clock, retries = Clock(), list[tuple[CfaiError, float, int]]()
    ledger = Ledger(tmp_path, clock)
    rate_limits = {each.name: rate_limit_for(each) for each in load_bundled().models}
    request = Request(model, ({"role": "user", "content": "Hi"},), max_tokens=1)
    with (
        Standin(plan="paid", clock=clock) as cloudflare,
        WorkersAI(
            cloudflare.account_id,
            cloudflare.token,
            base_url=cloudflare.base_url,
            sleep=clock.sleep,
        ) as client,
    ):
        client.set_rate_limiter(
            lambda name: ledger.take_slot("account", rate_limits[name] or RateLimit("none", 9))
        )
        for _ in range(limit + 1):
            client.chat(request, on_retry=lambda *event: retries.append(event))
        assert len(cloudflare.requests) == limit + 1, "no request was rejected and retried"
    ((error, seconds, number),) = retries
    assert (seconds, number) == (WINDOW_SECONDS, 1)
    assert error.cause.startswith(f"Workers AI allows {limit} requests per minute for ")


def test_each_retry_takes_a_slot(tmp_path: Path) -> None:
    clock, slots = Clock(), list[str]()
    with (
        Standin(clock=clock) as cloudflare,
        WorkersAI(
            cloudflare.account_id,
            cloudflare.token,
            base_url=cloudflare.base_url,
            sleep=clock.sleep,
        ) as client,
    ):
        client.set_rate_limiter(slots.append)
        cloudflare.switch(busy=True)
        with pytest.raises(CfaiError):
            client.embed(["Hi"], "@cf/baai/bge-m3")
        assert len(cloudflare.requests) == len(slots) > 1


MESSAGES: list[Message] = [{"role": "user", "content": "Hi"}]
SLOT_FUNCTIONS = {
    "in a transaction of its own": Ledger.take_slot.__code__,
    "in the transaction": Ledger.take_slot_in.__code__,
}
CALLS: dict[str, Callable[[Session], object]] = {
    "question": lambda session: session.ask(session.build_request(MESSAGES)),
    "vectors": lambda session: session.embed(["a"]),
    "task": lambda session: session.run("m2m100-1.2b", {"text": "Hi", "target_lang": "fr"}),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_call_takes_its_slot_in_the_transaction_of_its_reservation(
    call: str, account: Standin, session: Session
) -> None:
    names = {code: name for name, code in SLOT_FUNCTIONS.items()}
    taken: list[str] = []

    def count(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code in names:
            taken.append(names[frame.f_code])

    sys.setprofile(count)
    try:
        CALLS[call](session)
    finally:
        sys.setprofile(None)
    assert taken == ["in the transaction"]
    assert len(account.requests) == 1
