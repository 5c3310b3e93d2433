"""No error at any depth of a teacher's command shows a key, in any variable of its traceback."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cfai_magics.commands import run
from cfai_magics.session.session import Session
from tests.class_server import ClassServer
from tests.fake_frontends import bare_frontend
from tests.standin import Standin
from tests.test_tracebacks import calls_of, raised_in, shown

pytestmark = pytest.mark.slow

KEY = re.compile(r"cfsa?_[\w-]{20,}")


@pytest.fixture
def teach(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., object]:
    """Return a function that runs `%cfai class` in the test's folder."""
    monkeypatch.chdir(tmp_path)
    Path("names.csv").write_text("Ada\nBob\n")
    frontend = bare_frontend(session)
    return lambda *words: run("class", words, frontend, "%cfai")


def check(
    call: Callable[[], object], prepare: Callable[[], object] = lambda: None, step: int = 1
) -> None:
    """Interrupt a call in each of its functions, or in every `step`-th, and check the error."""
    call()  # import what is imported on first use
    prepare()
    places = calls_of(call)[::step]
    raised = 0
    for place in places:
        prepare()
        error = raised_in(call, place, KeyboardInterrupt())
        if error is not None:
            raised += 1
            assert not KEY.search(shown(error)), f"{place.co_filename}:{place.co_name}"
    assert raised > 20


def test_no_error_of_a_new_class_shows_a_key(teach: Callable[..., object], tmp_path: Path) -> None:
    def remove() -> None:
        shutil.rmtree(tmp_path / "physics1", ignore_errors=True)

    check(lambda: teach("new", "physics1", "--students", "names.csv"), remove)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".physics1")] == []


@pytest.mark.parametrize("words", [("keys", "renew", "Ada"), ("keys", "print")], ids=" ".join)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # errors leave sockets open on purpose
def test_no_error_of_a_command_with_keys_shows_a_key(
    teach: Callable[..., object], cloudflare: Standin, tmp_path: Path, words: tuple[str, ...]
) -> None:
    teach("new", "physics1", "--students", "names.csv")
    folder = tmp_path / "physics1"
    admin_key = (folder / "admin.key").read_text().strip()
    with ClassServer(cloudflare, admin_key=admin_key, worker=folder) as server:
        (folder / "class.toml").write_text(f'name = "physics1"\nurl = "{server.url}"\n')
        step = 4 if "renew" in words else 1  # to save time
        check(lambda: teach(*words, "--class", "physics1"), step=step)
