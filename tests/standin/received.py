"""A received request."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass(frozen=True, slots=True)
class Received:
    """A request; `headers` has lower-case names, `json` is None if the body is not JSON."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body_bytes: bytes = b""
    json: Any = None

    @property
    def token(self) -> str:
        """The bearer token, or ""."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    @property
    def content_type(self) -> str:
        """The body's content type without its parameters, lower-case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def as_json(self) -> dict[str, Any]:
        """Return the request as JSON for other processes."""
        return {
            "method": self.method,
            "path": self.path,
            "query": dict(self.query),
            "headers": dict(self.headers),
            "body": self.body_bytes.decode("utf-8", "replace"),
            "json": self.json,
        }


def received(head: bytes, body: bytes) -> Received:
    """Parse a request from its raw head and body."""
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ", 2)
    address = urlsplit(target)
    return Received(
        method=method,
        path=unquote(address.path),
        query=dict(parse_qsl(address.query, keep_blank_values=True)),
        headers=parsed_headers(lines),
        body_bytes=body,
        json=parsed(body),
    )


def parsed_headers(lines: list[str]) -> dict[str, str]:
    """Return header lines as a mapping with lower-case names."""
    pairs = (line.partition(":") for line in lines)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def parsed(body: bytes) -> Any:
    """Return the parsed JSON body for any content type (curl -d sends form data), or None."""
    if body[:1] not in (b"{", b"["):
        return None
    try:
        return json.loads(body)
    except ValueError:
        return None
