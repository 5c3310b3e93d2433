"""Send prompts to Cloudflare Workers AI from a notebook: `%load_ext cfai_magics`, then `%%cfai`.

The names in `__all__` are the public Python API. Each is imported on first use to keep loading
the extension fast.
"""

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from .api import (
        ask,
        embed,
        map,  # noqa: A004 - public name
        panel,
        recording,
        run,
        similarity,
        stream,
    )
    from .errors import CfaiError
    from .session.session import Session
    from .types.answer_set import AnswerSet
    from .types.messages import Answer, Request
    from .types.results import Embeddings
    from .types.usage import Model, Usage
    from .workers_ai.client import WorkersAI

__all__ = [
    "Answer",
    "AnswerSet",
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
    "recording",
    "run",
    "similarity",
    "stream",
    "unload_ipython_extension",
]

_MODULES = {
    "Answer": "types.messages",
    "AnswerSet": "types.answer_set",
    "CfaiError": "errors",
    "Embeddings": "types.results",
    "Model": "types.usage",
    "Request": "types.messages",
    "Session": "session.session",
    "Usage": "types.usage",
    "WorkersAI": "workers_ai.client",
    "ask": "api",
    "embed": "api",
    "map": "api",
    "panel": "api",
    "recording": "api",
    "run": "api",
    "similarity": "api",
    "stream": "api",
}


@cache
def _get_version() -> str:
    """Return the installed version, which the build writes into `_version.py`."""
    try:
        return str(import_module("._version", __name__).__version__)
    except ImportError:  # run from a checkout that was never built
        from importlib.metadata import version

        return version("cfai-magics")


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _get_version()
    if name in _MODULES:
        return getattr(import_module(f".{_MODULES[name]}", __name__), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(shell: "InteractiveShell") -> None:
    """Load the extension into IPython without printing anything or using the network."""
    from .frontends.extension import load

    load(shell)


def unload_ipython_extension(shell: "InteractiveShell") -> None:
    """Unload the extension and restore IPython's magics, hooks and completers."""
    from .frontends.extension import unload

    unload(shell)


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "cfai-magics"}]
