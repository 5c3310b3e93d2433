"""Sites keep the key of a student for the tab, or longer if the student wants it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser.lite import LitePage, build, class_site, serving, write_lesson
from tests.class_server import MODEL, ClassServer
from tests.standin import Standin

pytestmark = [pytest.mark.slow, pytest.mark.browser]

QUESTION = f"%%cfai -m {MODEL} --max-tokens 30\nHello"
CELLS = ("%load_ext cfai_magics", "%cfai login", QUESTION, "%cfai logout", QUESTION)
LOAD, LOGIN, ASK, LOGOUT, ASK_AGAIN = range(5)
# All that the browser keeps of the site, apart from the entries for the key.
READ_STORED = """async () => {
  const names = (await indexedDB.databases()).map(each => each.name);
  const texts = [];
  for (const name of names) {
    const database = await new Promise((resolve, reject) => {
      const opening = indexedDB.open(name);
      opening.onsuccess = () => resolve(opening.result);
      opening.onerror = reject;
    });
    for (const store of database.objectStoreNames) {
      const rows = await new Promise(resolve => {
        const reading = database.transaction(store).objectStore(store).getAll();
        reading.onsuccess = () => resolve(reading.result);
      });
      texts.push(...rows.map(row => row?.contents instanceof Uint8Array
        ? new TextDecoder().decode(row.contents) : JSON.stringify(row)));
    }
    database.close();
  }
  return texts;
}"""


class Site:
    """A site with two lessons and a class server, and a student's key."""

    def __init__(self, origin: str, key: str) -> None:
        self.origin = origin
        self.key = key

    def open(self, page: Page, name: str = "live") -> LitePage:
        """Open a lesson in a new kernel, and load the extension."""
        lesson = LitePage(page, self.origin)
        lesson.open_lesson(name)
        lesson.run(LOAD)
        return lesson


@pytest.fixture(scope="module")
def site(module_cloudflare: Standin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    lessons = [write_lesson(folder, *CELLS, name=name) for name in ("live", "other")]
    with class_site(module_cloudflare, folder, *lessons) as (origin, key):
        yield Site(origin, key)


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    created = browser.new_context()
    yield created
    created.close()


def read_entries(page: Page) -> str:
    """Return the entries of the page that JavaScript keeps, as JSON."""
    return json.dumps(page.evaluate("({...localStorage, ...sessionStorage})"))


def test_the_key_is_kept_for_the_tab(
    browser: Browser, context: BrowserContext, site: Site
) -> None:
    page = context.new_page()
    lesson = site.open(page)
    lesson.log_in(LOGIN, site.key)
    lesson.expect_output(LOGIN, "The key is saved in this tab of the browser")
    lesson.run(ASK)
    lesson.expect_output(ASK, "neurons billed")
    other = site.open(page, "other")  # another kernel, after the page was loaded again
    other.run(ASK)
    other.expect_output(ASK, "neurons billed")
    assert site.key not in page.content()
    assert not [text for text in page.evaluate(READ_STORED) if site.key in text]
    assert site.key not in json.dumps(page.evaluate("({...localStorage})"))
    second = site.open(context.new_page())  # another tab
    second.run(ASK)
    second.expect_output(ASK, "%cfai login")


def test_the_key_is_kept_longer_until_a_logout(context: BrowserContext, site: Site) -> None:
    page = context.new_page()
    lesson = site.open(page)
    lesson.log_in(LOGIN, site.key, keep="y")
    lesson.expect_output(LOGIN, "The key is saved in this browser")
    page.close()
    again = site.open(context.new_page())
    again.run(ASK)
    again.expect_output(ASK, "neurons billed")
    again.run(LOGOUT)
    again.expect_output(LOGOUT, "Removed from this browser")
    again.run(ASK_AGAIN)
    again.expect_output(ASK_AGAIN, "%cfai login")
    assert site.key not in json.dumps(
        again.page.evaluate("({...localStorage, ...sessionStorage})")
    )


def test_a_question_without_a_key_names_the_class_server_and_the_next_step(
    context: BrowserContext, site: Site
) -> None:
    lesson = site.open(context.new_page())
    lesson.run(ASK)
    lesson.expect_output(ASK, "%cfai login")
    shown = lesson.read_outputs(ASK)
    assert re.search(r"key .* class server 127\.0\.0\.1", shown), shown
    assert "API token" not in shown


def test_a_class_server_that_does_not_allow_the_site_is_one_message(
    context: BrowserContext, tmp_path: Path, cloudflare: Standin
) -> None:
    with ClassServer(cloudflare, variables={"ALLOWED_ORIGINS": "https://a.example"}) as server:
        key = server.add_student("Ada")
        build(tmp_path / "site", write_lesson(tmp_path, *CELLS), class_server=server.url)
        with serving(tmp_path / "site") as origin:
            lesson = Site(origin, key).open(context.new_page())
            lesson.run(LOGIN)
            lesson.answer("This site is", "y")
            lesson.answer("Key for", key)
            lesson.expect_output(LOGIN, "ask your teacher whether ALLOWED_ORIGINS")
            assert "Traceback" not in lesson.read_outputs(LOGIN)
            assert key not in read_entries(lesson.page)


def test_a_site_without_a_class_server_asks_for_no_credentials(
    context: BrowserContext, tmp_path: Path
) -> None:
    build(tmp_path / "site", write_lesson(tmp_path, *CELLS))
    with serving(tmp_path / "site") as origin:
        lesson = Site(origin, "").open(context.new_page())
        lesson.run(LOGIN)
        lesson.expect_output(LOGIN, "This site has no class server")
        lesson.run(ASK)
        lesson.expect_output(ASK, "recording")
