"""In a site, the Stop button below the running cell interrupts the answer."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.lite import LitePage, class_site, write_lesson
from tests.class_server import MODEL
from tests.standin import Standin

pytestmark = [pytest.mark.slow, pytest.mark.browser]

SLOW, FAST = 8.0, 0.0  # tokens per second
QUESTION = f"%%cfai -m {MODEL} --max-tokens 400\n"
CELLS = (
    "%load_ext cfai_magics\n%cfai login",
    f"{QUESTION}Count to one hundred.",
    f"{QUESTION}Count again.",
    "print(_cfai.finish_reason, len(_cfai.text) > 0)\n%cfai status",
)
LOGIN, FIRST, SECOND, LAST = range(4)


@pytest.fixture
def lesson(page: Page, tmp_path: Path, cloudflare: Standin) -> Iterator[LitePage]:
    """Open a lesson whose student is logged in to a class server."""
    lesson_path = write_lesson(tmp_path, *CELLS)
    with class_site(cloudflare, tmp_path, lesson_path) as (origin, key):
        opened = LitePage(page, origin)
        opened.open_lesson("live")
        opened.log_in(LOGIN, key)
        yield opened


def test_stop_interrupts_the_answer_and_keeps_its_text(
    lesson: LitePage, cloudflare: Standin
) -> None:
    cloudflare.switch(answer="word " * 400, tokens_per_second=SLOW)
    page = lesson.page
    stop = page.get_by_role("button", name="Stop", exact=True)
    lesson.run(FIRST)
    lesson.expect_output(FIRST, "word word")
    expect(stop).to_have_count(1)
    stop.focus()
    page.keyboard.press("Enter")
    lesson.expect_output(FIRST, "Interrupted.")
    expect(stop).to_have_count(0)
    cloudflare.switch(tokens_per_second=FAST)
    lesson.run(SECOND)
    lesson.expect_output(SECOND, "neurons billed")
    expect(stop).to_have_count(0)
    lesson.run(LAST)
    lesson.expect_output(LAST, "the Stop button below the running cell")
