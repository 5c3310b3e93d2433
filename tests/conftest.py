"""Fixtures: each test has its own state folder, environment and IPython shell."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import coverage
import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from cfai_magics import runtime
from cfai_magics.api import get_process_session
from cfai_magics.backends.local_model import fetch_model
from cfai_magics.i18n import set_language
from cfai_magics.session.session import Session
from cfai_magics.settings import Cfai
from tests.kernels import Kernel, running_kernel
from tests.standin import Standin

CLOUDFLARE_VARIABLES = ("CLOUDFLARE_", "CFAI_", "CF_")
MODELS_VARIABLE = "CFAI_TEST_MODELS"

# Tests compare English messages, also on a machine with another language.
os.environ["LANGUAGE"] = "en"
set_language("environment", "en")
# Tests interrupt themselves and child processes, also if the runner ignores SIGINT (nohup, `&`).
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_sessionfinish() -> None:
    """Save the coverage now: xdist kills a worker that takes longer than ten seconds to exit."""
    measurement = coverage.Coverage.current()
    if measurement is not None:
        measurement.save()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the test's own state folder; remove Cloudflare variables from the environment."""
    for name in list(os.environ):
        if name.startswith(CLOUDFLARE_VARIABLES) and name != MODELS_VARIABLE:
            monkeypatch.delenv(name)
    folder = tmp_path / "home"
    monkeypatch.setenv("CFAI_HOME", str(folder))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    # Tests must not read the keyring of the user who runs them.
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    return folder


@pytest.fixture
def without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the platform start no threads, as in a browser. Servers of tests keep theirs."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith("cfai") or isinstance(thread, threading.Timer):
            message = "can't start new thread"
            raise RuntimeError(message)
        start(thread)

    monkeypatch.setattr(runtime, "HAS_THREADS", False)
    monkeypatch.setattr(threading.Thread, "start", refuse)


@pytest.fixture(params=["with threads", "without threads"])
def has_threads(request: pytest.FixtureRequest) -> bool:
    """Run a test with threads, and without them as in a browser. Return whether it has them."""
    if request.param == "without threads":
        request.getfixturevalue("without_threads")
    return request.param == "with threads"


@pytest.fixture
def cloudflare() -> Iterator[Standin]:
    """Yield a stand-in for Cloudflare on this machine."""
    with Standin() as server:
        yield server


@pytest.fixture
def account(cloudflare: Standin, monkeypatch: pytest.MonkeyPatch) -> Standin:
    """Set the account and token of the stand-in in the environment; return the stand-in."""
    for name, value in cloudflare.environ().items():
        monkeypatch.setenv(name, value)
    return cloudflare


@pytest.fixture
def session(account: Standin, home: Path) -> Iterator[Session]:
    """Yield a session with that account."""
    created = Session(Cfai(), home)
    yield created
    created.close()


@pytest.fixture
def own_session(account: Standin) -> Iterator[None]:
    """Start a new process-wide session with that account, as `cfai_magics.ask` uses it."""
    assert account.base_url
    get_process_session.cache_clear()
    yield
    get_process_session().close()
    get_process_session.cache_clear()


@pytest.fixture(scope="module")
def module_cloudflare() -> Iterator[Standin]:
    """Yield one stand-in for all tests of a file; each test clears it."""
    with Standin() as server:
        yield server


@pytest.fixture(scope="module")
def module_kernel(
    module_cloudflare: Standin, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Kernel]:
    """Yield one kernel for all tests of a file, with that account and its own state folder."""
    home = str(tmp_path_factory.mktemp("home"))
    with running_kernel(**module_cloudflare.environ(), CFAI_HOME=home) as kernel:
        assert kernel.run("%load_ext cfai_magics").outputs == []
        yield kernel


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[InteractiveShell]:
    """Yield a terminal-like IPython shell without loaded extensions."""
    config = Config()
    config.HistoryManager.hist_file = ":memory:"
    config.InteractiveShell.colors = "nocolor"
    InteractiveShell.clear_instance()
    created = InteractiveShell.instance(config=config)
    yield created
    if created.history_manager is not None:
        created.history_manager.end_session()
    InteractiveShell.clear_instance()


@pytest.fixture(scope="session")
def small_model() -> Path:
    """Return the weights of the small real model, which a machine downloads only once."""
    folder = os.environ.get(MODELS_VARIABLE) or Path.home() / ".cache" / "cfai-magics-tests"
    return fetch_model(Path(folder))
