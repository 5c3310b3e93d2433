"""The command that opens the quickstart notebook, with the small model ready."""

import os
import shutil
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

QUICKSTART = "quickstart.ipynb"


def demo(door: Door, _options: Namespace) -> str:
    """Fetch the small model, open JupyterLab on the quickstart notebook, return when it ends."""
    if find_spec("jupyterlab") is None:
        raise SetupError("JupyterLab is not installed", "pip install jupyterlab, then cfai demo.")
    door.session.route.local_model(LOCAL_MODEL, door.progress("Fetching the small model"))
    notebook = _notebook(Path.cwd())
    door.say(f"Opening {notebook} in JupyterLab; Ctrl-C ends it.")
    return _lab(notebook)


def _notebook(folder: Path) -> Path:
    """Return the repository's own notebook, or a copy of the shipped one in the folder."""
    own = Path(__file__).parents[2] / "notebooks" / QUICKSTART
    if own.exists():
        return own
    copy = folder / f"cfai-{QUICKSTART}"
    try:
        if not copy.exists():
            shutil.copyfile(str(files("cfai_magics").joinpath("data", QUICKSTART)), copy)
    except OSError as error:
        raise SetupError(
            f"The notebook can't be put into {folder}: {error.strerror}",
            "Run cfai demo in a folder of your own.",
        ) from None
    return copy


def _lab(notebook: Path) -> str:
    # The kernel is the one this package is installed in. Root is who one is in most containers,
    # and JupyterLab listens to this machine alone.
    root = ["--allow-root"] if hasattr(os, "getuid") and os.getuid() == 0 else []
    # By the address, so that the one JupyterLab prints leads to the notebook as well.
    address = f"--LabApp.default_url=/lab/tree/{notebook.name}"
    command = [sys.executable, "-m", "jupyterlab", *root, address]
    lab = subprocess.Popen(command, cwd=notebook.parent, env=os.environ)  # noqa: S603 - our own
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
