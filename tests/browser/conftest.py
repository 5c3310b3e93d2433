"""Session fixtures: one browser and one server per application."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.applications import APPLICATIONS, Served, application
from tests.browser.servers import chromium

# Playwright's 5 s are too short for a page and a kernel on a busy machine.
expect.set_options(timeout=30_000)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="session", params=APPLICATIONS)
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """Serve a folder with each application and this checkout's extension."""
    with application(request.param, tmp_path_factory.mktemp("served")) as folder:
        yield folder


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()
