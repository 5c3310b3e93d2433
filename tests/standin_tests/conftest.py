"""Fixtures: a stand-in per test, and clients of it."""

from collections.abc import Iterator

import pytest

from tests.standin import Standin
from tests.standin_tests.api import Api


@pytest.fixture
def paid() -> Iterator[Standin]:
    """Start a stand-in with an account on the paid plan."""
    with Standin(plan="paid") as server:
        yield server


@pytest.fixture
def api(cloudflare: Standin) -> Iterator[Api]:
    """Return a client with a token that has all permissions."""
    client = Api(cloudflare)
    with client.http:
        yield client


@pytest.fixture
def paid_api(paid: Standin) -> Iterator[Api]:
    """Return such a client of the paid account."""
    client = Api(paid)
    with client.http:
        yield client
