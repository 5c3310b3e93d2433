"""Routes of the API and the token permissions they need."""

import re
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from . import (
    analytics,
    batch,
    chat,
    control,
    embeddings,
    errors,
    flood,
    gateway,
    listing,
    markdown,
    native,
    responses,
    verification,
)
from .accounts import EDIT, READ, check_account_id
from .errors import Fault, Refusal, refusal
from .exchange import Cloud, Exchange
from .received import Received
from .reply import Reply
from .script import Script

Handler = Callable[[Exchange], Awaitable[Reply]]
BASE = "/client/v4"
ACCOUNT = "/accounts/(?P<account>[^/]+)"
OF_AN_ACCOUNT = re.compile(f"{BASE}{ACCOUNT}/.*")


class Route(NamedTuple):
    """A route; the token needs `permission` on the account if it is set."""

    method: str
    pattern: re.Pattern[str]
    handler: Handler
    permission: str = ""


def route(method: str, pattern: str, handler: Handler, permission: str = "") -> Route:
    """Return a route below the base path."""
    return Route(method, re.compile(BASE + pattern), handler, permission)


async def unsupported(exchange: Exchange) -> Reply:
    """Raise Refusal for a known path with an unsupported method."""
    raise method_not_supported(exchange.received.method)


ROUTES = (
    route("POST", f"{ACCOUNT}/ai/v1/chat/completions", chat.chat_completions, EDIT),
    route("POST", f"{ACCOUNT}/ai/v1/embeddings", embeddings.openai_embeddings, EDIT),
    route("POST", f"{ACCOUNT}/ai/v1/responses", responses.responses, EDIT),
    route("GET", f"{ACCOUNT}/ai/v1/models", unsupported),
    route("POST", f"{ACCOUNT}/ai/run", native.run_in_body, EDIT),
    route("POST", f"{ACCOUNT}/ai/run/(?P<model>.+)", batch.queue_or_run, EDIT),
    route("GET", f"{ACCOUNT}/ai/models/search", listing.search, READ),
    route("GET", f"{ACCOUNT}/ai/models/schema", listing.schema, READ),
    route("POST", f"{ACCOUNT}/ai/tomarkdown", markdown.to_markdown, EDIT),
    route("GET", f"{ACCOUNT}/ai/tomarkdown/supported", markdown.supported, READ),
    route("GET", f"{ACCOUNT}/tokens/verify", verification.account_token),
    route("GET", "/user/tokens/verify", verification.user_token),
    route("GET", "/accounts", verification.accounts),
    route("POST", "/graphql", analytics.graphql),
)


async def answer(cloud: Cloud, received: Received) -> Reply:
    """Answer one request; a Refusal becomes its recorded error response."""
    if received.path.startswith(control.PREFIX):
        return control.control(cloud, received)
    cloud.log.arrived(received)
    script = cloud.script
    headers = wait(script.switches.retry_after)
    if script.switches.flood and script.switches.error_path in received.path:
        return flood.reply(script.switches.flood, script.switches.flood_status)
    if script.switches.canned and script.switches.error_path in received.path:
        return script.switches.canned.reply()
    fault = script.fault(received.path)
    if fault is not None:
        return errors.reply(fault, headers=headers)
    try:
        return await routed(cloud, script, received)
    except Refusal as error:
        return errors.reply(error.fault, *error.also, headers=headers)


def wait(retry_after: str | None) -> dict[str, str]:
    """Return the retry-after header if a switch sets it."""
    return {} if retry_after is None else {"retry-after": retry_after}


async def routed(cloud: Cloud, script: Script, received: Received) -> Reply:
    """Find the route, check the token and call the handler."""
    account = OF_AN_ACCOUNT.fullmatch(received.path)
    if account is not None:
        check_account_id(account["account"], received.path)
    found, parts = matching(received)
    if found.permission:
        cloud.accounts.may(received.token, parts["account"], found.permission)
    exchange = Exchange(cloud, script, received, parts)
    if found.permission == EDIT and gateway.NAME in received.headers:
        return await gateway.through(exchange, found.handler)
    return await found.handler(exchange)


def matching(received: Received) -> tuple[Route, dict[str, str]]:
    """Return the route of a request, and the named parts of its path."""
    tried = [(one, one.pattern.fullmatch(received.path)) for one in ROUTES]
    matches = [(one, match.groupdict()) for one, match in tried if match]
    if not matches:
        raise no_route(received.path)
    for one, parts in matches:
        if one.method == received.method:
            return one, parts
    raise method_not_supported(received.method)


def no_route(path: str) -> Refusal:
    """Return the error for an unknown path."""
    if not path.endswith("/ai/v1"):
        return refusal(7000)
    message = f"Could not route to {path}, perhaps your object identifier is invalid?"
    return Refusal(Fault(400, 7003, message), (7000, "No route for that URI"))


def method_not_supported(method: str) -> Refusal:
    """Return the error for an unsupported method."""
    return refusal(7001, f"{method} not supported for requested URI.")
