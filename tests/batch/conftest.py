"""Give each map test its own process-wide session."""

import pytest

from cfai_magics import api
from cfai_magics.session.session import Session


@pytest.fixture(autouse=True)
def _own_process_session(own_session: None) -> None:
    """Close the process-wide session after each test."""


@pytest.fixture
def session() -> Session:
    return api.get_current_session()
