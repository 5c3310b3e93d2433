"""Owns logging in: how to make a token, and what verifying it tells before it is kept."""

from ..credentials.store import Credentials
from ..workers_ai.account import TokenCheck
from .route import OnRetry, Route

WORKERS_AI_PAGE = "https://dash.cloudflare.com/?to=/:account/ai/workers-ai"
HOW_TO = (
    "On the Cloudflare dashboard open Workers AI, then Use REST API.",
    "Create a Workers AI API Token there (permissions Workers AI - Read and Edit).",
    "Copy the Account ID from the same page.",
)
OWNERS = {"user": "a user", "account": "the account"}


def log_in(route: Route, credentials: Credentials, on_retry: OnRetry | None = None) -> str:
    """Verify credentials at Cloudflare, keep them, and return what there is to tell."""
    check = route.check(credentials, on_retry)
    kept_in = route.store.keep(credentials.account_id, credentials.api_token)
    route.credentials_changed()
    in_use = route.credentials().source
    before = "" if in_use in kept_in else f" Used before it: {in_use}."
    return f"{verdict(check)} Kept in {kept_in}.{before}"


def verdict(check: TokenCheck) -> str:
    """Return what a check found, in sentences: state, owner, and each permission it lacks."""
    until = f" until {check.expires_on}" if check.expires_on else ""
    lines = [f"The token is {check.status}{until} and belongs to {OWNERS[check.owner]}."]
    if not check.can_read:
        lines.append("It lacks the permission Workers AI - Read: models can't be listed.")
    if not check.can_run:
        lines.append("It lacks the permission Workers AI - Edit: no model can be asked.")
    return " ".join(lines)
