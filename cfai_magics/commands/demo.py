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

from ..asking.door import Door
from ..errors import SetupError
from ..route.route import LOCAL_MODEL

NOTEBOOKS = "notebooks"
QUICKSTART = "quickstart.ipynb"
COPIES = "cfai-notebooks"


def demo(door: Door, _options: Namespace) -> str:
    """Fetch the small model, open JupyterLab on the quickstart notebook, return when it ends."""
    if find_spec("jupyterlab") is None:
        raise SetupError("JupyterLab is not installed", "pip install jupyterlab, then cfai demo.")
    door.session.route.local_model(LOCAL_MODEL, door.progress("Fetching the small model"))
    notebook = _notebooks(Path.cwd()) / QUICKSTART
    door.say(f"Opening {notebook} in JupyterLab; Ctrl-C ends it.")
    return _lab(notebook)


def _notebooks(folder: Path) -> Path:
    """Return the repository's own notebooks, or copies of the shipped ones below the folder."""
    own = Path(__file__).parents[2] / NOTEBOOKS
    if (own / QUICKSTART).exists():
        return own
    copies = folder / COPIES
    try:
        copies.mkdir(exist_ok=True)
        for shipped in files("cfai_magics").joinpath("data", NOTEBOOKS).iterdir():
            copy = copies / shipped.name
            if not copy.exists():  # what is there may hold somebody's work
                copy.write_bytes(shipped.read_bytes())
    except OSError as error:
        raise SetupError(
            f"The notebooks can't be put into {copies}: {error.strerror}",
            "Run cfai demo in a folder of your own.",
        ) from None
    return copies


def _lab(notebook: Path) -> str:
    # The kernel is the one this package is installed in. Root is who one is in most containers,
    # and JupyterLab listens to this machine alone.
    root = ["--allow-root"] if hasattr(os, "getuid") and os.getuid() == 0 else []
    # By the address, so that the one JupyterLab prints leads to the notebook as well.
    address = f"--LabApp.default_url=/lab/tree/{notebook.name}"
    command = [sys.executable, "-m", "jupyterlab", *root, address]
    lab = subprocess.Popen(command, cwd=notebook.parent)  # noqa: S603 - our own
    earlier = signal.signal(signal.SIGTERM, lambda *_: lab.terminate())  # it ends with us
    try:
        code = _ended(lab)
    finally:
        signal.signal(signal.SIGTERM, earlier)
    if code > 0:
        raise SetupError(f"JupyterLab ended with code {code}", "What it said stands above.")
    return "JupyterLab has ended."


def _ended(lab: "subprocess.Popen[bytes]") -> int:
    """Wait until JupyterLab has ended; at Ctrl-C it asks whether to."""
    while True:
        with suppress(KeyboardInterrupt):
            return lab.wait()
