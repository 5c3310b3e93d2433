"""Fixtures: a cassette path and a session that records to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cfai_magics.session.session import Session
from tests.replay.sessions import recording
from tests.standin import Standin


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lesson.cfai.jsonl"


@pytest.fixture
def recorder(cloudflare: Standin, path: Path) -> Iterator[Session]:
    with recording(cloudflare, path) as session:
        yield session
