"""A file for recordings."""

from pathlib import Path

import pytest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lesson.cfai.jsonl"
