"""AI Gateway: selected by a header, with cache, metadata and spend limits."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from uuid import uuid4

from .errors import Fault, Refusal
from .exchange import Exchange
from .reply import Piece, Reply

NAME, METADATA = "cf-aig-gateway-id", "cf-aig-metadata"
CACHE_STATUS, LOG_ID = "cf-aig-cache-status", "cf-aig-log-id"
Handler = Callable[[Exchange], Awaitable[Reply]]


async def through(exchange: Exchange, handler: Handler) -> Reply:
    """Answer a call through a gateway: from its cache, or by the handler."""
    check(exchange)
    request = exchange.received
    key = (request.path, request.body_bytes)
    copies = exchange.cloud.gateway.copies
    if exchange.switches.gateway_caches and key in copies:
        return with_headers(copies[key], "HIT")
    reply = await handler(exchange)
    if not exchange.switches.gateway_caches:
        return with_headers(reply, "")
    if isinstance(reply.body, bytes):
        copies[key] = reply
        return with_headers(reply, "MISS")

    def save(whole: bytes) -> None:
        copies[key] = replace(reply, body=whole)

    return with_headers(replace(reply, body=record(reply.body, save)), "MISS")


def check(exchange: Exchange) -> None:
    """Raise Refusal for an unknown gateway or a call beyond its spend limit."""
    switches, headers = exchange.switches, exchange.received.headers
    if headers[NAME] not in switches.gateways:
        raise Refusal(Fault.of(2001, "C"))
    metadata = headers.get(METADATA, "")
    calls = exchange.cloud.gateway.calls
    if switches.gateway_calls is not None and calls.get(metadata, 0) >= switches.gateway_calls:
        # The documentation says 429, but does not describe the body.
        raise Refusal(Fault(429, 429, "Spend limit exceeded", "C"))
    calls[metadata] = calls.get(metadata, 0) + 1


def with_headers(reply: Reply, cache: str) -> Reply:
    """Return the response with the headers of the gateway."""
    status = {CACHE_STATUS: cache} if cache else {}
    return replace(reply, headers={**reply.headers, LOG_ID: str(uuid4()), **status})


async def record(
    pieces: AsyncGenerator[Piece, None], save: Callable[[bytes], None]
) -> AsyncGenerator[Piece, None]:
    """Forward the pieces; call `save` with the complete body after the last one."""
    parts: list[bytes] = []
    async for piece in pieces:
        parts.append(piece.data)
        if piece.last:
            save(b"".join(parts))
        yield piece
