"""Fixtures: a class server for the tests of a file, and a student for each test."""

import itertools
from collections.abc import Iterator

import pytest

from tests.class_server import ClassServer
from tests.standin import Standin, Switches

NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def server(module_cloudflare: Standin) -> Iterator[ClassServer]:
    """Yield a class server for all tests of a file."""
    with ClassServer(module_cloudflare) as started:
        yield started


@pytest.fixture
def cloudflare(module_cloudflare: Standin) -> Standin:
    """Return the stand-in of that class server, with its first switches and no requests."""
    module_cloudflare.switches = Switches()
    module_cloudflare.clear()
    return module_cloudflare


@pytest.fixture
def name() -> str:
    """Return a new name of a student."""
    return f"Student {next(NUMBERS)}"


@pytest.fixture
def key(server: ClassServer, name: str) -> str:
    """Return the key of a new student with the share of the class."""
    return server.add_student(name)
