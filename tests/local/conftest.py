"""The small real model, fetched once for all runs of the tests on a machine."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cfai_magics.local import LocalServer, fetch_model

MODELS = "CFAI_TEST_MODELS"


@pytest.fixture(scope="session")
def small_model() -> Path:
    """The verified weights."""
    folder = os.environ.get(MODELS) or Path.home() / ".cache" / "cfai-magics-tests"
    return fetch_model(Path(folder))


@pytest.fixture(scope="module")
def server(small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """Llama.cpp's own server with the small real model."""
    with LocalServer.start(small_model, log_dir=tmp_path_factory.mktemp("logs")) as started:
        yield started
