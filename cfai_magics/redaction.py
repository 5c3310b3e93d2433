"""Redact API tokens in texts, and reject commands that contain one."""

from .errors import TokenInCommandError
from .i18n import _, mark
from .secret_patterns import (
    PREFIXED_TOKEN_PATTERN,
    UNPREFIXED_TOKEN_PATTERN,
    contains_token,
)

REDACTED_TOKEN = mark("<API token, not shown>")


def reject_token(text: str) -> None:
    """Raise TokenInCommandError if the text contains something like an API token."""
    if contains_token(text):
        raise TokenInCommandError(_("The line contains an API token, which was not used"))


def redact_tokens(text: str) -> str:
    """Return the text with everything that looks like an API token replaced."""
    placeholder = _(REDACTED_TOKEN)
    return UNPREFIXED_TOKEN_PATTERN.sub(placeholder, PREFIXED_TOKEN_PATTERN.sub(placeholder, text))
