"""Web pages of the allowed origins call the class server; other pages cannot read it."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Page

from tests.class_server import ClassServer, question
from tests.class_server.conftest import cloudflare, key, name
from tests.standin import Standin

pytestmark = pytest.mark.browser
__all__ = ["cloudflare", "key", "name"]  # fixtures

FETCH = """async ([address, key, body]) => {
    try {
        const response = await fetch(address, {
            method: body ? 'POST' : 'GET',
            headers: {
                authorization: `Bearer ${key}`,
                ...(body && {'content-type': 'application/json', 'x-stainless-lang': 'js'})
            },
            body: body && JSON.stringify(body)
        });
        return [response.status, Object.fromEntries(response.headers), await response.text()];
    } catch (error) {
        return [0, {}, String(error)];
    }
}"""
QUESTION = question("Hello")


class EmptyPage(BaseHTTPRequestHandler):
    """Answer each request with an empty page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Yield the port of a server of web pages. localhost and 127.0.0.1 are different origins."""
    with ThreadingHTTPServer(("127.0.0.1", 0), EmptyPage) as pages:
        thread = threading.Thread(target=pages.serve_forever)
        thread.start()
        yield pages.server_port
        pages.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def server(port: int, module_cloudflare: Standin) -> Iterator[ClassServer]:
    """Yield a class server that allows the pages of localhost."""
    origins = f"https://lab.example, http://localhost:{port}"
    with ClassServer(module_cloudflare, variables={"ALLOWED_ORIGINS": origins}) as started:
        yield started


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_page_of_an_allowed_origin_reads_the_answer_and_its_headers(
    stream: bool, server: ClassServer, cloudflare: Standin, page: Page, port: int, key: str
) -> None:
    cloudflare.switch(answer="Yes!")
    page.goto(f"http://localhost:{port}")
    address = f"{server.url}/v1/chat/completions"
    status, headers, text = page.evaluate(FETCH, [address, key, {**QUESTION, "stream": stream}])
    assert status == 200, text
    assert "Yes!" in text
    assert (headers["cfai-budget"], headers["cfai-spent"]) == ("300", "0")
    assert headers["cf-ai-req-id"]
    assert ("cf-ai-neurons" in headers) is not stream


def test_a_page_of_an_allowed_origin_reads_refusals_and_figures(
    server: ClassServer, cloudflare: Standin, page: Page, port: int, name: str
) -> None:
    key = server.add_student(name, requests_per_minute=1, budget=50)
    page.goto(f"http://localhost:{port}")
    address = f"{server.url}/v1/chat/completions"
    assert page.evaluate(FETCH, [address, key, QUESTION])[0] == 200
    status, headers, text = page.evaluate(FETCH, [address, key, QUESTION])
    assert status == 429
    assert int(headers["retry-after"]) > 0
    assert "requests per minute" in text
    status, _, text = page.evaluate(FETCH, [f"{server.url}/me", key, None])
    assert (status, '"budget":50' in text) == (200, True)


def test_a_page_of_another_origin_neither_sends_calls_nor_reads_figures(
    server: ClassServer, cloudflare: Standin, page: Page, port: int, key: str
) -> None:
    page.goto(f"http://127.0.0.1:{port}")
    for path, body in (("/v1/chat/completions", QUESTION), ("/me", None)):
        status, _, text = page.evaluate(FETCH, [f"{server.url}{path}", key, body])
        assert (status, "Failed to fetch" in text) == (0, True)
    assert cloudflare.requests == ()
