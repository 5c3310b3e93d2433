"""Everything that can go wrong and that the user can act on, each with its next step.

CfaiError
├── SetupError                  nothing was sent
│   ├── NoCredentials           no account id or no token is known
│   ├── BadOption               an option, a name or a value that does not fit
│   ├── VariableError           a {{…}} of the prompt can't be filled
│   ├── NoVision                the model does not see images
│   ├── NoTools                 the model calls no functions
│   ├── TokenOnLine             an API token was typed where the history keeps it
│   ├── NotAnAccountId          the account id is not 32 hexadecimal characters
│   ├── StoreError              something could not be kept, read or forgotten
│   ├── BudgetExceeded          a budget has no room for this call
│   ├── CourseRule              the course's file does not allow it
│   └── LocalModelError         the local model can't be fetched, verified or started
├── WorkersAIError              something was sent, and this came back
│   ├── AuthenticationError     the token is wrong or expired, or belongs to another account
│   ├── PermissionDenied        the token is valid but may not do this
│   ├── AccountNotFound         the address names no account
│   ├── UnknownModel            no such model
│   ├── PaidPlanOnly            the model is closed to the free plan
│   ├── AllowanceUsedUp         the day's free neurons are used up
│   ├── GatewayLimit            a spend limit of the AI Gateway is reached
│   ├── RateLimited             too many requests in this minute
│   ├── NoCapacity              the model is busy
│   ├── ContextTooLong          prompt and max_tokens exceed the model's window
│   ├── BadInput                the request was refused as it stands
│   ├── RequestTimeout          no answer in time
│   ├── ConnectionFailed        the server could not be reached
│   ├── ServerError             the server failed
│   └── CutStream               the answer ended before its end
├── SchemaMismatch              the answer does not fit the schema, nor did a second one
├── TooManySteps                the model goes on calling functions
├── BudgetReached               the answer was cut at the end of a budget
└── Interrupted                 the user stopped the answer
"""

from typing import Any, ClassVar


class CfaiError(Exception):
    """An error with one line of cause and one line of what to do next.

    In a notebook it shows as that one line, and the cell still fails.
    `model` is the model asked, where the error is about one; `text` is what had arrived of the
    answer, and `answer` the same as an Answer where one was begun.
    """

    default_hint: ClassVar[str] = ""

    def __init__(
        self,
        cause: str,
        hint: str = "",
        *,
        code: int | None = None,
        status: int | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(cause)
        self.cause = " ".join(cause.split())
        self.hint = " ".join((hint or self.default_hint).split())
        self.code = code
        self.status = status
        self.request_id = request_id
        self.retry_after = retry_after
        self.model = ""
        self.text = ""
        self.answer: Any = None

    @property
    def reference(self) -> str:
        """Cloudflare's code, the HTTP status and the request id, as far as they are known."""
        parts = (
            ("code", self.code),
            ("HTTP", self.status),
            ("request", self.request_id),
        )
        return ", ".join(f"{name} {value}" for name, value in parts if value is not None)

    def __str__(self) -> str:
        reference = f" ({self.reference})" if self.reference else ""
        cause = self.cause.rstrip(".") + reference + "."
        return f"{cause} {self.hint}".rstrip()

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


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


class LocalModelError(SetupError):
    """The local model can't be fetched, verified or started."""


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
            f"They are renewed at 00:00 UTC{when}; until then nothing is sent. %cfai local "
            "answers from a small model on this machine. If the account has another plan since "
            "then: %cfai budget reopen."
        )

    default_hint = (
        "They are renewed at 00:00 UTC; %cfai local answers from a small model on this machine."
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


class SchemaMismatch(CfaiError):
    """The answer does not fit the schema, nor did a second one; it is kept."""

    default_hint = (
        "The text is kept in _cfai. Simplify the schema, raise --max-tokens, or choose a larger "
        "model with -m."
    )


class TooManySteps(CfaiError):
    """The model goes on calling functions; what had arrived is kept."""


class BudgetReached(CfaiError):
    """The answer was cut at the end of a budget; what had arrived is kept."""

    default_hint = (
        "The text so far is kept. %cfai budget shows what is left, %cfai budget N raises."
    )


class Interrupted(CfaiError):
    """The user stopped the answer; what had arrived is kept."""

    default_hint = "What had arrived is kept in _cfai."
