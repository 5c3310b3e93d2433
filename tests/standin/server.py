"""The stand-in: an aiohttp server on loopback with its own thread, and its routes.

Recorded or documented: the paths and their errors, and the headers and errors of AI Gateway.
Invented: the routes under /_standin, with which other processes set switches and read logs.
"""

import asyncio
import contextlib
import re
import secrets
import socket
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple, Self
from uuid import uuid4

from aiohttp import web

from . import chat, tasks
from .analytics import graphql
from .behavior import HangUp, Script, Switches, flood_reply
from .catalog import Catalog, Model, model_schema, search_models
from .errors import (
    Fault,
    Piece,
    Refusal,
    Reply,
    enveloped,
    fault_reply,
    plain,
    refusal,
    spend_limit_body,
)
from .state import (
    EDIT,
    EVERYTHING,
    HEX_ID,
    READ,
    Accounts,
    Call,
    Clock,
    Cloud,
    Exchange,
    Ledger,
    Log,
    Owner,
    Plan,
    Received,
)

HOST = "127.0.0.1"
BACKLOG = 1024
MAX_HEADER_BYTES = 2**16
CONTROL = "/_standin/"
BASE = "/client/v4"
ACCOUNT = "/accounts/(?P<account>[^/]+)"
BELOW_ACCOUNT = re.compile(f"{BASE}{ACCOUNT}/.*")
GATEWAY_NAME, GATEWAY_METADATA = "cf-aig-gateway-id", "cf-aig-metadata"
GATEWAY_CACHE_STATUS, GATEWAY_LOG_ID = "cf-aig-cache-status", "cf-aig-log-id"
Handler = Callable[[Exchange], Awaitable[Reply]]


class Route(NamedTuple):
    """A route; the token needs `permission` on the account if it is set."""

    method: str
    pattern: re.Pattern[str]
    handler: Handler
    permission: str = ""


async def answer(cloud: Cloud, received: Received) -> Reply:
    """Answer one request; a Refusal becomes its recorded error response."""
    if received.path.startswith(CONTROL):
        return _control(cloud, received)
    cloud.log.add_request(received)
    script = cloud.script
    switches = script.switches
    headers = {} if switches.retry_after is None else {"retry-after": switches.retry_after}
    if switches.error_path in received.path:
        if switches.flood:
            return flood_reply(switches.flood, switches.flood_status)
        if switches.canned:
            return switches.canned
    fault = script.next_fault(received.path)
    if fault is not None:
        return fault_reply(fault, headers=headers)
    try:
        return await _route(cloud, script, received)
    except Refusal as error:
        return fault_reply(error.fault, *error.also, headers=headers)


async def _route(cloud: Cloud, script: Script, received: Received) -> Reply:
    """Find the route, check the token and call the handler."""
    account = BELOW_ACCOUNT.fullmatch(received.path)
    if account is not None:
        _check_account_id(account["account"], received.path)
    route, parts = _find_route(received)
    if route.permission:
        cloud.accounts.check_permission(received.token, parts["account"], route.permission)
    exchange = Exchange(cloud, script, received, parts)
    if route.permission == EDIT and GATEWAY_NAME in received.headers:
        return await _answer_through_gateway(exchange, route.handler)
    return await route.handler(exchange)


def _check_account_id(account_id: str, path: str) -> None:
    """Raise Refusal for a malformed account ID; the front door cannot route it."""
    if len(account_id) != HEX_ID or account_id.strip("0123456789abcdef"):
        raise _not_routed(404, path)


def _not_routed(status: int, path: str) -> Refusal:
    message = f"Could not route to {path}, perhaps your object identifier is invalid?"
    return Refusal(Fault(status, 7003, message), (7000, "No route for that URI"))


def _find_route(received: Received) -> tuple[Route, dict[str, str]]:
    """Return the route of a request, and the named parts of its path."""
    tried = [(one, one.pattern.fullmatch(received.path)) for one in ROUTES]
    matches = [(one, match.groupdict()) for one, match in tried if match]
    for one, parts in matches:
        if one.method == received.method:
            return one, parts
    if matches:
        raise _method_not_supported(received.method)
    raise _not_routed(400, received.path) if received.path.endswith("/ai/v1") else refusal(7000)


def _method_not_supported(method: str) -> Refusal:
    return refusal(7001, f"{method} not supported for requested URI.")


async def _reject_method(exchange: Exchange) -> Reply:
    """Reject GET /ai/v1/models: Cloudflare has no such list."""
    raise _method_not_supported(exchange.received.method)


async def _verify_user_token(exchange: Exchange) -> Reply:
    """Verify a user token; a valid account token fails on this route."""
    return _verify_token(exchange, "user")


async def _verify_account_token(exchange: Exchange) -> Reply:
    """Verify an account token."""
    if exchange.parts["account"] != exchange.cloud.accounts.account_id:
        raise refusal(10000)
    return _verify_token(exchange, "account")


def _verify_token(exchange: Exchange, owner: Owner) -> Reply:
    """Answer with the status of a token; only active tokens get a message."""
    token = exchange.cloud.accounts.verify(exchange.received.token, owner)
    valid = {"code": 10000, "message": "This API Token is valid and active", "type": None}
    messages = (valid,) if token.status == "active" else ()
    return enveloped({"id": token.id, "status": token.status}, messages=messages)


async def _list_accounts(exchange: Exchange) -> Reply:
    """Answer with the accounts of a token; empty if it lacks one of the permissions."""
    accounts = exchange.cloud.accounts
    token = accounts.get_active(exchange.received.token)
    account = {"id": accounts.account_id, "name": "Stand-in", "type": "standard"}
    shown = [account] if token.permissions.issuperset(EVERYTHING) else []
    info = {"page": 1, "per_page": 20, "count": len(shown), "total_count": len(shown)}
    return enveloped(shown, result_info=info)


ROUTES = tuple(
    Route(method, re.compile(BASE + pattern), handler, permission)
    for method, pattern, handler, permission in (
        ("POST", f"{ACCOUNT}/ai/v1/chat/completions", chat.chat_completions, EDIT),
        ("POST", f"{ACCOUNT}/ai/v1/embeddings", tasks.openai_embeddings, EDIT),
        ("POST", f"{ACCOUNT}/ai/v1/responses", chat.responses, EDIT),
        ("GET", f"{ACCOUNT}/ai/v1/models", _reject_method, ""),
        ("POST", f"{ACCOUNT}/ai/run", tasks.run_model_in_body, EDIT),
        ("POST", f"{ACCOUNT}/ai/run/(?P<model>.+)", tasks.run_model, EDIT),
        ("GET", f"{ACCOUNT}/ai/models/search", search_models, READ),
        ("GET", f"{ACCOUNT}/ai/models/schema", model_schema, READ),
        ("POST", f"{ACCOUNT}/ai/tomarkdown", tasks.to_markdown, EDIT),
        ("GET", f"{ACCOUNT}/ai/tomarkdown/supported", tasks.markdown_formats, READ),
        ("GET", f"{ACCOUNT}/tokens/verify", _verify_account_token, ""),
        ("GET", "/user/tokens/verify", _verify_user_token, ""),
        ("GET", "/accounts", _list_accounts, ""),
        ("POST", "/graphql", graphql, ""),
    )
)


async def _answer_through_gateway(exchange: Exchange, handler: Handler) -> Reply:
    """Answer a call through AI Gateway: from its cache, or by the handler."""
    refused = _check_gateway(exchange)
    if refused is not None:
        return refused
    request = exchange.received
    key = (request.path, request.body_bytes)
    copies = exchange.cloud.gateway.copies
    if exchange.switches.gateway_caches and key in copies:
        return _add_gateway_headers(copies[key], "HIT")
    reply = await handler(exchange)
    if not exchange.switches.gateway_caches:
        return _add_gateway_headers(reply, "")
    if isinstance(reply.body, bytes):
        copies[key] = reply
        return _add_gateway_headers(reply, "MISS")

    def save(whole: bytes) -> None:
        copies[key] = replace(reply, body=whole)

    return _add_gateway_headers(replace(reply, body=_record(reply.body, save)), "MISS")


def _check_gateway(exchange: Exchange) -> Reply | None:
    """Return the response to a call beyond the spend limit of its gateway; None for others.

    Raises Refusal for an unknown gateway.
    """
    switches, headers = exchange.switches, exchange.received.headers
    if headers[GATEWAY_NAME] not in switches.gateways:
        raise Refusal(Fault.of(2001, "C"))
    metadata = headers.get(GATEWAY_METADATA, "")
    calls = exchange.cloud.gateway.calls
    spent = calls.get(metadata, 0)
    if switches.gateway_calls is not None and spent >= switches.gateway_calls:
        return plain(spend_limit_body(metadata, spent, switches.gateway_calls), 429)
    calls[metadata] = spent + 1
    return None


def _add_gateway_headers(reply: Reply, cache: str) -> Reply:
    """Return the response with the headers of the gateway."""
    status = {GATEWAY_CACHE_STATUS: cache} if cache else {}
    return replace(reply, headers={**reply.headers, GATEWAY_LOG_ID: str(uuid4()), **status})


async def _record(
    pieces: AsyncGenerator[Piece, None], save: Callable[[bytes], None]
) -> AsyncGenerator[Piece, None]:
    """Forward the pieces; call `save` with the complete body before the last one."""
    parts: list[bytes] = []
    async with contextlib.aclosing(pieces):
        async for piece in pieces:
            parts.append(piece.data)
            if piece.last:
                save(b"".join(parts))
            yield piece


def _control(cloud: Cloud, request: Received) -> Reply:
    """Answer a control request of another process."""
    name = request.path.removeprefix(CONTROL)
    if (request.method, name) == ("POST", "switches"):
        return _set_switches(cloud, request)
    if (request.method, name) == ("DELETE", "requests"):
        cloud.log.clear()
        return plain([])
    records = {
        "switches": cloud.script.switches.as_json(),
        "requests": [one.as_json() for one in cloud.log.requests],
        "calls": [entry.call._asdict() for entry in cloud.ledger.entries],
    }
    if request.method != "GET" or name not in records:
        return plain({"error": f"there are {', '.join(records)}"}, 404)
    return plain(records[name])


def _set_switches(cloud: Cloud, request: Received) -> Reply:
    """Change the given switches; the others keep their values."""
    try:
        changed = cloud.script.switches.with_json(request.json)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return plain({"error": str(error)}, 400)
    cloud.script = Script(changed)
    return plain(changed.as_json())


class Standin:
    """A Cloudflare server for tests; a context manager. `clock` sets days and minutes, not speed.

    An exception of the stand-in is raised when the block ends, so that the test fails.
    """

    def __init__(
        self,
        *,
        plan: Plan = "free",
        switches: Switches | None = None,
        clock: Clock = time.time,
        port: int = 0,
        models: Iterable[Model] = (),
    ) -> None:
        self._cloud = Cloud(
            accounts=Accounts(plan),
            catalog=Catalog(tuple(models)),
            ledger=Ledger(clock, plan),
            log=Log(),
            clock=clock,
            script=Script(switches or Switches()),
        )
        self._socket = socket.create_server((HOST, port), backlog=BACKLOG)
        self.port: int = self._socket.getsockname()[1]
        self._started = threading.Event()
        self._closing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._server: web.Server | None = None
        self._thread = threading.Thread(target=self._run, name="standin", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        if self._cloud.log.crashes:
            raise self._cloud.log.crashes[0]

    def __repr__(self) -> str:
        return f"<Standin {self.base_url}>"

    def close(self) -> None:
        """Close all connections and end the thread; later calls do nothing."""
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
        self._socket.close()

    @property
    def base_url(self) -> str:
        """The value for CLOUDFLARE_API_BASE_URL."""
        return f"http://{HOST}:{self.port}{BASE}"

    @property
    def account_id(self) -> str:
        """The id of the account."""
        return self._cloud.accounts.account_id

    @property
    def token(self) -> str:
        """A user token with all permissions."""
        return self._cloud.accounts.token

    @property
    def account_token(self) -> str:
        """An account token with all permissions."""
        return self._cloud.accounts.account_token

    @property
    def read_only_token(self) -> str:
        """A user token that can list models, but not run them or read analytics."""
        return self._cloud.accounts.read_only_token

    def issue_token(
        self,
        permissions: Iterable[str],
        owner: Owner = "user",
        status: str = "active",
        text: str = "",
    ) -> str:
        """Create a token with some of `state.EVERYTHING`; an empty `text` becomes random."""
        return self._cloud.accounts.issue(permissions, owner, status, text)

    def environ(self) -> dict[str, str]:
        """Return the environment variables that connect a client."""
        return {
            "CLOUDFLARE_ACCOUNT_ID": self.account_id,
            "CLOUDFLARE_API_TOKEN": self.token,
            "CLOUDFLARE_API_BASE_URL": self.base_url,
        }

    @property
    def switches(self) -> Switches:
        """The current switches; setting them restarts their lists."""
        return self._cloud.script.switches

    @switches.setter
    def switches(self, switches: Switches) -> None:
        self._cloud.script = Script(switches)

    def switch(self, **changes: Any) -> None:
        """Change some switches; the others keep their values."""
        self.switches = replace(self.switches, **changes)

    @property
    def requests(self) -> tuple[Received, ...]:
        """All requests since the last clear, in order of arrival."""
        return self._cloud.log.requests

    @property
    def open_connections(self) -> int:
        """Number of open client connections."""
        return len(self._server.connections) if self._server else 0

    @property
    def disconnects(self) -> int:
        """Number of clients that disconnected before the end of their answer."""
        return self._cloud.log.disconnects

    def clear(self) -> None:
        """Remove all requests and disconnects; billed calls stay."""
        self._cloud.log.clear()

    def wait_for(self, happened: Callable[["Standin"], bool], timeout: float = 10.0) -> bool:
        """Wait until `happened` returns True; return False after the timeout."""
        return self._cloud.log.wait_for(lambda: happened(self), timeout)

    @property
    def billed(self) -> float:
        """The billed neurons of this UTC day."""
        return self._cloud.ledger.billed()

    @property
    def calls(self) -> list[Call]:
        """All billed calls of all days, in order."""
        return [entry.call for entry in self._cloud.ledger.entries]

    def spend(self, neurons: float, model: str = "@cf/google/gemma-4-26b-a4b-it") -> None:
        """Bill neurons as if another program had used the account."""
        self._cloud.ledger.book(Call(model, 0, 0, neurons))

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        """Serve until `close` is called, then close all connections."""
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._server = web.Server(
            self._handle,
            handler_cancellation=True,
            access_log=None,
            auto_decompress=False,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
        )
        listener = await self._loop.create_server(self._server, sock=self._socket, backlog=BACKLOG)
        self._started.set()
        await self._stop.wait()
        self._closing = True
        listener.close()
        for connection in self._server.connections:
            if connection.transport is not None:
                connection.transport.abort()
        await asyncio.sleep(0)  # The transports close in the next iteration of the loop.

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; count the client if it disconnects before the end."""
        try:
            received = await _receive(request)
        except (ConnectionError, web.RequestPayloadError):
            return web.Response()  # The client disconnected before the end of its request.
        try:
            return await self._respond(request, await self._answer(received))
        except HangUp:
            pass
        except asyncio.CancelledError:
            self._count_disconnect()
            raise
        except ConnectionError:
            self._count_disconnect()
        except Exception as error:  # noqa: BLE001 - as in _answer
            self._cloud.log.crashes.append(error)
        if request.transport is not None:
            request.transport.close()  # It sends what was written, without the end of the body.
        return web.Response()

    def _count_disconnect(self) -> None:
        """Count a client that disconnected, unless the stand-in closes the connections."""
        if not self._closing:
            self._cloud.log.add_disconnect()

    async def _answer(self, received: Received) -> Reply:
        """Return the answer; an exception of the stand-in is logged and sent to the client."""
        try:
            return await answer(self._cloud, received)
        except HangUp:
            raise
        except Exception as error:  # noqa: BLE001 - the test must fail with any exception
            self._cloud.log.crashes.append(error)
            return plain({"error": f"the stand-in failed: {error!r}"}, 500)

    async def _respond(self, request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
        """Send each piece of a stream as one chunk; the last one includes the end of the body."""
        headers = _make_headers(reply)
        if isinstance(reply.body, bytes):
            return web.Response(body=reply.body, status=reply.status, headers=headers)
        response = web.StreamResponse(status=reply.status, headers=headers)
        async with contextlib.aclosing(reply.body) as pieces:
            await response.prepare(request)
            async for piece in pieces:
                if piece.last:
                    await response.write_eof(piece.data)
                    break
                await response.write(piece.data)
        return response


async def _receive(request: web.BaseRequest) -> Received:
    """Read a request with its body."""
    headers = {
        name.decode("latin-1").lower(): value.decode("latin-1")
        for name, value in request.raw_headers
    }
    if headers.get("expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = await request.content.read()
    return Received.parse(request.method, request.raw_path, headers, body)


def _make_headers(reply: Reply) -> Mapping[str, str]:
    """Return the headers of a response."""
    return {
        "content-type": reply.content_type,
        "server": "cloudflare",
        "cf-ray": f"{secrets.token_hex(8)}-FRA",
        **reply.headers,
    }
