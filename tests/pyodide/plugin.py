"""A pytest plugin that skips the tests that can't run in Pyodide."""

import sys
from types import ModuleType
from typing import Any

import pytest

# Packages and helpers that need threads, sockets or other processes.
MISSING_MODULES = ("aiohttp", "tests.kernels", "tests.standin", "tests.forked")
SERVERS = {"cloudflare", "module_cloudflare", "module_kernel", "small_model"}


class MissingModule(ModuleType):
    """A module whose names are empty classes, for the imports of tests that are skipped."""

    __path__ = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


for module_name in MISSING_MODULES:
    sys.modules[module_name] = MissingModule(module_name)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests that use a server."""
    kept, dropped = [], []
    for item in items:
        uses_server = not SERVERS.isdisjoint(getattr(item, "fixturenames", ()))
        (dropped if uses_server else kept).append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=dropped)
