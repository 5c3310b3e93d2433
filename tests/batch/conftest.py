"""Give each test of maps its own session of the process."""

import pytest

from cfai_magics import api
from cfai_magics.session.session import Session


@pytest.fixture(autouse=True)
def _alone(own_session: None) -> None:
    """Close the session of the process after each test."""


@pytest.fixture
def session() -> Session:
    return api.get_current_session()
