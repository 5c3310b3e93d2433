"""Every test of maps has the session of the process to itself."""

from collections.abc import Iterator

import pytest

from cfai_magics import api
from cfai_magics.session import Session
from tests.standin import Standin


@pytest.fixture(autouse=True)
def _own_session(account: Standin) -> Iterator[None]:
    assert account.base_url
    api._own_session.cache_clear()
    yield
    api._own_session().close()
    api._own_session.cache_clear()


@pytest.fixture
def session() -> Session:
    return api.current_session()
