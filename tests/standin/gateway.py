"""AI Gateway on the way to a model: named by a header, with cache, metadata and spend limits."""

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
    """Answer a call that names a gateway: from its cache, or by the handler, unless refused."""
    check(exchange)
    request = exchange.received
    key = (request.path, request.body_bytes)
    copies = exchange.cloud.gateway.copies
    if exchange.switches.gateway_caches and key in copies:
        return told(copies[key], "HIT")
    reply = await handler(exchange)
    if not exchange.switches.gateway_caches:
        return told(reply, "")
    if isinstance(reply.body, bytes):
        copies[key] = reply
        return told(reply, "MISS")

    def keep(whole: bytes) -> None:
        copies[key] = replace(reply, body=whole)

    return told(replace(reply, body=kept(reply.body, keep)), "MISS")


def check(exchange: Exchange) -> None:
    """Refuse a gateway that is not there, and a call beyond its spend limit."""
    switches, headers = exchange.switches, exchange.received.headers
    if headers[NAME] not in switches.gateways:
        raise Refusal(Fault.of(2001, "C"))
    who = headers.get(METADATA, "")
    calls = exchange.cloud.gateway.calls
    if switches.gateway_calls is not None and calls.get(who, 0) >= switches.gateway_calls:
        # The documents say 429; how the body reads is in none.
        raise Refusal(Fault(429, 429, "Spend limit exceeded", "C"))
    calls[who] = calls.get(who, 0) + 1


def told(reply: Reply, cache: str) -> Reply:
    """Return the reply with the headers of the gateway."""
    status = {CACHE_STATUS: cache} if cache else {}
    return replace(reply, headers={**reply.headers, LOG_ID: str(uuid4()), **status})


async def kept(
    pieces: AsyncGenerator[Piece, None], keep: Callable[[bytes], None]
) -> AsyncGenerator[Piece, None]:
    """Pass the pieces on, and keep the whole when it came to its end."""
    parts: list[bytes] = []
    async for piece in pieces:
        parts.append(piece.data)
        if piece.last:
            keep(b"".join(parts))
        yield piece
