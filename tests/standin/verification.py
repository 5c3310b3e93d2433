"""The routes that tell whose token and account these are."""

from .accounts import EVERYTHING, Owner, Token
from .errors import refusal
from .exchange import Exchange
from .reply import Reply, enveloped

GOOD_NEWS = 10000
VALID = "This API Token is valid and active"


async def user_token(exchange: Exchange) -> Reply:
    """Answer for a user's token; an account's fails here, though it is valid."""
    return verified(exchange, "user")


async def account_token(exchange: Exchange) -> Reply:
    """Answer for a token that belongs to the account."""
    if exchange.parts["account"] != exchange.cloud.accounts.account_id:
        raise refusal(10000)
    return verified(exchange, "account")


def verified(exchange: Exchange, owner: Owner) -> Reply:
    """Answer with a token's status; the message is there only where it is active."""
    token: Token = exchange.cloud.accounts.verify(exchange.received.token, owner)
    valid = {"code": GOOD_NEWS, "message": VALID, "type": None}
    return enveloped(token.verified(), messages=(valid,) if token.status == "active" else ())


async def accounts(exchange: Exchange) -> Reply:
    """Answer with the accounts a token may see: none where it is scoped to Workers AI alone."""
    known = exchange.cloud.accounts
    token = known.known(exchange.received.token)
    account = {"id": known.account_id, "name": "Stand-in", "type": "standard"}
    seen = [account] if token.permissions.issuperset(EVERYTHING) else []
    info = {"page": 1, "per_page": 20, "count": len(seen), "total_count": len(seen)}
    return enveloped(seen, result_info=info)
