"""Response of a route: status, headers and a complete or streamed body."""

import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Piece(NamedTuple):
    """A part of a streamed body; `last` sends the end of the body in the same write."""

    data: bytes
    last: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """A response; a streamed body is sent as one chunk per piece."""

    body: bytes | AsyncGenerator[Piece, None]
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Canned:
    """A complete response of a test."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"

    def reply(self) -> Reply:
        """Return it as the response of a route."""
        return Reply(self.body, self.status, self.content_type)


class HangUp(Exception):
    """Raised to close the connection in the middle of an answer."""


def dumped(value: Any) -> bytes:
    """Return JSON in Cloudflare's format: compact, without escaped characters."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def plain(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """Return JSON without an envelope."""
    return Reply(dumped(value), status, headers=headers or {})


def enveloped(
    result: Any,
    headers: Mapping[str, str] | None = None,
    messages: tuple[Any, ...] = (),
    **more: Any,
) -> Reply:
    """Return a result in the envelope of api.cloudflare.com."""
    body = {"result": result, "success": True, "errors": [], "messages": list(messages), **more}
    return plain(body, headers=headers)
