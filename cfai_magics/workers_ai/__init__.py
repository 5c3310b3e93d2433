"""Cloudflare Workers AI over HTTP; the names below are imported when first used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .chat_stream import ChatStream
    from .client import CLOUDFLARE, WorkersAI

__all__ = ["CLOUDFLARE", "ChatStream", "WorkersAI"]

_HOMES = {"CLOUDFLARE": "client", "ChatStream": "chat_stream", "WorkersAI": "client"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
