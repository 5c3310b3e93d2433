"""Redact API tokens in texts, and reject commands that contain one."""

from .errors import TokenInCommandError
from .secret_patterns import (
    PREFIXED_TOKEN_PATTERN,
    UNPREFIXED_TOKEN_PATTERN,
    contains_token,
)

REDACTED_TOKEN = "<API token, not shown>"  # noqa: S105 - shown instead of a token


def reject_token(text: str) -> None:
    """Raise TokenInCommandError if the text contains something like an API token."""
    if contains_token(text):
        raise TokenInCommandError("An API token does not belong on this line, and was not used")


def redact_tokens(text: str) -> str:
    """Return the text with everything that looks like an API token replaced."""
    return UNPREFIXED_TOKEN_PATTERN.sub(
        REDACTED_TOKEN, PREFIXED_TOKEN_PATTERN.sub(REDACTED_TOKEN, text)
    )
