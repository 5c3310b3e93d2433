"""The command that opens the quickstart notebook, with the small model ready."""

import os
import shutil
import subprocess
import sys
from argparse import Namespace
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from ..errors import SetupError
from ..route import LOCAL_MODEL
from . import Door

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
    if not copy.exists():
        shutil.copyfile(str(files("cfai_magics").joinpath("data", QUICKSTART)), copy)
    return copy


def _lab(notebook: Path) -> str:
    # The kernel is the one this package is installed in. Root is who one is in most containers,
    # and JupyterLab listens to this machine alone.
    root = ["--allow-root"] if hasattr(os, "getuid") and os.getuid() == 0 else []
    command = [sys.executable, "-m", "jupyterlab", *root, notebook.name]
    lab = subprocess.Popen(command, cwd=notebook.parent, env=os.environ)  # noqa: S603 - our own
    try:
        code = lab.wait()
    except KeyboardInterrupt:
        lab.wait()
        return "JupyterLab has ended."
    if code:
        raise SetupError(f"JupyterLab ended with code {code}", "What it said stands above.")
    return "JupyterLab has ended."
