"""Fixtures: a client of the stand-in that does not wait."""

from collections.abc import Iterator

import pytest

from cfai_magics.workers_ai.client import WorkersAI
from tests.standin import Standin


@pytest.fixture
def pauses() -> list[float]:
    """Return the list that records the client's waits, in seconds."""
    return []


@pytest.fixture
def client(cloudflare: Standin, pauses: list[float]) -> Iterator[WorkersAI]:
    """Return a client of the stand-in's account."""
    with WorkersAI(
        cloudflare.account_id,
        cloudflare.token,
        base_url=cloudflare.base_url,
        sleep=pauses.append,
    ) as workers_ai:
        yield workers_ai
