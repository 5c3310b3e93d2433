"""Sites of `cfai lite build` run lessons in Chromium, without installed Python."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from cfai_magics.replay.cassette import Cassette
from tests.browser.lite import (
    LONG,
    LitePage,
    build,
    class_site,
    log_requests,
    serving,
    write_lesson,
)
from tests.class_server import MODEL
from tests.notebooks import NOTEBOOKS, recording
from tests.standin import Standin

pytestmark = [pytest.mark.slow, pytest.mark.browser]

QUICKSTART = next(path for path in NOTEBOOKS if path.name == "quickstart.ipynb")
BUDGET = 2.0  # neurons: enough for one answer of the stand-in, but not for two


LIST_NUMBER = re.compile(r"^\d+\. ", re.MULTILINE)  # which the browser draws


def words(text: str) -> str:
    return " ".join(LIST_NUMBER.sub("", text).split())


def recorded_answers(path: Path, lock_dir: Path) -> list[str]:
    return [one.text for one in Cassette(path, lock_dir).contents().interactions]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve a site with the quickstart lesson."""
    folder = tmp_path_factory.mktemp("lite") / "site"
    build(folder, QUICKSTART)
    with serving(folder) as origin:
        yield origin


def test_all_answers_of_a_lesson_equal_the_recording(
    browser: Browser, site: str, tmp_path: Path
) -> None:
    context = browser.new_context()
    urls = log_requests(context)
    page = context.new_page()
    lesson = LitePage(page, site)
    lesson.open_lesson("quickstart")
    lesson.run_all()
    lesson.expect_output(7, "Dry run")
    shown = words(" ".join(map(lesson.read_outputs, range(8))))
    answers = recorded_answers(recording(QUICKSTART), tmp_path)
    assert answers
    for answer in answers:
        assert words(answer) in shown
    expect(page.locator(".jp-CfaiMeter-button")).to_be_visible(timeout=LONG)
    expect(page.locator(".jp-CfaiPicker-button")).to_be_visible(timeout=LONG)
    assert [url for url in urls if not url.startswith((site, "data:", "blob:"))] == []
    context.close()


def test_a_class_server_answers_until_the_budget_is_used_up(
    page: Page, tmp_path: Path, cloudflare: Standin
) -> None:
    question = f"%%cfai -m {MODEL} --max-tokens 30\n"
    cells = ("%load_ext cfai_magics", "%cfai login", f"{question}Hello", f"{question}Hello again")
    lesson_path = write_lesson(tmp_path, *cells)
    with class_site(cloudflare, tmp_path, lesson_path, budget=BUDGET) as (origin, key):
        lesson = LitePage(page, origin)
        lesson.open_lesson("live")
        lesson.run(0)
        lesson.log_in(1, key)
        lesson.run(2)
        lesson.expect_output(2, "You asked: Hello")
        lesson.expect_output(2, "neurons billed")
        expect(page.locator(".jp-CfaiMeter-button")).to_contain_text("/ 2")
        lesson.run(3)
        lesson.expect_output(3, "Your share is 2 neurons a day")
        assert key not in page.content()
    assert cloudflare.billed < BUDGET


def test_no_key_is_asked_for_if_the_site_is_not_confirmed(
    page: Page, tmp_path: Path, cloudflare: Standin
) -> None:
    lesson_path = write_lesson(tmp_path, "%load_ext cfai_magics", "%cfai login")
    build(tmp_path / "site", lesson_path, class_server="https://class.invalid")
    urls = log_requests(page.context)
    with serving(tmp_path / "site") as origin:
        lesson = LitePage(page, origin)
        lesson.open_lesson("live")
        lesson.run(0)
        lesson.run(1)
        lesson.answer("It sends your key to class.invalid", "n")
        lesson.expect_output(1, "you did not confirm")
    assert not [url for url in urls if "class.invalid" in url]
