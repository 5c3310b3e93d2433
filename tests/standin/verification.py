"""Routes that verify tokens and list accounts."""

from .accounts import EVERYTHING, Owner, Token
from .errors import refusal
from .exchange import Exchange
from .reply import Reply, enveloped

GOOD_NEWS = 10000
VALID = "This API Token is valid and active"


async def user_token(exchange: Exchange) -> Reply:
    """Verify a user token; a valid account token fails on this route."""
    return verified(exchange, "user")


async def account_token(exchange: Exchange) -> Reply:
    """Verify an account token."""
    if exchange.parts["account"] != exchange.cloud.accounts.account_id:
        raise refusal(10000)
    return verified(exchange, "account")


def verified(exchange: Exchange, owner: Owner) -> Reply:
    """Answer with the status of a token; only active tokens get a message."""
    token: Token = exchange.cloud.accounts.verify(exchange.received.token, owner)
    valid = {"code": GOOD_NEWS, "message": VALID, "type": None}
    return enveloped(token.verified(), messages=(valid,) if token.status == "active" else ())


async def accounts(exchange: Exchange) -> Reply:
    """Answer with the accounts of a token; empty if it lacks one of the permissions."""
    known = exchange.cloud.accounts
    token = known.known(exchange.received.token)
    account = {"id": known.account_id, "name": "Stand-in", "type": "standard"}
    seen = [account] if token.permissions.issuperset(EVERYTHING) else []
    info = {"page": 1, "per_page": 20, "count": len(seen), "total_count": len(seen)}
    return enveloped(seen, result_info=info)
