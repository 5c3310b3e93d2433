"""Records answers at the transport seam, and replays them; imported when first used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .asked import Asked, asked_chat, asked_embeddings, asked_run, request_of
    from .look import Look
    from .nearest import first_difference
    from .record import Record
    from .replay import Replay
    from .way import Way

__all__ = [
    "Asked",
    "Look",
    "Record",
    "Replay",
    "Way",
    "asked_chat",
    "asked_embeddings",
    "asked_run",
    "first_difference",
    "request_of",
]

_HOMES = {
    "Asked": "asked",
    "Look": "look",
    "Record": "record",
    "Replay": "replay",
    "Way": "way",
    "asked_chat": "asked",
    "asked_embeddings": "asked",
    "asked_run": "asked",
    "first_difference": "nearest",
    "request_of": "asked",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
