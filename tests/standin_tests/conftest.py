"""Every test has a Cloudflare of its own."""

from collections.abc import Iterator

import pytest

from tests.standin import Standin
from tests.standin_tests.api import Api


@pytest.fixture
def paid() -> Iterator[Standin]:
    """The same on the paid plan."""
    with Standin(plan="paid") as server:
        yield server


@pytest.fixture
def api(cloudflare: Standin) -> Iterator[Api]:
    """A client with the token that may do everything."""
    made = Api(cloudflare)
    with made.http:
        yield made


@pytest.fixture
def paid_api(paid: Standin) -> Iterator[Api]:
    """The same for the paid plan."""
    made = Api(paid)
    with made.http:
        yield made
