"""What came back from Workers AI in place of an answer."""

from .base import CfaiError
from .setup import NotAnAccountId


class WorkersAIError(CfaiError):
    """Something was sent, and this came back."""


class AuthenticationError(WorkersAIError):
    """The token is wrong or expired, or belongs to another account."""

    default_hint = (
        "Check that the token is active and that the account id is the one it was made for: "
        "%cfai status shows which is in use, %cfai login replaces both."
    )


class PermissionDenied(WorkersAIError):
    """The token is valid but may not do this."""

    default_hint = (
        "Give the token the permissions Workers AI - Read and Workers AI - Edit on the "
        "dashboard's API Tokens page, or make a new one and run %cfai login."
    )


class AccountNotFound(WorkersAIError):
    """The address names no account."""

    default_hint = NotAnAccountId.default_hint


class UnknownModel(WorkersAIError):
    """No such model."""

    default_hint = "%cfai models lists the names."


class PaidPlanOnly(WorkersAIError):
    """The model is closed to the free plan."""

    default_hint = "%cfai models free lists the models of the free plan."


class AllowanceUsedUp(WorkersAIError):
    """The day's free neurons are used up."""

    @classmethod
    def hint_with(cls, when: str) -> str:
        """Return the next step, with when the allowance is renewed."""
        return (
            f"They are renewed at 00:00 UTC{when}; until then nothing is sent. Recorded answers "
            "still come (%cfai replay), and %cfai local answers from a small model on this "
            "machine. If the account has another plan since then: %cfai budget reopen."
        )

    default_hint = (
        "They are renewed at 00:00 UTC; recorded answers still come (%cfai replay), and %cfai "
        "local answers from a small model on this machine."
    )


class GatewayLimit(WorkersAIError):
    """A spend limit or the credits of the AI Gateway are used up."""

    default_hint = (
        "Whoever keeps the gateway sets that, for each student or course by the metadata; the "
        "limit begins anew when its time is over."
    )


class RateLimited(WorkersAIError):
    """Too many requests in this minute."""

    default_hint = "Wait a minute and run the cell again."


class NoCapacity(WorkersAIError):
    """The model is busy."""

    default_hint = "Run the cell again in a while, or choose another model with -m."


class ContextTooLong(WorkersAIError):
    """Prompt and max_tokens together exceed the model's window."""

    default_hint = (
        "Shorten the prompt, lower --max-tokens, or choose a model with a larger window: "
        "%cfai models shows them."
    )


class BadInput(WorkersAIError):
    """The request was refused as it stands."""

    default_hint = "Check the options on the %%cfai line against what the model takes."


class RequestTimeout(WorkersAIError):
    """No answer in time."""

    default_hint = "Run the cell again, ask for less with --max-tokens, or choose a faster model."


class ConnectionFailed(WorkersAIError):
    """The server could not be reached."""

    default_hint = "Check the network, the proxy settings and CLOUDFLARE_API_BASE_URL."


class ServerError(WorkersAIError):
    """The server failed."""

    default_hint = "Run the cell again; if it stays, choose another model with -m."


class CutStream(WorkersAIError):
    """The answer ended before its end; what had arrived is kept."""

    default_hint = "The text so far is kept; run the cell again for the whole answer."


class ReplyTooLarge(WorkersAIError):
    """The reply is larger than any real one; it was not read to its end."""

    default_hint = (
        "No model answers at such length: check the server and the proxy that %cfai status names."
    )
