"""Every test of maps has the session of the process to itself."""

import pytest

from cfai_magics import api
from cfai_magics.session.session import Session


@pytest.fixture(autouse=True)
def _alone(own_session: None) -> None:
    """No map finds the session of another."""


@pytest.fixture
def session() -> Session:
    return api.get_current_session()
