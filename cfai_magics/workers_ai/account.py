"""What to ask about a token, and how to read the reply."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

USER_PATH = "/user/tokens/verify"
# Cloudflare looks at the permissions first, and answers then that there is no such model.
NO_QUESTION = {"model": "@cf/none/none", "messages": [{"role": "user", "content": "-"}]}
ENDED = frozenset(("disabled", "expired"))


@dataclass(frozen=True, slots=True)
class TokenCheck:
    """What Cloudflare says of a token.

    `owner` is "user" or "account"; `can_read` tells whether it may list the models (Workers AI -
    Read), `can_run` whether it may ask them (Workers AI - Edit). `expires_on` is ISO, or None.
    """

    status: str
    owner: Literal["user", "account"]
    can_read: bool
    can_run: bool
    expires_on: str | None = None


def account_path(account_id: str) -> str:
    """Return the path that verifies a token owned by the account."""
    return f"/accounts/{account_id}/tokens/verify"


def token_check(reply: Any, owner: str, *, can_read: bool, can_run: bool) -> TokenCheck:
    """Return what a verify reply says of the token."""
    return TokenCheck(
        status=state(reply),
        owner="account" if owner == "account" else "user",
        can_read=can_read,
        can_run=can_run,
        expires_on=_result(reply).get("expires_on"),
    )


def state(reply: Any) -> str:
    """Return the state of the token that a verify reply tells: active, disabled or expired."""
    return str(_result(reply).get("status") or "unknown")


def _result(reply: Any) -> Mapping[str, Any]:
    result = reply.get("result") if isinstance(reply, dict) else None
    return result if isinstance(result, dict) else {}
