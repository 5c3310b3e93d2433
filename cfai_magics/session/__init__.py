"""The one path of every call: reserved, sent or replayed, settled."""

from .session import Session

__all__ = ["Session"]
