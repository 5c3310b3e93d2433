"""What to ask about a token, and how to read the reply."""

from typing import Any

from ..values import TokenCheck

USER_PATH = "/user/tokens/verify"


def account_path(account_id: str) -> str:
    """Return the path that verifies a token owned by the account."""
    return f"/accounts/{account_id}/tokens/verify"


def token_check(reply: Any, owner: str, *, can_read: bool) -> TokenCheck:
    """Return what a verify reply says of the token."""
    result = reply.get("result") if isinstance(reply, dict) else None
    result = result if isinstance(result, dict) else {}
    return TokenCheck(
        status=str(result.get("status") or "unknown"),
        owner="account" if owner == "account" else "user",
        can_read=can_read,
        expires_on=result.get("expires_on"),
    )
