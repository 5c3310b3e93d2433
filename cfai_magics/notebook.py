"""Tells which notebook a kernel belongs to, as far as the front end says so."""

from collections.abc import Mapping
from typing import Any

SERVER_VARIABLE = "JPY_SESSION_NAME"  # Jupyter Server: the path, as it was when the kernel started
VS_CODE_NAME = "__vsc_ipynb_file__"  # in the namespace of the notebook


def notebook_name(environ: Mapping[str, str], names: Mapping[str, Any]) -> str:
    """Return the path of the notebook; empty where nobody tells."""
    return str(names.get(VS_CODE_NAME) or environ.get(SERVER_VARIABLE) or "")
