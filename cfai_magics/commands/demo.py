"""Download the small model and open the quickstart notebook in JupyterLab."""

import os
import re
import signal
import subprocess
import sys
from argparse import Namespace
from contextlib import suppress
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from .. import runtime, state_files
from ..backends.selector import LOCAL_MODEL
from ..chat.frontend import Frontend
from ..errors import SetupError
from ..i18n import _
from ..paths import write_user_file

OPTIONS = ()


NOTEBOOKS_DIR = "notebooks"
QUICKSTART_NAME = "quickstart.ipynb"
COPIES_DIR = "cfai-notebooks"
LOG_NAME = "jupyterlab.log"
POLL_SECONDS = 0.2  # seconds between checks of JupyterLab's log


def run(frontend: Frontend, _options: Namespace) -> str:
    """Download the small model, open the quickstart notebook, and wait until JupyterLab exits."""
    runtime.check_processes("%cfai demo")
    if find_spec("jupyterlab") is None:
        raise SetupError(
            _("JupyterLab is not installed"),
            _("Run pip install jupyterlab, then cfai demo."),
        )
    frontend.session.backend.get_local_model_path(
        LOCAL_MODEL, frontend.start_progress(_("Downloading the small model"))
    )
    notebook = _prepare_notebooks(Path.cwd()) / QUICKSTART_NAME
    return _run_lab(frontend, notebook)


def _prepare_notebooks(folder: Path) -> Path:
    """Return the folder with the quickstart notebook.

    In a repository checkout, this is the repository's `notebooks` folder. Otherwise, copy the
    bundled notebooks to a subfolder of `folder`.
    """
    repository_dir = Path(__file__).parents[2] / NOTEBOOKS_DIR
    if (repository_dir / QUICKSTART_NAME).exists():
        return repository_dir
    copies_dir = folder / COPIES_DIR
    try:
        copies_dir.mkdir(exist_ok=True)
        for bundled in files("cfai_magics").joinpath("data", NOTEBOOKS_DIR).iterdir():
            copy = copies_dir / bundled.name
            if not copy.exists():  # an existing copy may contain the user's work
                write_user_file(copy, [bundled.read_bytes()])
    except OSError as error:
        raise SetupError(
            _("The notebooks can't be copied to {folder}: {error}").format(
                folder=copies_dir, error=error.strerror
            ),
            _("Run cfai demo in a folder that you can write to."),
        ) from None
    return copies_dir


def _run_lab(frontend: Frontend, notebook: Path) -> str:
    # sys.executable is used below because cfai-magics is installed for this Python. --allow-root
    # is needed in most containers, and is safe because JupyterLab listens only on this machine.
    root_flags = ["--allow-root"] if hasattr(os, "getuid") and os.getuid() == 0 else []
    # With this default URL, the URL in JupyterLab's log also opens the notebook.
    url_option = f"--LabApp.default_url=/lab/tree/{notebook.name}"
    command = [sys.executable, "-m", "jupyterlab", *root_flags, url_option]
    log_path = _create_log(frontend.session.home / "logs")
    frontend.print(
        _("Starting JupyterLab with {notebook} (log: {log}).").format(
            notebook=notebook, log=log_path
        )
    )
    with log_path.open("wb") as log:
        # On a terminal, JupyterLab would ask for confirmation of Ctrl-C, but in its log.
        process = subprocess.Popen(  # noqa: S603 - not user input
            command,
            cwd=notebook.parent,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    # JupyterLab must not outlive this command.
    previous_handler = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        # Ctrl-C is ignored here, because JupyterLab also receives it and exits.
        with suppress(KeyboardInterrupt):
            _show_url(frontend, process, log_path, notebook.name)
        exit_code = _wait_for_exit(process)
    finally:
        signal.signal(signal.SIGTERM, previous_handler)
    if exit_code > 0:
        raise SetupError(
            _("JupyterLab exited with code {code}").format(code=exit_code),
            _("Its messages are in {log}.").format(log=log_path),
        )
    return _("JupyterLab has stopped.")


def _create_log(folder: Path) -> Path:
    """Create an empty log that only this user can read, because it contains a token."""
    path = folder / LOG_NAME
    try:
        state_files.write_text(path, "")
    except OSError as error:
        raise SetupError(
            _("The log {path} can't be written: {error}").format(
                path=path, error=state_files.describe_error(error)
            ),
            _("Free some space there, or set CFAI_HOME to another folder."),
        ) from None
    return path


def _show_url(
    frontend: Frontend, process: "subprocess.Popen[bytes]", log_path: Path, notebook_name: str
) -> None:
    """Wait until JupyterLab logs the notebook's URL, and show it."""
    pattern = re.compile(rf"https?://\S+/lab/tree/{re.escape(notebook_name)}\S*")
    while process.poll() is None:
        if url := pattern.search(log_path.read_text(encoding="utf-8", errors="replace")):
            frontend.print(
                _("JupyterLab is running: {url}\nPress Ctrl-C to stop it.").format(url=url[0])
            )
            return
        with suppress(subprocess.TimeoutExpired):
            process.wait(POLL_SECONDS)


def _wait_for_exit(process: "subprocess.Popen[bytes]") -> int:
    while True:
        with suppress(KeyboardInterrupt):
            return process.wait()
