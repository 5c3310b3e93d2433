"""Redact tokens, keys and other secrets in text, and reject commands that contain one."""

from .errors import TokenInCommandError
from .i18n import _
from .secret_patterns import (
    SECRET_LITERAL_PATTERN,
    TOKEN_KINDS,
    find_token,
    replace_environment_secrets,
)

REDACTED_SECRET = "[secret]"  # noqa: S105 - a placeholder


def reject_token(text: str) -> None:
    """Raise TokenInCommandError if the text appears to contain a token or a class key."""
    kind = find_token(text)
    if kind is not None:
        raise TokenInCommandError(
            _("The line contains {token}, which was not used").format(token=_(kind.name)),
            _(kind.command_hint),
        )


def redact_tokens(text: str) -> str:
    """Return the text with a placeholder for everything that looks like a token or a class key."""
    return replace_tokens(text)[0]


def replace_tokens(text: str) -> tuple[str, int]:
    """Return the text as `redact_tokens` does, and the number of placeholders."""
    total = 0
    for kind in TOKEN_KINDS:
        if kind.pattern.search(text):
            text, count = kind.pattern.subn(_(kind.placeholder), text)
            total += count
    return text, total


def redact_secrets(text: str) -> str:
    """Return the text of a cell with a placeholder for each secret, for a prompt.

    Secrets are API tokens, class keys, values of environment variables such as OPENAI_API_KEY,
    and strings that are assigned to names such as password. The placeholder does not depend on
    the user's language, because prompts are used to find recordings.
    """
    text = replace_environment_secrets(text, REDACTED_SECRET)
    text = SECRET_LITERAL_PATTERN.sub(rf"\g<1>{REDACTED_SECRET}", text)
    for kind in TOKEN_KINDS:
        text = kind.pattern.sub(REDACTED_SECRET, text)
    return text
