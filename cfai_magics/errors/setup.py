"""What has to be put right on this side first: nothing was sent."""

from .base import CfaiError


class SetupError(CfaiError):
    """Nothing was sent: something on this side has to be put right first."""


class NoCredentials(SetupError):
    """No account id or no token is known."""

    default_hint = (
        "Run %cfai login (in a shell: cfai login), or %cfai local for a small model "
        "on this machine without an account."
    )


class BadOption(SetupError):
    """An option, a name or a value that does not fit."""

    default_hint = "%%cfai? lists the options, %cfai help the commands."


class VariableError(SetupError):
    """A {{…}} of the prompt can't be filled."""


class NoVision(SetupError):
    """The model does not see images."""


class NoTools(SetupError):
    """The model calls no functions."""


class TokenOnLine(SetupError):
    """An API token was typed where the history keeps it."""

    default_hint = (
        "It stands in the history now, and in this notebook if it is one: revoke it on the "
        "dashboard's API Tokens page, make a new one, and give it to %cfai login alone, which "
        "asks for it unseen."
    )


class NotAnAccountId(SetupError):
    """The account id is not 32 hexadecimal characters."""

    default_hint = (
        "It has 32 characters 0-9 and a-f, and stands on the dashboard's Workers AI page "
        "under Use REST API. Run %cfai login again."
    )


class StoreError(SetupError):
    """Something could not be kept, read or forgotten."""


class BudgetExceeded(SetupError):
    """A budget has no room for this call."""


class CourseRule(SetupError):
    """The course's file does not allow it."""

    default_hint = "Nothing was sent. %cfai status shows what the course's file sets."


class NotRecorded(SetupError):
    """The answer is in no recording, and nothing else may be asked."""

    default_hint = "Nothing was sent. %cfai replay auto asks such questions and records them."


class LocalModelError(SetupError):
    """The local model can't be fetched, verified or started."""
