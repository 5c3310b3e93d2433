"""Redact API tokens in text, and reject commands that contain one."""

from .errors import TokenInCommandError
from .i18n import _, mark
from .secret_patterns import (
    PREFIXED_TOKEN_PATTERN,
    UNPREFIXED_TOKEN_PATTERN,
    contains_token,
)

REDACTED_TOKEN = mark("<API token, not shown>")


def reject_token(text: str) -> None:
    """Raise TokenInCommandError if the text appears to contain an API token."""
    if contains_token(text):
        raise TokenInCommandError(_("The line contains an API token, which was not used"))


def redact_tokens(text: str) -> str:
    """Return the text with a placeholder for everything that looks like an API token."""
    placeholder = _(REDACTED_TOKEN)
    return UNPREFIXED_TOKEN_PATTERN.sub(placeholder, PREFIXED_TOKEN_PATTERN.sub(placeholder, text))
