"""The account of the stand-in: its plan, its tokens and their permissions."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from .errors import Fault, Refusal, refusal

Owner = Literal["user", "account"]
Plan = Literal["free", "paid"]
READ, EDIT, ANALYTICS = "Workers AI Read", "Workers AI Edit", "Account Analytics Read"
EVERYTHING = (READ, EDIT, ANALYTICS)
HEX_ID = 32


@dataclass(frozen=True, slots=True)
class Token:
    """Properties of a token; its text is the key in `Accounts`."""

    id: str
    owner: Owner
    permissions: frozenset[str]
    status: str

    def verified(self) -> dict[str, Any]:
        """Return the result of the verify routes."""
        return {"id": self.id, "status": self.status}


class Accounts:
    """One account with new random tokens."""

    def __init__(self, plan: Plan) -> None:
        self.account_id = secrets.token_hex(HEX_ID // 2)
        self.plan = plan
        self.licenses: set[str] = set()
        self._tokens: dict[str, Token] = {}
        self.token = self.issue(EVERYTHING)
        self.account_token = self.issue(EVERYTHING, "account")
        self.read_only_token = self.issue((READ,))

    def issue(
        self,
        permissions: Iterable[str],
        owner: Owner = "user",
        status: str = "active",
        text: str = "",
    ) -> str:
        """Create a token with this text, or a random text with the prefix of its owner type."""
        text = text or ("cfut_" if owner == "user" else "cfat_") + secrets.token_hex(24)
        known = Token(secrets.token_hex(HEX_ID // 2), owner, frozenset(permissions), status)
        self._tokens[text] = known
        return text

    def known(self, text: str) -> Token:
        """Return an active token. Raises Refusal if it is unknown or inactive."""
        token = self._tokens.get(text)
        if token is None or token.status != "active":
            raise refusal(10000)
        return token

    def may(self, text: str, account_id: str, permission: str) -> None:
        """Raise Refusal if the token lacks this permission on this account."""
        token = self.known(text)
        if account_id != self.account_id:
            raise refusal(10000)
        if permission and permission not in token.permissions:
            raise Refusal(Fault(403, 10000, "Authentication error"))

    def verify(self, text: str, owner: Owner) -> Token:
        """Return the token if its owner type matches: users and accounts have separate routes."""
        token = self._tokens.get(text)
        if token is None or token.owner != owner:
            raise refusal(1000)
        return token


def check_account_id(account_id: str, path: str) -> None:
    """Raise Refusal for a malformed account ID; the front door cannot route it."""
    if len(account_id) == HEX_ID and not account_id.strip("0123456789abcdef"):
        return
    message = f"Could not route to {path}, perhaps your object identifier is invalid?"
    raise Refusal(Fault.of(7003, message=message), (7000, "No route for that URI"))
