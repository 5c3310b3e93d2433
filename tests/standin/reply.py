"""What a route hands to the connection: status, headers and a body, whole or in pieces."""

import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Piece(NamedTuple):
    """A part of a streamed body; with `last` the body's end leaves in the same write."""

    data: bytes
    last: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer; a body of pieces goes out in chunks, one for each piece."""

    body: bytes | AsyncGenerator[Piece, None]
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class HangUp(Exception):
    """The connection is to be closed here, in the middle of the answer."""


def dumped(value: Any) -> bytes:
    """Return JSON as Cloudflare writes it: compact, with characters as they are."""
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
