"""Tells which notebook and front end a kernel belongs to, as far as they say so."""

from collections.abc import Mapping
from typing import Any

SERVER_VARIABLE = "JPY_SESSION_NAME"  # Jupyter Server: the path, as it was when the kernel started
FRONT_ENDS = {"COLAB_RELEASE_TAG": "Colab", "VSCODE_PID": "VS Code", "VSCODE_CWD": "VS Code"}
VS_CODE_NAME = "__vsc_ipynb_file__"  # in the namespace of the notebook


def notebook_name(environ: Mapping[str, str], names: Mapping[str, Any]) -> str:
    """Return the path of the notebook; empty where nobody tells."""
    return str(names.get(VS_CODE_NAME) or environ.get(SERVER_VARIABLE) or "")


def front_end(environ: Mapping[str, str], shell: object) -> str:
    """Return what the user sits at, as far as the environment and IPython's shell tell."""
    if shell is None:
        return "a shell"
    if not hasattr(shell, "kernel"):
        return "IPython in a terminal"
    found = (name for variable, name in FRONT_ENDS.items() if variable in environ)
    return f"a kernel of {next(found, 'Jupyter')}"
