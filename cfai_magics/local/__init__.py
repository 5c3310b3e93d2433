"""A small real model on this machine: fetched, verified, and served by llama.cpp's own server."""

from .model import fetch_model, find_model
from .server import LocalServer, serve

__all__ = ["LocalServer", "fetch_model", "find_model", "serve"]
