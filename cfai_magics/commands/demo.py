"""The command that opens the quickstart notebook, with the small model ready."""

import os
import signal
import subprocess
import sys
from argparse import Namespace
from contextlib import suppress
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from ..backends.selector import LOCAL_MODEL
from ..chat.frontend import Frontend
from ..errors import SetupError

OPTIONS = ()


NOTEBOOKS_DIR = "notebooks"
QUICKSTART_NAME = "quickstart.ipynb"
COPIES_DIR = "cfai-notebooks"


def run(frontend: Frontend, _options: Namespace) -> str:
    """Fetch the small model, open JupyterLab on the quickstart notebook, return when it ends."""
    if find_spec("jupyterlab") is None:
        raise SetupError("JupyterLab is not installed", "pip install jupyterlab, then cfai demo.")
    frontend.session.backend.get_local_model_path(
        LOCAL_MODEL, frontend.start_progress("Fetching the small model")
    )
    notebook = _prepare_notebooks(Path.cwd()) / QUICKSTART_NAME
    frontend.print(f"Opening {notebook} in JupyterLab; Ctrl-C ends it.")
    return _run_lab(notebook)


def _prepare_notebooks(folder: Path) -> Path:
    """Return the repository's notebooks, or copies of the bundled ones in the folder."""
    repository_dir = Path(__file__).parents[2] / NOTEBOOKS_DIR
    if (repository_dir / QUICKSTART_NAME).exists():
        return repository_dir
    copies_dir = folder / COPIES_DIR
    try:
        copies_dir.mkdir(exist_ok=True)
        for bundled in files("cfai_magics").joinpath("data", NOTEBOOKS_DIR).iterdir():
            copy = copies_dir / bundled.name
            if not copy.exists():  # what is there may hold somebody's work
                copy.write_bytes(bundled.read_bytes())
    except OSError as error:
        raise SetupError(
            f"The notebooks can't be put into {copies_dir}: {error.strerror}",
            "Run cfai demo in a folder of your own.",
        ) from None
    return copies_dir


def _run_lab(notebook: Path) -> str:
    # The kernel is the one this package is installed in. Root is who one is in most containers,
    # and JupyterLab listens to this machine alone.
    root_flags = ["--allow-root"] if hasattr(os, "getuid") and os.getuid() == 0 else []
    # By the address, so that the one JupyterLab prints leads to the notebook as well.
    url_option = f"--LabApp.default_url=/lab/tree/{notebook.name}"
    command = [sys.executable, "-m", "jupyterlab", *root_flags, url_option]
    process = subprocess.Popen(command, cwd=notebook.parent)  # noqa: S603 - our own
    # it ends with us
    previous_handler = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        exit_code = _wait_for_exit(process)
    finally:
        signal.signal(signal.SIGTERM, previous_handler)
    if exit_code > 0:
        raise SetupError(f"JupyterLab ended with code {exit_code}", "What it said stands above.")
    return "JupyterLab has ended."


def _wait_for_exit(process: "subprocess.Popen[bytes]") -> int:
    """Wait until JupyterLab has ended; at Ctrl-C it asks whether to."""
    while True:
        with suppress(KeyboardInterrupt):
            return process.wait()
