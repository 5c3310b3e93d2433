"""Ask Cloudflare Workers AI from a notebook cell: `%load_ext cfai_magics`, then `%%cfai`.

The names below are the door for Python code. Each is imported when first used, so that loading
stays light.
"""

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from .api import ask, embed, map, panel, run, similarity, stream  # noqa: A004 - its name
    from .errors import CfaiError
    from .session import Session
    from .values import Answer, Model, Request, Usage
    from .values.answers import Answers
    from .values.results import Embeddings
    from .workers_ai import WorkersAI

__all__ = [
    "Answer",
    "Answers",
    "CfaiError",
    "Embeddings",
    "Model",
    "Request",
    "Session",
    "Usage",
    "WorkersAI",
    "__version__",
    "ask",
    "embed",
    "load_ipython_extension",
    "map",
    "panel",
    "run",
    "similarity",
    "stream",
    "unload_ipython_extension",
]

_HOMES = {
    "Answer": "values",
    "Answers": "values.answers",
    "CfaiError": "errors",
    "Embeddings": "values.results",
    "Model": "values",
    "Request": "values",
    "Session": "session",
    "Usage": "values",
    "WorkersAI": "workers_ai",
    "ask": "api",
    "embed": "api",
    "map": "api",
    "panel": "api",
    "run": "api",
    "similarity": "api",
    "stream": "api",
}


@cache
def _version() -> str:
    """Return the installed version, looked for once: that takes a millisecond or two."""
    from importlib.metadata import version

    return version("cfai-magics")


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version()
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(shell: "InteractiveShell") -> None:
    """Load into IPython: silent, quick, without the network."""
    from .ipython.extension import load

    load(shell)


def unload_ipython_extension(shell: "InteractiveShell") -> None:
    """Unload from IPython, leaving its tables as they were."""
    from .ipython.extension import unload

    unload(shell)


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "cfai-magics"}]
