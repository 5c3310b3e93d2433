"""Redact API tokens and other secrets in text, and reject commands that contain a token."""

from .errors import TokenInCommandError
from .i18n import _, mark
from .secret_patterns import (
    PREFIXED_TOKEN_PATTERN,
    SECRET_LITERAL_PATTERN,
    UNPREFIXED_TOKEN_PATTERN,
    contains_token,
    replace_environment_secrets,
)

REDACTED_SECRET = "[secret]"  # noqa: S105 - a placeholder
REDACTED_TOKEN = mark("<API token, not shown>")


def reject_token(text: str) -> None:
    """Raise TokenInCommandError if the text appears to contain an API token."""
    if contains_token(text):
        raise TokenInCommandError(_("The line contains an API token, which was not used"))


def redact_tokens(text: str) -> str:
    """Return the text with a placeholder for everything that looks like an API token."""
    return _replace_tokens(text, _(REDACTED_TOKEN))


def redact_secrets(text: str) -> str:
    """Return the text of a cell with a placeholder for each secret, for a prompt.

    Secrets are API tokens, values of environment variables such as OPENAI_API_KEY, and strings
    that are assigned to names such as password. The placeholder does not depend on the user's
    language, because prompts are used to find recordings.
    """
    text = replace_environment_secrets(text, REDACTED_SECRET)
    text = SECRET_LITERAL_PATTERN.sub(rf"\g<1>{REDACTED_SECRET}", text)
    return _replace_tokens(text, REDACTED_SECRET)


def _replace_tokens(text: str, placeholder: str) -> str:
    return UNPREFIXED_TOKEN_PATTERN.sub(placeholder, PREFIXED_TOKEN_PATTERN.sub(placeholder, text))
